"""Checks that train for a few seconds: can it learn anything, and only what is there?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from hexsearch.analysis.predictor import Predictor
from hexsearch.data.baselines import baseline_predictions
from hexsearch.data.batches import Batch
from hexsearch.data.positions import all_positions
from hexsearch.doctor.checks.evaluation.norms import norm_findings
from hexsearch.doctor.checks.network.policies import policy_findings
from hexsearch.doctor.checks.network.values import as_control, reading_findings
from hexsearch.doctor.checks.training.readouts import optimum
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import Observed, TrainedNetwork, observe
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.doctor.strength import strength_of
from hexsearch.errors import TrialError
from hexsearch.training.optimisation.eager import eager
from hexsearch.training.report import TrialReport
from hexsearch.training.trial import Trial

_OVERFIT_POSITIONS, _OVERFIT_STEPS = 32, 120
_OVERFIT_RATES = (3e-3, 3e-4)
_SHORT_STEPS = 150
_LONGER = 4  # times as many steps, where the short training has learnt nothing
_CLIPPED = 0.95
_DEAD = 0.5
_SATURATED = 0.95


def check_overfit(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """One batch again and again, through the trial's own losses and optimiser.

    Its own rate may be too small to learn 32 positions by heart. Then the loss must at least fall;
    and a plain optimiser on the read-out's loss must be able to do it.
    """
    trial = pipeline.new_trial(_OVERFIT_STEPS * _OVERFIT_POSITIONS)
    assert trial is not None
    zero, one = optimum(trial.readout, 0.0), optimum(trial.readout, 1.0)
    if one.probability - zero.probability < 0.1:
        return  # a read-out that cannot tell outcomes apart is named by its own check
    own = _repeated(trial, zero.raw, one.raw)
    if own.right >= 0.9:
        return
    best = 0.0
    for rate in _OVERFIT_RATES:
        fresh = pipeline.new_trial(1)
        assert fresh is not None
        best = max(best, _learnt_by_heart(fresh, rate, zero.raw, one.raw))
        if best >= 0.9:
            break
    if best < 0.9:
        yield Finding(
            "overfit",
            "error",
            f"after {_OVERFIT_STEPS} steps on the same {_OVERFIT_POSITIONS} positions only "
            f"{max(best, own.right):.0%} are called right, at the better of {len(_OVERFIT_RATES)} "
            "learning rates",
            "the value path cannot learn: it is detached, dead, saturated, or its loss points "
            "elsewhere",
            "see gradient flow and the read-out; try the head '512->1' with read-out bce",
        )
    elif own.last > 0.98 * own.first:
        yield Finding(
            "overfit",
            "error",
            f"{_OVERFIT_STEPS} of the trial's own steps on the same {_OVERFIT_POSITIONS} positions "
            f"take their value loss from {own.first:.4f} to {own.last:.4f}; plain AdamW on the "
            f"same network and loss gets {best:.0%} of them right",
            "the training step does not lower the loss that it is given: its loss, its gradients "
            "or its optimiser point elsewhere, or its learning rate is far too small or too large",
            "compare the trial's losses and steps with plain AdamW; see the checks of gradients",
        )


@dataclass(frozen=True)
class Repeated:
    """One batch, trained again and again: mean value loss at first and at last, share right."""

    first: float
    last: float
    right: float


def _repeated(trial: Trial, zero: float, one: float) -> Repeated:
    batch = _distinct(trial)
    losses, right = [], 0.0
    trial.network.train()
    for step in range(_OVERFIT_STEPS):
        if step % 20 == 0 or step == _OVERFIT_STEPS - 1:
            with torch.no_grad():
                raw = trial.network(trial.execution.show(batch.planes)).value_raw.float()
                losses.append(float(trial.readout.loss(raw, batch.outcome).mean()))
            called = (raw > (zero + one) / 2) == (one > zero)
            right = float((called == (batch.outcome > 0.5)).float().mean())
            if right == 1.0 and step > 20:
                break
        trial.train_on(batch)
    # Dropout makes single passes jump about: the better half of the later ones counts.
    return Repeated(losses[0], min(losses[len(losses) // 2 :]), right)


def _learnt_by_heart(trial: Trial, rate: float, zero: float, one: float) -> float:
    """Share of 32 positions called right at the end of their training on nothing else.

    Args:
        zero, one: raw outputs of least loss for the two outcomes.
    """
    batch = _distinct(trial)
    optimiser = eager(torch.optim.AdamW)(
        [p for p in trial.network.parameters() if p.requires_grad], lr=rate, weight_decay=0.0
    )
    planes = batch.planes.contiguous(memory_format=torch.channels_last)
    right = 0.0
    trial.network.train()
    for step in range(_OVERFIT_STEPS):
        raw = trial.network(planes).value_raw.float()
        called = (raw.detach() > (zero + one) / 2) == (one > zero)
        right = float((called == (batch.outcome > 0.5)).float().mean())
        loss = trial.readout.loss(raw, batch.outcome).mean()
        learnable = loss.requires_grad and bool(torch.isfinite(loss))
        if not learnable or (step > 20 and right == 1.0):
            break
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    return right


def _distinct(trial: Trial) -> Batch:
    """32 middle-game positions that differ, taken from the training stream."""
    batch = trial.next_batch(1024)
    _, first = np.unique(batch.planes.flatten(1).numpy(), axis=0, return_index=True)
    # The emptiest boards differ in one stone or in none, and are labelled by chance.
    stones = batch.planes[:, :2].sum(dim=(1, 2, 3)).numpy()[first]
    chosen = np.sort(first[np.argsort(-stones, kind="stable")[:_OVERFIT_POSITIONS]])
    return batch.rows(torch.from_numpy(chosen))


def check_short_training(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A short training: health, and whether what it answers has been learnt and is read rightly."""
    config, dataset = pipeline.trial_config, pipeline.brief_dataset
    assert config is not None and dataset is not None
    for steps in (_SHORT_STEPS, _LONGER * _SHORT_STEPS):
        budget = config.batch_size * steps
        trial = pipeline.new_trial(budget)
        assert trial is not None
        try:
            trial.train_to(budget)
            report = trial.report()
        except TrialError as error:
            yield Finding(
                "short training",
                "error",
                str(error),
                "training diverges: the learning rate is too high for this network",
                "lower optimiser.learning_rate, or optimiser.clip",
            )
            return
        observed, is_control = _observed(pipeline, trial), trial.readout.control
        table = baseline_predictions(
            dataset.archive,
            dataset.train_games,
            all_positions(dataset.archive, np.unique(observed.evaluation.game)),
        )["shortest-path table"]
        strength = strength_of(observed, table)
        if not strength.at_chance:
            break
    yield from _health(report, observed)
    assert trial is not None
    yield from _reported(trial, report)
    yield from norm_findings(trial)
    found = list(reading_findings("short training", observed, table))
    if is_control:
        found = [as_control(finding) for finding in found]
    found += policy_findings("short training", observed, observed.positions.size)
    yield from found
    if strength.at_chance and not found:
        yield Finding(
            "short training",
            "error",
            f"after {budget:,} positions {strength.problem}; the training value loss is "
            f"{report.train_value_loss:.4f}",
            "a short training learns nothing that holds on other games: "
            + (
                "its policy does, so the trunk works and the value path or its labels do not"
                if strength.policy_gain > 0.05
                else "labels that do not belong to their positions, or planes without the board"
            ),
            "look at the checks of boards, labels, losses and gradients; if they are silent, try "
            "`train SPACE.yaml --learnability` with a higher optimiser.learning_rate",
            root="strength",
        )


