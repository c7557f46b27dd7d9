"""What the parts of a configured network compute, from their weights and the configuration."""
