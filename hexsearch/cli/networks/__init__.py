"""Commands about single networks: training, judging, asking and playing."""
