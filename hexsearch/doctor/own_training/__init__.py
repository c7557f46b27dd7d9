"""Watches a user's own training function: what its network gets, and what its losses send back."""
