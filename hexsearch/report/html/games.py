"""The games of a study: counts, winners, lengths, stages, and the audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hexsearch.data.collection.audit import Audit, audit_archive
from hexsearch.data.collection.import_report import ImportReport
from hexsearch.data.dataset import Dataset
from hexsearch.report.analysis_pictures import draw_first_moves
from hexsearch.report.html.markup import bullets, chart, definition, paragraph
from hexsearch.report.html.study import Study

_BARS = 30  # most bars of the chart


@dataclass(frozen=True)
class GameLengths:
    """Number of games by number of moves.

    Attributes:
        moves: lowest number of moves of each bar.
        width: number of moves that one bar covers.
    """

    moves: list[int]
    counts: list[int]
    width: int


def game_lengths(study: Study) -> GameLengths | None:
    """The lengths of all games; None if the games cannot be read."""
    dataset = study.games
    if not isinstance(dataset, Dataset) or not len(dataset.archive):
        return None
    lengths = dataset.archive.lengths.astype(np.int64)
    low, high = int(lengths.min()), int(lengths.max())
    width = max(1, -(-(high - low + 1) // _BARS))
    counts = np.bincount((lengths - low) // width).tolist()
    return GameLengths([low + width * place for place in range(len(counts))], counts, width)


def games_part(study: Study) -> str:
    """The audit of the study's copy of its games, and the warnings of the doctor."""
    dataset = study.games
    if not isinstance(dataset, Dataset) or not len(dataset.archive):
        return paragraph(dataset if isinstance(dataset, str) else "The study has no games.")
    audit = audit_archive(dataset.archive, ImportReport(), dataset.config.stages, baselines=False)
    paths = " ".join(map(str, study.opening.games.get("paths", ())))
    return (
        definition([*_counts(dataset, audit), *_repeats(audit), *_positions(study, audit)])
        + bullets([f"warning: {warning}" for warning in study.board.warnings])
        + chart("lengths", 240)
        + paragraph("First moves; the darkest cell is the most frequent one:", "note")
        + f'<div class="boards small">{draw_first_moves(audit.first_moves)}</div>'
        + paragraph(
            f"For refused games and the baselines of all games: hexsearch games audit {paths}",
            "note",
        )
    )


def _counts(dataset: Dataset, audit: Audit) -> list[tuple[str, str]]:
    """Number of games by split, board, winner and length."""
    splits = (
        f"{len(dataset.train_games):,} training, {len(dataset.validation_games):,} validation, "
        f"{len(dataset.games('test')):,} test"
    )
    blue, red = audit.winners["blue"], audit.winners["red"]
    lengths = dataset.archive.lengths
    return [
        ("games by split", splits),
        ("board", ", ".join(f"{size}x{size}" for size in audit.sizes)),
        ("winners", f"Blue {blue:,}, Red {red:,} ({red / max(1, blue + red):.1%} Red)"),
        ("not played to their end", f"{audit.unverified:,}" if audit.unverified else "none"),
        (
            "length of games",
            f"{lengths.min()} to {lengths.max()} moves, {lengths.mean():.1f} on average",
        ),
    ]


def _repeats(audit: Audit) -> list[tuple[str, str]]:
    """Games that repeat others, and the number of moves after which games differ."""
    found = audit.duplicates
    counts = (
        (found.exact, "exact"),
        (found.symmetric, "mirrored or turned"),
        (len(found.contradictory), "with another winner"),
    )
    repeats = ", ".join(f"{count:,} {kind}" for count, kind in counts if count)
    ply = audit.fingerprint_ply
    return [
        ("games that repeat another", repeats or "none"),
        (
            "moves after which nearly all games differ",
            f"{ply}; so games are split whole, and never by position" if ply else "no such number",
        ),
    ]


def _positions(study: Study, audit: Audit) -> list[tuple[str, str]]:
    """Number of positions by part of the game, and curricula that leak the winner."""
    pairs = [
        ("positions by stage", _listed(audit.stages)),
        ("positions by plies to the end", _listed(audit.to_end)),
    ]
    if study.board.baselines:
        stages = study.board.baselines[0].metrics.stages
        validation = {name: part.positions for name, part in stages.items()}
        pairs.append(("validation positions by stage", _listed(validation)))
    used = _curricula(study)
    for leak in audit.leaks:
        if leak.curriculum in used:
            pairs.append(("leak of the winner", f"{'LEAK' if leak.flagged else 'none'}: {leak}"))
    return pairs


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _curricula(study: Study) -> set[str]:
    """Names of the curricula with which trials of the study may train."""
    searched = study.config.get("search", {}).get("curriculum", {}).get("choice", ())
    given = [study.config.get("trial", {}).get("curriculum", {}), *searched]
    return {each.get("name", "all") if isinstance(each, dict) else str(each) for each in given}
