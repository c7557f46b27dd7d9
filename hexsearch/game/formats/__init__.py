"""Text to game records and back, one module per format."""
