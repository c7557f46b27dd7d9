"""Runs trials on Ray. It is the only room that imports Ray."""
