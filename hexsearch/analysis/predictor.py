"""A network that answers: one encoder, one read-out, every number as `win_prob_red`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.analysis.boards import Positions
from hexsearch.data.encoder import PositionEncoder
from hexsearch.game.board import cell_name
from hexsearch.game.symmetry import symmetry_cells
from hexsearch.model.network import NetworkOutput
from hexsearch.model.readout import Readout, win_prob_red

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_BATCH = 512


@dataclass(frozen=True)
class Answers:
    """What a network says about [P] positions.

    Attributes:
        win_prob_red: [P] in [0, 1].
        value_raw: [P] float32 raw value outputs, in the network's own perspective.
        policy: [P, N*N] move probabilities on the real board; taken cells have none, and a
            finished position has only zeros.
    """

    win_prob_red: Floats
    value_raw: NDArray[np.float32]
    policy: Floats


@dataclass(frozen=True)
class Predictor:
    """Network, read-out and encoder that belong together.

    Attributes:
        bfloat16: compute in it, which is faster on processors and cards that know it, and changes
            probabilities by about a hundredth.
    """

    network: nn.Module
    readout: Readout
    encoder: PositionEncoder
    device: torch.device
    bfloat16: bool = False

    def forward(self, planes: Tensor) -> NetworkOutput:
        """Raw answers in eval mode, as float32, without gradients."""
        with torch.inference_mode(), in_eval_mode(self.network), self._autocast():
            shown = planes.to(self.device).contiguous(memory_format=torch.channels_last)
            output = self.network(shown)
            return NetworkOutput(output.policy_logits.float(), output.value_raw.float())

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def answer(self, positions: Positions, turn: bool = False, reflect: bool = False) -> Answers:
        """Answers, the positions shown under one symmetry.

        Args:
            turn: show every position after a half turn.
            reflect: show it reflected and recoloured. A `mover` encoder decides this itself
                where somebody is to move, so there it only counts for finished positions.
        """
        count = len(positions)
        swap = np.full(count, reflect)
        if self.encoder.perspective == "mover":
            swap = np.where(positions.finished, swap, positions.plies % 2 == 1)
        symmetries = np.full(count, turn, dtype=np.int64) + 2 * swap
        ends = np.cumsum(positions.plies)
        parts = [
            self._part(positions, symmetries, ends, slice(start, start + _BATCH))
            for start in range(0, count, _BATCH)
        ]
        return Answers(
            win_prob_red=np.concatenate([part.win_prob_red for part in parts]),
            value_raw=np.concatenate([part.value_raw for part in parts]),
            policy=np.concatenate([part.policy for part in parts]),
        )

    def symmetric_answer(self, positions: Positions) -> Answers:
        """The mean of the answers under all four symmetries."""
        views = [self.answer(positions, bool(view & 1), bool(view & 2)) for view in range(4)]
        return Answers(
            win_prob_red=np.mean([view.win_prob_red for view in views], axis=0),
            value_raw=np.mean([view.value_raw for view in views], axis=0),
            policy=np.mean([view.policy for view in views], axis=0),
        )

    def _part(
        self,
        positions: Positions,
        symmetries: NDArray[np.int64],
        ends: NDArray[np.int64],
        at: slice,
    ) -> Answers:
        plies, shown = positions.plies[at], symmetries[at]
        last = ends[at]
        cells = positions.cells[int(last[0] - plies[0]) : int(last[-1])]
        planes = self.encoder.encode(cells, plies, shown, positions.finished[at])
        output = self.forward(torch.from_numpy(planes))
        complement = torch.from_numpy(self.encoder.complement(shown)).to(self.device)
        probability = win_prob_red(self.readout, output.value_raw, complement)
        return Answers(
            win_prob_red=probability.cpu().numpy().astype(np.float64),
            value_raw=output.value_raw.cpu().numpy(),
            policy=self._policy(output.policy_logits, cells, plies, shown, positions.finished[at]),
        )

    def _policy(
        self,
        logits: Tensor,
        cells: NDArray[np.int64],
        plies: NDArray[np.int64],
        symmetries: NDArray[np.int64],
        finished: Flags,
    ) -> Floats:
        """Softmax over free cells, carried back to the real board."""
        rows = np.arange(len(plies))[:, None]
        # In float32, as the logits are: exponentials of the search's leaves are many.
        weights = logits.cpu().numpy()[rows, symmetry_cells(self.encoder.size)[symmetries]]
        weights[np.repeat(np.arange(len(plies)), plies), cells] = -np.inf
        highest = weights.max(axis=1, keepdims=True)
        over = finished | np.isneginf(highest[:, 0])
        weights[over] = highest[over] = 0.0  # keeps the softmax finite; cleared below
        weights -= highest
        policy: Floats = np.exp(weights, out=weights).astype(np.float64)
        policy /= policy.sum(axis=1, keepdims=True)
        policy[over] = 0.0
        return policy


def best_moves(policy: Floats, size: int, top: int) -> tuple[tuple[str, float], ...]:
    """The likeliest moves of one position by name, each with its probability.

    Args:
        policy: [N*N] move probabilities.
    """
    best = [int(cell) for cell in np.argsort(-policy, kind="stable")[:top] if policy[cell] > 0]
    return tuple((cell_name(cell, size), float(policy[cell])) for cell in best)


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """Every module in eval mode; afterwards each is as it was."""
    training = [module for module in network.modules() if module.training]
    if training:  # asked for every leaf of a search, so the usual case does as little as it can
        network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
