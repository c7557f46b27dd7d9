"""Tests of what the doctor says of changes in evaluations, reports and saved states."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.training import evaluation as evaluations
from hexsearch.training import metrics
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.trial import Trial
from tests.doctor.conftest import every_tenth
from tests.doctor.slips import Inject, Slip, in_reported, patched
from tests.doctor.test_yardstick import findings_on

EMA = {"optimiser": {"ema_half_life": 2000}}


def of_columns(change: Callable[[Tensor, dict[str, Tensor]], dict[str, Tensor]]) -> Inject:
    """Metrics of other columns."""

    def make(sound: Any) -> Any:
        return lambda p, columns: sound(p, {**columns, **change(p, dict(columns))})

    return patched(metrics, "reduce", make)


def shuffled(p: Tensor, columns: dict[str, Tensor]) -> dict[str, Tensor]:
    order = torch.randperm(len(p), generator=torch.Generator().manual_seed(3))
    return {"red_won": columns["red_won"][order]}


def by_root(sound: Any) -> Any:
    def figures(self: Any) -> Any:
        found = sound(self)
        overall = replace(found.overall, value_loss=found.overall.value_loss**0.5)
        return replace(found, overall=overall)

    return figures


def for_ever(sound: Any) -> Any:
    kept: dict[tuple[int, int], Any] = {}

    def evaluate(self: Any, network: Any, positions: Any) -> Any:
        key = id(network), len(positions)
        if key not in kept:
            kept[key] = sound(self, network, positions)
        return kept[key]

    return evaluate


def in_train_mode(sound: Any) -> Any:
    """The trunk's norms alone are in train mode while a network answers."""

    def answer(self: Any, network: Any, batch: Batch) -> Any:
        for module in network.trunk.modules():
            if isinstance(module, _BatchNorm):
                module.train(not network.training)
        return sound(self, network, batch)

    return answer


def turned(sound: Any) -> Any:
    """Raw values of a position and its half turn are averaged in evaluation."""

    def answer(self: Any, network: Any, batch: Batch) -> Any:
        raws, logits = sound(self, network, batch)
        others, _ = sound(self, network, replace(batch, planes=batch.planes.flip(2, 3)))
        return [(a + b) / 2 for a, b in zip(raws, others, strict=True)], logits

    return answer


def without_statistics(sound: Any) -> Any:
    def state(self: Trial) -> Any:
        found = sound(self)
        network = {
            name: torch.zeros_like(each) if name.endswith("running_mean") else each
            for name, each in found["network"].items()
        }
        return {**found, "network": network}

    return state


def trained_weights(sound: Any) -> Any:
    def states(self: Trial) -> Any:
        return tuple({**kept, "network": self.network.state_dict()} for kept in sound(self))

    return states


def of_batches(sound: Any) -> Any:
    """The Brier score is the mean of the means of 128 answers each."""

    def figures(self: Any) -> Any:
        found, starts = sound(self), range(0, len(self.game), 128)
        errors = (self.win_prob_red - self.red_won) ** 2
        mean = float(sum(errors[s : s + 128].mean() for s in starts) / len(starts))
        return replace(found, overall=replace(found.overall, value_loss=mean))

    return figures


def left_in_eval_mode(sound: Any) -> Any:
    """A training goes on in eval mode once a report was made."""

    def prepare(self: Any, positions: int, *given: Any) -> None:
        body = self.body
        if getattr(self, "was_judged", False):
            self.body = type("Resting", (), {"train": lambda _: body.eval()})()
        try:
            sound(self, positions, *given)
        finally:
            self.body = body

    return prepare


def judged(sound: Any) -> Any:
    def reports(self: Any) -> Any:
        self.was_judged = True
        return sound(self)

    return reports


def on_noise(sound: Any) -> Any:
    def calibrate(network: Any, batches: Iterator[Batch], forward: Any) -> Any:
        return sound(
            network, batches, lambda b: forward(replace(b, planes=torch.rand_like(b.planes)))
        )

    return calibrate


CASES: dict[str, tuple[Inject, str, dict[str, Any]]] = {
    "cut off": (in_reported(lambda p, _: p.clamp(0.3, 0.7)), r"clamped to \[0\.3", {}),
    "timid": (in_reported(lambda p, _: 0.8 * p + 0.1), r"reports 0\.8 p \+0\.1", {}),
    "squared": (in_reported(lambda p, _: p.square()), "reports the squared answer", {}),
    "in tenths": (in_reported(lambda p, _: (10 * p).round() / 10), "multiples of 0.1", {}),
    "half of the log odds": (
        in_reported(lambda p, _: (torch.logit(p.clamp(1e-6, 1 - 1e-6)) / 2).sigmoid()),
        "multiplies the log odds by 0.5",
        {},
    ),
    "cut value of tanh": (
        in_reported(
            lambda p, b: torch.where(
                b.complement, 1 - (1 - 2 * p).clamp(0, 1), (2 * p - 1).clamp(0, 1)
            )
        ),
        r"cut to \[0, 1\]",
        {},
    ),
    "stage after": (
        of_columns(lambda _, c: {"stage": (c["stage"] + 1).clamp(max=2)}),
        "counts in the stage after its own",
        {},
    ),
    "plies from the beginning": (
        of_columns(lambda _, c: {"to_end": c["ply"]}),
        "counted from the beginning",
        {},
    ),
    "results in another order": (of_columns(shuffled), "results in another order", {}),
    "root of the Brier score": (
        patched(metrics.Evaluation, "metrics", by_root),
        "is the root of the mean squared error$",
        {},
    ),
    "kept for ever": (patched(Evaluator, "evaluate", for_ever), "repeats the first evalu", {}),
    "mean of batches": (
        patched(metrics.Evaluation, "metrics", of_batches),
        "mean of the means of batches of 128",
        {},
    ),
    "eval mode after a report": (
        lambda patch: [
            patched(Trial, "train_to", left_in_eval_mode)(patch),
            patched(Trial, "reports", judged)(patch),
        ],
        "eval mode after the first report",
        {},
    ),
    "norms in train mode": (
        patched(Evaluator, "_answer", in_train_mode),
        "evaluation runs in train mode",
        {},
    ),
    "statistics lost": (
        patched(Trial, "state", without_statistics),
        r"running statistics of the batch norms .* are 0",
        {},
    ),
    "trained weights kept": (
        patched(Trial, "head_states", trained_weights),
        "weights that are kept are the trained ones",
        EMA,
    ),
    "calibrated on noise": (
        patched(evaluations, "calibrate_norms", on_noise),
        "statistics are not computed over training positions",
        {},
    ),
}


@pytest.mark.parametrize("name", every_tenth(CASES))
def test_the_first_finding_names_the_change(name: str, archive: GameArchive) -> None:
    inject, words, settings = CASES[name]
    found = findings_on(Slip(inject, words, settings), archive)
    assert found and re.search(words, found[0].cause), found


def test_a_mean_over_the_half_turn_in_evaluation_is_a_warning(archive: GameArchive) -> None:
    (found,) = findings_on(Slip(patched(Evaluator, "_answer", turned), ""), archive)
    assert found.severity == "warning" and "half turn" in found.cause
