"""The Hex Text Protocol (the GTP of Hex), as an engine and as a client of other engines."""
