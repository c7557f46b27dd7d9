"""A predictor: network, encoder and read-out, which gives `win_prob_red` for positions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.analysis.boards import Positions
from hexsearch.analysis.mean_answers import NextMoveMean, SymmetricMean, opposite_raw
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
    """Answers of a network for [P] positions.

    Attributes:
        win_prob_red: [P] probability in [0, 1] that Red wins.
        value_raw: [P] float32 raw values, in the network's own perspective.
        policy: [P, N*N] move probabilities on the real board. They are 0 for occupied cells and
            in finished positions.
    """

    win_prob_red: Floats
    value_raw: NDArray[np.float32]
    policy: Floats


@dataclass(frozen=True)
class Predictor:
    """A network with its read-out and encoder.

    Attributes:
        bfloat16: compute in bfloat16, which is faster on processors and GPUs that support it.
    """

    network: nn.Module
    readout: Readout
    encoder: PositionEncoder
    device: torch.device
    bfloat16: bool = False

    def forward(self, planes: Tensor) -> NetworkOutput:
        """Raw outputs in eval mode and float32, without gradients."""
        with torch.inference_mode(), in_eval_mode(self._modules), self._autocast():
            on_device = planes.to(self.device).contiguous(memory_format=torch.channels_last)
            output = self.network(on_device)
            return NetworkOutput(output.policy_logits.float(), output.value_raw.float())

    def averaged(self) -> Predictor:
        """A predictor that averages over the symmetries which its perspective leaves open.

        It takes twice the time, or four times that in the absolute perspective.

        Raises:
            ContractError: the read-out has no rule from one side's raw value to the other's.
        """
        reflects = self.encoder.perspective == "absolute"
        opposite = opposite_raw(self.readout) if reflects else None
        return replace(self, network=SymmetricMean(self.network, self.encoder.size, opposite))

    def looking_ahead(self, moves: int = 1) -> Predictor:
        """A predictor that averages over the positions after the likeliest moves.

        It takes 1 + `moves` times as long.

        Raises:
            ContractError: the read-out has no rule from one side's raw value to the other's.
        """
        after = NextMoveMean(self.network, self.encoder, self.readout, moves)
        return replace(self, network=after)

    def with_looks(self, symmetric: bool, look_ahead: int) -> Predictor:
        """This predictor, averaged as the options of commands say."""
        averaged = self.averaged() if symmetric else self
        return averaged.looking_ahead(int(look_ahead)) if look_ahead else averaged

    @cached_property
    def _modules(self) -> list[nn.Module]:
        # To list them takes as long as a small layer, and a search asks thousands of times.
        return list(self.network.modules())

    def _autocast(self) -> AbstractContextManager[None]:
        if not self.bfloat16:
            return nullcontext()  # to enter a disabled autocast takes as long as a small layer
        return torch.autocast(self.device.type, torch.bfloat16)

    def answer(self, positions: Positions, turn: bool = False, reflect: bool = False) -> Answers:
        """Answers for positions that are encoded under one symmetry.

        Args:
            turn: turn every position by a half turn.
            reflect: reflect every position and exchange its colours. In the `mover` perspective
                the side to move decides this, and `reflect` counts only for finished positions.
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

    def _part(
        self,
        positions: Positions,
        symmetries: NDArray[np.int64],
        ends: NDArray[np.int64],
        at: slice,
    ) -> Answers:
        plies, used_symmetries = positions.plies[at], symmetries[at]
        last = ends[at]
        cells = positions.cells[int(last[0] - plies[0]) : int(last[-1])]
        planes = self.encoder.encode_game(
            cells, plies, used_symmetries, positions.finished[at], positions.unordered[at]
        )
        output = self.forward(torch.from_numpy(planes))
        complement = torch.from_numpy(self.encoder.complement(used_symmetries)).to(self.device)
        probability = win_prob_red(self.readout, output.value_raw, complement)
        return Answers(
            win_prob_red=probability.cpu().numpy().astype(np.float64),
            value_raw=output.value_raw.cpu().numpy(),
            policy=self._policy(
                output.policy_logits, cells, plies, used_symmetries, positions.finished[at]
            ),
        )

    def _policy(
        self,
        logits: Tensor,
        cells: NDArray[np.int64],
        plies: NDArray[np.int64],
        symmetries: NDArray[np.int64],
        finished: Flags,
    ) -> Floats:
        """Softmax over empty cells, on the real board."""
        rows = np.arange(len(plies))[:, None]
        # In float32, like the logits: a search computes very many of these exponentials.
        weights = logits.cpu().numpy()[rows, symmetry_cells(self.encoder.size)[symmetries]]
        weights[np.repeat(np.arange(len(plies)), plies), cells] = -np.inf
        highest = weights.max(axis=1, keepdims=True)
        over = finished | np.isneginf(highest[:, 0])
        weights[over] = highest[over] = 0.0  # keeps the softmax finite; set to 0 below
        weights -= highest
        policy: Floats = np.exp(weights, out=weights).astype(np.float64)
        policy /= policy.sum(axis=1, keepdims=True)
        policy[over] = 0.0
        return policy


def best_moves(policy: Floats, size: int, top: int) -> tuple[tuple[str, float], ...]:
    """Names and probabilities of the likeliest moves of one position.

    Args:
        policy: [N*N] move probabilities.
    """
    best = [int(cell) for cell in np.argsort(-policy, kind="stable")[:top] if policy[cell] > 0]
    return tuple((cell_name(cell, size), float(policy[cell])) for cell in best)


@contextmanager
def in_eval_mode(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Every module in eval mode in this context. Afterwards each has its old mode."""
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
