"""Looking after collections of games: reading, writing, auditing, making them."""