def _observed(pipeline: ExaminedPipeline, trial: Trial) -> Observed:
    dataset = pipeline.brief_dataset
    assert dataset is not None
    predictor = Predictor(trial.answering, trial.readout, trial.encoder, trial.device)
    examined = TrainedNetwork(predictor, trial.positions_seen)
    games = dataset.validation_games
    return observe(examined, dataset.archive, games, dataset.config.stages, SEED)


def _reported(trial: Trial, report: TrialReport) -> Iterator[Finding]:
    """The figure that trials are ranked by, from an evaluation of the same network."""
    evaluation, policy_loss = trial.evaluate()
    right = float(np.square(evaluation.win_prob_red - evaluation.red_won).mean())
    for name, found, again in (
        ("value loss", report.value_loss, right),
        ("policy loss", report.policy_loss, policy_loss),
    ):
        if abs(found - again) > 0.002 * max(again, 1.0):
            yield Finding(
                "report",
                "error",
                f"the report gives a {name} of {found:.4f}; evaluated once more, the same network "
                f"has {again:.4f}",
                f"the reported {name} is not that of the network on the validation games: other "
                "positions, another formula, an earlier network, or the best report so far",
                "report what the evaluation of this very network gives",
            )
            return


def _health(report: TrialReport, observed: Observed) -> Iterator[Finding]:
    if report.gradients.clip_rate > _CLIPPED:
        norms = report.gradients.norms.items()
        yield Finding(
            "clipping",
            "warning",
            f"{report.gradients.clip_rate:.0%} of the steps are clipped; gradient norms "
            + ", ".join(f"{part} {norm:.2g}" for part, norm in norms),
            "the limit, not the learning rate, sets the size of the steps",
            "raise optimiser.clip",
            root="clipping",
        )
    features = report.activations.get("trunk_features")
    if features is not None and features.dead > _DEAD:
        yield Finding(
            "dead units",
            "warning",
            f"{features.dead:.0%} of the trunk features are 0 on a whole batch after "
            f"{_SHORT_STEPS} steps",
            "units that never fire again, mostly from too high a learning rate",
            "lower the learning rate, or use another trunk.activation",
        )
    answers = observed.evaluation.win_prob_red
    saturated = float(((answers < 1e-4) | (answers > 1 - 1e-4)).mean())
    if saturated > _SATURATED:
        yield Finding(
            "saturation",
            "warning",
            f"{saturated:.0%} of the answers are 0 or 1 to four digits",
            "the value output is saturated; squared-error read-outs pass no gradient there",
            "lower the learning rate, or use read-out bce",
        )


