"""Reads ledgers and prints; changes nothing."""
