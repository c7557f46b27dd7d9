"""What games a study is about: what its own copy of them tells at a glance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hexsearch.data.dataset import Dataset
from hexsearch.game.board import BLUE, RED
from hexsearch.report.html.markup import bullets, chart, definition, paragraph
from hexsearch.report.html.study import Study

_BARS = 30  # at most


@dataclass(frozen=True)
class GameLengths:
    """How many games have so many moves.

    Attributes:
        moves: the fewest of each bar. width: moves of a bar.
    """

    moves: list[int]
    counts: list[int]
    width: int


def game_lengths(study: Study) -> GameLengths | None:
    """Bars over the lengths of all games; None where the games cannot be read."""
    dataset = study.games
    if not isinstance(dataset, Dataset) or not len(dataset.archive):
        return None
    lengths = dataset.archive.lengths.astype(np.int64)
    low, high = int(lengths.min()), int(lengths.max())
    width = max(1, -(-(high - low + 1) // _BARS))
    counts = np.bincount((lengths - low) // width).tolist()
    return GameLengths([low + width * place for place in range(len(counts))], counts, width)


def games_part(study: Study) -> str:
    """Counts, winners, lengths, stages, and what the doctor warned of."""
    dataset = study.games
    if not isinstance(dataset, Dataset):
        return paragraph(dataset)
    archive = dataset.archive
    splits = (
        f"{len(dataset.train_games):,} training, {len(dataset.validation_games):,} validation, "
        f"{len(dataset.games('test')):,} test"
    )
    blue, red = int((archive.winners == BLUE).sum()), int((archive.winners == RED).sum())
    open_games = int((archive.finished == 0).sum())
    repeated = len(archive) - len(np.unique(archive.hashes))
    lengths = archive.lengths
    facts = [
        ("games by split", splits),
        ("board", f"{dataset.config.board_size}x{dataset.config.board_size}"),
        ("winners", f"Blue {blue:,}, Red {red:,} ({red / max(1, blue + red):.1%} Red)"),
        ("not played to their end", f"{open_games:,}" if open_games else "none"),
        ("games that repeat another", f"{repeated:,}" if repeated else "none"),
        (
            "length of games",
            f"{lengths.min()} to {lengths.max()} moves, {lengths.mean():.1f} on average",
        ),
        *_stages(study),
    ]
    paths = " ".join(map(str, study.opening.games.get("paths", ())))
    return (
        definition(facts)
        + bullets([f"warning: {warning}" for warning in study.board.warnings])
        + chart("lengths", 240)
        + paragraph(f"For the whole audit: hexsearch games audit {paths}", "note")
    )


def _stages(study: Study) -> list[tuple[str, str]]:
    """Validation positions by stage, which the baselines were judged on."""
    if not study.board.baselines:
        return []
    stages = study.board.baselines[0].metrics.stages
    told = ", ".join(f"{name} {part.positions:,}" for name, part in stages.items())
    return [("validation positions by stage", told)]
