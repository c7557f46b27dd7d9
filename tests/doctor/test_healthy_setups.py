"""Sound set-ups of other kinds and on other boards raise no error and at most one warning.

Together with the configurations of `test_faults` and the networks of `test_healthy_networks` these
are what the documents call sound set-ups.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.collection.importing import ImportReport
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Diagnosis
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import QUICK
from tests.doctor.conftest import Detected, tiny
from tests.doctor.games import lopsided_games
from tests.doctor.healthy_networks import ENCODERS, Kind, train

EXAMPLES = Path(__file__).parents[2] / "examples"
Setup = tuple[int, int, dict[str, Any]]  # side of the board, number of games, settings

SETUPS: dict[str, Setup] = {
    "board_7": (7, 400, {}),
    "board_9_absolute": (9, 300, {"encoder": {"perspective": "absolute"}}),
    "board_11_without_ring": (11, 200, {"encoder": {"edge_ring": False}}),
    "board_13_small": (13, 200, {"trunk": "small"}),
    "board_19": (19, 80, {}),
    "two_hundred_games": (5, 200, {}),
    "two_hundred_games_absolute": (7, 200, {"encoder": {"perspective": "absolute"}}),
    "heavy_dropout": (5, 400, {"value_head": "512->64->1 dropout 0.6"}),
    "muon": (5, 400, {"optimiser": {"name": "muon", "learning_rate": 0.01}}),
    "sgd_without_momentum": (
        5,
        400,
        {"optimiser": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0}},
    ),
    "constant_rate": (5, 400, {"optimiser": {"schedule": "constant", "warmup": 0.0}}),
    "small_batches": (5, 400, {"batch_size": 8}),
    "large_batches": (5, 600, {"batch_size": 512}),
    "micro_batches": (5, 400, {"batch_size": 64, "micro_batch": 16}),
    "squared_error": (5, 400, {"readout": "sigmoid_mse"}),
    "smoothed_tanh": (5, 400, {"readout": {"name": "tanh_mse", "label_smoothing": 0.2}}),
    "started_at_prior": (5, 400, {"readout": {"name": "bce", "start_at_prior": True}}),
    "attention_head": (5, 400, {"value_head": "attention 512->64->1"}),
    "normed_head": (5, 400, {"value_head": "512->64->1 norm layer activation silu"}),
    "flattened_head": (5, 400, {"value_head": "flatten 512->4->32->1"}),
    "pre_activation": (
        5,
        400,
        {"trunk": {"preset": "tiny", "block": "preact", "activation": "mish", "norm": "layer"}},
    ),
    "without_norm": (5, 400, {"trunk": {"preset": "tiny", "norm": "none"}}),
    "strong_policy": (5, 400, {"policy_head": {"weight": 2.0}}),
    "middle_positions": (5, 400, {"curriculum": {"name": "last_k", "k": 10}}),
    "whole_network": (5, 400, {"network": "own_network:build"}),
    "whole_network_absolute": (
        7,
        300,
        {
            "network": {"family": "own_network:build", "options": {"channels": 16}},
            "encoder": {"perspective": "absolute", "edge_ring": False},
            "readout": "tanh_mse",
        },
    ),
}
NETWORKS: dict[str, tuple[int, int, Kind]] = {
    "transformer_7": (7, 400, Kind(trunk="transformer", value="list")),
    "mixer_9": (9, 300, Kind(trunk="mixer")),
    "convnext_11": (11, 200, Kind(trunk="convnext", value="bins")),
    "mover_13": (13, 200, Kind(view="mover", value="signed")),
    "signed_planes_19": (19, 60, Kind(view="signed", value="signed")),
    "two_hundred_games": (5, 200, Kind(smoothing=0.1)),
}


def _without_alarm(diagnosis: Diagnosis) -> None:
    assert not diagnosis.errors, diagnosis.errors
    assert sum(f.severity == "warning" for f in diagnosis.findings) <= 1, diagnosis.findings


def _examined(archive: GameArchive, size: int, settings: dict[str, Any]) -> ExaminedPipeline:
    imported = ImportReport(files=["lopsided"], read=len(archive))
    return ExaminedPipeline(
        "set-up",
        archive=archive,
        imported=imported,
        data=DataConfig(board_size=size),
        configs=[tiny(**settings)],
    )


@pytest.mark.parametrize("name", ["board_7", "whole_network", "normed_head"])
def test_a_sound_set_up_raises_no_alarm_in_the_quick_checks(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    size, count, settings = SETUPS[name]
    archive = build_archive(lopsided_games(count, size))
    _without_alarm(examine(_examined(archive, size, settings), QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETUPS)
def test_a_sound_set_up_raises_no_alarm_in_any_check(
    name: str, detected: Detected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    size, count, settings = SETUPS[name]
    archive = build_archive(lopsided_games(count, size))
    diagnosis = examine(_examined(archive, size, settings))
    _without_alarm(diagnosis)
    detected(name, diagnosis, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_sound_network_on_another_board_raises_no_alarm(name: str, detected: Detected) -> None:
    size, count, kind = NETWORKS[name]
    archive = build_archive(lopsided_games(count, size))
    network = ForeignNetwork(train(kind, archive, size), ENCODERS[kind.view], size)
    data = DataConfig(board_size=size)
    examined = ExaminedPipeline(name, archive=archive, data=data, foreign=network)
    diagnosis = examine(examined)
    _without_alarm(diagnosis)
    detected(name, diagnosis, None)
