"""A whole network of the user's own through the real command line, with real Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hexsearch.game.formats.trmph import format_trmph
from tests.data.games import random_games

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
_SMALL = ["data.board_size=5", "batch_size=16", "network.options.channels=8"]
_SHORT = ["scheduler.max_t=96", "scheduler.grace_period=32", "scheduler.report_every=32"]

pytestmark = pytest.mark.slow


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join([str(EXAMPLES), str(ROOT)])
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_search.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, "PYTHONPATH": places},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_a_network_of_ones_own_is_searched_resumed_exported_and_examined(tmp_path: Path) -> None:
    games = tmp_path / "games.trmph"
    games.write_text("\n".join(format_trmph(game) for game in random_games(120, size=5)) + "\n")
    study = tmp_path / "own"
    settings = [part for each in [*_SMALL, *_SHORT] for part in ("--set", each)]
    where = ["--games", games, "--results", tmp_path, "--name", "own"]
    launched = run(
        "launch", EXAMPLES / "own_network.yaml", *where, "--trials", 2, "--no-doctor", *settings
    )
    assert launched.returncode == 0, launched.stderr
    assert "own_network:build" in launched.stdout
    resumed = run("resume", study, "--trials", "+1")
    assert resumed.returncode == 0, resumed.stderr
    board = json.loads(run("leaderboard", study, "--format", "json").stdout)
    assert sum(row["seeds"] for row in board["rows"]) == 3
    exported = run("export", study)
    assert exported.returncode == 0, exported.stderr
    model = study / "winner" / "model.pt"
    told = run("predict", model, "#5,a1b2", "--format", "json")
    assert 0.0 <= json.loads(told.stdout)["win_prob_red"] <= 1.0
    examined = run("doctor", model, "--games", games, "--quick", "--format", "json")
    assert examined.returncode in (0, 1), examined.stderr
    assert "value loss" in json.loads(examined.stdout)["checks"]


def test_a_network_that_breaks_its_contract_is_refused_before_the_first_trial(
    tmp_path: Path,
) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("question: q\ntrial: {network: 'own_network:AxialBlock'}\n")
    refused = run("launch", space, "--results", tmp_path, "--name", "none")
    assert refused.returncode != 0
    assert "network own_network:AxialBlock" in refused.stderr
    assert not (tmp_path / "none").exists()
