"""Search-space files: YAML text, loading, and a schema for editors."""
