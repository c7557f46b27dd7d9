"""Checks of the steps of a user's training: gradients, weights, rates and averages."""
