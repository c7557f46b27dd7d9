"""Label leaks, and a network that reads the stones of final boards."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.data import StagesConfig
from hexsearch.config.section import build
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.collection.leaks import check_curriculum
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.positions import curriculum_positions
from hexsearch.game.record import Game
from tests.data.games import random_games


@pytest.fixture(scope="module")
def archive() -> GameArchive:
    return build_archive(random_games(800, 7, seed=5))


@pytest.mark.parametrize(
    ("raw", "leaks"),
    [
        ("all", False),
        ({"name": "last_k", "k": 6}, False),
        ({"name": "last_k", "k": 7}, False),
        ({"positions_per_game": 1}, False),
        ({"stages": ["early"]}, False),
        ("penultimate", True),
        ("penultimate_and_final", True),
        ("final", True),
        ({"name": "mixture", "parts": [{"name": "all"}, {"name": "penultimate"}]}, True),
        (
            {
                "name": "progressive",
                "phases": [{"name": "penultimate", "until": 900}, {"name": "all"}],
            },
            True,
        ),
        (
            {
                "name": "progressive",
                "phases": [{"name": "last_k", "k": 4, "until": 900}, {"name": "all"}],
            },
            False,
        ),
    ],
)
def test_curricula_that_give_the_winner_away_are_flagged_and_no_others(
    archive: GameArchive, raw: object, leaks: bool
) -> None:
    config = build(CurriculumConfig, raw, "curriculum")
    leak = check_curriculum(archive, np.arange(len(archive)), config)
    assert leak.flagged is leaks, str(leak)
    if leaks:
        assert leak.accuracy > leak.prior_accuracy + 0.1
        assert "without looking at the board" in str(leak)


def test_the_cue_is_named(archive: GameArchive) -> None:
    games = np.arange(len(archive))
    final = check_curriculum(archive, games, CurriculumConfig(name="final"))
    # Nobody is to move any more, but whoever has just moved can be counted out.
    assert (final.cue, final.accuracy) == ("stone parity", 1.0)
    penultimate = check_curriculum(archive, games, CurriculumConfig(name="penultimate"))
    assert penultimate.accuracy == 1.0


def test_a_handful_of_lucky_games_is_not_called_a_leak() -> None:
    # In 12 games stopped at will, parity can be right by luck alone.
    rng = np.random.default_rng(3)
    flagged = 0
    for seed in range(40):
        games = random_games(12, 5, seed=seed)
        stopped = [
            Game(5, g.moves[: -1 - int(rng.integers(0, 3))], g.winner, False, "x", g.line)
            for g in games
        ]
        archive = build_archive(stopped)
        config = CurriculumConfig(name="last_k", k=2)
        flagged += check_curriculum(archive, np.arange(12), config).flagged
    assert flagged <= 3


def _small_network(planes: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(planes, 24, 3, padding=1), nn.ReLU()]
    for _ in range(3):
        layers += [nn.Conv2d(24, 24, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(24 * 25, 1), nn.Flatten(0))


def test_a_network_trained_on_final_is_right_only_when_the_stones_are_there() -> None:
    archive = build_archive(random_games(3000, 5, seed=8))
    builder = BatchBuilder(
        archive, PositionEncoder(5, "absolute"), StagesConfig(), torch.device("cpu")
    )
    curriculum = CurriculumConfig(name="final")
    train, held_out = np.arange(2600), np.arange(2600, 3000)
    stream = TrainingStream(
        builder, curriculum_positions(archive, train, curriculum), curriculum, True, 1
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _small_network(3)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for step in range(250):
        batch = stream.batch(step * 128, 128)
        loss = nn.functional.binary_cross_entropy_with_logits(network(batch.planes), batch.outcome)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    as_is = np.zeros(len(held_out), dtype=bool)
    batch = builder.build(held_out, archive.lengths[held_out], as_is, as_is)
    prior = max(float(batch.outcome.mean()), 1 - float(batch.outcome.mean()))

    def accuracy(planes: torch.Tensor, of: Batch) -> float:
        with torch.no_grad():
            return float(((network(planes) > 0) == (of.outcome > 0.5)).float().mean())

    assert accuracy(batch.planes, batch) > 0.9
    bare = batch.planes.clone()
    bare[:, :2] = 0.0
    assert accuracy(bare, batch) <= prior
    # The side to move says nothing either: a finished board looks the same with it flipped.
    flipped = batch.planes.clone()
    flipped[:, 2] = 1.0 - flipped[:, 2]
    assert torch.equal(flipped, batch.planes)
