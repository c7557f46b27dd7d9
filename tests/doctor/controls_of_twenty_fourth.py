"""Unusual but sound pipelines beside the twenty-fourth set, which must raise no error."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hexsearch.data import position_set as position_set_module
from hexsearch.data.encoder import PositionEncoder
from hexsearch.game.symmetry import symmetry_cells
from hexsearch.model.network import Network
from tests.doctor.controls_of_twenty_first import softplus_bce
from tests.doctor.controls_of_twenty_second import by_generator
from tests.doctor.slips import Slip, in_network, in_optimiser, patched
from tests.doctor.slips_twenty_first_reports import half_turned
from tests.doctor.slips_twenty_fourth_reports import with_another_view


def group_for_each(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A group with the same settings for each parameter."""
    return [{**group, "params": [each]} for group in groups for each in group["params"]]


def _grouped(optimiser: Any) -> None:
    optimiser.param_groups[:] = group_for_each(optimiser.param_groups)


def _orthogonal(network: Network) -> None:
    kernels = [m.weight for m in network.trunk.modules() if isinstance(m, nn.Conv2d)]
    seed = int(kernels[0].detach().abs().sum() * 1e4)  # another one in every trial
    random = torch.Generator().manual_seed(seed)
    for kernel in kernels:
        nn.init.orthogonal_(kernel, gain=2**0.5, generator=random)


def by_loops(_: Any) -> Any:
    """Planes are drawn stone by stone."""

    def encode(self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
        planes, table, start = self.empty_boards(len(plies)), symmetry_cells(self.size), 0
        margin = (self.side - self.size) // 2
        for row, (count, symmetry) in enumerate(zip(plies, symmetries, strict=True)):
            swapped = int(symmetry >= 2)
            for number in range(count):
                cell = table[symmetry, cells[start + number]]
                place = margin + cell // self.size, margin + cell % self.size
                planes[(row, (number + swapped) % 2, *place)] = 1.0
            start += count
            if self.perspective == "absolute":
                planes[row, 2] = 0.5 if finished[row] else (count + swapped) % 2
        return planes

    return encode


CONTROLS: dict[str, Slip] = {
    "answers averaged over the half turn, again": Slip(
        with_another_view(half_turned, lambda own, other: (own + other.flip(1)) / 2),
        "$^",
        cause="Sound: evaluations average over a position and its half turn, which keeps colours; "
        "the policy is turned back.",
    ),
    "a group for each parameter": Slip(
        in_optimiser(_grouped),
        "$^",
        cause="Sound: each parameter has an optimiser group of its own with unchanged settings.",
    ),
    "order of numpy": Slip(
        patched(position_set_module, "without_replacement", by_generator),
        "$^",
        cause="Sound: the permutation of each pass comes from numpy's generator, seeded by seed "
        "and pass.",
    ),
    "cross-entropy by softplus, again": Slip(
        softplus_bce,
        "$^",
        cause="Sound: the binary cross-entropy of logits in its softplus form.",
    ),
    "orthogonal kernels": Slip(
        in_network(_orthogonal),
        "$^",
        cause="Sound: the trunk's convolutions begin with orthogonal kernels of gain sqrt(2).",
    ),
    "encoder by loops": Slip(
        patched(PositionEncoder, "encode", by_loops),
        "$^",
        cause="Sound: the encoder is written as plain loops over stones; the planes are the same.",
    ),
}
