"""A live, read-only page about all studies of a folder. It needs the extra `dashboard`."""