def check_permutation(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """With winners dealt out to the training games at random, nothing may be learnt."""
    config, dataset = pipeline.trial_config, pipeline.brief_dataset
    assert config is not None and dataset is not None
    rng = np.random.default_rng(SEED)
    winners = dataset.archive.winners.copy()
    train = dataset.train_games
    winners[train] = rng.permutation(winners[train])
    shuffled = replace(dataset, archive=replace(dataset.archive, winners=winners))
    budget = config.batch_size * _SHORT_STEPS
    sound = pipeline.new_trial(budget)
    assert sound is not None
    trial = Trial.of(sound.config, shuffled, budget, SEED, readout=sound.readout)
    try:
        trial.train_to(budget)
        evaluation, _ = trial.evaluate()
    except TrialError:
        return  # the training with the true winners says so
    overall = evaluation.metrics().overall
    games = overall.games
    # A rank statistic of `games` independent labels at best: this many standard errors.
    bound = 4 / np.sqrt(12 * games) * 2
    if overall.auc - 0.5 > max(0.2, bound):
        yield Finding(
            "permuted labels",
            "error",
            f"trained on winners dealt out at random, it still ranks validation positions with "
            f"AUC {overall.auc:.3f} ({games} games)",
            "the outcome reaches the answers by another way than the training labels: evaluation "
            "sees the label that it judges by, or the labels that are trained on do not come from "
            "the games given (a stale cache)",
            "look at what else carries the outcome between the games and the reported probability",
        )
