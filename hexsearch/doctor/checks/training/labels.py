"""Checks of what training teaches: labels against who won, policy targets against the moves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.checks.training.positions import only
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import (
    affected,
    by_game,
    drawn_share,
    label_scores,
    random_share,
    target_scores,
)
from hexsearch.doctor.hypotheses.table import Flags, clear_winner, excluded, where
from hexsearch.doctor.pipeline import ExaminedPipeline


def check_labels(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The labels that the value loss is given, against who won."""
    compared = pipeline.compared
    samples, truth = compared.samples, compared.truth
    known = compared.images.any(axis=1)
    if compared.lost > 0.5:
        return  # without boards there is no telling which symmetry a label belongs to
    allowed = np.stack([truth.outcome(s, samples.perspective) for s in range(4)], axis=1)
    fits = np.abs(samples.target[:, None] - allowed) < 1e-3
    wrong: Flags = known & ~np.any(compared.images & fits, axis=1)
    if wrong.sum() <= compared.by_chance * known.sum():
        return
    subsets = affected(truth, compared.symmetry)
    place = where(wrong, subsets)
    scores = label_scores(
        samples.target, truth, compared.symmetry, samples.perspective, samples.batch_size, wrong
    )
    best = clear_winner(scores, explains=0.97)
    # Results that are wrong in the same samples are one fault: a winner lost on its way.
    results = (samples.batch.red_won.numpy() > 0.5) != truth.red_won
    root = "results" if (results == wrong)[known].mean() > 0.97 else ""
    evidence = f"outcome: wrong in {wrong.sum():,} of {known.sum():,} training samples, {place}"
    if best is not None:
        evidence += f"; this explains {best} of all labels"
        yield Finding(
            "training labels",
            "error",
            evidence,
            best.hypothesis.cause,
            best.hypothesis.remedy,
            root=root,
        )
        return
    if by_game(wrong, truth.game):
        cause = f"the winners of {random_share(wrong)} of the games are inverted, whole games alike"
    elif place.startswith("in a random share"):
        cause = (
            f"label noise: {random_share(wrong)} of the labels are wrong in a random share, as "
            f"where {drawn_share(wrong)} of them are drawn at random or {wrong.mean():.0%} inverted"
        )
    else:
        cause = f"labels are inverted {place}"
    yield Finding(
        "training labels",
        "error",
        f"{evidence}; {excluded(scores)}",
        cause,
        "take every label from the game's winner, and look for what changes it afterwards",
        root=root,
    )


def check_targets(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Policy targets against the moves that were played."""
    compared = pipeline.compared
    samples, truth = compared.samples, compared.truth
    target = samples.batch.policy_target.numpy()
    known = compared.images.any(axis=1) & truth.has_move
    if not known.any() or compared.lost > 0.5:
        return
    cells = np.stack([truth.next_cells(s) for s in range(4)], axis=1)
    wrong = known & ~(compared.images & (cells == target[:, None])).any(axis=1)
    if wrong.sum() <= compared.by_chance * known.sum():
        return
    place = where(wrong[known], only(affected(truth, compared.symmetry), known))
    scores = target_scores(target, truth, compared.symmetry, samples.batch_size, wrong)
    best = clear_winner(scores)
    evidence = f"policy target: wrong in {wrong.sum():,} of {known.sum():,} samples, {place}"
    if best is not None:
        yield Finding(
            "policy target",
            "error",
            f"{evidence}; this explains {best} of them",
            best.hypothesis.cause,
            best.hypothesis.remedy,
        )
        return
    random = len(np.unique(target[wrong])) > 1 and "random" in place
    random = random or (place == "everywhere" and best is None)
    yield Finding(
        "policy target",
        "error",
        f"{evidence}; {excluded(scores)}",
        f"policy targets are drawn at random {place}"
        if random
        else f"policy targets are other cells than the next move's {place}",
        "take the target from the game's next move, sent through the symmetry of the stones",
    )
