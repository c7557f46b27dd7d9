"""What the losses of a user's training want, read from the gradients at its outputs."""
