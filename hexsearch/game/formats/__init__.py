"""Reading and writing of game files, with one module for each format."""
