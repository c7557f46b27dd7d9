"""What writes parts of the documents and checks the repository."""
