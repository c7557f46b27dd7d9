"""Checks whether the network can memorise one small batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from hexsearch.data.batch import Batch
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.formulas.readout_causes import optimum
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.training.optimisation.eager import eager
from hexsearch.training.trial import Trial

_POSITIONS, _STEPS = 32, 120
_RATES = (3e-3, 3e-4)
_USUAL_RATE = 3e-3


def check_overfit(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Train on one small batch, by the trial's own losses and optimiser.

    The configured learning rate may be too small to memorise it. Then the loss must at least fall,
    and AdamW with the loss of the read-out must memorise it.
    """
    trial = needed(pipeline.new_trial(_STEPS * _POSITIONS))
    zero, one = optimum(trial.readout, 0.0), optimum(trial.readout, 1.0)
    if one.probability - zero.probability < 0.1:
        return  # check `read-out` reports a read-out that cannot distinguish the outcomes
    own = _repeated(trial, zero.raw, one.raw)
    if own.right >= 0.9:
        return
    best = 0.0
    for rate in _RATES:
        fresh = needed(pipeline.new_trial(1))
        best = max(best, _memorised(fresh, rate, zero.raw, one.raw))
        if best >= 0.9:
            break
    if best < 0.9:
        yield Finding.error(
            "overfit",
            f"after {_STEPS} steps on the same {_POSITIONS} positions only "
            f"{max(best, own.right):.0%} of the answers are right, at the best of "
            f"{len(_RATES)} learning rates",
            "the value head cannot learn: it is detached, dead or saturated, or its loss has its "
            "minimum elsewhere",
            "run the checks again with `--set 'value_head=512->1' --set readout=bce`: if they "
            "pass, the fault is in the head or in the read-out",
        )
    elif own.last > 0.98 * own.first:
        figures = (
            f"in {_STEPS} of the trial's own steps on the same {_POSITIONS} "
            f"positions the value loss goes from {own.first:.4f} to {own.last:.4f}; plain AdamW on "
            f"the same network and loss learns {best:.0%} of them"
        )
        if by_setting := _by_a_setting(pipeline, zero.raw, one.raw):
            more, cause, remedy = by_setting
            yield Finding.error("overfit", f"{figures}; {more}", cause, remedy, root="setting")
            return
        yield Finding.error(
            "overfit",
            figures,
            "the training step does not lower the value loss: it minimises another loss, or its "
            "gradients or its optimiser are wrong; excluded: the learning rate and the weight of "
            "the value loss",
            "compare losses, gradients and steps with those of plain AdamW",
        )


def _by_a_setting(
    pipeline: ExaminedPipeline, zero: float, one: float
) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy if the same steps learn with one setting changed."""
    config = needed(pipeline.trial_config)
    weight, rate = config.value_weight, config.optimiser.learning_rate
    usual = config.optimiser.model_copy(update={"learning_rate": _USUAL_RATE})
    amount = "small" if rate < _USUAL_RATE else "large"
    for differs, settings, words, cause in (
        (
            weight < 1.0,
            {"value_weight": 1.0},
            f"value_weight 1 in place of {weight:g}",
            f"the weight of the value loss, {weight:g}, is far too small: beside the policy loss "
            f"(weight {config.policy_head.weight:g}) the value hardly counts, and only the policy "
            "is learnt",
        ),
        (
            rate != _USUAL_RATE,
            {"optimiser": usual},
            f"a learning rate of {_USUAL_RATE:g} in place of {rate:g}",
            f"the learning rate, {rate:g}, is far too {amount}: the steps do not lower the loss",
        ),
    ):
        if not differs:
            continue
        fresh = needed(pipeline.new_trial(_STEPS * _POSITIONS, **settings))
        found = _repeated(fresh, zero, one)
        if found.last < 0.9 * found.first:
            evidence = f"with {words} from {found.first:.4f} to {found.last:.4f}"
            return evidence, cause, f"train with {words}"
    return None


@dataclass(frozen=True)
class Repeated:
    """Training on one batch again and again.

    Attributes:
        first: mean value loss before the first step.
        last: lowest mean value loss in the second half of the training.
        right: share of right answers at the end.
    """

    first: float
    last: float
    right: float


def _repeated(trial: Trial, zero: float, one: float) -> Repeated:
    """Train on one batch by the trial's own steps.

    Args:
        zero, one: raw values of least loss for the two outcomes.
    """
    batch = _distinct(trial)
    losses, right = [], 0.0
    trial.network.train()
    for step in range(_STEPS):
        if step % 20 == 0 or step == _STEPS - 1:
            with torch.no_grad():
                raw = trial.network(trial.execution.show(batch.planes)).value_raw.float()
                losses.append(float(trial.readout.loss(raw, batch.outcome).mean()))
            called = (raw > (zero + one) / 2) == (one > zero)
            right = float((called == (batch.outcome > 0.5)).float().mean())
            if right == 1.0 and step > 20:
                break
        trial.train_on(batch)
    # With dropout single passes vary, so the lowest of the later losses is used.
    return Repeated(losses[0], min(losses[len(losses) // 2 :]), right)


def _memorised(trial: Trial, rate: float, zero: float, one: float) -> float:
    """Share of right answers on one batch after training on it by AdamW.

    Args:
        rate: learning rate.
        zero, one: raw values of least loss for the two outcomes.
    """
    batch = _distinct(trial)
    optimiser = eager(torch.optim.AdamW)(
        [p for p in trial.network.parameters() if p.requires_grad], lr=rate, weight_decay=0.0
    )
    planes = batch.planes.contiguous(memory_format=torch.channels_last)
    right = 0.0
    trial.network.train()
    for step in range(_STEPS):
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
    """32 different positions with many stones, from the training stream."""
    batch = trial.next_batch(1024)
    _, first = np.unique(batch.planes.flatten(1).numpy(), axis=0, return_index=True)
    # Boards with few stones are nearly equal, and their labels nearly random.
    stones = batch.planes[:, :2].sum(dim=(1, 2, 3)).numpy()[first]
    chosen = np.sort(first[np.argsort(-stones, kind="stable")[:_POSITIONS]])
    return batch.rows(torch.from_numpy(chosen))
