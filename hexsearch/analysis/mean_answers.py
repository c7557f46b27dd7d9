"""Networks whose answer is a mean: over symmetries, or with the likeliest next moves."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.encoder import RECENCY, PositionEncoder
from hexsearch.errors import ContractError
from hexsearch.model.network import NetworkOutput
from hexsearch.model.readout import Readout

Rule = Callable[[Tensor], Tensor]  # raw values [B] to raw values [B]

# Planes; in the absolute perspective Blue, Red and side to move. A history plane is the last one.
_OWN, _OTHER, _MOVER = 0, 1, 2
_TRUST = 6.0  # weight of a chance against the logarithm of a move's probability
_PROBES = torch.tensor([-1.5, -0.4, 0.3, 0.5, 0.9, 2.0])  # raw values at which rules are compared


class SymmetricMean(nn.Module):
    """A network whose raw outputs are means over the symmetries that its planes leave open.

    These are the half turn and, in the absolute perspective, the two reflections with exchanged
    colours. In the mover's perspective the side to move decides whether a board is reflected.

    Args:
        opposite: raw value [B] of one side -> raw value of the other one; see `opposite_raw`. None
            in the mover's perspective.
    """

    def __init__(self, network: nn.Module, size: int, opposite: Rule | None) -> None:
        super().__init__()
        self.network = network
        self._size = size
        self._opposite = opposite

    def forward(self, planes: Tensor) -> NetworkOutput:
        """Means of the outputs for all views of planes [B, C, N, N], turned back."""
        mean = self._over_half_turn(planes)
        if self._opposite is None:
            return mean
        reflected = self._over_half_turn(_reflected(planes))
        policy = reflected.policy_logits.reshape(-1, self._size, self._size)
        policy = policy.transpose(1, 2).flatten(1)
        value = self._opposite(reflected.value_raw)
        return NetworkOutput((mean.policy_logits + policy) / 2, (mean.value_raw + value) / 2)

    def _over_half_turn(self, planes: Tensor) -> NetworkOutput:
        as_is, turned = self.network(planes), self.network(planes.flip((-2, -1)))
        return NetworkOutput(
            (as_is.policy_logits + turned.policy_logits.flip(-1)) / 2,
            (as_is.value_raw + turned.value_raw) / 2,
        )


class NextMoveMean(nn.Module):
    """A network whose raw value is the mean over a position and those after its likeliest moves.

    In the mover's perspective the later positions are shown from the other side, so the network
    judges nearly the same board by unlike inputs. Each of several moves weighs as much as its
    probability times exp(6 p), where p is the mover's chance behind it. This is the policy that a
    search with as much trust in its values would play (regularised policy optimisation, Grill et
    al., arXiv:2007.12509).

    Args:
        encoder: the encoder of the planes.
        readout: from raw values to chances.
        moves: number of moves.
    Raises:
        ContractError: the read-out has no rule from one side's raw value to the other's.
    """

    def __init__(
        self, network: nn.Module, encoder: PositionEncoder, readout: Readout, moves: int = 1
    ) -> None:
        super().__init__()
        self.network = network
        self._encoder, self._readout = encoder, readout
        self._moves = min(moves, encoder.size**2)
        self._opposite = opposite_raw(readout)

    def forward(self, planes: Tensor) -> NetworkOutput:
        """The policy for planes [B, C, N, N], and the mean of the raw values."""
        output = self.network(planes)
        legal = legal_logits(planes, output.policy_logits, self._encoder)
        logits, cells = legal.topk(self._moves, dim=1)  # [B, K]
        # One move after the other: all at once they would need K times the memory.
        later = [after_move(planes, cell, self._encoder) for cell in cells.unbind(dim=1)]
        value = torch.stack([self.network(board).value_raw for board in later], dim=1)  # [B, K]
        if self._encoder.perspective == "mover":
            value = self._opposite(value)
            chance = self._readout.win_prob(value)
            can_move = legal.amax(dim=1) > -torch.inf
        else:
            mover = planes[:, _MOVER, 0, :1]  # [B, 1]
            ours = torch.where(mover > 0.5, value, self._opposite(value))
            chance = self._readout.win_prob(ours)
            can_move = (legal.amax(dim=1) > -torch.inf) & (mover[:, 0] != 0.5)  # 0.5: game over
        weights = torch.softmax(logits + _TRUST * chance, dim=1)
        mean = (output.value_raw + (weights * value).sum(dim=1)) / 2
        return NetworkOutput(output.policy_logits, torch.where(can_move, mean, output.value_raw))


def legal_logits(planes: Tensor, policy_logits: Tensor, encoder: PositionEncoder) -> Tensor:
    """[B, N*N] logits of the free cells, and minus infinity for the others.

    Args:
        planes: [B, C, N, N], or N + 2 with the edge ring.
    """
    size, margin = encoder.size, int(encoder.edge_ring)
    board = planes[:, :, margin : margin + size, margin : margin + size]
    taken = (board[:, _OWN] + board[:, _OTHER]).flatten(1) > 0
    return policy_logits.masked_fill(taken, -torch.inf)


def after_move(planes: Tensor, cell: Tensor, encoder: PositionEncoder) -> Tensor:
    """Planes after a move, as the encoder shows them to the side that is next.

    Planes in the mover's perspective do not say that a game is over; a finished board gets one
    more stone there, which does not change who has won.

    Args:
        planes: [B, C, N, N], or N + 2 with the edge ring.
        cell: [B] a free cell of the board as shown.
    """
    size, margin = encoder.size, int(encoder.edge_ring)
    # Sums, not assignments at indices: these can be exported, too.
    stone = functional.one_hot(cell, size * size).to(planes.dtype).reshape(-1, size, size)
    stone = functional.pad(stone, (margin,) * 4)
    own, other = planes[:, _OWN], planes[:, _OTHER]
    history = [planes[:, -1] * RECENCY + stone] if encoder.history else []
    if encoder.perspective == "mover":
        # The other side connects top to bottom now: reflect the board and exchange the colours.
        return torch.stack([other, own + stone, *history], dim=1).transpose(-2, -1)
    mover = planes[:, _MOVER]
    own, other = own + stone * (1.0 - mover), other + stone * mover
    return torch.stack([own, other, 1.0 - mover, *history], dim=1)


def _reflected(planes: Tensor) -> Tensor:
    """Absolute planes of boards reflected in the long diagonal, with exchanged colours."""
    mover, history = planes[:, _MOVER : _MOVER + 1], planes[:, _MOVER + 1 :]
    exchanged = torch.cat([planes[:, [_OTHER, _OWN]], 1.0 - mover, history], dim=1)
    return exchanged.transpose(-2, -1)


def opposite_raw(readout: Readout) -> Rule:
    """The rule that gives the raw value of 1 - p from that of p.

    Raises:
        ContractError: the read-out is symmetric neither about 0 nor about 0.5.
    """
    rules: tuple[Rule, ...] = (torch.neg, lambda raw: 1.0 - raw)
    for rule in rules:
        there = readout.win_prob(rule(_PROBES))
        if torch.allclose(there, 1.0 - readout.win_prob(_PROBES), atol=1e-5):
            return rule
    raise ContractError(
        "the read-out gives no rule from the raw value of one side to that of the other (1 - p for "
        "-raw or for 1 - raw), so the answers of two sides cannot be averaged"
    )
