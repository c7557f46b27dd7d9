"""hexsearch from Python: functions with the names of the commands, for scripts and notebooks."""
