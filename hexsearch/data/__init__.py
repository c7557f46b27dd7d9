"""From games to batches: archives, splits, curricula, and planes built when they are needed."""
