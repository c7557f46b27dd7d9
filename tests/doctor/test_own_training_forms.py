"""Sound trainings of unusual forms have no finding, and the mistakes beside them are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Check, Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import CHECKS
from hexsearch.doctor.roots import merged
from tests.doctor.own_scripts import (
    SIZE,
    Board,
    Games,
    Net,
    Planes,
    Play,
    Script,
    bce,
    encode,
)
from tests.doctor.test_play import random_game

CHECKED = [
    check
    for check in CHECKS
    if "own_training" in check.needs
    and check.name not in ("whole training", "training epochs")  # they take longer
]


@pytest.fixture(scope="module")
def played() -> GameArchive:
    rng = np.random.default_rng(5)
    return build_archive([random_game(SIZE, rng) for _ in range(60)])


def findings(
    archive: GameArchive,
    train: Callable[[Games], None],
    play: Play,
    shown: Callable[[Board, int], Planes] = encode,
) -> tuple[Finding, ...]:
    foreign = ForeignNetwork(play, shown, SIZE)
    foreign.train = train
    return examine(ExaminedPipeline("own", archive=archive, foreign=foreign), CHECKED).findings


class Masked(Net):
    """With the logits of occupied cells at -10,000."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        logits, value = super().forward(planes)
        return logits.masked_fill(planes[:, :2].sum(dim=1).flatten(1) > 0, -1e4), value


class Classes(Net):
    """With logits of Blue's and Red's win."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(12, 2)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(planes)
        return self.policy(features).flatten(1), self.value(features.mean(dim=(2, 3)))


class Back(Net):
    """With a policy that is turned back to the board where Red is to move."""

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        logits, value = super().forward(planes)
        square = logits.reshape(-1, SIZE, SIZE)
        red = planes[:, 2, :1, :1] > 0
        return torch.where(red, square.transpose(1, 2), square).flatten(1), value


class PlayOf(Play):
    """A player with another network."""

    def __init__(self, net: nn.Module, read: Callable[[Tensor], Tensor] = torch.sigmoid) -> None:
        super().__init__(read)
        self.net = net  # type: ignore[assignment]
        self.eval()


def framed(stones: Board, to_move: int) -> Planes:
    """The board as the side to move sees it: colours exchanged and transposed for Red."""
    return encode(-stones.T, 1) if to_move == 1 else encode(stones, to_move)


def one_by_one(logits: Tensor, cells: Tensor) -> Tensor:
    rows = zip(logits, cells, strict=True)
    return -torch.stack([row.log_softmax(0)[cell] for row, cell in rows]).mean()


def with_own_entropy(logits: Tensor, cells: Tensor) -> Tensor:
    chances = logits.softmax(1)
    entropy = -torch.xlogy(chances, chances).sum(1).mean()
    return functional.cross_entropy(logits, cells) - 0.01 * entropy


def smoothed(raw: Tensor, won: Tensor) -> Tensor:
    return functional.cross_entropy(raw, won.long(), label_smoothing=0.1)


@pytest.mark.parametrize(
    ("script", "play"),
    [
        (Script(policy_loss=one_by_one, batch=32), Play()),
        (Script(policy_loss=with_own_entropy), Play()),
        (Script(network=Masked), PlayOf(Masked())),
        (
            Script(network=Classes, loss=smoothed, optimiser=lambda n: torch.optim.Adam(
                n.parameters(), 0.05
            )),
            PlayOf(Classes(), lambda raw: raw.softmax(1)[:, 1]),
        ),
    ],
    ids=["moves one by one", "an entropy of its own", "masked moves", "smoothed classes"],
)  # fmt: skip
def test_a_sound_training_of_another_form_has_no_finding(
    script: Script, play: Play, played: GameArchive
) -> None:
    assert not findings(played, script, play)


def test_swapped_arguments_of_a_divergence_are_named(played: GameArchive) -> None:
    def swapped(logits: Tensor, cells: Tensor) -> Tensor:
        target = 0.9 * functional.one_hot(cells, SIZE**2) + 0.1 / SIZE**2
        return functional.kl_div(target.log(), logits.softmax(1), reduction="batchmean")

    first = findings(played, Script(policy_loss=swapped), Play())[0]
    assert "the arguments of kl_div are swapped" in first.cause


@pytest.mark.parametrize("network", [Net, Back])
def test_a_policy_may_be_turned_back_in_the_network(
    network: Callable[[], Net], played: GameArchive
) -> None:
    found = findings(played, Script(network=network, shown=framed), PlayOf(network()), framed)
    causes = [each.cause for each in found]
    assert len(causes) == (network is Net)
    assert all("numbered by columns" in cause for cause in causes)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.LBFGS])
def test_an_optimiser_may_compute_its_gradients_in_a_closure(
    kind: type[torch.optim.Optimizer], played: GameArchive
) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        optimiser = kind(net.parameters(), lr=1e-3)  # type: ignore[call-arg]
        for _ in range(20):
            chosen = [rows[index] for index in torch.randperm(len(rows))[:64].tolist()]
            planes, cells, won = zip(*chosen, strict=True)

            def loss(p: Any = planes, c: Any = cells, w: Any = won) -> Tensor:
                optimiser.zero_grad()
                policy, raw = net(torch.from_numpy(np.stack(p)))
                both = functional.cross_entropy(policy, torch.tensor(c)) + bce(raw, torch.tensor(w))
                torch.autograd.backward(both)
                return both.detach()

            optimiser.step(loss)  # type: ignore[arg-type]

    assert not [each for each in findings(played, train, Play()) if each.severity == "error"]


class Actor(nn.Module):
    """The policy of a network of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()
        self.net.value.requires_grad_(False)

    def forward(self, planes: Tensor) -> Tensor:
        policy: Tensor = self.net(planes)[0]
        return policy


