"""Search-space files: their text, their loading, their schema for editors."""
