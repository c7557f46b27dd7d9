"""What trials and configurations are expected to reach, and what is worth training next."""
