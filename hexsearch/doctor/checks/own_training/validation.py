"""Looks at whether a user's training evaluates on games that it does not train on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.outputs import value_of
from hexsearch.doctor.own_training.rows import Flags, shown_in
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.own_training.where.asked import behind_targets
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_ROWS = 60  # positions of an evaluation that occur in one game only
_LEAK, _ALL = 0.2, 0.8  # share of them that are of games that are trained on
_BATCHES = 4  # whose positions are no set of validation
_FEW_GAMES = 3
_PLIES = 10_000  # more than a game has
_SAME = 0.01  # share that are trained on themselves, of those seen


def check_validation(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Positions of an evaluation must be of games that are not trained on."""
    own = needed(pipeline.own_training)
    rows = own.rows
    if rows is None:
        return
    evaluations = own.recording.evaluations
    parts = [p for p in evaluations.parts if p.shape[1:] == rows.inputs.shape[1:]]
    # Games may be evaluated before they are trained on.
    mine = rows.found & rows.single & (np.arange(len(rows.found)) < evaluations.after)
    if not parts or not mine.any() or _asks_for_targets(own):
        return
    shown = shown_in(torch.cat(parts), own.catalogues)
    known = shown.found & shown.single
    game, ply = shown.game[known], shown.ply[known]
    is_trained = np.isin(game, rows.game[mine])
    share = float(is_trained.mean()) if len(game) >= _ROWS else 0.0
    # Somebody may look at games of training as well, before or after those that are left out.
    # A cut between rows may go through one game.
    few = len(np.unique(game[is_trained])) < _FEW_GAMES
    if few or share < _LEAK or _lie_apart(is_trained):
        return
    seen = np.unique(rows.game[mine] * _PLIES + rows.ply[mine])
    same = float(np.isin(game * _PLIES + ply, seen).mean())
    if same <= _SAME:
        cause = (
            "the validation set holds other positions of the games that are trained on: it was "
            "split by positions and not by games, so it does not notice a value that knows games "
            "by heart"
        )
        remedy = "split by games, before positions are made of them"
    elif share > _ALL and len(shown.found) < _BATCHES * float(np.median(np.bincount(rows.batch))):
        return  # of some batches, to see how far a step goes
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
        f"of {len(game):,} positions that the network is evaluated on during training, "
        f"{share:.0%} are of games of the first {len(own.recording.steps)} batches"
        + (f", and {same:.0%} stand in these batches themselves" if same > _SAME else ""),
        cause,
        remedy,
        root="validation",
    )


def _asks_for_targets(own: OwnTraining) -> bool:
    """Whether what a network is asked without a gradient goes into the target of the value."""
    first = next((each for each in own.recording.passes if each.outputs), None)
    value = value_of(first.outputs, own.foreign.size) if first is not None else None
    if first is None or value is None:
        return False
    asked = own.recording.evaluations.line
    return asked in behind_targets(value.lines, first.line, value.name)


def _lie_apart(is_trained: Flags) -> bool:
    """Whether the rows of games that are not trained on follow each other: a set of their own."""
    begins = np.diff(np.concatenate([[1], is_trained.astype(int)])) < 0
    return int(begins.sum()) == 1
