"""What no listed cause explains: where it differs, on what it depends, and by which formula."""
