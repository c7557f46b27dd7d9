"""Tests of what is said of habits of a user: of losses, schedules, samplers, modes and networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.network.independence import independence_findings
from hexsearch.doctor.checks.network.shown_boards import shown_wrongly
from hexsearch.doctor.checks.training.reach import check_bounded_answers
from hexsearch.doctor.checks.training.structure import check_called
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from tests.doctor.own_scripts import SIZE, Board, Games, Net, Planes, Play, Script, bce, encode
from tests.doctor.test_kinds_of_own_losses import Loss
from tests.doctor.test_own_training_forms import Classes, PlayOf, findings
from tests.doctor.test_own_training_later import Rows, batch, drawn, played

__all__ = ["played"]

Optimiser = torch.optim.Optimizer
_HELD = 128  # rows that are evaluated


def usual(policy: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    return functional.cross_entropy(policy, cells) + bce(raw, won)


def adam(net: nn.Module) -> Optimiser:
    return torch.optim.Adam(net.parameters(), 1e-3)


def descent(net: nn.Module) -> Optimiser:
    return torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)


@dataclass(frozen=True)
class Habit:
    """A training of `steps` steps, with places for habits.

    Attributes:
        micro: batches whose gradients are added up for a step.
        schedule: from the optimiser to what is called with the number of each step.
        after: is called with the network, rows to evaluate and the number of each step.
    """

    network: Callable[[], nn.Module] = Net
    loss: Loss = usual
    optimiser: Callable[[nn.Module], Optimiser] = adam
    plies: Callable[[int], range] = range
    chosen: Callable[[Rows], list[int]] = drawn
    micro: int = 1
    schedule: Callable[[Optimiser], Callable[[int], object]] = lambda _: lambda number: None
    after: Callable[[nn.Module, Tensor, int], object] = lambda net, held, number: None
    steps: int = 30

    def __call__(self, games: Games) -> None:
        torch.manual_seed(0)
        net, rows = self.network().train(), Script(plies=self.plies).rows(games)
        optimiser = self.optimiser(net)
        follow, held = self.schedule(optimiser), batch(rows, list(range(_HELD)))[0]
        for number in range(self.steps):
            optimiser.zero_grad()
            for _ in range(self.micro):
                planes, cells, won = batch(rows, self.chosen(rows))
                policy, raw = net(planes)
                torch.autograd.backward(self.loss(policy, raw, cells, won))
            optimiser.step()
            follow(number)
            self.after(net, held, number)


def is_named(words: str, habit: Habit, archive: GameArchive, play: Play | None = None) -> bool:
    return any(words in each.cause for each in findings(archive, habit, play or Play()))


def with_entropy(factor: float, policy: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    entropy = -(policy.softmax(1) * policy.log_softmax(1)).sum(1).mean()
    return usual(policy, raw, cells, won) + factor * entropy


@pytest.mark.parametrize(("factor", "wrong"), [(0.3, True), (-0.03, False)])
def test_an_entropy_must_be_subtracted(factor: float, wrong: bool, played: GameArchive) -> None:
    habit = Habit(loss=partial(with_entropy, factor))
    assert is_named("the entropy bonus has the wrong sign: 0.3", habit, played) == wrong


@pytest.mark.parametrize(("ignored", "wrong"), [(0, True), (-100, False)])
def test_a_class_that_is_ignored(ignored: int, wrong: bool, played: GameArchive) -> None:
    def loss(policy: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
        value = functional.cross_entropy(raw, won.long(), ignore_index=ignored)
        return functional.cross_entropy(policy, cells) + value

    play = PlayOf(Classes(), lambda raw: raw.softmax(1)[:, 1])
    words = "positions that Blue won never count in the value loss (an ignore_index"
    assert is_named(words, Habit(Classes, loss), played, play) == wrong


@pytest.mark.parametrize(("divisor", "wrong"), [(1, True), (8, False)])
def test_losses_of_micro_batches_are_divided(
    divisor: int, wrong: bool, played: GameArchive
) -> None:
    def loss(policy: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
        return usual(policy, raw, cells, won) / divisor

    habit = Habit(loss=loss, optimiser=descent, micro=8, steps=6)
    words = "losses of 8 micro-batches are added without being divided"
    assert is_named(words, habit, played) == wrong


@pytest.mark.parametrize(("length", "wrong"), [(3, True), (100, False)])
def test_a_rate_that_swings(length: int, wrong: bool, played: GameArchive) -> None:
    def schedule(optimiser: Optimiser) -> Callable[[int], object]:
        annealed = CosineAnnealingLR(optimiser, T_max=length)
        return lambda number: annealed.step()

    habit = Habit(optimiser=descent, schedule=schedule)
    words = "the learning rate swings between its highest value and nothing every 6 steps"
    assert is_named(words, habit, played) == wrong


@pytest.mark.parametrize(("mode", "wrong"), [("max", True), ("min", False)])
def test_a_schedule_that_waits_for_a_loss_to_rise(
    mode: str, wrong: bool, played: GameArchive
) -> None:
    def schedule(optimiser: Optimiser) -> Callable[[int], object]:
        plateau = ReduceLROnPlateau(optimiser, mode=mode, patience=0)  # type: ignore[arg-type]
        return lambda number: plateau.step(1.0 / (1 + number)) if number % 10 == 9 else None

    words = "waits for a figure to rise (mode 'max'), and is given one that falls"
    assert is_named(words, Habit(schedule=schedule), played) == wrong


class Ended(Net):
    """With something behind the last layer of the value."""

    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.end = end

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy, self.end(value)


def squared(policy: Tensor, raw: Tensor, cells: Tensor, won: Tensor) -> Tensor:
    return functional.cross_entropy(policy, cells) + functional.mse_loss(raw, won)


@pytest.mark.parametrize(
    ("end", "loss", "words"),
    [
        (lambda value: value.clamp(0, 1), squared, "a limit cuts the value off before the loss"),
        (torch.sigmoid, squared, ""),
        (nn.Dropout(0.4), usual, "dropout stands behind the last layer, on the output"),
    ],
    ids=["clamp", "sigmoid", "dropout"],
)
def test_a_value_that_is_cut_off(
    end: Callable[[Tensor], Tensor], loss: Loss, words: str, played: GameArchive
) -> None:
    found = findings(played, Habit(lambda: Ended(end), loss), Play())
    told = [each.cause for each in found if each.root == "squashed"]
    assert [words in each for each in told] == [True] * bool(words), found


@pytest.mark.parametrize(("rows", "wrong"), [(60, True), (1_000_000, False)])
def test_only_the_first_rows_are_drawn(rows: int, wrong: bool, played: GameArchive) -> None:
    def chosen(made: Rows) -> list[int]:
        return torch.randint(min(rows, len(made)), (64,)).tolist()

    words = "position(s), those of the first 2 of 60 games, are ever drawn"
    assert is_named(words, Habit(chosen=chosen), played) == wrong


def test_a_buffer_that_is_filled_by_and_by_is_a_warning(played: GameArchive) -> None:
    filled = int(played.lengths[:8].sum())
    habit = Habit(chosen=lambda made: torch.randint(filled, (64,)).tolist())
    (found,) = [each for each in findings(played, habit, Play()) if each.root == "stages"]
    assert found.severity == "warning"
    assert "a buffer that is filled by and by" in found.cause


@pytest.mark.parametrize(("cut", "wrong"), [(12, True), (0, False)])
def test_the_ends_of_games_are_cut_off(cut: int, wrong: bool, played: GameArchive) -> None:
    habit = Habit(plies=lambda length: range(length - cut))
    assert is_named("the last 12 plies of every game are cut off", habit, played) == wrong


@pytest.mark.parametrize("back", [True, False])
def test_modes_after_an_evaluation(back: bool, played: GameArchive) -> None:
    def evaluated(net: nn.Module, held: Tensor, number: int) -> None:
        if number == 20:
            net.eval()
            with torch.no_grad():
                net(held)
            net.train(back)

    words = "after an evaluation the network stays in eval mode"
    assert is_named(words, Habit(after=evaluated), played) != back


def of_network(
    archive: GameArchive, play: Play, shown: Callable[[Board, int], Planes] = encode
) -> ExaminedPipeline:
    foreign = ForeignNetwork(play, shown, SIZE)
    return ExaminedPipeline("own", archive=archive, foreign=foreign)


def of_sides(stones: Board, to_move: int, complement: bool) -> Planes:
    mine = stones == to_move
    theirs = ~mine if complement else stones == -to_move
    return np.stack([mine, theirs, np.full(stones.shape, to_move == 1)]).astype(np.float32)


@pytest.mark.parametrize("complement", [True, False])
def test_free_cells_are_no_stones(complement: bool, played: GameArchive) -> None:
    pipeline = of_network(played, Play(), partial(of_sides, complement=complement))
    found = list(shown_wrongly(needed(pipeline.foreign), needed(pipeline.observed)))
    words = "free cells count as stones of the other side (~mine"
    assert [words in each.cause for each in found] == [True] * complement, found


class Attending(nn.Module):
    """Attention over the cells, with a mask, and with codes of their places."""

    def __init__(self, mask: Tensor | None = None, along_batch: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embed = nn.Conv2d(3, 8, 3, padding=1)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.policy, self.value = nn.Linear(8, 1), nn.Linear(8 * SIZE**2, 1)
        codes = torch.randn(SIZE**2, 1, 8)
        self.codes = codes if along_batch else codes.transpose(0, 1)
        self.mask = mask

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        cells = self.embed(planes).flatten(2).transpose(1, 2)
        cells = cells + self.codes[: len(cells)]
        mixed = cells + self.attend(cells, cells, cells, attn_mask=self.mask)[0]
        return self.policy(mixed)[..., 0], self.value(mixed.flatten(1))[:, 0]


class Narrow(Attending):
    """With a tanh behind the value, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        with torch.no_grad():
            self.value.bias.add_(0.4)  # so that there are values of both signs

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy, self.factor * value.tanh()


