"""Tests of studies whose files are in object storage."""
