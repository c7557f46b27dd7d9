"""The phase `match` on a study that was really trained, without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.data.archive import build_archive, write_archive
from hexsearch.leaderboard.as_json import leaderboard_json
from hexsearch.leaderboard.leaderboard import read_leaderboard
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.folder import CHECKPOINT, StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import Ledger
from hexsearch.study.assignments import Assigner
from hexsearch.study.strength import play_study_match
from tests.backend.in_process import run_in_process
from tests.data.games import random_games
from tests.search.simulation import engine_over, study_config


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """Two whole trainings of different heads, run by a worker in this process."""
    folder = StudyFolder(tmp_path_factory.mktemp("results") / "tiny")
    config = study_config(
        data={"board_size": 5, "validation_games": 5},
        trial={"trunk": "tiny", "batch_size": 64},
        scheduler={"name": "none", "grace_period": 384, "max_t": 384},
        enqueue=[
            {"value_head": head, "optimiser.learning_rate": 4e-3}
            for head in ("512->1", "512->32->1")
        ],
        run={"trials": 2},
    )
    archive = build_archive(random_games(80, size=5))
    write_archive(folder.archive, archive)
    folder.write_description(config, ["somewhere"], archive.content_hash)
    ledger = Ledger(folder.ledger)
    ledger.append(StudyOpened(trials=2))
    engine = engine_over(ledger, config)
    run_in_process(engine, Assigner(config, folder, archive.content_hash, engine.schedules))
    ledger.close()
    return folder


def play(folder: StudyFolder, said: list[str]) -> object:
    _, config = folder.read_description()
    history = StudyHistory.read(folder.ledger)
    shorter = config.model_copy(
        update={"match": config.match.model_copy(update={"openings": 6, "candidates": 3})}
    )
    return play_study_match(shorter, history, folder, said.append)


def test_networks_of_a_study_play_and_its_leaderboard_says_how_strong_they_are(
    study: StudyFolder,
) -> None:
    said: list[str] = []
    match = play(study, said)
    trials = [path.parent.name for path in (study.path / "trials").glob(f"*/{CHECKPOINT}")]
    board = read_leaderboard(study)
    assert board.match == match and board.match is not None
    assert {player.trial for player in board.match.players} <= set(trials)
    assert len(board.match.players) == 2
    played = [row for row in board.rows if row.elo is not None]
    assert len(played) == 2 and sum(row.elo or 0.0 for row in played) == pytest.approx(0.0)
    document = leaderboard_json(board)
    assert document["match"]["openings"] == 6
    assert all(row["elo_low"] < row["elo"] < row["elo_high"] for row in document["rows"])


def test_a_match_that_was_played_is_not_played_again(study: StudyFolder) -> None:
    first = play(study, [])
    (games,) = (study.path / "match").iterdir()
    before = games.read_bytes()
    assert play(study, []) == first
    assert games.read_bytes() == before


def test_one_network_alone_does_not_play(study: StudyFolder, tmp_path: Path) -> None:
    import shutil

    alone = StudyFolder(tmp_path / "alone")
    shutil.copytree(study.path, alone.path)
    next(iter((alone.path / "trials").glob(f"*/{CHECKPOINT}"))).unlink()
    said: list[str] = []
    assert play(alone, said) is None
    assert "raise run.keep_checkpoints" in said[0]
