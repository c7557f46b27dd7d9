"""Configurations whose encoder shows the history of a game: sound ones, and some with slips."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import build_archive
from hexsearch.data.collection.importing import ImportReport
from hexsearch.data.encoder import PositionEncoder
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Diagnosis
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import QUICK
from tests.doctor.conftest import tiny
from tests.doctor.games import lopsided_games

PERSPECTIVES = pytest.mark.parametrize("perspective", ["mover", "absolute"])


def quick_checks(perspective: str) -> Diagnosis:
    archive = build_archive(lopsided_games(400, 5))
    pipeline = ExaminedPipeline(
        "set-up",
        archive=archive,
        imported=ImportReport(files=["lopsided"], read=len(archive)),
        data=DataConfig(board_size=5),
        configs=[tiny(encoder={"perspective": perspective, "history": True})],
    )
    return examine(pipeline, QUICK)


def spoil(monkeypatch: pytest.MonkeyPatch, how: Literal["next", "oldest", "boards"]) -> None:
    """Give the encoder a slip, in training and in evaluation."""
    sound = PositionEncoder.encode_game

    def encode(self: PositionEncoder, *given: Any) -> Any:
        planes = sound(self, *given)
        if how == "oldest":  # the first stone has 1
            there = planes[:, -1] > 0
            planes[:, -1][there] = 2.0 ** (-(planes.shape[-1] ** 2) / 3) / planes[:, -1][there]
        elif how == "next":  # some free cell
            planes[:, -1] += planes[:, :2, ::-1, ::-1].sum(axis=1) == 0
        else:
            planes[:, :2] = np.roll(planes[:, :2], 1, axis=0)
        return planes

    monkeypatch.setattr(PositionEncoder, "encode_game", encode)


@PERSPECTIVES
def test_a_network_that_is_shown_the_history_raises_no_alarm(perspective: str) -> None:
    diagnosis = quick_checks(perspective)
    assert not diagnosis.errors, diagnosis.errors
    assert sum(f.severity == "warning" for f in diagnosis.findings) <= 1, diagnosis.findings


@PERSPECTIVES
@pytest.mark.parametrize(
    "how, cause",
    [
        ("next", "history plane"),
        ("oldest", "history plane"),
        ("boards", "another row of the batch"),
    ],
)
def test_a_wrong_plane_is_named(
    perspective: str,
    how: Literal["next", "oldest", "boards"],
    cause: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoil(monkeypatch, how)
    first = quick_checks(perspective).errors[0]
    assert cause in first.cause, first