@pytest.mark.parametrize(("factor", "wrong"), [(0.25, True), (1.0, False)])
def test_a_value_of_a_narrow_range(factor: float, wrong: bool, played: GameArchive) -> None:
    play = PlayOf(Narrow(factor), lambda raw: (raw + 1) / 2)
    found = list(check_bounded_answers(of_network(played, play)))
    words = "ever answered below 0.38 or above 0.62"
    assert [words in each.cause for each in found] == [True] * wrong, found


def near() -> Tensor:
    """[N*N, N*N] whether two cells are at most two steps from each other."""
    places = torch.cartesian_prod(torch.arange(SIZE), torch.arange(SIZE))
    return (places[:, None] - places).abs().amax(dim=2) <= 2


@pytest.mark.parametrize("inverted", [True, False])
def test_a_mask_of_attention(inverted: bool, played: GameArchive) -> None:
    net = Attending(near() if inverted else ~near())
    found = list(check_called(of_network(played, PlayOf(net))))
    words = "the attention mask is inverted: in nn.MultiheadAttention True means"
    assert [words in each.cause for each in found] == [True] * inverted, found


@pytest.mark.parametrize("along_batch", [True, False])
def test_codes_of_places_go_over_the_cells(along_batch: bool) -> None:
    planes = (
        torch.rand(40, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(4)) < 0.3
    ).float()
    net = Attending(along_batch=along_batch).eval()
    with torch.no_grad():
        found = list(independence_findings(net, planes))
    words = "something is added along the batch dimension"
    assert any(words in each.cause for each in found) == along_batch, found
