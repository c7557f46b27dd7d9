"""`ensemble` on a small comparison with two heads on each of two trunks, made in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hexsearch.analysis import value_analyzer
from hexsearch.cli.main import main
from hexsearch.data.archive import build_archive, write_archive
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import read_ledger
from hexsearch.search.space_parsing import build_space
from hexsearch.study.assignments import Assigner
from hexsearch.study.phases import PhasePlanner
from tests.backend.in_process import run_in_process
from tests.data.games import random_games
from tests.search.simulation import engine_over, opened, study_config

BUDGET = 256


@pytest.fixture(scope="module")
def cup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = StudyFolder(tmp_path_factory.mktemp("results") / "cup")
    config = study_config(
        data={"board_size": 5, "split": {"validation": 0.2, "test": 0.2}},
        search={"value_head": {"choice": ["512->1", "512->32->1"]}},
        scheduler={"name": "none", "grace_period": BUDGET, "max_t": BUDGET},
        phases=["compare"],
        compare={"seeds": 2},
    )
    archive = build_archive(random_games(200, size=5))
    write_archive(folder.archive, archive)
    folder.write_description(config, ["somewhere"], archive.content_hash)
    ledger = opened(folder.ledger, config)
    planner = PhasePlanner(config, build_space(config), folder)
    engine = engine_over(ledger, config, planner=planner)
    run_in_process(engine, Assigner(config, folder, archive.content_hash, engine.schedules))
    ledger.close()
    return folder.path


def test_ensembles_and_the_heads_of_each_trunk_are_judged_on_test_games(
    cup: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "ensemble.json"
    assert main(["ensemble", str(cup), "--format", "json", "--output", str(output)]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document == json.loads(output.read_text())
    assert [row["name"] for row in document["rows"]] == [
        "best single",
        "average",
        "greedy",
        "heads of seed 1",
        "heads of seed 2",
    ]
    assert len(document["rows"][1]["weights"]) == 4
    assert document["rows"][3]["weights"] == {"h0000": 0.5, "h0001": 0.5}
    single, _, greedy, *_ = document["rows"]
    assert greedy["validation"]["value_loss"] <= single["validation"]["value_loss"]
    assert set(single["stages"]["test"]) >= {"early", "middle", "late"}
    records = read_ledger(cup / "ledger.jsonl")
    last = {r["trial"]: r["report"]["value_loss"] for r in records if r["event"] == "reported"}
    best = min(last.values())
    assert single["validation"]["value_loss"] == pytest.approx(best, abs=1e-5)
    assert f"{single['test']['games']} test games" in printed.err


def test_a_long_answer_says_which_network_is_how_far(
    cup: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_analyzer, "_SAY_EVERY_S", 0.0)
    monkeypatch.setattr(value_analyzer, "_BATCH", 100)
    assert main(["ensemble", str(cup), "--method", "average"]) == 0
    said = capsys.readouterr().err
    assert all(f"{name}: 100 of " in said for name in ("h0000", "h0003"))


def test_networks_may_look_at_several_views(cup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses = []
    for looks in ([], ["--symmetric"], ["--look-ahead"], ["--symmetric", "--look-ahead"]):
        assert main(["ensemble", str(cup), "--method", "average", "--format", "json", *looks]) == 0
        losses.append(json.loads(capsys.readouterr().out)["rows"][1]["test"]["value_loss"])
    assert len(set(losses)) == 4


def test_the_best_few_and_one_method_can_be_asked_for(
    cup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["ensemble", str(cup), "--top", "2", "--method", "average", "--format", "json"]
    assert main(command) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [len(row["weights"]) for row in rows[:2]] == [1, 2]
    assert "greedy" not in [row["name"] for row in rows]
    assert main(["ensemble", str(cup), "--top", "1"]) == 2
    assert "--top 1: an ensemble needs two networks" in capsys.readouterr().err


def test_what_no_ensemble_can_be_made_of_is_refused_in_a_line(
    cup: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ensemble", str(tmp_path)]) == 2
    assert "is this a study folder?" in capsys.readouterr().err
    bare = tmp_path / "bare"
    shutil.copytree(cup, bare)
    for name in ("h0000", "h0001", "h0002"):
        (bare / "trials" / name / "checkpoint.pt").unlink()
    assert main(["ensemble", str(bare)]) == 2
    assert "1 of 4 finished trials kept their checkpoint" in capsys.readouterr().err
    shutil.copytree(cup / "trials", bare / "trials", dirs_exist_ok=True)
    write_archive(bare / "games.archive", build_archive(random_games(200, size=5, seed=9)))
    assert main(["ensemble", str(bare)]) == 2
    error = capsys.readouterr().err
    assert "was trained on other games" in error and "Traceback" not in error


def test_checkpoints_of_single_trainings_can_be_averaged(
    cup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(cup / "trials" / name / "checkpoint.pt") for name in ("h0000", "h0001")]
    games = ["--games", str(cup / "games.archive")]
    assert main(["ensemble", *paths, *games, "--method", "average", "--format", "json"]) == 0
    _, average = json.loads(capsys.readouterr().out)["rows"]
    assert average["weights"] == dict.fromkeys(paths, 0.5)
    assert main(["ensemble", str(cup), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    (same,) = [row for row in rows if row["name"] == "heads of seed 1"]
    assert [same["test"], same["validation"]] == [average["test"], average["validation"]]

    refusals = {
        (*paths,): "needs --games PATH",
        (paths[0], *games): "needs a second checkpoint",
        (str(cup), paths[0], *games): "is no checkpoint; give one study",
        (*paths, *games, "--top", "2"): "--top goes with a study",
        (paths[0], paths[0], *games): "is given twice",
        (str(cup), *games): "--games goes with checkpoints",
    }
    for words, reason in refusals.items():
        assert main(["ensemble", *words]) == 2
        assert reason in capsys.readouterr().err
