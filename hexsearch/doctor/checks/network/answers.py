"""Checks of a trained network on known positions, on its training games, and on openings."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from hexsearch.analysis.known_positions import as_positions, known_positions, outcomes
from hexsearch.data.baselines import baseline_predictions
from hexsearch.data.positions import all_positions
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.exchanged import by_heart
from hexsearch.doctor.networks import answer, is_young, observe
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.doctor.strength import accuracy
from hexsearch.training.metrics import slice_metrics

_KNOWN = ("straight_chain", "winding_chain", "win_in_one")


def check_known(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Without games: the answers on boards whose winner is certain."""
    examined = needed(pipeline.examined)
    if pipeline.observed is not None:
        return  # answers on games are better evidence
    known = [k for k in known_positions(examined.size) if k.family in _KNOWN]
    _, _, reported = answer(examined, as_positions(known, examined.size))
    won = outcomes(known)
    right = accuracy(reported, won == 1)
    evidence = f"{right:.1%} of the answers on {len(known)} won boards, or wins in one, are right"
    if right < 0.2:
        yield Finding.error(
            "known positions",
            f"{evidence}: the answer is inverted",
            "the colours are exchanged: Red's win probability is shown as Blue's",
            "report 1 - p; if training labels were inverted, correct them and train again",
        )
    elif right < 0.7:
        yield Finding(
            "known positions",
            "warning" if is_young(examined) else "error",
            evidence,
            "the network has learnt nothing (it has initial weights, or an average that is never "
            "updated), or its decoding or encoder is not that of training",
            "add --games PATH with games of the kind that it was trained on: the doctor then finds "
            "out which of these it is",
        )


def check_memory(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the value loss on training games with that on validation games."""
    dataset, examined, observed = pipeline.dataset, pipeline.examined, pipeline.observed
    if dataset is None or examined is None or observed is None:
        return
    seen = observe(examined, dataset.archive, dataset.train_games, dataset.config.stages, SEED)
    train, held_out = (part.evaluation.metrics().overall for part in (seen, observed))
    gap = held_out.value_loss - train.value_loss
    error = math.hypot(train.value_loss_se, held_out.value_loss_se)
    if gap > max(0.03, 3 * error):
        yield Finding.warning(
            "memory",
            f"the value loss is {train.value_loss:.4f} on training games and "
            f"{held_out.value_loss:.4f} on validation games (difference {gap:.4f} "
            f"+- {1.96 * error:.4f}, by game)",
            "the network recognises training games and has memorised their winners (overfitting)",
            "use more games, augmentation, fewer passes through the games, or more weight decay",
        )


def check_recognition(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Without a split: whether the results of the games are known from their beginnings."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    assert pipeline.archive is not None
    lengths = pipeline.archive.lengths_of(observed.evaluation.game)
    if evidence := by_heart(foreign, observed, lengths):
        yield Finding.warning(
            "memory",
            evidence,
            "the network recognises these games and knows their results by heart: it has "
            "overfitted (too many passes through few games, a value loss with too much weight, a "
            "large head without dropout or weight decay), and its value is worth little elsewhere",
            "give games that it was not trained on to see what it is worth; train with fewer "
            "passes, one or a few positions of each game, less weight of the value loss, or more "
            "games",
            root="memory",
        )


def check_early(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Explain answers in openings that are no better than a table: they are no fault."""
    dataset, observed = pipeline.dataset, pipeline.observed
    if dataset is None or observed is None:
        return
    evaluation = observed.evaluation
    early = evaluation.metrics().stages.get("early")
    if early is None:
        return
    positions = all_positions(dataset.archive, np.unique(evaluation.game))
    table = baseline_predictions(dataset.archive, dataset.train_games, positions)
    rows = evaluation.stage == 0
    answers = table["shortest-path table"][rows]
    baseline = slice_metrics(answers, evaluation.red_won[rows], evaluation.game[rows])
    error = math.hypot(early.value_loss_se, baseline.value_loss_se)
    if early.value_loss > baseline.value_loss - error and early.value_loss < 0.27:
        yield Finding(
            "early stage",
            "info",
            f"on early positions the value loss is {early.value_loss:.4f}, that of a table of "
            f"shortest paths {baseline.value_loss:.4f}, and that of answering 50% 0.25",
            "this is label noise, not a fault: the result of a game says little about its opening, "
            "and no network can predict later mistakes",
            "judge heads by the middle and late stages",
        )
