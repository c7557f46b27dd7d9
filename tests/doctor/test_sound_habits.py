"""Sound habits of strangers that once had an error: parts, mixup, work by hand, quantisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.network.independence import independence_findings
from hexsearch.doctor.own_training.mixed_planes import are_blends
from tests.doctor.own_scripts import SIZE, Games, Net, Play, Script, bce
from tests.doctor.test_own_training_forms import findings, played

__all__ = ["played"]


def tensors(games: Games) -> tuple[Tensor, Tensor, Tensor]:
    """Planes, moves and results of all positions."""
    planes, cells, won = zip(*Script().rows(games), strict=True)
    return torch.from_numpy(np.stack(planes)), torch.tensor(cells), torch.tensor(won)


@pytest.mark.parametrize("has_value", [True, False])
def test_a_value_head_may_be_trained_after_the_policy(has_value: bool, played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, (planes, cells, won) = Net(), tensors(games)
        first = torch.optim.Adam([*net.body.parameters(), *net.policy.parameters()], 1e-3)
        for _ in range(60):
            rows = torch.randint(len(planes), (64,))
            first.zero_grad()
            torch.autograd.backward(functional.cross_entropy(net(planes[rows])[0], cells[rows]))
            first.step()
        second = torch.optim.Adam(net.value.parameters(), 1e-3)
        for _ in range(60 if has_value else 0):
            rows = torch.randint(len(planes), (64,))
            second.zero_grad()
            torch.autograd.backward(bce(net(planes[rows])[1], won[rows]))
            second.step()

    errors = [each for each in findings(played, train, Play()) if each.severity == "error"]
    assert bool(errors) != has_value, errors


def test_mixup_is_no_training_on_other_targets(played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        net, (planes, cells, won) = Net(), tensors(games)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(40):
            rows, others = torch.randint(len(planes), (2, 64))
            share = float(rng.beta(0.2, 0.2))
            blend = share * planes[rows] + (1 - share) * planes[others]
            moves = share * functional.one_hot(cells[rows], SIZE**2).float()
            moves += (1 - share) * functional.one_hot(cells[others], SIZE**2).float()
            policy, raw = net(blend)
            target = share * won[rows] + (1 - share) * won[others]
            optimiser.zero_grad()
            torch.autograd.backward(functional.cross_entropy(policy, moves) + bce(raw, target))
            optimiser.step()

    assert not [each for each in findings(played, train, Play()) if each.severity == "error"]


def test_blends_are_told_from_planes_with_other_numbers() -> None:
    boards = torch.bernoulli(torch.full((128, 3, SIZE, SIZE), 0.4))
    shares = torch.rand(128, 1, 1, 1)
    counted = torch.cat([boards, (shares * 20).round().expand(-1, 1, SIZE, SIZE) / 20], dim=1)
    assert are_blends(shares * boards + (1 - shares) * boards.flip(0))
    assert not are_blends(boards)
    assert not are_blends(counted * torch.tensor([1.0, 1.0, 0.5, 0.7])[:, None, None])


def test_a_training_by_hand_cannot_be_watched(played: GameArchive) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        planes, _, won = tensors(games)
        weights = torch.zeros(3 * SIZE**2, requires_grad=True)
        for _ in range(30):
            loss = bce(planes.flatten(1) @ weights, won)
            (slope,) = torch.autograd.grad(loss, [weights])
            with torch.no_grad():
                weights -= 0.1 * slope

    (found,) = [each for each in findings(played, train, Play()) if each.root == "no step"]
    assert found.severity == "info"
    assert "torch.autograd.grad(loss" in found.evidence


class Flat(nn.Module):
    """A policy and a value from linear layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 17))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        answers = self.layers(planes)
        return answers[:, :16], answers[:, 16]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_dynamic_quantisation_is_a_warning_by_its_name() -> None:
    quantised = torch.ao.quantization.quantize_dynamic
    network = quantised(Flat().eval(), {nn.Linear}, torch.qint8)  # type: ignore[no-untyped-call]
    planes = torch.randn(32, 2, 4, 4, generator=torch.Generator().manual_seed(0)).exp()

    def respond(rows: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            answers: tuple[Tensor, Tensor] = network(rows)
            return answers

    (found,) = independence_findings(respond, planes)
    assert (found.severity, "quantised dynamically" in found.cause) == ("warning", True)
