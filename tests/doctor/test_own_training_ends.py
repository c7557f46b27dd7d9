"""What happens between the epochs of a training, and at its end."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.own_training.files import files_aside
from hexsearch.doctor.own_training.where.located import with_lines
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import CHECKS
from tests.doctor.own_scripts import SIZE, Games, Net, Play, Script, bce, encode
from tests.doctor.test_own_training_later import Rows, batch, played

__all__ = ["played"]

CHECKED = {check.name: check for check in CHECKS}


class Run:
    """A training of three epochs. What is called between epochs may be replaced."""

    epochs = 3

    def __init__(self) -> None:
        self.net = Net()
        self.best: Any = None
        self.schedule: LRScheduler | None = None

    def begin(self, optimiser: torch.optim.Optimizer) -> None: ...

    def drawn(self, rows: Rows, epoch: int) -> Rows:
        return rows

    def stepped(self) -> None: ...

    def evaluated(self, planes: Tensor) -> None:
        self.net.eval()
        with torch.no_grad():
            self.net(planes)
        self.net.train()

    def epoch_ended(self, epoch: int) -> None: ...

    def result(self) -> Any:
        return self.net

    def __call__(self, games: Games) -> Any:
        torch.manual_seed(0)
        optimiser = torch.optim.Adam(self.net.parameters(), 1e-3)
        self.begin(optimiser)
        rows = Script().rows(games)
        for epoch in range(self.epochs):
            rows = self.drawn(rows, epoch)
            order = torch.randperm(len(rows)).tolist()
            for start in range(0, len(rows) - 31, 32):
                planes, cells, won = batch(rows, order[start : start + 32])
                policy, raw = self.net(planes)
                optimiser.zero_grad()
                loss = nn.functional.cross_entropy(policy, cells) + bce(raw, won)
                torch.autograd.backward(loss)
                optimiser.step()
                self.stepped()
            self.evaluated(batch(rows, order[:64])[0])
            self.epoch_ended(epoch)
        return self.result()


def found(
    archive: GameArchive, run: Callable[[], Run], name: str = "whole training"
) -> list[Finding]:
    foreign = ForeignNetwork(Play(), encode, SIZE)
    foreign.train = lambda games: run()(games)  # called several times
    pipeline = ExaminedPipeline("own", archive=archive, foreign=foreign)
    check = CHECKED[name]
    return [each for _, each in with_lines([(check, f) for f in check.look(pipeline)], pipeline)]


class BestByReference(Run):
    def epoch_ended(self, epoch: int) -> None:
        if epoch == 1:
            self.best = self.net.state_dict()  # kept

    def result(self) -> Any:
        self.net.load_state_dict(self.best)
        return self.net


class BestInAnotherNetwork(BestByReference):
    def result(self) -> Any:
        other = Net()
        other.load_state_dict(self.best)
        return other


class BestByCopy(BestByReference):
    def epoch_ended(self, epoch: int) -> None:
        if epoch == 1:
            self.best = copy.deepcopy(self.net.state_dict())


class Evaluated(Run):
    """Never, then for the first time after two epochs."""

    sound = False

    def evaluated(self, planes: Tensor) -> None:
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 2:
            self.net.eval()
            with torch.no_grad():
                self.net(planes)
            self.net.train(self.sound)


class StepLRTooSoon(Run):
    def begin(self, optimiser: torch.optim.Optimizer) -> None:
        self.schedule = StepLR(optimiser, 4, 1e-3)

    def stepped(self) -> None:
        assert self.schedule is not None
        self.schedule.step()


class Cosine(StepLRTooSoon):
    def begin(self, optimiser: torch.optim.Optimizer) -> None:
        self.schedule = CosineAnnealingLR(optimiser, 3)

    def stepped(self) -> None: ...

    def epoch_ended(self, epoch: int) -> None:
        assert self.schedule is not None
        self.schedule.step()


class Average(Run):
    """A list of averaged weights, as many scripts keep one."""

    decay = 0.5

    def begin(self, optimiser: torch.optim.Optimizer) -> None:
        self.kept = [p.detach().clone() for p in self.net.parameters()]

    def stepped(self) -> None:
        with torch.no_grad():
            for kept, weight in zip(self.kept, self.net.parameters(), strict=True):
                kept.lerp_(weight, 1 - self.decay)


class AverageInADict(Average):
    """One whose tensors are made anew."""

    def begin(self, optimiser: torch.optim.Optimizer) -> None:
        self.named = {n: p.detach().clone() for n, p in self.net.named_parameters()}

    def stepped(self) -> None:
        for name, weight in self.net.named_parameters():
            self.named[name] = 0.5 * self.named[name] + 0.5 * weight.detach()


class SlowAverage(Average):
    decay = 0.99


class AverageThatIsLoaded(Run):
    """Its weights are changed in place through state_dict(), and loaded again; that is sound."""

    def begin(self, optimiser: torch.optim.Optimizer) -> None:
        self.average = copy.deepcopy(self.net)

    def stepped(self) -> None:
        kept, now = self.average.state_dict(), self.net.state_dict()
        for name, each in kept.items():
            if each.dtype.is_floating_point:
                each.mul_(0.99).add_(now[name], alpha=0.01)
        self.average.load_state_dict(kept)

    def result(self) -> Any:
        return self.average


class WeightsOfTheBeginning(Run):
    def begin(self, optimiser: torch.optim.Optimizer) -> None:
        self.best = copy.deepcopy(self.net)

    def result(self) -> Any:
        return self.best


class StoredPlanesChange(Run):
    """An augmentation that exchanges the colours on the stored planes, after their first use."""

    def drawn(self, rows: Rows, epoch: int) -> Rows:
        if epoch:
            for planes, _, _ in rows:
                planes[:2] = planes[1::-1].copy()
        return rows


class LabelsChange(Run):
    def drawn(self, rows: Rows, epoch: int) -> Rows:
        return [(planes, cell, 1.0 - won if epoch else won) for planes, cell, won in rows]


class MovesChange(Run):
    def drawn(self, rows: Rows, epoch: int) -> Rows:
        last = SIZE * SIZE - 1
        return [(planes, last - cell if epoch else cell, won) for planes, cell, won in rows]


@pytest.mark.parametrize(
    ("run", "words"),
    [(StoredPlanesChange, "planes"), (LabelsChange, "labels"), (MovesChange, "moves")],
)
def test_what_changes_after_the_first_pass_is_named(
    run: type[Run], words: str, played: GameArchive
) -> None:
    (first,) = found(played, run, "training epochs")
    assert f"later ones have other {words}" in first.cause


def test_passes_that_are_alike_have_no_finding(played: GameArchive) -> None:
    assert found(played, Run, "training epochs") == []


@pytest.mark.parametrize(
    ("run", "words", "line"),
    [
        (BestByReference, "references and no copies", "# kept"),
        (BestInAnotherNetwork, "references and no copies", "# kept"),
        (Evaluated, "stays in eval mode", "self.net(planes)"),
        (StepLRTooSoon, "ends long before training does", "StepLR(optimiser"),
        (Average, "averages hardly anything", ""),
        (AverageInADict, "averages hardly anything", ""),
        (WeightsOfTheBeginning, "was never trained", ""),
    ],
)
def test_a_mistake_between_epochs_is_named(
    run: type[Run], words: str, line: str, played: GameArchive
) -> None:
    (first,) = found(played, run)
    assert words in first.cause
    assert not line or any(line in each for each in first.where)


@pytest.mark.parametrize("run", [Run, BestByCopy, Cosine, SlowAverage, AverageThatIsLoaded])
def test_a_sound_training_has_no_finding(run: type[Run], played: GameArchive) -> None:
    assert found(played, run) == []


def test_a_training_that_cannot_use_few_games_is_not_judged(played: GameArchive) -> None:
    class Many(BestByReference):
        def __call__(self, games: Games) -> Any:
            if len(games) < 30:
                raise ValueError("too few games")
            return super().__call__(games)

    assert found(played, Many) == []


def test_files_are_written_aside_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.txt").write_text("old\n")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "best.pt")
    with files_aside():
        torch.save({"weights": torch.ones(2)}, "best.pt")
        assert torch.load("best.pt", weights_only=True)["weights"].sum() == 2
        with open("log.txt", "a") as file:
            file.write("new\n")
        assert Path("log.txt").read_text() == "old\nnew\n"
        Path("other.txt").write_text("new")
        with pytest.raises(FileExistsError):
            open("log.txt", "x")
        torch.save({"weights": torch.full((2,), 2.0)}, "new.tmp")
        assert Path("new.tmp").stat().st_size > 0 and not Path("none.txt").exists()
        os.replace("new.tmp", "best.pt")
        assert not Path("new.tmp").exists()
        assert torch.load("best.pt", weights_only=True)["weights"].sum() == 4
        Path("other.txt").unlink()
        assert not Path("other.txt").exists()
        memory = io.BytesIO()
        torch.save(torch.ones(1), memory)
        assert memory.getvalue()
    assert Path("log.txt").read_text() == "old\n"
    assert torch.load("best.pt", weights_only=True)["weights"].sum() == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["best.pt", "log.txt"]


class Inverted(Run):
    def drawn(self, rows: Rows, epoch: int) -> Rows:
        return rows if epoch else [(planes, cell, 1.0 - won) for planes, cell, won in rows]


def test_it_is_left_out_after_an_error(played: GameArchive) -> None:
    foreign = ForeignNetwork(Play(), encode, SIZE)
    foreign.train = lambda games: Inverted()(games)
    pipeline = ExaminedPipeline("own", archive=played, foreign=foreign)
    diagnosis = examine(pipeline, [CHECKED["training value"], CHECKED["whole training"]])
    assert diagnosis.checks == ("training value",)
    assert "an error was found before it" in diagnosis.left_out["whole training"]
