"""Tests of the operations in which two ways to compute the same numbers differ."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hexsearch.doctor.hypotheses.configured.operations import other_operations

Layers = Callable[[Tensor], Tensor]
GATE = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8), nn.Sigmoid())


@pytest.mark.parametrize(
    ("found", "configured", "told"),
    [
        (GATE[:-1], GATE, "sigmoid is left out"),
        (GATE, GATE[:-1], "sigmoid is put in"),
        (
            nn.Softmax(dim=0),
            nn.Softmax(dim=1),
            "softmax over dimension 0 takes the place of softmax over dimension 1",
        ),
        (
            nn.GroupNorm(8, 8),
            nn.GroupNorm(2, 8),
            "a group norm of 8 groups takes the place of a group norm of 2 groups",
        ),
    ],
    ids=["no sigmoid", "a sigmoid", "softmax", "group norm"],
)
def test_the_operation_that_differs_is_told(found: Layers, configured: Layers, told: str) -> None:
    numbers = torch.rand(6, 8)
    assert other_operations(lambda: found(numbers), lambda: configured(numbers)) == told


def test_equal_computations_in_other_shapes_do_not_differ() -> None:
    numbers = torch.rand(6, 8)
    reshaped = numbers.reshape(2, 3, 8).clone()
    assert other_operations(lambda: GATE(reshaped.flatten(0, 1)), lambda: GATE(numbers)) == ""


def test_many_differences_are_not_told() -> None:
    numbers = torch.rand(6, 8)
    found = [nn.ReLU(), GATE[0], nn.Tanh(), GATE[2], nn.GELU()]
    configured = [nn.Sigmoid(), GATE[0], nn.Softplus(), GATE[2], nn.SiLU()]
    more = nn.Sequential(*found, GATE[0], nn.ELU())
    assert not other_operations(
        lambda: more(numbers), lambda: nn.Sequential(*configured, GATE[0])(numbers)
    )
