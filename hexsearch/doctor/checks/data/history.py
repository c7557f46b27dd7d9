"""Compares the history plane of training samples with the games."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.data.encoder import RECENCY
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.table import Flags
from hexsearch.doctor.hypotheses.truth import Ints, Planes, inside_ring
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.samples import ComparedSamples
from hexsearch.game.symmetry import symmetry_cells

_CLOSE = 1e-3
_RULE = (
    "give the stone played last 1, each one before it 0.79 times as much, and every other cell 0; "
    "turn and reflect this plane as those of the stones"
)


def history_findings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The history plane must show the plies before each position, or the last of them."""
    config, compared = pipeline.trial_config, pipeline.compared
    if config is None or not config.encoder.history:
        return
    if not compared.images.any(axis=1).all():
        return  # check `boards` reports boards that are wrong
    truth = compared.truth
    shown = inside_ring(compared.samples.planes, truth.size)[:, -1].reshape(len(truth.ply), -1)
    places = symmetry_cells(truth.size)
    fits = [
        any(_is_history(shown[row], places[image][moves]) for image in np.flatnonzero(images))
        for row, (images, moves) in enumerate(zip(compared.images, _moves(compared), strict=True))
    ]
    wrong: Flags = ~np.array(fits)
    if not wrong.any():
        return
    following = truth.cells_under(compared.symmetry)
    told = wrong & truth.has_move & (np.take_along_axis(shown, following[:, None], 1)[:, 0] > 0)
    cause = (
        "the history plane marks the move that is going to be played: the network need not find it"
        if told.sum() > wrong.sum() / 2
        else "the history plane does not show the plies that led to the position"
    )
    yield Finding.error(
        "boards",
        f"{wrong.sum():,} of {len(wrong):,} training samples have a history plane that is not the "
        f"game's, {compared.place(wrong)}, {compared.example(wrong)}",
        cause,
        _RULE,
        root="boards",
    )


def _moves(compared: ComparedSamples) -> Iterator[list[int]]:
    """The moves before each sample, without set-up stones, the last one first."""
    truth = compared.truth
    for number, ply in zip(truth.game.tolist(), truth.ply.tolist(), strict=True):
        game = truth.archive.game(number)
        yield list(game.moves[game.setup : ply][::-1])


def _is_history(shown: Planes, cells: Ints) -> bool:
    """Whether a plane [N*N] shows all of these stones, the last one first, or the first few."""
    known = int(np.count_nonzero(shown))
    if known > len(cells):
        return False
    expected = np.zeros_like(shown)
    expected[cells[:known]] = RECENCY ** np.arange(known)
    return bool(np.abs(shown - expected).max() < _CLOSE)
