"""The leaderboard of a study as data: rows, comparisons, sentences. Nothing is printed here."""
