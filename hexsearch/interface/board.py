"""A leaderboard in Python: text in a terminal, a table in a notebook, or a DataFrame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hexsearch.interface.text import as_html, as_text
from hexsearch.leaderboard.as_json import leaderboard_json
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.rows import Row

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Board:
    """The leaderboard of a study.

    Example:
        >>> board = hs.load_study("results/mine").leaderboard()      # doctest: +SKIP
        >>> board.to_frame()[["rank", "name", "value_loss"]]         # doctest: +SKIP
    """

    leaderboard: Leaderboard

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows, best first."""
        return self.leaderboard.rows

    def to_json(self) -> dict[str, Any]:
        """The JSON of `leaderboard --format json`."""
        return leaderboard_json(self.leaderboard)

    def to_frame(self) -> pd.DataFrame:
        """A pandas DataFrame with one line for each row."""
        from hexsearch.interface.frames import leaderboard_frame

        return leaderboard_frame(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        from hexsearch.report.table import render

        return as_text(lambda width: render(self.leaderboard, width))

    def _repr_html_(self) -> str:
        """HTML for Jupyter."""
        from hexsearch.report.table import render

        return as_html(lambda width: render(self.leaderboard, width))
