"""Checks of a user's own training function, from what was seen while it ran."""
