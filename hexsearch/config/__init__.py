"""Configuration as frozen models, which are parsed once when a file is read."""
