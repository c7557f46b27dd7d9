"""One trial, stepped in a plain loop. Has never heard of Ray."""
