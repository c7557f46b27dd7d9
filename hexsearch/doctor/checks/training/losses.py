"""Checks of the losses that training minimises: they are recomputed from the outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from hexsearch.data.batch import Batch
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.formulas.loss_sums import MIXED, as_a_sum
from hexsearch.doctor.hypotheses.formulas.policy_curves import explain_curves
from hexsearch.doctor.hypotheses.general.logit_slopes import explain_by_slopes
from hexsearch.doctor.hypotheses.general.policy_rows import explain_rows
from hexsearch.doctor.hypotheses.loss_formulas import ONE_FORMULA
from hexsearch.doctor.hypotheses.losses import explain_value_loss
from hexsearch.doctor.hypotheses.optimisation.step_factors import (
    explain_factors,
    explain_offsets,
    factor,
)
from hexsearch.doctor.hypotheses.policy_losses import (
    ALWAYS_0,
    LIKELIHOOD,
    WITHOUT_MOVE,
    explain_policy_loss,
    explain_temperature,
)
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.recorded import WatchedStep
from hexsearch.doctor.watching import WatchedTrial

_UNKNOWN = Hypothesis(
    "unknown",
    "the loss that is minimised is not that of the read-out that gives the reported answers",
    ONE_FORMULA,
)
_EXCLUDED = (
    "; excluded: a wrong sign, another factor, inverted or shifted labels, a second sigmoid, "
    "broadcasting, other weights, other formulas, a penalty"
)
_UNKNOWN_POLICY = Hypothesis(
    "unknown",
    "the policy loss is not the log likelihood of the moves: logits or targets are masked, "
    "smoothed or scaled before it",
    LIKELIHOOD,
)


def check_value_loss(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the value loss of each position with that of the read-out for the same output."""
    trial = needed(pipeline.watched)
    readout = trial.watched_readout.inner
    every = [*trial.steps, *trial.asked]
    # Where outputs differ most, explanations differ most, too.
    order = sorted(range(len(every)), key=lambda n: -float(every[n].raw.float().std(correction=0)))
    for number in order:
        step = every[number]
        odd = _odd_numbers(step, number)
        if odd is not None:
            yield odd
            return
        raw = step.raw.float()
        with torch.no_grad():
            # With the labels that the loss got; check `training labels` compares them with games.
            batch = replace(step.batch, outcome=_labels(step))
            right = readout.loss(raw, batch.outcome)
            if step.value.shape == right.shape and torch.allclose(step.value, right, 1e-3, 1e-5):
                continue
            best = explain_value_loss(step.value, raw, batch, readout) or _sum(trial) or _UNKNOWN
            if best.name == "scaled":
                best = explain_factors(_factors(trial), trial.config) or best
            elif best.name == "offset":
                best = _explained_offset(trial)
        yield Finding(
            "value loss",
            "warning" if best.name == MIXED else "error",
            f"batch {number + 1}: the mean value loss is {float(step.value.mean()):.4f}; "
            f"recomputed from the same outputs and labels it is {float(right.mean()):.4f}"
            f"{_EXCLUDED if best is _UNKNOWN else ''}",
            best.cause,
            best.remedy,
            root="detached value" if best.name == "clamped" else "",
        )
        return


def _odd_numbers(step: WatchedStep, number: int) -> Finding | None:
    """The finding for outputs or losses of another shape or type; None if they are as usual."""
    count = len(step.batch)
    if step.raw.shape != (count,):
        return Finding.error(
            "value loss",
            f"for {count} positions the raw values have shape {list(step.raw.shape)}",
            "the raw values do not have the shape of the labels",
            "return one number for each position from the value head, in shape [B]",
        )
    if step.value.shape != (count,):
        return Finding.error(
            "value loss",
            f"for {count} positions the trial returns a value loss of shape "
            f"{list(step.value.shape)}",
            "the value loss is reduced or broadcast, so that positions do not have the right "
            "weights",
            "return readout.loss(raw, outcome) for each position, in shape [B]",
        )
    kinds = [each.dtype for each in (step.value, step.targets) if each is not None]
    low = [kind for kind in kinds if kind in (torch.float16, torch.bfloat16)]
    if low:
        kind = str(low[0]).removeprefix("torch.")
        return Finding.error(
            "value loss",
            f"the value loss of batch {number + 1} is computed from numbers of type {kind}",
            f"the losses are computed in {kind} (half precision, too few digits): small errors "
            "and small gradients are rounded",
            "compute losses in float32: readout.loss(raw.float(), target)",
            root="precision",
        )
    return None


