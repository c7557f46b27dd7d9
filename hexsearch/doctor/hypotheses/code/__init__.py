"""Small edits of a user's own code, each of which may undo one slip of the pen."""
