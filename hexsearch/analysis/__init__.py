"""Judging a trained network, and finding out what is mis-wired. Needs no search."""
