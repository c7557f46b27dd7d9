"""Each explanation is recognised by its numbers, and the right numbers by no explanation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.data.batch import Batch
from hexsearch.data.dataset import Dataset
from hexsearch.doctor.hypotheses.formulas.loss_sums import as_a_sum
from hexsearch.doctor.hypotheses.losses import explain_value_loss
from hexsearch.doctor.hypotheses.optimisation.rates import explain_rates
from hexsearch.doctor.hypotheses.optimisation.updates import Rule, Steps, explain_steps, gap_of
from hexsearch.doctor.hypotheses.policy_losses import explain_policy_loss, explain_temperature
from hexsearch.doctor.hypotheses.reported import explain_reported
from hexsearch.doctor.recorded import WatchedStep
from hexsearch.model.readout import Bce
from hexsearch.training.optimisation.schedule import learning_rate
from hexsearch.training.trial import Trial
from tests.doctor.conftest import tiny

BCE = Bce()
Floats = NDArray[np.float64]
Loss = Callable[[Tensor, Batch], Tensor]


@pytest.fixture(scope="module")
def batch(dataset: Dataset) -> Batch:
    return Trial.of(tiny(), dataset, 6400, seed=1).next_batch(64)


@pytest.fixture(scope="module")
def raw() -> Tensor:
    return 1.5 * torch.randn(64, generator=torch.Generator().manual_seed(2))


VALUE_LOSSES: dict[str, tuple[Loss, str]] = {
    "focal": (
        lambda raw, b: BCE.loss(raw, b.outcome) * (1 - (-BCE.loss(raw, b.outcome)).exp()) ** 2,
        "focal loss of power 2",
    ),
    "squared error of the sigmoid": (
        lambda raw, b: (raw.sigmoid() - b.outcome).square(),
        "squared error of sigmoid",
    ),
    "root": (lambda raw, b: (BCE.loss(raw, b.outcome) + 1e-8).sqrt(), "the root of"),
    "temperature": (lambda raw, b: BCE.loss(0.3 * raw, b.outcome), "multiplied by 0.3 before"),
    "smoothed": (lambda raw, b: BCE.loss(raw, 0.8 * b.outcome + 0.1), "smoothed by about 0.2"),
    "penalty": (
        lambda raw, b: BCE.loss(raw, b.outcome) + 0.05 * raw.square(),
        "0.05 times the squared output",
    ),
    "labels inverted for one side": (
        lambda raw, b: BCE.loss(raw, torch.where(b.ply % 2 == 1, 1 - b.outcome, b.outcome)),
        "inverted labels exactly where Red is to move",
    ),
    "labels in another order": (
        lambda raw, b: BCE.loss(raw, b.outcome[torch.randperm(64)]),
        "labels of other rows",
    ),
    "one class counts more": (
        lambda raw, b: BCE.loss(raw, b.outcome) * (1 + 2 * b.outcome),
        "weighted unequally in the value loss, by the outcome",
    ),
    "half of the batch": (
        lambda raw, b: 2 * BCE.loss(raw, b.outcome) * (torch.arange(64) < 32),
        "exactly in the second half of the batch, and the others count 2 times",
    ),
    "own answer": (lambda raw, b: BCE.loss(raw, raw.sigmoid()), "own answer"),
}


@pytest.mark.parametrize("name", VALUE_LOSSES)
def test_a_changed_value_loss_is_named_by_its_change(name: str, raw: Tensor, batch: Batch) -> None:
    change, words = VALUE_LOSSES[name]
    loss = change(raw, batch)
    found = explain_value_loss(loss, raw, batch, BCE) or as_a_sum(loss, raw, batch, BCE)
    assert found is not None
    assert words in found.cause


def test_a_value_loss_of_noise_is_explained_by_nothing(raw: Tensor, batch: Batch) -> None:
    noise = torch.rand(64, generator=torch.Generator().manual_seed(3))
    assert explain_value_loss(noise, raw, batch, BCE) is None


def _smoothed(logits: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(logits, target, label_smoothing=0.2)


def _with_entropy(logits: Tensor, target: Tensor) -> Tensor:
    p = logits.softmax(dim=1)
    return functional.cross_entropy(logits, target) + 0.5 * (p * p.log()).sum(dim=1).mean()


POLICY_LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str]] = {
    "smoothed": (_smoothed, "label smoothing"),
    "entropy": (_with_entropy, "-0.5 times the entropy"),
    "without logarithm": (
        lambda logits, t: -logits.softmax(dim=1)[torch.arange(len(t)), t].mean(),
        "without its logarithm",
    ),
    "counted from 1": (
        lambda logits, t: functional.cross_entropy(logits, (t + 1) % logits.shape[1]),
        "counted from 1",
    ),
    "temperature": (lambda logits, t: functional.cross_entropy(3 * logits, t), "temperature"),
}


@pytest.mark.parametrize("name", POLICY_LOSSES)
def test_a_changed_policy_loss_is_named_by_its_change(name: str, batch: Batch) -> None:
    change, words = POLICY_LOSSES[name]
    steps = []
    for seed in (5, 6):
        logits = torch.randn(64, 25, generator=torch.Generator().manual_seed(seed))
        rows = batch.has_move.nonzero().flatten()
        loss = float(change(logits[rows], batch.policy_target[rows]))
        value = torch.rand(64, generator=torch.Generator().manual_seed(seed))
        step = WatchedStep(batch, planes=batch.planes, policy_logits=logits, value=value)
        steps.append(replace(step, policy=loss))
    found = explain_policy_loss(steps) or explain_temperature(steps)
    assert found is not None
    assert words in found.cause


PROGRESS = (0.0, 0.05, 0.2, 0.5, 0.8)
RATES: dict[str, tuple[Callable[[OptimiserConfig, float], float], str]] = {
    "factor": (lambda c, at: 10 * learning_rate(c, at), "10 times the configured one"),
    "too fast": (lambda c, at: learning_rate(c, min(3 * at, 1.0)), "too fast"),
    "backwards": (lambda c, at: learning_rate(c, 1 - at), "backwards"),
    "another schedule": (
        lambda c, at: learning_rate(c.model_copy(update={"schedule": "cosine"}), at),
        "schedule cosine",
    ),
    "second scheduler": (
        lambda c, at: learning_rate(c, at) * 0.9 ** PROGRESS.index(at),
        "multiplied by 0.9 more at every step",
    ),
    "geometric": (lambda c, at: 1e-3 * 0.5 ** PROGRESS.index(at), "multiplied by 0.5"),
}


@pytest.mark.parametrize("name", RATES)
def test_another_learning_rate_is_named_by_its_law(name: str) -> None:
    change, words = RATES[name]
    config = OptimiserConfig()
    rates = [change(config, at) for at in PROGRESS]
    assert words in explain_rates(config, rates, PROGRESS).cause


def _adam_steps(
    betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, decay: float = 0.1
) -> Steps:
    """Steps of torch's AdamW, with the `decay` that should be 0.1."""
    draw = torch.Generator().manual_seed(1)
    weights = torch.nn.Parameter(torch.randn(40, generator=draw))
    optimiser = torch.optim.AdamW([weights], lr=0.01, betas=betas, eps=eps, weight_decay=decay)
    zero = torch.zeros(40).double()
    decays = torch.full((40,), 0.1).double()
    taken = Steps([], [], [], [], decays, {"trunk": slice(0, 40)}, zero, zero, 0)
    for _ in range(4):
        weights.grad = torch.randn(40, generator=draw)
        taken.gradients.append(weights.grad.double())
        taken.before.append(weights.detach().double().clone())
        optimiser.step()
        taken.after.append(weights.detach().double().clone())
        taken.rates.append(torch.full((40,), 0.01).double())
    return taken


