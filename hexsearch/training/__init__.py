"""Training of one trial in a plain loop, without Ray."""
