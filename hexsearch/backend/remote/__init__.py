"""Studies whose files are in object storage: copies, the lease of their driver, and faults."""