def _factors(trial: WatchedTrial) -> list[float]:
    """Of the value loss in each step that was watched, against the read-out's."""
    readout = trial.watched_readout.inner
    return [
        factor(step.value, readout.loss(step.raw.float(), _labels(step)))
        for step in trial.steps
        if step.value.shape == step.raw.shape
    ]


def _sum(trial: WatchedTrial) -> Hypothesis | None:
    """A sum of usual terms that gives the value loss of every step that was watched."""
    steps = [s for s in [*trial.steps, *trial.asked] if s.value.shape == s.raw.shape]
    raw = torch.cat([step.raw for step in steps]).float()
    labels = torch.cat([_labels(step) for step in steps])
    batch = Batch.joined([replace(step.batch, auxiliary={}) for step in steps])
    found = torch.cat([step.value for step in steps])
    return as_a_sum(found, raw, replace(batch, outcome=labels), trial.watched_readout.inner)


def _explained_offset(trial: WatchedTrial) -> Hypothesis:
    """What is added to the value loss in each step that was watched, against its numbers."""
    readout = trial.watched_readout.inner
    steps = [step for step in trial.steps if step.value.shape == step.raw.shape]
    offsets = [
        float((step.value - readout.loss(step.raw.float(), _labels(step))).mean()) for step in steps
    ]
    terms = {
        "the sum of all squared weights": [
            sum(float(part.square().sum()) for part in step.before.values()) for step in steps
        ],
        "the sum of the sizes of all weights": [
            sum(float(part.abs().sum()) for part in step.before.values()) for step in steps
        ],
        "the policy loss": [step.policy for step in steps],
    }
    for part in steps[0].before:
        name = f"the sum of the squared weights of the {in_words(part)}"
        terms[name] = [float(step.before[part].square().sum()) for step in steps]
    return explain_offsets(offsets, terms)


def _labels(step: WatchedStep) -> torch.Tensor:
    """[B] the labels at the loss, or those of the batch if these have another shape."""
    asked, outcome = step.targets, step.batch.outcome
    return asked if asked is not None and asked.shape == outcome.shape else outcome


def _policy_loss(step: WatchedStep) -> float:
    """Mean of -log p(next move) over the positions that have one; 0 if none has."""
    batch = step.batch
    log_p = step.policy_logits.float().log_softmax(dim=1)
    each = -log_p[torch.arange(len(batch)), batch.policy_target]
    return float(each[batch.has_move].mean()) if bool(batch.has_move.any()) else 0.0


_ROUNDING = 1e-5  # of a loss
_POLICY_ROOTS = {WITHOUT_MOVE: "policy mask", ALWAYS_0: "detached policy"}


def check_policy_loss(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the policy loss with that of the same logits and moves."""
    trial = needed(pipeline.watched)
    if trial.config.policy_head.weight == 0 or trial.config.micro_batch:
        return
    every = [*trial.steps, *trial.asked]
    if any(len(step.policy_logits) != len(step.batch) for step in every):
        return
    compared = [(step, _policy_loss(step)) for step in every]
    wrong = [(s, right) for s, right in compared if abs(s.policy - right) > 1e-3 * max(right, 1.0)]
    if not wrong:
        return
    step, right = wrong[0]
    number = next(n for n, other in enumerate(every) if other is step)
    steps = [each for each, _ in wrong]
    # Of a small change the other steps tell more than chance.
    moved = [s for s, right in compared if abs(s.policy - right) > _ROUNDING * max(right, 1.0)]
    # What is exact comes first: a temperature fits a little to everything that flattens.
    best = (
        explain_policy_loss(moved)
        or explain_policy_loss(steps)
        or explain_rows(trial, step.batch)
        or explain_curves(steps)
        or explain_by_slopes(trial, step.batch)
        or explain_temperature(steps)
        or _UNKNOWN_POLICY
    )
    yield Finding.error(
        "policy loss",
        f"batch {number + 1}: the policy loss is {step.policy:.4f}; recomputed from the same "
        f"outputs and moves it is {right:.4f}",
        best.cause,
        best.remedy,
        root=_POLICY_ROOTS.get(best.cause, ""),
    )
