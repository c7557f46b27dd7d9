"""Checks that train for some seconds: whether the network learns, and only from the labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from hexsearch.data.baselines import baseline_predictions
from hexsearch.data.positions import all_positions
from hexsearch.doctor.checks.evaluation.norms import norm_findings
from hexsearch.doctor.checks.network.policies import policy_findings
from hexsearch.doctor.checks.network.values import as_control, reading_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import Observed, TrainedNetwork, observe
from hexsearch.doctor.pipeline import SEED, SHORT_STEPS, ExaminedPipeline, needed
from hexsearch.doctor.strength import strength_of
from hexsearch.errors import TrialError
from hexsearch.training.report import TrialReport
from hexsearch.training.trial import Trial

# Gain in value loss from which another reading is one: answers of a short training are not sure.
_READ_OTHERWISE = 0.02
_LONGER = 4  # factor on the number of steps, if the short training has learnt nothing
_CLIPPED, _DEAD, _SATURATED = 0.95, 0.5, 0.95  # shares of steps, features and answers to report


def check_short_training(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Train for a short time, then check health, reports, answers and their reading."""
    config, dataset = needed(pipeline.trial_config), needed(pipeline.brief_dataset)
    for steps in (SHORT_STEPS, _LONGER * SHORT_STEPS):
        budget = config.batch_size * steps
        try:
            first = steps == SHORT_STEPS
            trial = needed(pipeline.halfway if first else pipeline.new_trial(budget))
            trial.train_to(budget)
            report = trial.report()
        except TrialError as error:
            yield Finding.error(
                "short training",
                str(error),
                "training diverges: the learning rate is too high for this network",
                "lower optimiser.learning_rate, or optimiser.clip",
            )
            return
        observed, is_control = _observed(pipeline, trial), trial.readout.control
        positions = all_positions(dataset.archive, np.unique(observed.evaluation.game))
        baselines = baseline_predictions(dataset.archive, dataset.train_games, positions)
        table = baselines["shortest-path table"]
        strength = strength_of(observed, table)
        if not strength.at_chance:
            break
    yield from _health(report, observed)
    yield from _reported(trial, report)
    yield from norm_findings(trial)
    findings = list(reading_findings("short training", observed, table, _READ_OTHERWISE))
    if is_control:
        findings = [as_control(finding) for finding in findings]
    findings += policy_findings("short training", observed, observed.positions.size)
    yield from findings
    if strength.at_chance and not findings:
        yield Finding.error(
            "short training",
            f"after {budget:,} positions {strength.problem}; the training value loss is "
            f"{report.train_value_loss:.4f}",
            "the value learns nothing that holds on other games: "
            + (
                "the policy does, so the trunk works, and the value head or its labels are at fault"
                if strength.policy_gain > 0.05
                else "labels do not belong to their positions, or planes do not show the board"
            ),
            "correct what other checks report; if they report nothing, run `hexsearch train "
            "SPACE.yaml --learnability`, also with a higher optimiser.learning_rate",
            root="strength",
        )
    yield from _worsened(trial, report)


def _worsened(trial: Trial, first: TrialReport) -> Iterator[Finding]:
    """A report on a network that was made worse must say so. The trial is not used afterwards."""
    with torch.no_grad():
        for parameter in trial.answering.value_head.parameters():
            parameter.neg_()
    second = trial.report()
    evaluation, _ = trial.evaluate()
    right = float(np.square(evaluation.win_prob_red - evaluation.red_won).mean())
    if abs(second.value_loss - right) <= 0.002 * max(right, 1.0):
        return
    kept = abs(second.value_loss - first.value_loss) < 1e-6
    yield Finding.error(
        "report",
        f"after the value head's weights were inverted, a report gives a value loss of "
        f"{second.value_loss:.4f}; an evaluation of the same network gives {right:.4f}, and the "
        f"report before gave {first.value_loss:.4f}",
        "the reported value loss is that of an earlier report: the best so far is kept, or a "
        "report is late"
        if kept
        else _between(first.value_loss, right, second.value_loss),
        "report what the evaluation of the current network gives",
    )


def _between(earlier: float, right: float, reported: float) -> str:
    """In words, what a report is that is neither the earlier nor the right value loss."""
    share = (reported - right) / (earlier - right) if earlier != right else -1.0
    if 0.01 < share < 0.99:
        return (
            f"the reported value loss is smoothed: it is {share:.2f} times that of the earlier "
            f"report plus {1 - share:.2f} times that of the network (a moving average)"
        )
    return "the reported value loss does not follow the network that is evaluated"


