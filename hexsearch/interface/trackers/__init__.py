"""Callbacks that pass a study on to experiment trackers, each an extra of the same name."""
