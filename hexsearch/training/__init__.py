"""One trial, trained in a plain loop. Nothing here knows Ray."""
