"""A user's own network is examined, sound or with one fault."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.cli.main import main
from hexsearch.data.archive import build_archive
from hexsearch.doctor.checks.training.readouts import check_contract
from hexsearch.doctor.foreign import ForeignNetwork, load_foreign
from hexsearch.doctor.registry import ANSWERS
from hexsearch.model.network import build_network
from hexsearch.training.trial import Trial
from tests.data.games import random_games
from tests.doctor import foreign
from tests.doctor.conftest import SIZE, Detected, doctor, findings, pipeline, tiny

Printed = pytest.CaptureFixture[str]


slow = partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("fault", "check", "cause"),
    [
        ("", "", ""),
        slow("trained raw", "reading of the value", "trained to put out 0 and 1 itself"),
        slow("blue for red", "reading of the value", "one colour is reported as the other's"),
        ("train mode", "modes", "train mode at inference"),
        slow("column-major", "policy cells", "column-major"),
        slow("never learnt", "strength", "initial weights"),
        slow("dead value head", "value heads", "multiplied by 0"),
        slow("overconfident", "calibration", "confidence and frequency disagree"),
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
    detected: Detected,
) -> None:
    network = deepcopy(trained.network)
    if fault == "never learnt":
        network = build_network(trained.config, 3, SIZE, seed=5)
    monkeypatch.setattr(foreign, "MODEL", foreign.Wrapped(network, fault))
    module = "tests.doctor.foreign"
    named = ["--model", f"{module}:load", "--encoder", f"{module}:encode", "--size", SIZE]
    status, out = doctor(capsys, *named, "--games", games_file)
    found = findings(out) | findings(out, "warning")
    if not fault:
        assert (status, findings(out)) == (0, {})
    else:
        assert status == (1 if found[check].severity == "error" else 0)
        assert cause in found[check].cause
        detected(f"own model: {fault}", out, found[check])


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
    module = "tests.doctor.foreign"
    command = ["doctor", "--model", f"{module}:{model}", "--encoder", f"{module}:{encoder}"]
    assert main([*command, "--size", str(SIZE), "--games", str(games_file)]) == 2
    assert complaint in capsys.readouterr().err


def test_a_loss_of_a_whole_batch_is_no_loss_of_a_read_out() -> None:
    class OfBatches(foreign.Wrapped):
        def loss(self, planes: Tensor, moves: Tensor, results: Tensor) -> Tensor:
            return moves.sum() + results.sum()

    model = OfBatches(build_network(tiny(), 3, SIZE, seed=5), "")
    assert ForeignNetwork(model, foreign.encode, SIZE).readout is None


@pytest.mark.parametrize("told", ["", "that of the other side"])
def test_a_raw_value_of_blue_is_examined_as_it_is(told: str) -> None:
    class OfBlue(foreign.Wrapped):
        def win_prob_red(self, raw: Tensor) -> Tensor:
            return 1.0 - raw.sigmoid()

        def loss(self, raw: Tensor, target: Tensor) -> Tensor:
            wanted = target if told else 1.0 - target
            return functional.binary_cross_entropy_with_logits(raw, wanted, reduction="none")

    model = ForeignNetwork(OfBlue(build_network(tiny(), 3, SIZE, seed=5)), foreign.encode, SIZE)
    examined = pipeline(build_archive(random_games(20, size=SIZE)), tiny(), foreign=model)
    causes = [each.cause for each in check_contract(examined) if "own" in each.evidence]
    assert [told in cause for cause in causes] == [True] * bool(told)


def test_openings_that_no_network_can_judge_are_explained_as_label_noise() -> None:
    archive = build_archive(random_games(300, size=SIZE))
    says_half = ForeignNetwork(
        lambda planes: (torch.zeros(len(planes), SIZE**2), torch.full((len(planes),), 0.5)),
        foreign.encode,
        SIZE,
    )
    examined = pipeline(archive, tiny(), foreign=says_half)
    early = [check for check in ANSWERS if check.name == "early stage"]
    (finding,) = early[0].look(examined)
    assert finding.severity == "info"
    assert "label noise, not a fault" in finding.cause


def test_a_loader_that_switches_gradients_off_is_examined_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "without_gradients.py").write_text(
        "import torch\n\ntorch.set_grad_enabled(False)\n\n\ndef load():\n"
        "    torch.set_grad_enabled(False)\n"
        "    return lambda planes: (torch.zeros(len(planes), 25), torch.zeros(len(planes)))\n\n\n"
        "def encode(stones, to_move):\n    return stones[None].astype('float32')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    network = load_foreign("without_gradients:load", "without_gradients:encode", 5)
    assert torch.is_grad_enabled()
    assert network.factory is not None
    network.factory()
    assert torch.is_grad_enabled()
