"""Runs trials on Ray: the only room that imports it."""
