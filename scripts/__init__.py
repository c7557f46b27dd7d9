"""Scripts that write parts of the documents and check the repository."""
