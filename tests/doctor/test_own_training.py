"""The doctor watches a user's own training function, and names what is wrong with it."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import hexsearch as hs
from hexsearch.cli.main import main
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Diagnosis
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import CHECKS
from tests.doctor.conftest import doctor, every_tenth
from tests.doctor.own_mistakes import MISTAKES, SOUND
from tests.doctor.own_scripts import SIZE, Games, Net, Play, Script, bce, encode
from tests.doctor.test_play import random_game

CHECKED = [
    check
    for check in CHECKS
    if "own_training" in check.needs
    and check.name not in ("whole training", "training epochs")  # they take longer
]


@pytest.fixture(scope="module")
def played() -> GameArchive:
    rng = np.random.default_rng(4)
    return build_archive([random_game(SIZE, rng) for _ in range(70)])


def _watched(archive: GameArchive, script: Script, play: Play) -> Diagnosis:
    foreign = ForeignNetwork(play, encode, SIZE)
    foreign.train = script
    pipeline = ExaminedPipeline("own", archive=archive, foreign=foreign)
    return examine(pipeline, CHECKED)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_training_has_no_finding(name: str, played: GameArchive) -> None:
    diagnosis = _watched(played, *SOUND[name])
    assert not diagnosis.findings
    assert len(diagnosis.checks) == len(CHECKED)


@pytest.mark.parametrize("name", every_tenth(MISTAKES))
def test_a_mistake_is_the_first_finding_by_its_cause(name: str, played: GameArchive) -> None:
    script, words = MISTAKES[name]
    first = _watched(played, script, Play()).findings[0]
    assert re.search(words, first.cause), first


def test_it_is_ended_after_some_steps_and_leaves_random_generators_alone(
    played: GameArchive,
) -> None:
    script, play = Script(epochs=10_000), Play()
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), random.getstate(), _numpy_state()
    assert not _watched(played, script, play).findings
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert _numpy_state() == before[2]


def _numpy_state() -> list[int]:
    state = np.random.get_state()
    assert isinstance(state, tuple)
    return [int(each) for each in state[1]]


def test_an_error_of_the_function_shows_its_own_lines(played: GameArchive) -> None:
    calls = []

    def train(games: object) -> None:
        calls.append(games)
        raise ValueError("no such column")

    foreign = ForeignNetwork(Play(), encode, SIZE)
    foreign.train = train
    pipeline = ExaminedPipeline("own", archive=played, foreign=foreign)
    diagnosis = examine(pipeline, CHECKED)
    (first,) = diagnosis.findings
    assert "no such column" in first.evidence
    assert "test_own_training.py" in first.evidence
    assert len(calls) == 1  # a training may take long to fail
    reasons = {diagnosis.left_out[check.name] for check in CHECKED[1:]}
    assert reasons == {"code that it needs has raised an error, which is reported"}


def test_two_optimisers_may_share_a_backward_pass(played: GameArchive) -> None:
    def train(games: Games) -> None:
        net = Net()
        body = torch.optim.Adam([*net.body.parameters(), *net.policy.parameters()], 1e-3)
        value = torch.optim.Adam(net.value.parameters(), 1e-3)
        rows = Script().rows(games)
        for _ in range(4):
            order = torch.randperm(len(rows)).tolist()
            for start in range(0, len(rows), 64):
                chosen = [rows[index] for index in order[start : start + 64]]
                planes, cells, won = zip(*chosen, strict=True)
                policy, raw = net(torch.from_numpy(np.stack(planes)))
                body.zero_grad()
                value.zero_grad()
                loss = torch.nn.functional.cross_entropy(policy, torch.tensor(cells))
                torch.autograd.backward(loss + bce(raw, torch.tensor(won)))
                body.step()
                value.step()

    foreign = ForeignNetwork(Play(), encode, SIZE)
    foreign.train = train
    assert not examine(ExaminedPipeline("own", archive=played, foreign=foreign), CHECKED).findings


def test_too_few_games_are_told(played: GameArchive) -> None:
    archive = build_archive([played.game(index) for index in range(4)])
    first = _watched(archive, Script(), Play()).findings[0]
    assert "4 games of 7x7" in first.evidence + first.cause


def test_both_interfaces_take_it(tmp_path: Path, played: GameArchive) -> None:
    file = tmp_path / "games.trmph"
    file.write_text("".join(f"{_written(played, index)}\n" for index in range(len(played))))
    script = MISTAKES["labels of the side to move"][0]
    diagnosis = hs.doctor(model=Play(), encoder=encode, train=script, size=SIZE, games=file)
    assert diagnosis.errors[0].check == "training value"
    with pytest.raises(hs.HexsearchError, match="give model and encoder"):
        hs.doctor(train=script)


def test_the_example_is_named_and_not_after_its_correction(
    games_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    named = ["--model", "own_training:load", "--encoder", "own_training:encode", "--size", "5"]
    for train in ("train", "train_corrected"):
        more = ["--train", f"own_training:{train}", "--games", games_file]
        _, out = doctor(capsys, *named, *more)
        told = {f["cause"] for f in out["findings"] if f["check"] == "training value"}
        assert len(told) == (train == "train")
        assert all("trained for the side to move" in cause for cause in told)
    assert main(["doctor", "--train", "own_training:train"]) == 2
    assert "give --model and --encoder" in capsys.readouterr().err


def _written(archive: GameArchive, index: int) -> str:
    game = archive.game(index)
    cells = "".join(f"{chr(97 + c % SIZE)}{c // SIZE + 1}" for c in game.moves)
    return f"#{SIZE},{cells} {'r' if game.winner > 0 else 'b'}"
