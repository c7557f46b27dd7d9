"""The lines of a user's code that findings are about."""