class Critic(nn.Module):
    """The value of a network of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 32), nn.ReLU())
        self.out = nn.Linear(32, 1)

    def forward(self, planes: Tensor) -> Tensor:
        value: Tensor = self.out(self.layers(planes))[:, 0]
        return value


class Pair(nn.Module):
    """Both, at inference."""

    def __init__(self) -> None:
        super().__init__()
        self.actor, self.critic = Actor(), Critic()

    def forward(self, planes: Tensor) -> dict[str, Tensor]:
        return {"policy": self.actor(planes), "value": self.critic(planes)}


@pytest.mark.parametrize("inverted", [False, True])
def test_two_networks_are_looked_at_together(inverted: bool, played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        actor, critic = Actor(), Critic()
        weights = [each for each in actor.parameters() if each.requires_grad]
        of_actor = torch.optim.Adam(weights, 1e-3)
        of_critic = torch.optim.SGD(critic.parameters(), 0.05, momentum=0.9)
        rows = Script().rows(games)
        for _ in range(20):
            chosen = torch.randperm(len(rows))[:64].tolist()
            planes = torch.from_numpy(np.stack([rows[index][0] for index in chosen]))
            cells = torch.tensor([rows[index][1] for index in chosen])
            won = torch.tensor([rows[index][2] for index in chosen])
            of_actor.zero_grad()
            torch.autograd.backward(functional.cross_entropy(actor(planes), cells))
            of_actor.step()
            of_critic.zero_grad()
            torch.autograd.backward(bce(critic(planes), 1 - won if inverted else won))
            of_critic.step()

    found = findings(played, train, PlayOf(Pair()))
    told = [each.cause for each in found if each.check == "training value"]
    assert [cause for cause in told if "every label is inverted" in cause] == told
    assert bool(told) == inverted


def test_a_warning_of_the_training_becomes_the_error_that_follows_from_it() -> None:
    of_training = Check("training steps", "answers", ("own_training",), lambda _: iter(()))
    of_answers = Check("calibration", "answers", (), lambda _: iter(()))
    decay = Finding.warning("training steps", "", "decay", "", root="decay")
    reading = Finding.error("calibration", "", "reading", "", root="reading")
    ((_, first),) = merged([(of_answers, reading), (of_training, decay)])
    assert (first.cause, first.severity) == ("decay", "error")
