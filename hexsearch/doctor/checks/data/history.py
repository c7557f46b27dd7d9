"""Compares the history plane of training samples with the games."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.recency import ages_of, history_cause, shows_history
from hexsearch.doctor.hypotheses.truth import Planes, inside_ring
from hexsearch.doctor.pipeline import ExaminedPipeline

_RULE = (
    "give the stone played last 1, each one before it 0.79 times as much, and every other cell 0; "
    "turn and reflect this plane as those of the stones"
)
_MANY, _PLIES = 200, 6  # samples, and stones, from which on a share is told
_MOST_CUT = 0.3  # share of samples whose history may be cut off; it is an eighth


def history_findings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The history plane must show the plies before each position, or the last of them."""
    config, compared = pipeline.trial_config, pipeline.compared
    if config is None or not config.encoder.history:
        return
    if not compared.images.any(axis=1).all():
        return  # check `boards` reports boards that are wrong
    truth = compared.truth
    shown = inside_ring(compared.samples.planes, truth.size)[:, -1]
    ages = ages_of(truth)
    wrong = ~shows_history(shown, ages, compared.images)
    if not wrong.any():
        yield from list(_rounded(shown)) or _cut_off(shown, ages)
        return
    cause = history_cause(shown[wrong], ages[wrong], compared.images[wrong], truth.rows(wrong))
    yield Finding.error(
        "boards",
        f"{wrong.sum():,} of {len(wrong):,} training samples have a history plane that is not the "
        f"game's, {compared.place(wrong)}, {compared.example(wrong)}",
        cause,
        _RULE,
        root="boards",
    )


def _rounded(shown: Planes) -> Iterator[Finding]:
    """Numbers of an age in half precision are near to the right ones, and not equal to them."""
    told = np.unique(shown[(shown > 0) & (shown < 1)].astype(np.float32))
    if len(told) >= _PLIES and np.array_equal(told, told.astype(np.float16).astype(np.float32)):
        yield Finding.warning(
            "boards",
            f"each of {len(told)} different numbers in the history plane of training has no more "
            "digits than float16",
            "planes are rounded to float16 (half precision) before the network sees them in "
            "training: the history plane has other numbers than in evaluation, which has float32",
            "keep planes in float32, or round them in evaluation and inference, too",
            root="boards",
        )


def _cut_off(shown: Planes, ages: Planes) -> Iterator[Finding]:
    """An eighth of the samples show the last few plies only, and the others all of them."""
    stones = (ages >= 0).sum(axis=(1, 2))
    many = stones >= _PLIES
    cut = np.count_nonzero(shown, axis=(1, 2))[many] < stones[many]
    if len(cut) < _MANY or 0 < cut.mean() < _MOST_CUT:
        return
    cause = (
        "the history is cut off in nearly all training samples (the history plane is empty, or "
        "forgets its older stones), and evaluation shows all of it"
        if cut.any()
        else "the history is never cut off in training, so the network has not seen a board whose "
        "moves are not known"
    )
    yield Finding(
        "boards",
        "error" if cut.any() else "warning",
        f"in {cut.mean():.0%} of {len(cut):,} training samples with {_PLIES} stones and more the "
        "history plane shows the last plies only; it should be an eighth of them",
        cause,
        "cut the history of every eighth position off, as the configuration of the encoder says",
        root="boards",
    )
