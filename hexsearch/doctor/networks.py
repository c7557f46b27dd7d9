"""One interface for checkpoints of hexsearch and for a user's own network."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.analysis.boards import Positions, positions_of_moves
from hexsearch.analysis.loading import LoadedCheckpoint
from hexsearch.analysis.predictor import Predictor
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.dataset import Dataset
from hexsearch.data.positions import stage_of
from hexsearch.errors import CheckpointError
from hexsearch.game.board import RED
from hexsearch.game.symmetry import symmetry_cells
from hexsearch.model.network import Network
from hexsearch.model.readout import build_readout, win_prob_red
from hexsearch.training.metrics import Evaluation
from hexsearch.training.trial import Trial

Floats = NDArray[np.float64]
GAMES_OBSERVED = 300
_BATCH = 256
_POSITIONS = 16_000  # largest number, roughly, of positions in all observed games
_FEW, _PROBED = 6_000, 64  # those of a slow network, and positions that tell how slow one is
_SECONDS = 45.0  # of the CPU from which on a network is slow
_YOUNG = 20_000  # positions seen; a network that has seen fewer is still weak


class ExaminedNetwork(Protocol):
    """A network with its encoder, and its formula from raw values to probabilities."""

    @property
    def size(self) -> int:
        """Side N of the board."""

    @property
    def positions_seen(self) -> int | None:
        """Positions that it was trained on; None if unknown."""

    def planes(self, positions: Positions) -> Tensor:
        """[P, C, N, N] planes as they are encoded at inference."""

    def respond(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Policy logits [P, N*N] on boards as encoded, and raw values [P] or [P, K]."""

    def reported(self, raw: Tensor, positions: Positions) -> Tensor:
        """[P] win_prob_red as users see it."""

    def on_board(self, policy: Tensor, positions: Positions) -> Tensor:
        """Policy logits [P, N*N] of boards as encoded, moved to the cells as played."""


class TrainedNetwork:
    """A hexsearch checkpoint."""

    def __init__(self, predictor: Predictor, positions_seen: int | None = None) -> None:
        self._predictor = predictor
        self.size = predictor.encoder.size
        self.positions_seen = positions_seen

    @classmethod
    def of_trial(cls, trial: Trial, network: Network | None = None) -> TrainedNetwork:
        """What a trial would answer at inference, or what another network would in its place."""
        answering = trial.answering if network is None else network
        return cls(Predictor(answering, trial.readout, trial.encoder, trial.device))

    def planes(self, positions: Positions) -> Tensor:
        symmetries = self._symmetries(positions)
        planes = self._predictor.encoder.encode_game(
            positions.cells, positions.plies, symmetries, positions.finished, positions.unordered
        )
        return torch.from_numpy(planes)

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
            # A finished board is encoded from Blue's side, whoever has won.
            red_side = red_side & ~positions.finished
        turn = np.zeros(len(positions), dtype=bool)
        return self._predictor.encoder.choose_symmetries(turn, red_side)


@dataclass(frozen=True)
class Observed:
    """Answers of a network on P positions of known games.

    Attributes:
        positions: the positions, in the order of the games and their plies.
        evaluation: answers, cut to [0, 1] and 0.5 where they are not finite, and results.
        raw: [P] raw values, or [P, K] where the value is a list of outcomes.
        answered: [P] answers as reported.
        policy: [P, N*N] policy logits on the boards as played.
        played: [P] cell of the next move, -1 where the game ends.
        of_red: [P] whether raw values are read as Red's, and not as Blue's; None if all are.
    """

    positions: Positions
    evaluation: Evaluation
    raw: Floats
    answered: Floats
    policy: NDArray[np.float32]
    played: NDArray[np.int64]
    of_red: NDArray[np.bool_] | None = None

    @property
    def value(self) -> Floats:
        """[P] raw values; the first outcome's where the value is a list of outcomes."""
        return self.raw if self.raw.ndim == 1 else self.raw[:, 0]

    def own(self, of_red: Floats) -> Floats:
        """[P] chances or results of Red as those of the side that the raw value belongs to."""
        return of_red if self.of_red is None else np.where(self.of_red, of_red, 1 - of_red)


