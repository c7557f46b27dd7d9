"""Boards that are transposed keep their neighbours, so sound networks answer them much alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hexsearch.doctor.checks.network import turns
from hexsearch.doctor.hypotheses.general.plane_changes import TURNS

_BOARDS, _SIDE = 400, 5
_TRANSPOSITIONS = {"transposed", "transposed in the other diagonal"}
_FLIPS = {"upside down", "left and right exchanged"}


def found(alike_under: set[str], share: float, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Findings on a value that is the half turn's, and to a share that of the given turns."""
    generator = torch.Generator().manual_seed(0)
    planes = torch.randn(_BOARDS, 2, _SIDE, _SIDE, generator=generator)
    weights = torch.randn(2, _SIDE, _SIDE, generator=generator)
    weights = weights + weights.flip(1, 2)
    # Weights are alike under the half turn, so one turn of a pair gives the other.
    alike = weights + TURNS[min(alike_under)](weights[None])[0]
    mixed = share * alike / alike.norm() + (1 - share) * weights / weights.norm()
    monkeypatch.setattr(turns, "take", lambda positions, chosen: chosen)
    monkeypatch.setattr(
        turns,
        "respond_in_parts",
        lambda examined, boards: (boards, (boards * mixed).sum(dim=(1, 2, 3))),
    )
    evaluation = SimpleNamespace(to_end=np.ones(_BOARDS), final=np.zeros(_BOARDS, dtype=bool))
    observed = SimpleNamespace(evaluation=evaluation, raw=np.zeros(_BOARDS), positions=None)

    def shown(chosen: np.ndarray[Any, Any]) -> Tensor:
        return planes[torch.from_numpy(chosen)]

    pipeline = SimpleNamespace(
        examined=SimpleNamespace(planes=shown), observed=observed, own_training=None
    )
    return list(turns.check_turns(pipeline))  # type: ignore[arg-type]


def test_a_network_that_answers_transposed_boards_much_alike_is_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not found(_TRANSPOSITIONS, 0.7, monkeypatch)


@pytest.mark.parametrize("names", [_TRANSPOSITIONS, _FLIPS])
def test_a_network_that_was_taught_another_symmetry_is_reported(
    names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (finding,) = found(names, 1.0, monkeypatch)
    assert all(name in finding.cause for name in names)


@pytest.mark.parametrize(("share", "count"), [(0.5, 0), (0.95, 1)])
def test_only_flips_that_are_nearly_alike_are_reported(
    share: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(found(_FLIPS, share, monkeypatch)) == count
