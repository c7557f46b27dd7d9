"""Commands about single networks: training, evaluation, prediction and playing."""
