"""Evaluation of trained networks, without a search."""