def observe(
    examined: ExaminedNetwork,
    archive: GameArchive,
    games: NDArray[np.int64],
    stages: StagesConfig,
    seed: int,
) -> Observed:
    """Answers on every position of at most GAMES_OBSERVED of the games.

    Args:
        games: [G] indices into the archive. Fewer are drawn where they hold too many positions.
        seed: seed with which they are drawn.
    """
    if len(games) > GAMES_OBSERVED:
        rng = np.random.default_rng(seed)
        games = np.sort(rng.choice(games, GAMES_OBSERVED, replace=False))
    held = int(archive.lengths[games].sum())
    room = _affordable(examined, archive, games, held) * len(games) // max(held, 1)
    if room < len(games):
        games = np.sort(np.random.default_rng(seed).choice(games, max(room, 20), replace=False))
    records = [archive.game(int(game)) for game in games]
    lengths = np.array([len(record.moves) for record in records], dtype=np.int64)
    moves = [record.moves[:ply] for record in records for ply in range(len(record.moves) + 1)]
    positions = positions_of_moves(moves, examined.size)
    played = [
        cell for record in records for cell in (*record.moves, -1)
    ]  # one more entry than moves, for the position after the last one
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
    # A value of the side to move is Red's on odd plies, on finished boards, too.
    of_red = positions.plies % 2 == 1 if getattr(examined, "for_mover", False) else None
    return Observed(positions, evaluation, raw, reported, policy, moves_played, of_red)


def _affordable(
    examined: ExaminedNetwork, archive: GameArchive, games: NDArray[np.int64], held: int
) -> int:
    """The largest number of positions that are observed, smaller for a slow network.

    Args:
        held: positions of the games.
    """
    if held <= _FEW:
        return _POSITIONS
    record = archive.game(int(games[0]))
    moves = [record.moves[: ply % (len(record.moves) + 1)] for ply in range(_PROBED)]
    planes = examined.planes(positions_of_moves(moves, examined.size))
    each = seconds_for_one(examined, planes)
    return max(_FEW, min(_POSITIONS, int(_SECONDS / max(each, 1e-9))))


def seconds_for_one(examined: ExaminedNetwork, planes: Tensor) -> float:
    """CPU seconds that the answer to one position takes, from a few of them."""
    started = time.process_time()
    examined.respond(planes[:_PROBED])
    return (time.process_time() - started) / len(planes[:_PROBED])


def answer(
    examined: ExaminedNetwork, positions: Positions
) -> tuple[NDArray[np.float32], Floats, Floats]:
    """Policy logits [P, N*N] as played, raw values [P] or [P, K], reported answers [P]."""
    planes = [
        examined.planes(take(positions, np.arange(start, min(start + _BATCH, len(positions)))))
        for start in range(0, len(positions), _BATCH)
    ]
    policy, raw = respond_in_parts(examined, torch.cat(planes))
    policy = examined.on_board(policy, positions)
    reported = examined.reported(raw, positions)
    return policy.numpy(), raw.double().numpy(), reported.double().numpy()


def respond_in_parts(examined: ExaminedNetwork, planes: Tensor) -> tuple[Tensor, Tensor]:
    """Policy logits and raw values of any number of planes, computed in batches."""
    parts = [
        examined.respond(planes[start : start + _BATCH]) for start in range(0, len(planes), _BATCH)
    ]
    policies, raws = zip(*parts, strict=True)
    return torch.cat(policies).float(), torch.cat(raws).float()


def is_young(examined: ExaminedNetwork) -> bool:
    """Whether a network is known to have seen too few positions to be strong."""
    return examined.positions_seen is not None and examined.positions_seen < _YOUNG


def take(positions: Positions, index: NDArray[np.int64]) -> Positions:
    """The positions at `index` [Q], in its order."""
    ends = np.cumsum(positions.plies)
    cells = [positions.cells[ends[i] - positions.plies[i] : ends[i]] for i in index]
    joined = np.concatenate(cells) if cells else np.zeros(0, dtype=np.int64)
    plies, finished = positions.plies[index], positions.finished[index]
    return replace(positions, cells=joined, plies=plies, finished=finished)


def restored_trial(loaded: LoadedCheckpoint, dataset: Dataset) -> Trial | None:
    """The trial of a checkpoint, ready to continue; None if it has seen other games."""
    state, config = loaded.state, loaded.config
    readout = build_readout(config.readout, checked=False)
    trial = Trial.of(config, dataset, state["max_positions"], state["seed"], readout=readout)
    try:
        trial.load_state(state)
    except CheckpointError:
        return None
    return trial
