"""Rules of Hex, its symmetries, and game records. Imports neither torch nor Ray."""
