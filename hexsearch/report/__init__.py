"""What is shown of a study: tables, the live view, pictures. Reads, changes nothing."""
