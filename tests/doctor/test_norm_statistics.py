"""Inputs of batch norms are compared with their statistics over all positions together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hexsearch.doctor.hypotheses.general.norm_statistics import first_gap, norm_gaps


class InPieces(nn.Module):
    """A network that answers so many positions at a time."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows
        self.layers = nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8),
        )  # fmt: skip

    def forward(self, planes: Tensor) -> Tensor:
        return torch.cat([self.layers(part) for part in torch.split(planes, self.rows)])


@pytest.fixture
def planes() -> Tensor:
    """Positions of games, in order: early ones have few stones."""
    generator = torch.Generator().manual_seed(3)
    share = torch.linspace(0.0, 1.0, 96)[:, None, None, None]
    return (torch.rand(96, 2, 5, 5, generator=generator) < share).float()


def trained(planes: Tensor) -> InPieces:
    """With the statistics of all positions."""
    torch.manual_seed(1)
    network = InPieces(len(planes))
    for _ in range(100):
        network(planes)
    return network.eval()


def test_a_network_that_answers_in_pieces_has_the_gaps_of_all_positions(planes: Tensor) -> None:
    network = trained(planes)
    at_once = norm_gaps(network, lambda: network(planes))
    network.rows = 8
    in_pieces = norm_gaps(network, lambda: network(planes))
    assert [each.name for each in in_pieces] == ["layers.1", "layers.4"]
    for piece, whole in zip(in_pieces, at_once, strict=True):
        assert piece.gap == pytest.approx(whole.gap, abs=1e-5) and piece.gap < 0.05
    assert first_gap(network, "layers.1", planes) == pytest.approx(at_once[0].gap, abs=1e-5)


def test_positions_of_another_kind_have_a_gap_however_they_are_asked(planes: Tensor) -> None:
    network = trained(planes)
    network.rows = 8
    assert first_gap(network, "layers.1", planes[:24]) > 0.3
    assert first_gap(network, "layers.4", planes[:24]) > 0.3


def test_norms_in_training_mode_have_no_gap(planes: Tensor) -> None:
    network = trained(planes).train()
    assert norm_gaps(network, lambda: network(planes)) == []
    assert first_gap(network, "layers.1", planes) == float("inf")
