"""Configuration: parsed once, at the edge, then frozen."""
