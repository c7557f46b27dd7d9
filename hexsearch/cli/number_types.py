"""Types of numbers for the command line that depend on the game."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from hexsearch.config.run import MAX_SECONDS
from hexsearch.game.board import MAX_SIZE, MIN_SIZE


def board_size(text: str) -> int:
    """A type for board sizes."""
    size = int(text)
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise argparse.ArgumentTypeError(
            f"{text}: board sizes from {MIN_SIZE} to {MAX_SIZE} are allowed"
        )
    return size


def at_least(lowest: int) -> Callable[[str], int]:
    """A type for whole numbers that are at least `lowest`."""

    def number(text: str) -> int:
        value = int(text)
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{text}: must be {lowest} or more")
        return value

    return number


def share(text: str) -> float:
    """A type for shares from 0 to 1."""
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text}: must be from 0 to 1")
    return value


def seconds(text: str) -> float:
    """A type for lengths of time, above 0 and at most ten years."""
    value = float(text)
    if not 0.0 < value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text}: must be above 0 and at most ten years, in seconds"
        )
    return value
