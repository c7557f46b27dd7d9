"""Tree search guided by a network, for many games together, with trees in arrays."""
