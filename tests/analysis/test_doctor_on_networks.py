"""Faults of trained networks, ours and others', and the mystery that this project began with."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.cli.main import main
from hexsearch.config.study import DataConfig
from hexsearch.data.archive import GameArchive, build_archive, write_archive
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.model.network import build_network
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from hexsearch.training.seeds import initial_weights_seed
from hexsearch.training.trial import Trial
from tests.analysis import foreign
from tests.analysis.conftest import BUDGET, SIZE, save, tiny
from tests.analysis.games import lopsided_games
from tests.analysis.plugins import RawMseShownBySigmoid

MYSTERY = "tests.analysis.plugins:RawMseShownBySigmoid"
Printed = pytest.CaptureFixture[str]


def doctor(printed: Printed, *arguments: object) -> tuple[int, dict[str, Any]]:
    status = main(["doctor", *map(str, arguments), "--format", "json"])
    out: dict[str, Any] = json.loads(printed.readouterr().out)
    return status, out


def causes(out: dict[str, Any], severity: str = "error") -> dict[str, str]:
    return {f["check"]: f["cause"] for f in out["findings"] if f["severity"] == severity}


def test_a_sound_checkpoint_gets_no_error(
    checkpoint: Path, games_file: Path, capsys: Printed
) -> None:
    status, out = doctor(capsys, checkpoint, "--games", games_file)
    assert (status, causes(out)) == (0, {})
    assert {"read-out", "decode", "parity", "record", "batch norm"} <= set(out["checks"])
    for finding in out["findings"]:
        assert set(finding) == {"check", "severity", "evidence", "cause", "remedy"}


def stale(content: dict[str, Any], early: dict[str, Any]) -> None:
    content["state"]["network"] = early["network"]


def never_updated(content: dict[str, Any], early: dict[str, Any]) -> None:
    seed = initial_weights_seed(content["state"]["seed"])
    config = tiny(encoder={"perspective": "absolute"})
    content["state"]["network"] = build_network(config, 3, SIZE, seed).state_dict()


def foreign_statistics(content: dict[str, Any], early: dict[str, Any]) -> None:
    for name, tensor in content["state"]["network"].items():
        if name.endswith("running_mean"):
            tensor += 2.0


def not_finite(content: dict[str, Any], early: dict[str, Any]) -> None:
    content["state"]["network"]["value_head.layers.0.weight"][0, 0] = float("nan")


@pytest.fixture(scope="module")
def early(dataset: Dataset) -> dict[str, Any]:
    """The same training, a quarter of the way."""
    trial = Trial(tiny(encoder={"perspective": "absolute"}), dataset, BUDGET, seed=1)
    trial.train_to(BUDGET // 4)
    return deepcopy(trial.state())


@pytest.mark.parametrize(
    ("spoil", "check", "cause"),
    [
        (stale, "record", "stale checkpoint"),
        (never_updated, "weights", "never updated"),
        (foreign_statistics, "batch norm", "running averages lag"),
        (not_finite, "weights", "diverged"),
    ],
)
def test_a_spoilt_checkpoint_is_named_with_its_cause(
    spoil: Callable[[dict[str, Any], dict[str, Any]], None],
    check: str,
    cause: str,
    checkpoint: Path,
    early: dict[str, Any],
    games_file: Path,
    tmp_path: Path,
    capsys: Printed,
) -> None:
    content = load_checkpoint(checkpoint)
    spoil(content, early)
    save_checkpoint(tmp_path / "spoilt.pt", content)
    arguments = [tmp_path / "spoilt.pt"]
    status, out = doctor(capsys, *arguments, "--games", games_file)
    assert status == 1
    assert cause in causes(out)[check]


def test_a_network_that_reads_the_mover_is_told_so_with_its_accuracy_without_stones(
    dataset: Dataset,
    games_file: Path,
    tmp_path: Path,
    capsys: Printed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = PositionEncoder.encode

    def with_mover(self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
        return sound(self, cells, plies, symmetries, np.zeros_like(finished))

    monkeypatch.setattr(PositionEncoder, "encode", with_mover)
    config = tiny(encoder={"perspective": "absolute"}, curriculum="final")
    trial = Trial(config, dataset, 64 * 100, seed=1)
    trial.train_to(64 * 100)
    path = save(trial, tmp_path / "model.pt")
    status, out = doctor(capsys, path, "--games", games_file)
    (finding,) = [f for f in out["findings"] if f["check"] == "reads the mover"]
    assert status == 1
    assert "100.0% right as they are" in finding["evidence"]
    assert "0.0% with the side-to-move plane flipped" in finding["evidence"]
    assert "with every stone removed" in finding["evidence"]
    assert "off the side-to-move plane" in finding["cause"]


def test_the_original_mystery_is_solved_from_its_checkpoint(
    tmp_path: Path, capsys: Printed
) -> None:
    archive = build_archive(lopsided_games(2000, SIZE))
    games_file = tmp_path / "games.hex"
    write_archive(games_file, archive)
    dataset = Dataset(archive, DataConfig(board_size=SIZE))
    config = tiny(encoder={"perspective": "absolute"}, optimiser={"learning_rate": 0.01})
    trial = Trial(config, dataset, BUDGET, seed=1)
    trial.readout = RawMseShownBySigmoid()
    trial.train_to(BUDGET // 4)
    first = trial.report()
    trial.train_to(BUDGET)
    last = trial.report()
    # Everything that was looked at back then looks well, and answers stay between 0.4 and 0.8.
    assert last.verdict.name == "healthy"
    assert last.train_value_loss < min(first.train_value_loss, 0.22)
    evaluation, _ = trial.evaluate()
    assert np.quantile(evaluation.win_prob_red, [0.1, 0.9]) == pytest.approx([0.6, 0.6], abs=0.2)
    content = {"state": trial.state()}
    content["state"]["config"]["readout"]["name"] = MYSTERY
    save_checkpoint(tmp_path / "model.pt", content)

    status, out = doctor(capsys, tmp_path / "model.pt", "--games", games_file)
    assert status == 1
    assert out["findings"][0]["check"] == "read-out"
    assert "0.50 and 0.73" in out["findings"][0]["cause"]
    (decode,) = [f for f in out["findings"] if f["check"] == "decode"]
    assert "trained to put out 0 and 1 itself" in decode["cause"]
    reached = float(decode["remedy"].split("accuracy is ")[1].split("%")[0]) / 100
    assert reached > evaluation.metrics().overall.accuracy + 0.1
    # Other commands refuse the broken read-out instead of printing wrong numbers.
    assert main(["predict", str(tmp_path / "model.pt"), "#5,"]) == 2
    assert "loss and win_prob disagree" in capsys.readouterr().err


def test_the_original_mystery_is_solved_before_any_training(
    games_file: Path, tmp_path: Path, capsys: Printed
) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(
        "question: Why does the value head not learn?\n"
        f"data: {{board_size: {SIZE}}}\n"
        f"trial: {{trunk: tiny, batch_size: 64, readout: '{MYSTERY}'}}\n"
    )
    status, out = doctor(capsys, space, "--games", games_file, "--quick")
    assert status == 1
    (finding,) = out["findings"]
    assert finding["check"] == "read-out"
    assert "0.500" in finding["evidence"] and "0.731" in finding["evidence"]
    assert "apply the sigmoid inside the loss" in finding["remedy"]


@pytest.mark.parametrize(
    ("fault", "check", "cause"),
    [
        ("", "", ""),
        ("trained raw", "decode", "trained to put out 0 and 1 itself"),
        ("blue for red", "decode", "one colour is reported as the other's"),
        ("train mode", "modes", "train mode at inference"),
        ("column-major", "policy cells", "column-major"),
        ("never learnt", "known positions", "has learnt nothing"),
    ],
)
def test_a_foreign_network_is_examined_through_two_functions(
    fault: str,
    check: str,
    cause: str,
    trained: Trial,
    games_file: Path,
    capsys: Printed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = deepcopy(trained.network)
    if fault == "never learnt":
        network = build_network(trained.config, 3, SIZE, seed=5)
    monkeypatch.setattr(foreign, "MODEL", foreign.Wrapped(network, fault))
    module = "tests.analysis.foreign"
    named = ["--model", f"{module}:load", "--encoder", f"{module}:encode", "--size", SIZE]
    status, out = doctor(capsys, *named, "--games", games_file)
    found = causes(out)
    if not fault:
        assert (status, found) == (0, {})
    else:
        assert status == 1
        assert cause in found[check]


@pytest.mark.parametrize(
    ("model", "encoder", "complaint"),
    [
        ("load", "encode_flat", "expected [C, 5, 5]"),
        ("load_text", "encode", "not a callable"),
        ("missing", "encode", "has no 'missing'"),
    ],
)
def test_a_foreign_network_of_the_wrong_shape_is_refused(
    model: str,
    encoder: str,
    complaint: str,
    trained: Trial,
    games_file: Path,
    capsys: Printed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(foreign, "MODEL", foreign.Wrapped(trained.network))
    module = "tests.analysis.foreign"
    command = ["doctor", "--model", f"{module}:{model}", "--encoder", f"{module}:{encoder}"]
    assert main([*command, "--size", str(SIZE), "--games", str(games_file)]) == 2
    assert complaint in capsys.readouterr().err


def test_files_written_for_other_edges_are_named(
    archive: GameArchive, tmp_path: Path, capsys: Printed
) -> None:
    path = tmp_path / "transposed.trmph"
    lines = []
    for index in range(50):
        game = archive.game(index)
        moves = [f"{chr(97 + cell // SIZE)}{cell % SIZE + 1}" for cell in game.moves]
        lines.append(f"#{SIZE},{''.join(moves)} {'r' if game.winner == 1 else 'b'}")
    path.write_text("\n".join(lines) + "\n")
    status, out = doctor(capsys, "--games", path, "--size", SIZE, "--quick")
    assert status == 0  # the import has seen it and put it right
    assert "first mover connects left to right" in causes(out, "warning")["edges"]
    (finding,) = [f for f in out["findings"] if f["check"] == "edges"]
    assert "50 of 50 finished games" in finding["evidence"]


def test_winners_written_the_other_way_round_are_named(
    archive: GameArchive, tmp_path: Path, capsys: Printed
) -> None:
    path = tmp_path / "inverted.trmph"
    names = {1: "b", -1: "r"}  # which is wrong
    lines = []
    for index in range(60):
        game = archive.game(index)
        moves = "".join(f"{chr(97 + cell % SIZE)}{cell // SIZE + 1}" for cell in game.moves)
        right = {1: "r", -1: "b"}[game.winner]
        lines.append(f"#{SIZE},{moves} {names[game.winner] if index % 2 else right}")
    path.write_text("\n".join(lines) + "\n")
    status, out = doctor(capsys, "--games", path, "--size", SIZE, "--quick")
    assert status == 1
    assert "other way round" in causes(out)["labels"]


def test_a_handful_of_games_learnt_by_heart_is_reported_as_memory(
    tmp_path: Path, capsys: Printed
) -> None:
    games = lopsided_games(40, SIZE, seed=9)
    archive = build_archive(games)
    config = DataConfig.model_validate(
        {"board_size": SIZE, "split": {"validation": 0.4, "test": 0.0}}
    )
    dataset = Dataset(archive, config)
    trial = Trial(tiny(encoder={"perspective": "absolute"}, augment=False), dataset, 64 * 300, 1)
    trial.train_to(64 * 300)
    path = save(trial, tmp_path / "model.pt")
    write_archive(tmp_path / "games.hex", archive)
    _, out = doctor(capsys, path, "--games", tmp_path / "games.hex")
    assert "recognises training games" in causes(out, "warning")["memory"]
    assert "record" not in causes(out)


def test_torch_is_left_with_its_own_generator(games_file: Path, capsys: Printed) -> None:
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    doctor(capsys, "--games", games_file, "--size", SIZE, "--quick", "--set", "trunk=tiny")
    assert torch.equal(torch.rand(3), wanted)
