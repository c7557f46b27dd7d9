"""Statistics as functions on arrays: intervals, variance, ranking, posterior."""
