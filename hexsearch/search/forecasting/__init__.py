"""Forecasts of the final values of trials and configurations, and choice of the next training."""
