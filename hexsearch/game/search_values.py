"""What a search thought of the positions of a game, as the comment of a TRMPH line keeps it.

`search_values=52,-,47` holds a value for each position before a move: the win probability of Red in
percent, or a dash where no search was made.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 255  # in place of a percentage
_NOTE = re.compile(r"(?:.* )?search_values=(?P<values>\S*)\s*\Z")


def values_note(win_prob_red: NDArray[np.floating]) -> str:
    """The comment for values [plies], nan where there is none."""
    shown = ["-" if np.isnan(value) else f"{100 * value:.0f}" for value in win_prob_red]
    return f"search_values={','.join(shown)}"


def read_values(comment: str) -> bytes | None:
    """Percentages, one a byte; None if the comment holds no values.

    Raises:
        ValueError: one of them is no percentage.
    """
    match = _NOTE.match(comment)
    if match is None:
        return None
    found = []
    for word in match["values"].split(","):
        if word != "-" and not (word.isdigit() and int(word) <= 100):
            raise ValueError(f"search value '{word}' is no percentage from 0 to 100, nor a dash")
        found.append(UNKNOWN if word == "-" else int(word))
    return bytes(found)


def as_probabilities(percent: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Win probabilities of Red; nan where there is none."""
    known = percent.astype(np.float32) / np.float32(100.0)
    known[percent == UNKNOWN] = np.nan
    return known
