"""The figures of the monitors in a report are those of the step that was sampled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.evaluation.figures import check_figures
from hexsearch.training.monitors import activations, gradients
from hexsearch.training.monitors.activations import ActivationMonitor
from hexsearch.training.monitors.gradients import GradientMonitor
from tests.doctor.conftest import pipeline, tiny

Make = Callable[[Any], Any]
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "sgd": {"optimiser": {"name": "sgd"}},
    "clipped": {"optimiser": {"clip": 0.1}},
    "weighted": {"value_weight": 0.3},
    "of values alone": {"policy_head": {"weight": 0.0}},
    "with owners": {"auxiliary": {"ownership": 0.3}},
}


def exchanged(sound: Any) -> Any:
    return lambda self, value, policy, scale=1.0: sound(self, policy, value, scale)


def squared(sound: Any) -> Any:
    return lambda tensors: sound(tensors) ** 2


def halved(sound: Any) -> Any:
    def look(self: Any, name: str, module: Any, values: Any, outcome: Any) -> Any:
        return sound(self, name, module, values / 2, outcome)

    return look


def inverted(sound: Any) -> Any:
    return lambda answers, outcome: sound(answers, 1 - outcome)


@pytest.mark.parametrize("name", SETTINGS)
def test_sound_figures_are_no_finding(name: str, archive: GameArchive) -> None:
    assert not list(check_figures(pipeline(archive, tiny(**SETTINGS[name]))))


@pytest.mark.parametrize(
    ("target", "attribute", "make", "words"),
    [
        (GradientMonitor, "compare_losses", exchanged, "norm of the policy loss's gradient"),
        (gradients, "_norm", squared, "its square"),
        (ActivationMonitor, "_look", halved, "times it as the mean of value_raw"),
        (activations, "_correlation", inverted, "as the label_correlation of value_raw"),
    ],
)
def test_other_figures_are_named(
    target: Any,
    attribute: str,
    make: Make,
    words: str,
    archive: GameArchive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(target, attribute, make(getattr(target, attribute)))
    torch.manual_seed(0)
    first = next(iter(check_figures(pipeline(archive, tiny()))))
    assert words in first.cause, first
