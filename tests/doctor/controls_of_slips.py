"""Sound set-ups beside the sixth set of slips: no error, and at most one warning each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.game.board import RED
from tests.doctor.healthy_networks import ENCODERS
from tests.doctor.scripts import Script, of_the_mover, won_or_lost
from tests.doctor.slips import Slip, in_planes, nothing


def _mean_of_half_turns(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    turned_policy, turned_value = network.answer(planes.flip(2, 3))
    return (policy + turned_policy.flip(1)) / 2, (value + turned_value) / 2


def _last_moves_not_recorded(archive: GameArchive) -> GameArchive:
    games = (archive.game(index) for index in range(len(archive)))
    return build_archive(
        replace(game, moves=game.moves[:-3], finished=False)
        for game in games
        if len(game.moves) > 8
    )


def _mostly_red(archive: GameArchive) -> GameArchive:
    games = [archive.game(index) for index in range(len(archive))]
    red = [game for game in games if game.winner == RED]
    return build_archive(
        [*red, *(game for game in games if game.winner != RED)][: len(red) * 5 // 4]
    )


def _searched(archive: GameArchive) -> GameArchive:
    sure = np.random.default_rng(0).integers(55, 95, len(archive.moves))
    red_won = np.repeat(archive.winners, archive.lengths) == RED
    return replace(archive, search_values=np.where(red_won, sure, 100 - sure).astype(np.uint8))


CONTROLS: dict[str, Slip | Script] = {
    "last moves not recorded": Slip(nothing, "", games=_last_moves_not_recorded),
    "micro-batches and smoothed labels": Slip(
        nothing, "", {"micro_batch": 16, "readout": {"name": "bce", "label_smoothing": 0.1}}
    ),
    "SGD with averaged weights": Slip(
        nothing, "", {"optimiser": {"name": "sgd", "learning_rate": 0.05, "ema_half_life": 2_000}}
    ),
    "last plies with stage weights": Slip(
        nothing, "", {"curriculum": {"name": "last_k", "k": 10, "stage_weights": {"early": 0.5}}}
    ),
    "planes kept in half precision": Slip(in_planes(lambda planes: planes.half().float()), ""),
    "two auxiliary heads": Slip(
        nothing,
        "",
        {
            "encoder": {"perspective": "absolute"},
            "auxiliary": {"ownership": 0.1, "moves_left": 0.05},
        },
    ),
    "search values half of the target": Slip(
        nothing, "", {"curriculum": {"name": "all", "search_value": 0.5}}, games=_searched
    ),
    "attention and a convolutional policy": Slip(
        nothing, "", {"value_head": "attention 512->64->1", "policy_head": "convolution"}
    ),
    "four games of five won by Red": Slip(nothing, "", games=_mostly_red),
    "mean over half turns at inference": Script(answering=_mean_of_half_turns),
    "list of win, draw and loss": Script(
        outputs=3,
        loss=won_or_lost,
        decode=lambda raw: raw.softmax(dim=1) @ torch.tensor([1.0, 0.5, 0.0]),
    ),
    "smoothed labels of the mover": Script(
        view="mover",
        targets=lambda samples, target: 0.9 * target + 0.05,
        decode=of_the_mover,
        asked=ENCODERS["mover"],
    ),
}
