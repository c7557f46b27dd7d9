"""Which formulas losses and answers are, found by asking them for many numbers."""
