"""Games to batches: archives, splits, curricula and planes built on the fly."""
