"""Players with a network: by its policy, by its values, or by a tree search."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.boards import Positions
from hexsearch.analysis.predictor import Predictor
from hexsearch.play.game_batch import (
    Flags,
    GameBatch,
    Indices,
    connected,
    highest,
    mover_colour,
)
from hexsearch.play.guided.search import SearchResult, SearchSettings, gumbel_noise, search
from hexsearch.play.guided.tree import Evaluation, Floats
from hexsearch.play.player import Seeds, move_generators

_BATCH = 512  # positions in one forward pass


@dataclass(frozen=True)
class PredictorEvaluation:
    """A predictor in the form that players and trees need."""

    predictor: Predictor

    def __call__(self, batch: GameBatch) -> Evaluation:
        return self.ask(batch.positions)

    def ask(self, positions: Positions) -> Evaluation:
        """Answers with the win probability of the side to move."""
        answers = self.predictor.answer(positions)
        red = answers.win_prob_red
        win_prob = np.where(positions.plies % 2 == 1, red, 1.0 - red)
        return Evaluation(answers.policy.astype(np.float32), win_prob.astype(np.float32))


@dataclass
class PolicyPlayer:
    """Plays the likeliest move of the policy."""

    name: str
    predictor: Predictor

    @property
    def size(self) -> int:
        """The board that its network knows."""
        return self.predictor.encoder.size

    def choose(self, batch: GameBatch, seeds: Seeds) -> Indices:
        """The likeliest moves."""
        return highest(PredictorEvaluation(self.predictor)(batch).policy)

    def win_prob(self, batch: GameBatch) -> Floats:
        """The value head's win probability of each position."""
        return PredictorEvaluation(self.predictor)(batch).win_prob

    def close(self) -> None:
        """Do nothing: there are no resources."""


@dataclass
class ValuePlayer:
    """Plays the move with the highest value of the resulting position.

    Attributes:
        policy: network whose likeliest moves are examined; with None, all moves are. Players with
            the same policy differ only in their value heads.
        candidates: number of moves that are examined.
    """

    name: str
    predictor: Predictor
    policy: Predictor | None = None
    candidates: int = 6

    @property
    def size(self) -> int:
        """The board that its network knows."""
        return self.predictor.encoder.size

    def choose(self, batch: GameBatch, seeds: Seeds) -> Indices:
        """The moves with the highest value. A move that connects has value 1."""
        stones = batch.stones
        looked_at = self._candidates(batch, stones)
        rows, cells = np.nonzero(looked_at)
        colours = mover_colour(batch.plies)
        stones_after = stones[rows]
        stones_after[np.arange(len(rows)), cells] = colours[rows]
        won = connected(stones_after, colours[rows], batch.size)
        worth = won.astype(np.float32)
        # If a move wins, the network is not needed.
        decided = np.zeros(len(batch), dtype=bool)
        decided[rows[won]] = True
        asked = np.flatnonzero(~decided[rows])
        for start in range(0, len(asked), _BATCH):
            part = asked[start : start + _BATCH]
            after = batch.after(rows[part], cells[part])
            worth[part] = 1.0 - PredictorEvaluation(self.predictor)(after).win_prob
        score = np.full(stones.shape, -1.0, dtype=np.float32)
        score[rows, cells] = worth
        return highest(score)

    def _candidates(self, batch: GameBatch, stones: NDArray[np.int8]) -> Flags:
        free: Flags = stones == 0
        if self.policy is None:
            return free
        policy = np.where(free, PredictorEvaluation(self.policy)(batch).policy, -1.0)
        best = np.argsort(-policy, axis=1, kind="stable")[:, : self.candidates]
        chosen = np.zeros_like(free)
        np.put_along_axis(chosen, best, True, axis=1)
        looked_at: Flags = chosen & free
        return looked_at

    def win_prob(self, batch: GameBatch) -> Floats:
        """The value head's win probability of each position."""
        return PredictorEvaluation(self.predictor)(batch).win_prob

    def close(self) -> None:
        """Do nothing: there are no resources."""


@dataclass
class SearchPlayer:
    """Searches a tree of positions for each move.

    Attributes:
        noise: scale of the Gumbel noise at the root; 0 is deterministic.
        noisy_plies: ply from which on there is no noise.
    """

    name: str
    predictor: Predictor
    settings: SearchSettings = field(default_factory=SearchSettings)
    noise: float = 0.0
    noisy_plies: int = 0

    @property
    def size(self) -> int:
        """The board that its network knows."""
        return self.predictor.encoder.size

    def choose(self, batch: GameBatch, seeds: Seeds) -> Indices:
        """The best moves of the search."""
        return self.search(batch, seeds).cells

    def search(
        self, batch: GameBatch, seeds: Seeds, milliseconds: float | None = None
    ) -> SearchResult:
        """Moves, values and visits.

        Args:
            milliseconds: time limit of this move, instead of that in the settings.
        """
        noise = np.zeros((len(batch), batch.size**2), dtype=np.float32)
        noisy = np.flatnonzero(batch.plies < self.noisy_plies)
        if self.noise and len(noisy):
            generators = move_generators([seeds[int(row)] for row in noisy], batch.plies[noisy])
            noise[noisy] = np.float32(self.noise) * gumbel_noise(generators, noise.shape[1])
        settings = self.settings
        if milliseconds is not None:
            settings = replace(settings, milliseconds=milliseconds)
        return search(batch, PredictorEvaluation(self.predictor), settings, noise)

    def win_prob(self, batch: GameBatch) -> Floats:
        """The value head's win probability of each position, without a search."""
        return PredictorEvaluation(self.predictor)(batch).win_prob

    def close(self) -> None:
        """Do nothing: there are no resources."""
