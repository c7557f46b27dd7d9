"""One interface for our checkpoints and for a user's own network: planes, respond, reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.analysis.boards import Positions, positions_of_moves
from hexsearch.analysis.predictor import Predictor
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.positions import stage_of
from hexsearch.game.board import RED
from hexsearch.game.symmetry import symmetry_cells
from hexsearch.model.readout import win_prob_red
from hexsearch.training.metrics import Evaluation

Floats = NDArray[np.float64]
GAMES_OBSERVED = 300
_BATCH = 256
_POSITIONS = 16_000  # of all observed games together


class ExaminedNetwork(Protocol):
    """A network with its encoder and its way from raw value to a probability."""

    @property
    def size(self) -> int:
        """Side of its board."""

    @property
    def positions_seen(self) -> int | None:
        """Positions that it was trained on; None if nobody knows."""

    def planes(self, positions: Positions) -> Tensor:
        """[P, C, N, N] as its inference path encodes them."""

    def respond(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Policy logits [P, N*N] on the board as shown, and raw values [P] or [P, K]."""

    def reported(self, raw: Tensor, positions: Positions) -> Tensor:
        """[P] win_prob_red as it would be printed."""

    def on_board(self, policy: Tensor, positions: Positions) -> Tensor:
        """Policy logits [P, N*N] of boards as shown, carried back to the boards as played."""


class TrainedNetwork:
    """A hexsearch checkpoint."""

    def __init__(self, predictor: Predictor, positions_seen: int | None = None) -> None:
        self._predictor = predictor
        self.size = predictor.encoder.size
        self.positions_seen = positions_seen

    def planes(self, positions: Positions) -> Tensor:
        encoder = self._predictor.encoder
        return torch.from_numpy(
            encoder.encode(
                positions.cells,
                positions.plies,
                self._symmetries(positions),
                positions.finished,
            )
        )

    def respond(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        output = self._predictor.forward(planes)
        return output.policy_logits.cpu(), output.value_raw.cpu()

    def reported(self, raw: Tensor, positions: Positions) -> Tensor:
        complement = self._predictor.encoder.complement(self._symmetries(positions))
        return win_prob_red(self._predictor.readout, raw, torch.from_numpy(complement))

    def on_board(self, policy: Tensor, positions: Positions) -> Tensor:
        size = self._predictor.encoder.size
        cells = symmetry_cells(size)[self._symmetries(positions)]
        return policy.gather(1, torch.from_numpy(cells))

    def _symmetries(self, positions: Positions) -> NDArray[np.int64]:
        red_side = positions.plies % 2 == 1
        if self._predictor.encoder.perspective == "mover":
            # A finished board is shown from Blue's side, whoever won.
            red_side = red_side & ~positions.finished
        turn = np.zeros(len(positions), dtype=bool)
        return self._predictor.encoder.choose_symmetries(turn, red_side)


@dataclass(frozen=True)
class Observed:
    """Answers on [P] positions of known games.

    Attributes:
        raw: [P] raw values, or [P, K] where the value is a list of outcomes.
        answered: [P] as reported; `evaluation` holds them cut to [0, 1], 0.5 where not finite.
        played: [P] next cell, -1 where the game ends.
    """

    positions: Positions
    evaluation: Evaluation
    raw: Floats
    answered: Floats
    policy: NDArray[np.float32]
    played: NDArray[np.int64]


def observe(
    examined: ExaminedNetwork,
    archive: GameArchive,
    games: NDArray[np.int64],
    stages: StagesConfig,
    seed: int,
) -> Observed:
    """Answers on every position of at most GAMES_OBSERVED of the games."""
    if len(games) > GAMES_OBSERVED:
        rng = np.random.default_rng(seed)
        games = np.sort(rng.choice(games, GAMES_OBSERVED, replace=False))
    room = _POSITIONS * len(games) // max(int(archive.lengths[games].sum()), 1)
    if room < len(games):
        games = np.sort(np.random.default_rng(seed).choice(games, max(room, 20), replace=False))
    records = [archive.game(int(game)) for game in games]
    lengths = np.array([len(record.moves) for record in records], dtype=np.int64)
    moves = [record.moves[:ply] for record in records for ply in range(len(record.moves) + 1)]
    positions = positions_of_moves(moves, examined.size)
    played = [
        cell for record in records for cell in (*record.moves, -1)
    ]  # one more entry than moves: after the last there is none
    repeat = np.repeat(np.arange(len(records)), lengths + 1)
    red_won = np.array([record.winner == RED for record in records])[repeat]
    policy, raw, reported = answer(examined, positions)
    evaluation = Evaluation(
        win_prob_red=np.clip(np.nan_to_num(reported, nan=0.5), 0.0, 1.0),
        red_won=red_won.astype(np.float64),
        stage=stage_of(positions.plies, examined.size, stages),
        to_end=lengths[repeat] - positions.plies,
        final=positions.finished,
        game=games[repeat],
        ply=positions.plies,
    )
    raw = np.nan_to_num(raw, nan=0.0, posinf=60.0, neginf=-60.0)
    moves_played = np.array(played, dtype=np.int64)
    return Observed(positions, evaluation, raw, reported, policy, moves_played)


def answer(
    examined: ExaminedNetwork, positions: Positions
) -> tuple[NDArray[np.float32], Floats, Floats]:
    """Policy logits, raw values and reported probabilities, a batch at a time."""
    planes = [
        examined.planes(take(positions, np.arange(start, min(start + _BATCH, len(positions)))))
        for start in range(0, len(positions), _BATCH)
    ]
    policy, raw = respond_in_parts(examined, torch.cat(planes))
    policy = examined.on_board(policy, positions)
    reported = examined.reported(raw, positions)
    return policy.numpy(), raw.double().numpy(), reported.double().numpy()


def respond_in_parts(examined: ExaminedNetwork, planes: Tensor) -> tuple[Tensor, Tensor]:
    """Policy logits and raw values of any number of planes, a batch at a time."""
    parts = [
        examined.respond(planes[start : start + _BATCH]) for start in range(0, len(planes), _BATCH)
    ]
    policies, raws = zip(*parts, strict=True)
    return torch.cat(policies).float(), torch.cat(raws).float()


def take(positions: Positions, index: NDArray[np.int64]) -> Positions:
    """Some of the positions, in the order of `index`."""
    ends = np.cumsum(positions.plies)
    cells = [positions.cells[ends[i] - positions.plies[i] : ends[i]] for i in index]
    joined = np.concatenate(cells) if cells else np.zeros(0, dtype=np.int64)
    return Positions(positions.size, joined, positions.plies[index], positions.finished[index])
