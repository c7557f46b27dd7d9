"""Sound settings, games and steps that once had an error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.doctor.checks.optimisation import precision
from hexsearch.doctor.examine import examine
from hexsearch.doctor.registry import CHECKS, QUICK
from hexsearch.training.execution import emulates_bfloat16
from hexsearch.training.step import Stepper
from tests.doctor.conftest import pipeline, quick, tiny
from tests.doctor.slips import Patch

_SHORT = {
    "name": "progressive",
    "phases": [
        {"name": "all", "first_ply": 6, "last_ply": 12, "until": 256},
        {"name": "penultimate", "until": 500},
        {"name": "final"},
    ],
    "mix_all": 0.0,
}
_PARTS = [
    {"name": "penultimate", "share": 0.3},
    {"name": "all", "first_ply": 2, "last_ply": 8, "share": 1.0},
    {"name": "penultimate_and_final", "share": 0.1},
]
SOUND: dict[str, dict[str, Any]] = {
    "Muon from a rate of 0": {"optimiser": {"name": "muon", "schedule": "cosine"}},
    "auxiliary heads by micro-batches": {"auxiliary": {"moves_left": 0.1}, "micro_batch": 24},
    "short phases of few positions": {"curriculum": _SHORT},
    "parts that are alike": {"curriculum": {"name": "mixture", "parts": _PARTS}},
    "weights in small batches": {
        "curriculum": {"name": "last_k", "k": 3, "stage_weights": {"early": 0.2, "late": 2.0}},
        "batch_size": 16,
    },
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_settings_have_no_error(name: str, archive: GameArchive) -> None:
    assert not quick(archive, tiny(**SOUND[name])).errors


@pytest.mark.parametrize(
    ("settings", "emulated", "told"),
    [
        ({"precision": "bfloat16"}, True, True),
        ({"precision": "bfloat16"}, False, False),
        ({}, True, False),
    ],
)
def test_a_number_format_that_is_emulated_is_told(
    settings: dict[str, Any],
    emulated: bool,
    told: bool,
    archive: GameArchive,
    monkeypatch: Patch,
) -> None:
    monkeypatch.setattr(precision, "emulates_bfloat16", lambda device: emulated)
    check = [each for each in QUICK if each.name == "precision"]
    found = examine(pipeline(archive, tiny(**settings)), check).findings
    assert [("precision: float32" in each.remedy) for each in found] == [True] * told


def test_a_gpu_is_not_asked_for_instructions_of_the_processor() -> None:
    assert not emulates_bfloat16(torch.device("cuda"))


def test_steps_may_take_rows_in_another_order(archive: GameArchive, monkeypatch: Patch) -> None:
    sound = Stepper.step

    def step(self: Stepper, batch: Batch, *arguments: Any) -> None:
        reversed_rows = batch.rows(batch.game.new_tensor(range(len(batch) - 1, -1, -1)))
        sound(self, reversed_rows, *arguments)

    monkeypatch.setattr(Stepper, "step", step)
    assert not examine(pipeline(archive, tiny()), QUICK).errors


def test_an_evaluation_of_games_without_an_end_is_no_error(archive: GameArchive) -> None:
    games = [archive.game(number) for number in range(len(archive))]
    resigned = build_archive(
        replace(game, moves=game.moves[:-1], finished=False) for game in games if len(game.moves)
    )
    whole = [check for check in CHECKS if check.name == "whole evaluation"]
    assert not examine(pipeline(resigned, tiny()), whole).errors
