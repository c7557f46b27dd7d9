"""Values that several commands take on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from hexsearch.game.board import MAX_SIZE, MIN_SIZE


def positive(text: str) -> int:
    """A whole number above 0.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return number


def board_size(text: str) -> int:
    """A type for sides of boards."""
    size = int(text)
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise argparse.ArgumentTypeError(f"{text}: boards from {MIN_SIZE} to {MAX_SIZE} are played")
    return size


def at_least(lowest: int) -> Callable[[str], int]:
    """A type for whole numbers from `lowest` on."""

    def number(text: str) -> int:
        value = int(text)
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{text}: must be {lowest} or more")
        return value

    return number
