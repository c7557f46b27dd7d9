"""What moves the weights: optimisers, the learning rate, clipping, averaged weights."""
