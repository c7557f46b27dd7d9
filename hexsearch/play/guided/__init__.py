"""Tree search guided by a network: trees in arrays, many games at once."""
