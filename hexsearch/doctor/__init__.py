"""Finds faults of games, networks and training: evidence in figures, a cause and a remedy."""
