"""Sound set-ups beside the seventh set of slips: no error, and at most one warning each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.archive import GameArchive, build_archive
from tests.doctor.healthy_networks import ENCODERS
from tests.doctor.scripts import Script, of_the_mover
from tests.doctor.slips import Slip, nothing


def _in_another_order(archive: GameArchive) -> GameArchive:
    order = np.random.default_rng(5).permutation(len(archive))
    return build_archive(archive.game(int(index)) for index in order)


def _expected_score(raw: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(raw[:, 0].tanh(), 2 * target - 1)


def _in_halves(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    answers = [network.answer(part) for part in torch.split(planes, 16)]
    return torch.cat([a[0] for a in answers]), torch.cat([a[1] for a in answers])


CONTROLS: dict[str, Slip | Script] = {
    "value head at three times the rate": Slip(
        nothing, "", {"optimiser": {"value_lr_factor": 3.0, "weight_decay": 0.1}}
    ),
    "a quarter of the value loss": Slip(nothing, "", {"value_weight": 0.25, "micro_batch": 32}),
    "no augmentation": Slip(nothing, "", {"augment": False}),
    "games in another order": Slip(nothing, "", games=_in_another_order),
    "Muon with a cosine": Slip(nothing, "", {"optimiser": {"name": "muon", "schedule": "cosine"}}),
    "mover's planes without a ring": Slip(
        nothing, "", {"encoder": {"perspective": "mover", "edge_ring": False}}
    ),
    "tanh with squared error": Script(
        loss=_expected_score, decode=lambda raw: (raw.reshape(len(raw)).tanh() + 1) / 2
    ),
    "answers in pieces of 16, mover's view": Script(
        view="mover", decode=of_the_mover, asked=ENCODERS["mover"], answering=_in_halves
    ),
}
