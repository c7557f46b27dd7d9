"""Listed slips in auxiliary heads: their targets, ignored entries and gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hexsearch.data.auxiliary import TargetBuilder
from hexsearch.data.batches import BatchBuilder
from hexsearch.model import network as network_module
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training import step as step_module
from tests.doctor.listed.places import all_of
from tests.doctor.slips import Slip, patched

_OWNERSHIP = {"auxiliary": {"ownership": 0.3}}


def _not_turned(sound: Any) -> Any:
    return lambda self, games, plies, symmetries: sound(
        self, games, plies, symmetries - symmetries % 2
    )


def _ignored_as_nobody(sound: Any) -> Any:
    return lambda outputs, targets: sound(
        outputs, {name: each.clamp(min=0) for name, each in targets.items()}
    )


def _present_stones(_: Any) -> Any:
    def future(self: TargetBuilder, games: Any, plies: int) -> Tensor:
        until = games.plies + plies
        unknown = ~games.finished & (until > games.lengths)
        over = games.plies == games.lengths
        stones = self._stones(games, torch.zeros_like(games.plies), until)
        return stones.masked_fill((unknown | over)[:, None], -1)

    return future


def _reversed(gradient: Tensor) -> Tensor:
    return -gradient


def _against_the_trunk(sound: Any) -> Any:
    def taught(heads: Any, features: Tensor) -> Any:
        copy: Any = features.view_as(features)
        if copy.requires_grad:
            copy.register_hook(_reversed)
        return sound(heads, copy)

    return taught


SLIPS: dict[str, Slip] = {
    "auxiliary maps not turned": Slip(
        patched(BatchBuilder, "_whole_games", _not_turned),
        r"targets are not turned with the board \(the half turn is left out\)",
        {"auxiliary": {"ownership": 0.5, "winning_chain": 0.5}},
        cause="The maps of ownership and winning chain are not turned with the board.",
    ),
    "ignored auxiliary entries count as nobody": Slip(
        all_of(
            patched(step_module, "auxiliary_losses", _ignored_as_nobody),
            patched(evaluation_module, "auxiliary_losses", _ignored_as_nobody),
        ),
        r"head ownership counts entries that are to be ignored \(-1\) as class 0",
        _OWNERSHIP,
        cause="Auxiliary entries of -1, to be ignored, count as class 0 in the loss.",
    ),
    "future stones include present ones": Slip(
        patched(TargetBuilder, "_future", _present_stones),
        "future_stones: its targets include the stones that are on the board already",
        {"auxiliary": {"future_stones": {"weight": 0.3, "plies": 4}}},
        cause="The target of future stones holds the stones that are on the board already.",
    ),
    "auxiliary gradients reversed": Slip(
        all_of(
            patched(network_module, "taught", _against_the_trunk),
            patched(step_module, "taught", _against_the_trunk),
        ),
        "gradient of auxiliary head ownership reaches the trunk with the wrong sign",
        _OWNERSHIP,
        cause="The gradient of the auxiliary loss reaches the trunk with the opposite sign.",
    ),
}
