"""Looks at whether later passes through few games show and teach what the first one does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.rows import Flags, Wanted
from hexsearch.doctor.own_training.watch import watch
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.errors import HexsearchError

_GAMES = 8  # so that a few batches are a pass
_FEW = 60  # rows of each kind
_SURE = 0.7  # share of the positions that the first pass has at least
_FIRST, _LATER = 0.05, 0.2  # share of wrong rows that the first pass may have, and later ones not


def check_epochs(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A pass must not change the positions, labels and moves that the next one draws."""
    own, foreign = needed(pipeline.own_training), needed(pipeline.foreign)
    archive = needed(pipeline.archive)
    if len(own.games) <= _GAMES:
        return
    try:
        few = watch(foreign, archive, _GAMES)
    except HexsearchError:  # with so few games
        return
    if few.rows is None:
        return
    positions = int((archive.lengths_of(few.games) + 1).sum())
    drawn = np.arange(len(few.rows.found))
    early, late = drawn < _SURE * positions, drawn >= positions  # batches may leave some out
    for what, wrong, known in _kinds(few):
        first, later = wrong[known & early], wrong[known & late]
        if min(len(first), len(later)) < _FEW or first.mean() > _FIRST or later.mean() < _LATER:
            continue
        yield Finding.error(
            "training epochs",
            f"with {_GAMES} games {first.mean():.0%} of {len(first):,} rows of the first pass "
            f"have other {what} than the games, and {later.mean():.0%} of {len(later):,} rows "
            "afterwards",
            f"the first pass through the games is right, and later ones have other {what}: what is "
            "stored is changed in place when it is drawn (an augmentation, a sign, a permutation "
            "on a view of the data), or is replaced after the first pass",
            "copy a stored array before it is changed (array.copy(), tensor.clone()), and do not "
            "write into the data set while it is drawn from",
            root="epochs",
        )
        return


def _kinds(own: OwnTraining) -> Iterator[tuple[str, Flags, Flags]]:
    """What a row has, [R] whether it is wrong, and [R] whether that is known."""
    rows = own.rows
    assert rows is not None
    yield "planes", ~rows.found, np.ones(len(rows.found), dtype=bool)
    if (labels := own.labels) is not None:
        right = labels.truth.outcome(labels.symmetry, "board")
        yield "labels", *_spread(labels, (labels.target > 0.5) != right, len(rows.found))
    if (moves := own.moves) is not None:
        cells = moves.truth.cells_under(moves.symmetry)
        wrong = (moves.target != cells) & moves.truth.has_move
        yield "moves", *_spread(moves, wrong, len(rows.found))


def _spread(wanted: Wanted, wrong: Flags, count: int) -> tuple[Flags, Flags]:
    """The same flags for all rows, and which of these they are known for."""
    is_wrong, known = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    is_wrong[wanted.rows], known[wanted.rows] = wrong, True
    return is_wrong, known
