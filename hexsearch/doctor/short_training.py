"""Checks that train for a few seconds: can it learn anything, and only what is there?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from hexsearch.analysis.predictor import Predictor
from hexsearch.data.batches import Batch
from hexsearch.doctor.decode import decode_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import TrainedNetwork, observe
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.doctor.readouts import optimum
from hexsearch.errors import TrialError
from hexsearch.training.trial import Trial

_OVERFIT_POSITIONS, _OVERFIT_STEPS = 32, 120
_OVERFIT_RATES = (3e-3, 3e-4)
_LESSON_STEPS = 150
_CLIPPED = 0.95
_DEAD = 0.5
_SATURATED = 0.95


def check_overfit(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """32 positions must be learnt by heart: who cannot do that cannot learn at all."""
    best = 0.0
    # A squared error saturates where the first rate is too high, which is no fault of the wiring.
    for rate in _OVERFIT_RATES:
        trial = pipeline.new_trial(1)
        assert trial is not None
        zero, one = optimum(trial.readout, 0.0), optimum(trial.readout, 1.0)
        if one.probability - zero.probability < 0.1:
            return  # a read-out that cannot tell outcomes apart is named by its own check
        best = max(best, _learnt_by_heart(trial, rate, zero.raw, one.raw))
        if best >= 0.9:
            return
    yield Finding(
        "overfit",
        "error",
        f"after {_OVERFIT_STEPS} steps on the same {_OVERFIT_POSITIONS} positions only {best:.0%} "
        f"are called right, at the better of {len(_OVERFIT_RATES)} learning rates",
        "the value path cannot learn: it is detached, dead, saturated, or its loss points "
        "elsewhere",
        "see gradient flow and the read-out; try the head '512->1' with read-out bce",
    )


def _learnt_by_heart(trial: Trial, rate: float, zero: float, one: float) -> float:
    """Share of 32 positions called right at the end of their training on nothing else.

    Args:
        zero, one: raw outputs of least loss for the two outcomes.
    """
    batch = _distinct(trial)
    optimiser = torch.optim.AdamW(
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


def check_lesson(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A short training: health of the network, and whether its answers are decoded rightly."""
    config, dataset = pipeline.trial_config, pipeline.brief_dataset
    assert config is not None and dataset is not None and pipeline.archive is not None
    budget = config.batch_size * _LESSON_STEPS
    trial = pipeline.new_trial(budget)
    assert trial is not None
    try:
        trial.train_to(budget)
        report = trial.report()
    except TrialError as error:
        yield Finding(
            "lesson",
            "error",
            str(error),
            "training diverges: the learning rate is too high for this network",
            "lower optimiser.learning_rate, or optimiser.clip",
        )
        return
    if report.gradients.clip_rate > _CLIPPED:
        yield Finding(
            "clipping",
            "warning",
            f"{report.gradients.clip_rate:.0%} of the steps are clipped; gradient norms "
            + ", ".join(f"{part} {norm:.2g}" for part, norm in report.gradients.norms.items()),
            "the limit, not the learning rate, sets the size of the steps",
            "raise optimiser.clip",
        )
    features = report.activations.get("trunk_features")
    if features is not None and features.dead > _DEAD:
        yield Finding(
            "dead units",
            "warning",
            f"{features.dead:.0%} of the trunk features are 0 on a whole batch after "
            f"{_LESSON_STEPS} steps",
            "units that never fire again, mostly from too high a learning rate",
            "lower the learning rate, or use another trunk.activation",
        )
    predictor = Predictor(trial.answering, trial.readout, trial.encoder, trial.device)
    examined = TrainedNetwork(predictor, budget)
    stages = dataset.config.stages
    observed = observe(examined, dataset.archive, dataset.validation_games, stages, SEED)
    saturated = float(
        (
            (observed.evaluation.win_prob_red < 1e-4)
            | (observed.evaluation.win_prob_red > 1 - 1e-4)
        ).mean()
    )
    if saturated > _SATURATED:
        yield Finding(
            "saturation",
            "warning",
            f"{saturated:.0%} of the answers are 0 or 1 to four digits",
            "the value output is saturated; squared-error read-outs pass no gradient there",
            "lower the learning rate, or use read-out bce",
        )
    yield from decode_findings("lesson", observed)


def check_permutation(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """With winners dealt out to the training games at random, nothing may be learnt."""
    config, dataset = pipeline.trial_config, pipeline.brief_dataset
    assert config is not None and dataset is not None
    rng = np.random.default_rng(SEED)
    winners = dataset.archive.winners.copy()
    train = dataset.train_games
    winners[train] = rng.permutation(winners[train])
    shuffled = replace(dataset, archive=replace(dataset.archive, winners=winners))
    budget = config.batch_size * _LESSON_STEPS
    trial = pipeline.new_trial(budget)
    assert trial is not None
    trial = Trial.of(trial.config, shuffled, budget, SEED, readout=trial.readout)
    try:
        trial.train_to(budget)
        evaluation, _ = trial.evaluate()
    except TrialError:
        return  # the lesson with the true winners says so
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
