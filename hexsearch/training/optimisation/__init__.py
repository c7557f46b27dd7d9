"""Optimisation: optimisers, learning rate, gradient clipping, averaged weights."""
