"""Two trials on the same games."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hexsearch.errors import LedgerError
from hexsearch.leaderboard.paired_losses import common_table, paired_difference
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import read_game_losses, write_game_losses
from hexsearch.training.metrics import GameLosses


def write(folder: StudyFolder, trial: str, losses: list[float], positions: int = 64) -> None:
    """One position a game, all of them in the early stage."""
    games = np.arange(len(losses))
    counts = np.tile(np.array([1, 0, 0], np.int32), (len(losses), 1))
    sums = (counts * np.array(losses)[:, None]).astype(np.float32)
    path = folder.trial(trial)
    path.mkdir(parents=True, exist_ok=True)
    write_game_losses(path, positions, GameLosses(games, sums, counts))


def test_the_difference_of_two_trials_is_as_sure_as_their_games_agree(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    hard = [0.1, 0.9, 0.2, 0.8]
    write(folder, "t0000", hard)
    write(folder, "t0001", [loss + by for loss, by in zip(hard, (0.1, 0.1, 0.2, 0.2), strict=True)])
    difference, error = paired_difference(folder, "t0001", "t0000", 64) or (0.0, 0.0)
    assert difference == pytest.approx(0.15)
    assert error == pytest.approx(np.std([0.1, 0.1, 0.2, 0.2], ddof=1) / 2)  # games cancel
    back, _ = paired_difference(folder, "t0000", "t0001", 64) or (0.0, 0.0)
    assert back == pytest.approx(-0.15)


def test_there_is_no_difference_where_losses_are_missing_or_of_other_positions(
    tmp_path: Path,
) -> None:
    folder = StudyFolder(tmp_path)
    write(folder, "t0000", [0.1, 0.2])
    assert paired_difference(folder, "t0000", "t0001", 64) is None
    write(folder, "t0001", [0.1, 0.2], positions=128)
    assert paired_difference(folder, "t0000", "t0001", 64) is None


def test_losses_of_another_study_are_named_and_not_compared(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    write(folder, "t0000", [0.1, 0.2])
    losses = read_game_losses(folder.trial("t0000"), 64)
    assert losses is not None
    other = GameLosses(losses.games, losses.sums, losses.counts * 2)
    with pytest.raises(LedgerError, match="some of them come from another study"):
        common_table([losses, other], folder)
