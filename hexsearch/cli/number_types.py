"""Types of numbers on the command line that need the rules of the game."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from hexsearch.game.board import MAX_SIZE, MIN_SIZE


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
