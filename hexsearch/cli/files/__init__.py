"""Commands about game files, search-space files, and files for other programs."""
