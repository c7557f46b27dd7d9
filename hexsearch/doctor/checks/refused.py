"""The check of games that the import refused: how they would have to be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.refused_games import (
    other_written,
    repeated_cells,
    what_follows,
)
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.game.record import REPLAY_DISAGREES, Refusal, WrittenGame

_SOME, _MANY = 0.05, 0.2  # shares of refused games that are a warning, and an error
_FEW = 3
_REPEATED, _GOES_ON, _OPEN = "already played", "the game goes on", "no winner is stated"
_OTHER_SIZE = "board size"  # at the beginning of the reason


def check_refused(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report games that are refused for another reason than a winner who has not connected."""
    imported = needed(pipeline.imported)
    refused = [
        each
        for each in imported.refused
        if REPLAY_DISAGREES not in each.reason and not each.reason.startswith(_OTHER_SIZE)
    ]
    seen = imported.read + len(imported.refused)
    if len(refused) < max(_FEW, _SOME * seen):
        return
    share = len(refused) / seen
    reasons = Counter(_kind(each.reason) for each in refused)
    kind, count = reasons.most_common(1)[0]
    files = Counter(Path(each.file).name for each in refused)
    where = ", ".join(f"{name}: {number:,}" for name, number in files.most_common(3))
    alike = [each for each in refused if _kind(each.reason) == kind]
    yield Finding(
        "refused games",
        "error" if share > _MANY else "warning",
        f"{len(refused):,} of {seen:,} games are refused and not used in training ({where}); "
        f"{count:,} of them as on line {alike[0].line} of {Path(alike[0].file).name}: "
        f"{alike[0].reason}",
        f"games are written wrongly: {_explained(kind, alike)}",
        "compare one such line with the game in its source, correct the code that writes the file, "
        "and write it again; `hexsearch games audit PATH` lists the refused games",
        root="refused",
    )


def _explained(kind: str, refused: Sequence[Refusal]) -> str:
    games: list[WrittenGame] = [each.game for each in refused if each.game is not None]
    reading = other_written(games) if len(games) >= _FEW else ""
    if reading:
        return reading
    if kind == _REPEATED:
        told = repeated_cells(games)
        return "a cell is played twice" + (f": {told}" if told else _SHARED)
    if kind == _GOES_ON:
        told = what_follows(games)
        return (
            "the game goes on after a connection"
            + (f": {told}" if told else "")
            + ". The code that writes them does not see the end, or its board has other edges or "
            "neighbours"
        )
    if kind == _OPEN:
        return (
            "they end before a connection and name no winner: the last moves are missing (cut off, "
            "or off by one), or a result is not written"
        )
    return f"lines cannot be read as games, such as: {refused[0].reason}"


_SHARED = (
    ", at no fixed place: two games are joined, cells are numbered for another board, or two cells "
    "have one name"
)


def _kind(reason: str) -> str:
    """The reason without names and numbers."""
    known = next((each for each in (_REPEATED, _GOES_ON, _OPEN) if each in reason), None)
    return known or re.sub(r"'[^']*'|[0-9]+", "*", reason)
