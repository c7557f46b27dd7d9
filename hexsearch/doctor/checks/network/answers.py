"""Checks of a trained network: known positions, memory of its games, and what nobody can know."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from hexsearch.analysis.known_positions import as_positions, known_positions, outcomes
from hexsearch.data.baselines import baseline_predictions
from hexsearch.data.positions import all_positions
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import answer, observe
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.training.metrics import Evaluation, SliceMetrics, slice_metrics

_ENOUGH = 20_000  # positions seen, below which a network is still a beginner
_KNOWN = ("straight_chain", "winding_chain", "win_in_one")


def check_known(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Boards that are won beyond doubt."""
    examined = pipeline.examined
    assert examined is not None
    if pipeline.observed is not None:
        return  # games say more
    known = [k for k in known_positions(examined.size) if k.family in _KNOWN]
    _, _, reported = answer(examined, as_positions(known, examined.size))
    won = outcomes(known)
    right = float(np.where(reported == 0.5, 0.5, (reported > 0.5) == (won == 1)).mean())
    trained = examined.positions_seen
    young = trained is not None and trained < _ENOUGH
    evidence = f"of {len(known)} boards that are won or won in one, {right:.1%} are called right"
    if right < 0.2:
        yield Finding(
            "known positions",
            "error",
            f"{evidence}: the answer is inverted",
            "the colours are exchanged: Red's chance is shown as Blue's",
            "report 1 - p; see perspective and labels",
        )
    elif right < 0.7:
        yield Finding(
            "known positions",
            "warning" if young else "error",
            evidence,
            "a network that has learnt nothing (initial weights, or an average that is never "
            "updated), a wrong decode, or another encoder than in training",
            "run doctor on the configuration; compare with the parity of a training batch",
        )


def check_memory(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Training games against validation games, by game."""
    dataset, examined, observed = pipeline.dataset, pipeline.examined, pipeline.observed
    if dataset is None or examined is None or observed is None or pipeline.loaded is None:
        return
    seen = observe(examined, dataset.archive, dataset.train_games, dataset.config.stages, SEED)
    ours, theirs = (_whole(part.evaluation) for part in (seen, observed))
    gap = theirs.value_loss - ours.value_loss
    error = math.hypot(ours.value_loss_se, theirs.value_loss_se)
    if gap > max(0.03, 3 * error):
        yield Finding(
            "memory",
            "warning",
            f"value loss {ours.value_loss:.4f} on training games, {theirs.value_loss:.4f} on "
            f"validation games (difference {gap:.4f} +- {1.96 * error:.4f} by game)",
            "the network recognises training games by their openings and recalls who won",
            "more games, fewer positions of each game, more weight decay, or augmentation",
        )


def check_early(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Openings that are no better than a table are no fault."""
    dataset, observed = pipeline.dataset, pipeline.observed
    if dataset is None or observed is None or pipeline.archive is None:
        return
    stages = observed.evaluation.metrics().stages
    early = stages.get("early")
    if early is None:
        return
    games = np.unique(observed.evaluation.game)
    positions = all_positions(dataset.archive, games)
    table = baseline_predictions(dataset.archive, dataset.train_games, positions)
    baseline = slice_metrics(
        table["shortest-path table"][observed.evaluation.stage == 0],
        observed.evaluation.red_won[observed.evaluation.stage == 0],
        observed.evaluation.game[observed.evaluation.stage == 0],
    )
    error = math.hypot(early.value_loss_se, baseline.value_loss_se)
    if early.value_loss > baseline.value_loss - error and early.value_loss < 0.27:
        yield Finding(
            "early stage",
            "info",
            f"early positions: value loss {early.value_loss:.4f}, the shortest-path table's "
            f"{baseline.value_loss:.4f}, a coin's 0.25",
            "label noise, not a fault: in the opening the game's result says little about who "
            "stands better, and no network can predict what later mistakes decide",
            "judge heads by the middle and late stages",
        )


def _whole(evaluation: Evaluation) -> SliceMetrics:
    return evaluation.metrics().overall
