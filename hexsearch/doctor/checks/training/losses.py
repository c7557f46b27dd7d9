"""Checks of the losses that training really minimises, against the read-out and the moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.losses import explain_value_loss
from hexsearch.doctor.hypotheses.policy_losses import explain_policy_loss
from hexsearch.doctor.hypotheses.step_factors import explain_factors, factor
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.watching import WatchedStep, WatchedTrial


def check_value_loss(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The value loss of each position, recomputed by the read-out from the same outputs."""
    trial = pipeline.watched
    assert trial is not None
    readout = trial.watched_readout.inner
    for number, step in enumerate([*trial.steps, *trial.asked]):
        count = len(step.batch)
        if step.raw.shape != (count,):
            yield Finding(
                "value loss",
                "error",
                f"for {count} positions the network's raw value has shape {list(step.raw.shape)}",
                "value outputs and labels do not lie side by side",
                "let the value head return one number for each position, shape [B]",
            )
            return
        if step.value.shape != (count,):
            yield Finding(
                "value loss",
                "error",
                f"for {count} positions the trial returns a value loss of shape "
                f"{list(step.value.shape)}",
                "the value loss is reduced or broadcast, so that positions are not weighed as they "
                "should be",
                "return readout.loss(raw, outcome) for each position; the step takes the mean",
            )
            return
        raw = step.raw.float()
        with torch.no_grad():
            # Labels as the loss was given them: whether they are right is another check's question.
            batch = replace(step.batch, outcome=_labels(step))
            right = readout.loss(raw, batch.outcome)
            if step.value.shape == right.shape and torch.allclose(step.value, right, 1e-3, 1e-5):
                continue
            best = explain_value_loss(step.value, raw, batch, readout)
            if best is not None and best.name == "scaled":
                best = explain_factors(_factors(trial), trial.config) or best
        yield _wrong_value_loss(step, number, right, best)
        return


def _factors(trial: WatchedTrial) -> list[float]:
    """Of the value loss in each step that was watched, against the read-out's."""
    readout = trial.watched_readout.inner
    return [
        factor(step.value, readout.loss(step.raw.float(), _labels(step)))
        for step in trial.steps
        if step.value.shape == step.raw.shape
    ]


def _labels(step: WatchedStep) -> torch.Tensor:
    asked, outcome = step.targets, step.batch.outcome
    return asked if asked is not None and asked.shape == outcome.shape else outcome


def _wrong_value_loss(
    step: WatchedStep, number: int, right: torch.Tensor, best: Hypothesis | None
) -> Finding:
    evidence = (
        f"step {number + 1}: the trial's value loss is {float(step.value.mean()):.4f} on average, "
        f"recomputed from the same outputs and labels it is {float(right.mean()):.4f}"
    )
    if best is not None:
        return Finding("value loss", "error", evidence, best.cause, best.remedy)
    return Finding(
        "value loss",
        "error",
        f"{evidence}; excluded: wrong sign, other factor, inverted or shifted labels, a second "
        "sigmoid, broadcasting, other weights, other formulas, a penalty",
        "the loss that is minimised is not that of the read-out that reports",
        "let the trial's value loss be readout.loss(raw, outcome) for each position",
    )


def _likelihood(step: WatchedStep) -> float:
    """Mean of -log p over the positions that have a next move."""
    batch = step.batch
    chances = step.policy_logits.float().log_softmax(dim=1)
    each = -chances[torch.arange(len(batch)), batch.policy_target]
    return float(each[batch.has_move].mean()) if bool(batch.has_move.any()) else 0.0


_POLICY_ROOTS = {
    "positions without a next move count in the policy loss": "policy mask",
    "the policy loss is always 0": "detached policy",
}


def check_policy_loss(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The policy loss, recomputed from the same logits and moves."""
    trial = pipeline.watched
    assert trial is not None
    if trial.config.policy_head.weight == 0 or trial.config.micro_batch:
        return
    every = [*trial.steps, *trial.asked]
    if any(len(step.policy_logits) != len(step.batch) for step in every):
        return
    compared = [(step, _likelihood(step)) for step in every]
    wrong = [(s, right) for s, right in compared if abs(s.policy - right) > 1e-3 * max(right, 1.0)]
    if not wrong:
        return
    step, right = wrong[0]
    number = next(n for n, other in enumerate(every) if other is step)
    best = explain_policy_loss([each for each, _ in wrong])
    cause = (
        best.cause
        if best
        else "the policy loss is not the log likelihood of the moves: logits or targets are "
        "masked, smoothed or rescaled on their way into it"
    )
    yield Finding(
        "policy loss",
        "error",
        f"step {number + 1}: the trial's policy loss is {step.policy:.4f}, recomputed from the "
        f"same outputs and moves it is {right:.4f}",
        cause,
        best.remedy if best else "mask positions without a next move, then take the mean",
        root=_POLICY_ROOTS.get(cause, ""),
    )
