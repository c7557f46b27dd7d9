"""Collections of games: importing, exporting and auditing them."""
