"""How sure a figure is: intervals, variance, ranking, posterior. Pure functions on arrays."""