ADAMW = Rule("adamw", 0.9, 0.999)


def test_the_steps_of_torch_are_those_of_the_formula() -> None:
    assert gap_of(ADAMW, _adam_steps()) < 1e-3


OTHER_STEPS = {
    "wrong order": _adam_steps(betas=(0.999, 0.9)),
    "momentum is 0.5": _adam_steps(betas=(0.5, 0.999)),
    "epsilon of AdamW is 1": _adam_steps(eps=1.0),
    "weight decay is not applied": _adam_steps(decay=0.0),
}


@pytest.mark.parametrize("words", OTHER_STEPS)
def test_other_steps_are_named_by_what_is_wrong_about_them(words: str) -> None:
    assert gap_of(ADAMW, OTHER_STEPS[words]) > 0.03
    found = explain_steps(ADAMW, OTHER_STEPS[words])
    assert found is not None
    assert words in found.cause


REPORTED: dict[str, tuple[Callable[[Floats, Floats], Floats], str]] = {
    "inverted": (lambda p, won: 1 - p, "chance of Blue"),
    "label": (lambda p, won: 0.8 * p + 0.2 * won, "the label itself"),
    "rounded": (lambda p, won: p.round(), "rounded"),
    "clamped": (lambda p, won: p.clip(0.2, 0.8), "clamped"),
    "another order": (lambda p, won: p[::-1], "another order"),
    "temperature": (lambda p, won: 1 / (1 + ((1 - p) / p) ** 3), "log odds by 3"),
    "squared": (lambda p, won: p**2, "the squared answer"),
    "constant": (lambda p, won: 0 * p + 0.4, "0.4 for every position"),
}


@pytest.mark.parametrize("name", REPORTED)
def test_other_reported_answers_are_named_by_their_formula(name: str) -> None:
    change, words = REPORTED[name]
    rng = np.random.default_rng(4)
    raw = rng.normal(size=80)
    ours, won = 1 / (1 + np.exp(-raw)), (rng.random(80) < 0.5).astype(float)
    found = explain_reported(ours, change(ours, won), raw, won, {})
    assert found is not None
    assert words in found.cause
