"""Sound configurations and networks on boards of several sizes give no error.

Each may give one warning. Together with the configurations of `test_faults` and the networks of
`test_healthy_networks` these are the sound set-ups of docs/doctor-sets.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import build_archive
from hexsearch.data.collection.importing import ImportReport
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Diagnosis
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import QUICK
from tests.doctor.conftest import Detected, tiny
from tests.doctor.games import lopsided_games
from tests.doctor.healthy_networks import ENCODERS, Kind, train
from tests.doctor.slips import ABSOLUTE

EXAMPLES = Path(__file__).parents[2] / "examples"
USUAL = (5, 400)  # side of the board, number of games
SIZES = {
    "board_7": (7, 400),
    "board_9_absolute": (9, 300),
    "board_11_without_ring": (11, 200),
    "board_13_small": (13, 200),
    "board_19": (19, 80),
    "two_hundred_games": (5, 200),
    "two_hundred_games_absolute": (7, 200),
    "large_batches": (5, 600),
    "whole_network_absolute": (7, 300),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "board_7": {},
    "board_9_absolute": ABSOLUTE,
    "board_11_without_ring": {"encoder": {"edge_ring": False}},
    "board_13_small": {"trunk": "small"},
    "board_19": {},
    "two_hundred_games": {},
    "two_hundred_games_absolute": ABSOLUTE,
    "heavy_dropout": {"value_head": "512->64->1 dropout 0.6"},
    "muon": {"optimiser": {"name": "muon", "learning_rate": 0.01}},
    "sgd_without_momentum": {"optimiser": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0}},
    "constant_rate": {"optimiser": {"schedule": "constant", "warmup": 0.0}},
    "small_batches": {"batch_size": 8},
    "large_batches": {"batch_size": 512},
    "micro_batches": {"batch_size": 64, "micro_batch": 16},
    "squared_error": {"readout": "sigmoid_mse"},
    "smoothed_tanh": {"readout": {"name": "tanh_mse", "label_smoothing": 0.2}},
    "started_at_prior": {"readout": {"name": "bce", "start_at_prior": True}},
    "attention_head": {"value_head": "attention 512->64->1"},
    "normed_head": {"value_head": "512->64->1 norm layer activation silu"},
    "flattened_head": {"value_head": "flatten 512->4->32->1"},
    "pre_activation": {
        "trunk": {"preset": "tiny", "block": "preact", "activation": "mish", "norm": "layer"}
    },
    "without_norm": {"trunk": {"preset": "tiny", "norm": "none"}},
    "strong_policy": {"policy_head": {"weight": 2.0}},
    "middle_positions": {"curriculum": {"name": "last_k", "k": 10}},
    "whole_network": {"network": "own_network:build"},
    "whole_network_absolute": {
        "network": {"family": "own_network:build", "options": {"channels": 16}},
        "encoder": {"perspective": "absolute", "edge_ring": False},
        "readout": "tanh_mse",
    },
}
NETWORKS: dict[str, tuple[int, int, Kind]] = {
    "transformer_7": (7, 400, Kind(trunk="transformer", value="list")),
    "mixer_9": (9, 300, Kind(trunk="mixer")),
    "convnext_11": (11, 200, Kind(trunk="convnext", value="bins")),
    "mover_13": (13, 200, Kind(view="mover", value="signed")),
    "signed_planes_15": (15, 400, Kind(view="signed", value="signed")),
    "two_hundred_games": (5, 200, Kind(smoothing=0.1)),
}


def _without_alarm(diagnosis: Diagnosis) -> None:
    assert not diagnosis.errors, diagnosis.errors
    assert sum(f.severity == "warning" for f in diagnosis.findings) <= 1, diagnosis.findings


def _examined(name: str) -> ExaminedPipeline:
    size, count = SIZES.get(name, USUAL)
    archive = build_archive(lopsided_games(count, size))
    imported = ImportReport(files=["lopsided"], read=len(archive))
    return ExaminedPipeline(
        "set-up",
        archive=archive,
        imported=imported,
        data=DataConfig(board_size=size),
        configs=[tiny(**SETTINGS[name])],
    )


@pytest.mark.parametrize("name", ["board_7", "whole_network", "normed_head"])
def test_a_sound_set_up_raises_no_alarm_in_the_quick_checks(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    _without_alarm(examine(_examined(name), QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_a_sound_set_up_raises_no_alarm_in_any_check(
    name: str, detected: Detected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    diagnosis = examine(_examined(name))
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
