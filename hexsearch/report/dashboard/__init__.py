"""A live, read-only page about all studies of a folder: needs the extra `dashboard`."""
