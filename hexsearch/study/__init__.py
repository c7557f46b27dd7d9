"""Runs a study from its launch to the end of its last phase."""
