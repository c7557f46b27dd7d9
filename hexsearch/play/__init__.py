"""Playing Hex: players, search guided by a network, matches, self-play, the Hex Text Protocol."""
