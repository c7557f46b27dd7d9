"""Faults of checkpoints are named, and so is the fault of the original project."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.analysis.loading import load_network
from hexsearch.cli.main import main
from hexsearch.config.data import DataConfig
from hexsearch.data.archive import build_archive, write_archive
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.doctor.checks.network.records import check_weights
from hexsearch.doctor.findings import Finding
from hexsearch.model.network import build_network
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from hexsearch.training.seeds import initial_weights_seed
from hexsearch.training.trial import Trial
from tests.doctor.conftest import BUDGET, SIZE, Detected, doctor, findings, pipeline, save, tiny
from tests.doctor.games import lopsided_games
from tests.doctor.plugins import RawMseShownBySigmoid

MYSTERY = "tests.doctor.plugins:RawMseShownBySigmoid"
Printed = pytest.CaptureFixture[str]


def test_a_sound_checkpoint_gets_no_error(
    checkpoint: Path, games_file: Path, capsys: Printed
) -> None:
    status, out = doctor(capsys, checkpoint, "--games", games_file)
    assert (status, findings(out)) == (0, {})
    assert {"read-out", "reading of the value", "parity", "record", "batch norm"} <= set(
        out["checks"]
    )
    for finding in out["findings"]:
        assert set(finding) == {"check", "severity", "evidence", "cause", "remedy", "where"}


def test_a_network_that_learned_from_a_search_is_judged_by_games_without_one(
    checkpoint: Path, games_file: Path, tmp_path: Path, capsys: Printed
) -> None:
    content = load_checkpoint(checkpoint)
    content["state"]["configs"][0]["curriculum"]["search_value"] = 0.5
    save_checkpoint(tmp_path / "searched.pt", content)
    status, out = doctor(capsys, tmp_path / "searched.pt", "--games", games_file)
    assert (status, findings(out)) == (0, {})
    assert {"record", "reading of the value"} <= set(out["checks"])


@pytest.mark.slow
def test_a_sound_checkpoint_with_auxiliary_heads_gets_no_error(
    dataset: Dataset, games_file: Path, tmp_path: Path, capsys: Printed
) -> None:
    """Its averaged weights answer, and its auxiliary heads take no part in answers."""
    config = tiny(
        encoder={"perspective": "absolute", "edge_ring": False},
        policy_head={"weight": 1.0},
        optimiser={"learning_rate": 3e-3, "ema_half_life": 2_000},
        auxiliary={
            "moves_left": 0.1,
            "ownership": 0.1,
            "winning_chain": 0.1,
            "future_stones": {"weight": 0.1},
        },
    )
    trial = Trial.of(config, dataset, BUDGET, seed=1)
    trial.train_to(BUDGET)
    status, out = doctor(capsys, save(trial, tmp_path / "taught.pt"), "--games", games_file)
    assert (status, findings(out)) == (0, {})


def test_an_auxiliary_head_that_was_never_trained_is_found(
    dataset: Dataset, tmp_path: Path
) -> None:
    config = tiny(auxiliary={"moves_left": 0.1, "ownership": 0.1})
    trial = Trial.of(config, dataset, 256, seed=1)
    initial = {name: tensor.clone() for name, tensor in trial.network.state_dict().items()}
    trial.train_to(256)
    state = trial.state()

    def looked_at(state: dict[str, Any]) -> list[str]:
        save_checkpoint(tmp_path / "taught.pt", {"state": state})
        loaded = load_network(tmp_path / "taught.pt")
        found = check_weights(pipeline(dataset.archive, config, loaded=loaded))
        return [finding.evidence for finding in found]

    assert looked_at(state) == []
    state["network"] |= {n: w for n, w in initial.items() if n.startswith("auxiliary.ownership")}
    (evidence,) = looked_at(state)
    assert "every weight of the ownership head is still the initial one" in evidence


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
    """State of the same training after a quarter of its budget."""
    trial = Trial.of(tiny(encoder={"perspective": "absolute"}), dataset, BUDGET, seed=1)
    trial.train_to(BUDGET // 4)
    return deepcopy(trial.state())


@pytest.mark.parametrize(
    ("spoil", "check", "cause", "label"),
    [
        (stale, "record", "stale checkpoint", "stale_checkpoint"),
        (never_updated, "weights", "never updated", "ema_weights_never_updated"),
        (
            foreign_statistics,
            "batch norm",
            "running averages lag",
            "batch_norm_statistics_of_other_weights",
        ),
        (not_finite, "weights", "diverged", "diverged_weights"),
    ],
)
def test_a_spoilt_checkpoint_is_named_with_its_cause(
    spoil: Callable[[dict[str, Any], dict[str, Any]], None],
    check: str,
    cause: str,
    label: str,
    checkpoint: Path,
    early: dict[str, Any],
    games_file: Path,
    tmp_path: Path,
    capsys: Printed,
    detected: Detected,
) -> None:
    content = load_checkpoint(checkpoint)
    spoil(content, early)
    save_checkpoint(tmp_path / "spoilt.pt", content)
    arguments = [tmp_path / "spoilt.pt"]
    status, out = doctor(capsys, *arguments, "--games", games_file)
    assert status == 1
    assert cause in findings(out)[check].cause
    detected(label, out, findings(out)[check])


def test_a_network_that_reads_the_mover_is_reported_with_its_accuracy_without_stones(
    dataset: Dataset,
    games_file: Path,
    tmp_path: Path,
    capsys: Printed,
    monkeypatch: pytest.MonkeyPatch,
    detected: Detected,
) -> None:
    sound = PositionEncoder.encode

    def with_mover(self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
        return sound(self, cells, plies, symmetries, np.zeros_like(finished))

    monkeypatch.setattr(PositionEncoder, "encode", with_mover)
    config = tiny(encoder={"perspective": "absolute"}, curriculum="final")
    trial = Trial.of(config, dataset, 64 * 100, seed=1)
    trial.train_to(64 * 100)
    path = save(trial, tmp_path / "model.pt")
    status, out = doctor(capsys, path, "--games", games_file)
    (finding,) = [f for f in out["findings"] if f["check"] == "reads the mover"]
    assert status == 1
    assert "100.0% of the answers are right as they are" in finding["evidence"]
    assert "0.0% with the side-to-move plane inverted" in finding["evidence"]
    assert "with every stone removed" in finding["evidence"]
    assert "from the side-to-move plane" in finding["cause"]
    detected("network_that_reads_the_mover", out, Finding(**finding))


def test_the_original_mystery_is_solved_from_its_checkpoint(
    tmp_path: Path, capsys: Printed, detected: Detected
) -> None:
    archive = build_archive(lopsided_games(2000, SIZE))
    games_file = tmp_path / "games.hex"
    write_archive(games_file, archive)
    dataset = Dataset(archive, DataConfig(board_size=SIZE))
    config = tiny(encoder={"perspective": "absolute"}, optimiser={"learning_rate": 0.01})
    trial = Trial.of(config, dataset, BUDGET, seed=1, readout=RawMseShownBySigmoid())
    trial.train_to(BUDGET // 4)
    first = trial.report()
    trial.train_to(BUDGET)
    last = trial.report()
    # All other figures look well, and answers stay between 0.4 and 0.8.
    assert last.verdict.name == "healthy"
    assert last.train_value_loss < min(first.train_value_loss, 0.22)
    evaluation, _ = trial.evaluate()
    assert np.quantile(evaluation.win_prob_red, [0.1, 0.9]) == pytest.approx([0.6, 0.6], abs=0.2)
    content = {"state": trial.state()}
    content["state"]["configs"][0]["readout"]["name"] = MYSTERY
    save_checkpoint(tmp_path / "model.pt", content)

    status, out = doctor(capsys, tmp_path / "model.pt", "--games", games_file)
    assert status == 1
    assert out["findings"][0]["check"] == "read-out"
    assert "0.50 and 0.73" in out["findings"][0]["cause"]
    # One fault is one finding: nothing else is an error.
    assert [f["severity"] for f in out["findings"]].count("error") == 1
    detected("mystery_seen_in_its_checkpoint", out, Finding(**out["findings"][0]))
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


@pytest.mark.slow
def test_a_handful_of_memorised_games_is_reported_as_memory(
    tmp_path: Path, capsys: Printed, detected: Detected
) -> None:
    games = lopsided_games(40, SIZE, seed=9)
    archive = build_archive(games)
    config = DataConfig.model_validate(
        {"board_size": SIZE, "split": {"validation": 0.4, "test": 0.0}}
    )
    dataset = Dataset(archive, config)
    trial = Trial.of(tiny(encoder={"perspective": "absolute"}, augment=False), dataset, 64 * 300, 1)
    trial.train_to(64 * 300)
    path = save(trial, tmp_path / "model.pt")
    write_archive(tmp_path / "games.hex", archive)
    _, out = doctor(capsys, path, "--games", tmp_path / "games.hex")
    assert "recognises training games" in findings(out, "warning")["memory"].cause
    assert "record" not in findings(out)
    detected("fingerprinted_games", out, findings(out, "warning")["memory"])


def test_torch_is_left_with_its_own_generator(games_file: Path, capsys: Printed) -> None:
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    doctor(capsys, "--games", games_file, "--size", SIZE, "--quick")
    assert torch.equal(torch.rand(3), wanted)
