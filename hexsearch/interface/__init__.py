"""hexsearch from Python: the same names as the commands, for scripts and notebooks."""
