"""What is refused before Ray starts, and leaves no folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.cli.main import main
from hexsearch.game.formats.trmph import format_trmph
from tests.data.games import random_games

PLUGINS = """
import sys
import torch


class Factory(torch.nn.Module):
    def __init__(self, inputs):
        raise ValueError("no width")


class Exits(torch.nn.Module):
    def __init__(self, inputs):
        sys.exit(0)
"""


@pytest.fixture
def launched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Launches with settings; the exit status and stderr."""
    games = tmp_path / "games.trmph"
    games.write_text("".join(format_trmph(game) + "\n" for game in random_games(40, size=5)))
    (tmp_path / "refused_plugins.py").write_text(PLUGINS)
    monkeypatch.syspath_prepend(tmp_path)

    def ray(*_: object) -> Any:
        pytest.fail("Ray was started")

    monkeypatch.setattr("hexsearch.backend.cluster.ray_cluster", ray)

    def launch(*settings: str, games: Path = games) -> tuple[int, str]:
        given = ["--results", str(tmp_path / "r"), "--name", "x", "--games", str(games)]
        fixed = [part for setting in settings for part in ("--set", setting)]
        status = main(["launch", "smoke", *given, "--set", "data.board_size=5", *fixed])
        assert not (tmp_path / "r").exists()
        said = capsys.readouterr().err
        assert "the study begins" not in said
        return status, said

    return launch


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("run.cpus_per_trial=1000", "run.cpus_per_trial: a trial needs 1000"),
        ("run.gpus_per_trial=64", "run.gpus_per_trial: "),
        ("value_head=no_such_module:Head", "cannot import module 'no_such_module'"),
        ("value_head=refused_plugins:Factory", "raised ValueError: no width"),
        ("value_head=refused_plugins:Exits", "called sys.exit(0)"),
    ],
)
def test_what_cannot_run_is_refused_before_ray_starts(
    launched: Any, setting: str, said: str
) -> None:
    status, err = launched(setting)
    assert status == 2 and said in err


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("readout=tests.doctor.plugins:RawMseShownBySigmoid", "error: doctor, read-out: "),
        ("optimiser.learning_rate=10", "error: doctor, steps: "),
    ],
)
def test_what_the_doctor_finds_is_refused_before_ray_starts(
    launched: Any, setting: str, said: str
) -> None:
    status, err = launched(setting)
    assert status == 1 and said in err and "launch with --no-doctor" in err


def test_games_that_are_not_there_are_refused_before_ray_starts(launched: Any) -> None:
    status, err = launched(games=Path("/no/such/games"))
    assert status == 2 and "no such file or folder" in err
