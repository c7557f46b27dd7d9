"""The search: a ledger, Optuna to propose, ASHA to stop, Ray to run."""
