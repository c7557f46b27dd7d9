"""Networks whose answer is a mean: over symmetries, or with the likeliest next move."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.encoder import PositionEncoder
from hexsearch.errors import ContractError
from hexsearch.model.network import NetworkOutput
from hexsearch.model.readout import Readout

Rule = Callable[[Tensor], Tensor]  # raw values [B] to raw values [B]

_OWN, _OTHER, _MOVER = 0, 1, 2  # planes; in the absolute perspective Blue, Red and side to move
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
    """A network whose raw value is the mean over a position and the one after its likeliest move.

    In the mover's perspective the second position is shown from the other side, so the network
    judges nearly the same board twice, by unlike inputs.

    Args:
        encoder: the encoder of the planes.
        opposite: raw value [B] of one side -> raw value of the other one; see `opposite_raw`.
    """

    def __init__(self, network: nn.Module, encoder: PositionEncoder, opposite: Rule) -> None:
        super().__init__()
        self.network = network
        self._encoder = encoder
        self._opposite = opposite

    def forward(self, planes: Tensor) -> NetworkOutput:
        """The policy for planes [B, C, N, N], and the mean of the two raw values."""
        output = self.network(planes)
        after, moved = after_likeliest_move(planes, output.policy_logits, self._encoder)
        value = self.network(after).value_raw
        if self._encoder.perspective == "mover":
            value = self._opposite(value)
        mean = (output.value_raw + value) / 2
        return NetworkOutput(output.policy_logits, torch.where(moved, mean, output.value_raw))


def after_likeliest_move(
    planes: Tensor, policy_logits: Tensor, encoder: PositionEncoder
) -> tuple[Tensor, Tensor]:
    """Planes after the likeliest legal move, as the encoder shows them to the side that is next.

    Planes in the mover's perspective do not say that a game is over; a finished board gets one
    more stone there, which does not change who has won.

    Args:
        planes: [B, C, N, N], or N + 2 with the edge ring.
        policy_logits: [B, N*N].
    Returns:
        The planes, and [B] bool: whether there was a move. Without one the planes have no meaning.
    """
    size, margin = encoder.size, int(encoder.edge_ring)
    board = planes[:, :, margin : margin + size, margin : margin + size]
    taken = (board[:, _OWN] + board[:, _OTHER]).flatten(1) > 0
    cell = policy_logits.masked_fill(taken, -torch.inf).argmax(dim=1)
    moved = ~taken.all(dim=1)
    # Sums, not assignments at indices: these can be exported, too.
    stone = functional.one_hot(cell, size * size).to(planes.dtype).reshape(-1, size, size)
    stone = functional.pad(stone, (margin,) * 4)
    own, other = planes[:, _OWN], planes[:, _OTHER]
    if encoder.perspective == "mover":
        # The other side connects top to bottom now: reflect the board and exchange the colours.
        return torch.stack([other, own + stone], dim=1).transpose(-2, -1), moved
    mover = planes[:, _MOVER]
    after = torch.stack([own + stone * (1.0 - mover), other + stone * mover, 1.0 - mover], dim=1)
    return after, moved & (mover[:, 0, 0] != 0.5)  # 0.5: the game is over


def _reflected(planes: Tensor) -> Tensor:
    """Absolute planes of boards reflected in the long diagonal, with exchanged colours."""
    exchanged = torch.cat([planes[:, [_OTHER, _OWN]], 1.0 - planes[:, _MOVER:]], dim=1)
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
