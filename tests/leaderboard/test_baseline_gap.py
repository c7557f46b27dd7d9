from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hexsearch.leaderboard.as_json import leaderboard_json
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.sentences import leaderboard_sentences
from hexsearch.ledger.game_losses import baseline_folder, write_game_losses
from hexsearch.training.metrics import GameLosses
from tests.leaderboard.studies import Study

GAMES = 200


def board(tmp_path: Path, network: np.ndarray, baseline: np.ndarray | None) -> Leaderboard:
    study = Study(tmp_path)
    name = study.trial({90: 0.18}, "complete")
    study.evidence(name, 90, network)
    if baseline is not None:
        sums = np.repeat(baseline[:, None], 3, axis=1).astype(np.float32)
        losses = GameLosses(np.arange(GAMES), sums, np.ones((GAMES, 3), dtype=np.int32))
        write_game_losses(baseline_folder(study.folder.path, "prior"), 0, losses)
    return study.board()


def test_a_clear_lead_over_the_best_baseline_is_told_with_its_interval(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hardness = rng.uniform(0.0, 0.5, GAMES)  # of each game, for network and baseline alike
    noise = rng.normal(0.0, 0.05, GAMES)
    found = board(tmp_path, hardness, hardness + 0.04 + noise)
    gap = found.baseline_gap
    assert gap is not None and gap.baseline == "prior"
    assert gap.difference == pytest.approx(-(0.04 + noise.mean()), abs=1e-6)
    # Paired by game: the spread of the games themselves does not widen it.
    half = 1.96 * noise.std(ddof=1) / np.sqrt(GAMES)
    assert (gap.low, gap.high) == pytest.approx(
        (gap.difference - half, gap.difference + half), abs=1e-5
    )
    said = [line for line in leaderboard_sentences(found) if "better than the prior" in line]
    assert len(said) == 1
    assert f"interval {-gap.high:.4f} to {-gap.low:.4f}," in said[0]
    assert leaderboard_json(found)["baseline_gap"]["high"] == gap.high < 0.0


def test_a_network_that_a_baseline_beats_or_equals_is_called_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    hardness = rng.uniform(0.0, 0.5, GAMES)
    worse = board(tmp_path / "worse", hardness + 0.05, hardness)
    assert any("worse than the prior" in line for line in leaderboard_sentences(worse))
    alike = board(tmp_path / "alike", hardness + rng.normal(0.0, 0.1, GAMES), hardness)
    assert any("cannot be told from the prior" in line for line in leaderboard_sentences(alike))


def test_a_study_without_losses_of_its_baselines_says_nothing_of_them(tmp_path: Path) -> None:
    found = board(tmp_path, np.full(GAMES, 0.2), None)
    assert found.baseline_gap is None
    assert not any("prior" in line for line in leaderboard_sentences(found))
