"""Planes to raw outputs, and raw outputs to loss and probability. Knows no dataset."""
