"""Measures on a card how many trials share it, and places the trials of a study."""
