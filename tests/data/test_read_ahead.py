from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.data import StagesConfig
from hexsearch.config.section import build
from hexsearch.data import read_ahead
from hexsearch.data.archive import build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.positions import curriculum_positions
from hexsearch.data.read_ahead import ReadAhead
from tests.data.games import random_games

ARCHIVE = build_archive(random_games(40, size=5, seed=1))
CURRICULA = [
    "all",
    {
        "name": "progressive",
        "phases": [
            {"until": 130, "name": "last_k", "k": 2},
            {"until": 333, "name": "final"},
            {"name": "all"},
        ],
        "stage_weights": {"early": 0.2, "late": 3.0},
    },
]


@settings(max_examples=25)
@given(st.sampled_from(CURRICULA), st.lists(st.integers(1, 70), min_size=2, max_size=14))
def test_batches_built_ahead_are_the_streams_own(curriculum: object, sizes: list[int]) -> None:
    config = build(CurriculumConfig, curriculum, "curriculum")
    positions = curriculum_positions(ARCHIVE, np.arange(40), config)
    encoder = PositionEncoder(5, "mover")
    builder = BatchBuilder(ARCHIVE, encoder, StagesConfig(), torch.device("cpu"))
    stream = TrainingStream(builder, positions, config, True, 5)
    ahead, cursor = ReadAhead(stream, lambda planes: planes), 0
    for size in sizes:
        mine, its = ahead.batch(cursor, size), stream.batch(cursor, size)
        for name, column in mine.columns().items():
            assert torch.equal(column, its.columns()[name]), name
        cursor += size


def test_many_batches_are_built_at_once() -> None:
    config = CurriculumConfig()
    positions = curriculum_positions(ARCHIVE, np.arange(40), config)
    builder = BatchBuilder(
        ARCHIVE, PositionEncoder(5, "mover"), StagesConfig(), torch.device("cpu")
    )
    calls: list[int] = []

    class Counting(TrainingStream):
        def batch(self, cursor: int, size: int) -> Batch:
            calls.append(size)
            return super().batch(cursor, size)

    ahead = ReadAhead(Counting(builder, positions, config, True, 5), lambda planes: planes)
    for number in range(100):
        ahead.batch(64 * number, 64)
    assert len(calls) == -(-100 * 64 // read_ahead._POSITIONS["cpu"])
