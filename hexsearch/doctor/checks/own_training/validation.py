"""Looks at whether a user's training evaluates on games that it does not train on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.rows import Flags, Rows, Shown, shown_in
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_ROWS = 60  # positions of an evaluation that occur in one game only
_LEAK, _ALL = 0.2, 0.8  # share of them that are of games that are trained on
_FEW_GAMES = 8
_PLIES = 10_000  # more than a game has
_SAME = 0.01  # share that are trained on themselves, of those seen


def check_validation(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Positions of an evaluation must be of games that are not trained on."""
    own = needed(pipeline.own_training)
    rows = own.rows
    if rows is None:
        return
    asked = [
        shown_in(block, own.catalogues)
        for block in own.recording.evaluations.blocks
        if block.shape[1:] == rows.inputs.shape[1:]
    ]
    told = [each for each in asked if _known(each).sum() >= _ROWS]
    trained = _trained(own, rows)
    if not told or not trained.any():
        return
    shares = [float(trained[each.game[_known(each)]].mean()) for each in told]
    place = int(np.argmin(shares))
    share, shown = shares[place], told[place]
    # A set of validation of games that are not trained on shows up as a block without any.
    if share < _LEAK or len(np.unique(shown.game[_known(shown)])) < _FEW_GAMES:
        return
    known = _known(shown)
    mine = rows.found & rows.single
    seen = np.unique(rows.game[mine] * _PLIES + rows.ply[mine])
    same = float(np.isin(shown.game[known] * _PLIES + shown.ply[known], seen).mean())
    if same <= _SAME:
        cause = (
            "the validation set holds other positions of the games that are trained on: it was "
            "split by positions and not by games, so it does not notice a value that knows games "
            "by heart"
        )
        remedy = "split by games, before positions are made of them"
    elif share > _ALL:
        cause = (
            "the validation set is the training set, or a part of it: the same positions are "
            "trained on, so it does not notice a value that knows games by heart"
        )
        remedy = "evaluate on games that are left out of training"
    else:
        cause = (
            "some games are in the training set and in the validation set: they occur twice "
            "(duplicates, joined files), and each copy is split by itself"
        )
        remedy = "leave out duplicates before you split, and split by games"
    # Somebody may also want to see the value loss on games that are trained on.
    severity = Finding.warning if same > _SAME and share > _ALL else Finding.error
    yield severity(
        "validation",
        f"of {int(known.sum()):,} positions that the network is evaluated on during training, "
        f"{share:.0%} are of games of the first {len(own.recording.steps)} batches"
        + (f", and {same:.0%} stand in these batches themselves" if same > _SAME else ""),
        cause,
        remedy,
        root="validation",
    )


def _known(shown: Shown) -> Flags:
    return shown.found & shown.single


def _trained(own: OwnTraining, rows: Rows) -> Flags:
    """[games of the archive] whether a game was seen in training."""
    trained = np.zeros(len(own.catalogues[0].truth.archive), dtype=bool)
    trained[rows.game[rows.found & rows.single]] = True
    return trained
