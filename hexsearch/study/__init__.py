"""A study from launch to confirmed winner, phase by phase."""
