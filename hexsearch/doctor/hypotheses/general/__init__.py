"""Descriptions of a difference that no listed cause explains: where it is, and what was measured."""