def _observed(pipeline: ExaminedPipeline, trial: Trial) -> Observed:
    dataset = needed(pipeline.brief_dataset)
    games, stages = dataset.validation_games, dataset.config.stages
    return observe(TrainedNetwork.of_trial(trial), dataset.archive, games, stages, SEED)


def _reported(trial: Trial, report: TrialReport) -> Iterator[Finding]:
    """Compare the losses of a report with those of a second evaluation."""
    evaluation, policy_loss = trial.evaluate()
    right = float(np.square(evaluation.win_prob_red - evaluation.red_won).mean())
    for name, reported, again in (
        ("value loss", report.value_loss, right),
        ("policy loss", report.policy_loss, policy_loss),
    ):
        if abs(reported - again) > 0.002 * max(again, 1.0):
            yield Finding.error(
                "report",
                f"the report gives a {name} of {reported:.4f}; a second evaluation of the same "
                f"network gives {again:.4f}; the ratio is {reported / max(again, 1e-9):.3f}",
                f"the reported {name} is not that of the network on the validation games: it is "
                "that of other positions, of another formula, of an earlier network, or of the "
                "best report so far",
                "report what the evaluation of the current network gives",
            )
            return


def _health(report: TrialReport, observed: Observed) -> Iterator[Finding]:
    """Report clipping in nearly every step, dead features and saturated answers."""
    if report.gradients.clip_rate > _CLIPPED:
        norms = report.gradients.norms.items()
        yield Finding.warning(
            "clipping",
            f"{report.gradients.clip_rate:.0%} of the steps are clipped; gradient norms "
            + ", ".join(f"{part} {norm:.2g}" for part, norm in norms),
            "the clipping limit, not the learning rate, sets the size of the steps",
            "raise optimiser.clip",
            root="clipping",
        )
    features = report.activations.get("trunk_features")
    if features is not None and features.dead > _DEAD:
        yield Finding.warning(
            "dead units",
            f"after {report.positions_seen:,} positions {features.dead:.0%} of the trunk features "
            "are 0 on a whole batch",
            "units are 0 for every position and never fire again, mostly because the learning rate "
            "is too high",
            "lower optimiser.learning_rate, or set another trunk.activation",
        )
    answers = observed.evaluation.win_prob_red
    saturated = float(((answers < 1e-4) | (answers > 1 - 1e-4)).mean())
    if saturated > _SATURATED:
        yield Finding.warning(
            "saturation",
            f"{saturated:.0%} of the answers are within 0.0001 of 0 or 1",
            "the value output is saturated; there a squared-error read-out passes no gradient",
            "lower optimiser.learning_rate, or set readout to bce",
        )


def check_permutation(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """After training with randomly permuted winners the answers must not beat chance."""
    config, dataset = needed(pipeline.trial_config), needed(pipeline.brief_dataset)
    rng = np.random.default_rng(SEED)
    winners = dataset.archive.winners.copy()
    train = dataset.train_games
    winners[train] = rng.permutation(winners[train])
    shuffled = replace(dataset, archive=replace(dataset.archive, winners=winners))
    budget = config.batch_size * SHORT_STEPS
    sound = needed(pipeline.new_trial(budget))
    trial = Trial.of(sound.config, shuffled, budget, SEED, readout=sound.readout)
    try:
        trial.train_to(budget)
        evaluation, _ = trial.evaluate()
    except TrialError:
        return  # check `short training` reports a training that diverges
    overall = evaluation.metrics().overall
    # At chance the AUC of n games, half of them won by Red, has standard error 2 / sqrt(12 n).
    standard_error = 2 / np.sqrt(12 * overall.games)
    if overall.auc - 0.5 > max(0.2, 4 * standard_error):
        yield Finding.error(
            "permuted labels",
            f"after training with randomly permuted winners the AUC on {overall.games} validation "
            f"games is still {overall.auc:.3f}",
            "the outcome reaches the answers by another way than the training labels: the label "
            "itself enters the answers of evaluation, or the training labels do not come from the "
            "given games (a stale cache)",
            "compute reported probabilities from planes only, and clear caches of labels",
        )
