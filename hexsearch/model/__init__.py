"""From planes to raw outputs, and from raw outputs to loss and probability. Imports no dataset."""
