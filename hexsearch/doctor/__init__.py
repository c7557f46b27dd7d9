"""Names what is mis-wired, with figures, a cause and a remedy, before a month is spent."""
