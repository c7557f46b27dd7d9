"""Evaluates a network's win probabilities: metrics, calibration, consistency, known positions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.boards import Positions, positions_of_boards
from hexsearch.analysis.bootstrap import Interval, metric_intervals
from hexsearch.analysis.known_scores import FamilyScore, score_known_positions
from hexsearch.analysis.predictor import Predictor
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import baseline_predictions, stones_at
from hexsearch.data.batches import BatchBuilder, evaluation_batches
from hexsearch.data.positions import PositionSet, all_positions
from hexsearch.game.board import BLUE, EMPTY, RED
from hexsearch.model.readout import win_prob_red
from hexsearch.progress import at_intervals
from hexsearch.training.metrics import Evaluation, StageMetrics

_BATCH = 1024
_SAY_EVERY_S = 15.0
_PROBED = 512  # positions for the tests of symmetry and monotonicity
_RELIABILITY_BINS = 10
_HISTOGRAM_BINS = 20
# A stone in an unimportant place changes an answer by noise, so smaller decreases are ignored.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers in one tenth of the scale.

    Attributes:
        low, high: bounds of the bin.
        answer: mean win_prob_red in the bin.
        red_won: share of its positions whose game Red won.
        standard_error: standard error of red_won, clustered by game.
    """

    low: float
    high: float
    positions: int
    answer: float
    red_won: float
    standard_error: float


@dataclass(frozen=True)
class Consistency:
    """Tests that every sound network must pass, on held-out positions.

    Attributes:
        positions: number of positions.
        half_turn: mean |difference| of win_prob_red after a half turn; 0 is ideal.
        reflection: the same after reflecting the board and exchanging its colours. With a `mover`
            encoder it is 0 for unfinished positions.
        monotone: share of stones, added at random, that do not lower the win probability of their
            own colour by more than 0.01.
        stone_gain: mean increase of that probability by such a stone.
    """

    positions: int
    half_turn: float
    reflection: float
    monotone: float
    stone_gain: float


@dataclass(frozen=True)
class Analysis:
    """The result of `analyze`."""

    metrics: StageMetrics
    baselines: dict[str, StageMetrics]
    reliability: tuple[ReliabilityBin, ...]
    histogram: tuple[int, ...]  # number of answers in each twentieth of the scale
    consistency: Consistency
    known: dict[str, FamilyScore]
    intervals: dict[str, dict[str, dict[str, Interval]]]  # 95%: cut, slice, metric
    evaluation: Evaluation

    def to_json(self) -> dict[str, Any]:
        """Plain mappings, in which nan becomes None."""
        metrics = self.metrics.to_json()
        for cut, parts in self.intervals.items():
            for name, intervals in parts.items():
                part = metrics["overall"] if cut == "overall" else metrics[cut][name]
                _add_intervals(part, intervals)
        return {
            "positions": self.metrics.overall.positions,
            "games": self.metrics.overall.games,
            **metrics,
            "baselines": [
                {"name": name, **_short(baseline.to_json())}
                for name, baseline in self.baselines.items()
            ],
            "reliability": [_plain(bin_.__dict__) for bin_ in self.reliability],
            "histogram": list(self.histogram),
            "consistency": _plain(self.consistency.__dict__),
            "known_positions": {name: _plain(score.__dict__) for name, score in self.known.items()},
        }


class ValueHeadAnalyzer:
    """Evaluates one predictor on held-out games.

    Args:
        archive: games.
        held_out: indices of the games for the evaluation.
        train: indices of the games on which baselines are fitted; none leaves the baselines out.
        say: called now and then with how many positions have been answered.
    """

    def __init__(
        self,
        predictor: Predictor,
        archive: GameArchive,
        held_out: NDArray[np.int64],
        train: NDArray[np.int64],
        stages: StagesConfig,
        seed: int = 0,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._predictor, self._archive, self._stages = predictor, archive, stages
        self._said = at_intervals(say, "positions answered", _SAY_EVERY_S)
        self._train = train
        self._positions: PositionSet = all_positions(archive, held_out)
        self._rng = np.random.default_rng(seed)

    def analyse(self) -> Analysis:
        """The whole analysis. One CPU core evaluates a few thousand positions in a second."""
        evaluation = self.evaluate()
        return Analysis(
            metrics=evaluation.metrics(),
            baselines=self._baselines(evaluation),
            reliability=reliability_bins(evaluation),
            histogram=tuple(
                np.histogram(evaluation.win_prob_red, _HISTOGRAM_BINS, (0.0, 1.0))[0].tolist()
            ),
            consistency=self.consistency(),
            known=score_known_positions(self._predictor),
            intervals=metric_intervals(evaluation, self._rng),
            evaluation=evaluation,
        )

    def evaluate(self) -> Evaluation:
        """Answers for every position of the held-out games, encoded as in training's reports."""
        builder = BatchBuilder(
            self._archive, self._predictor.encoder, self._stages, self._predictor.device
        )
        answers: list[NDArray[np.float64]] = []
        columns: dict[str, list[NDArray[Any]]] = {name: [] for name in _COLUMNS}
        for number, batch in enumerate(evaluation_batches(builder, self._positions, _BATCH)):
            self._said(number * _BATCH, len(self._positions))
            output = self._predictor.forward(batch.planes)
            probability = win_prob_red(self._predictor.readout, output.value_raw, batch.complement)
            answers.append(probability.cpu().numpy().astype(np.float64))
            for name in _COLUMNS:
                columns[name].append(getattr(batch, name).cpu().numpy())
        arrays = {name: np.concatenate(parts) for name, parts in columns.items()}
        arrays["red_won"] = arrays["red_won"].astype(np.float64)
        return Evaluation(win_prob_red=np.concatenate(answers), **arrays)

    def consistency(self) -> Consistency:
        """Half turn, reflection and monotonicity on a sample of the positions."""
        count = min(_PROBED, len(self._positions))
        index = np.sort(self._rng.choice(len(self._positions), count, replace=False))
        games, plies = self._positions.at(index)
        boards = stones_at(self._archive, games, plies)
        finished = (plies == self._archive.lengths[games]) & (
            self._archive.finished[games].astype(bool)
        )
        to_move = np.where(finished, 0, np.where(plies % 2 == 0, BLUE, RED)).astype(np.int8)
        positions = positions_of_boards(boards, to_move)
        as_is = self._predictor.answer(positions).win_prob_red
        turned = self._predictor.answer(positions, turn=True).win_prob_red
        reflected = self._predictor.answer(positions, reflect=True).win_prob_red
        gains = self._gains(positions, as_is)
        return Consistency(
            positions=count,
            half_turn=float(np.abs(as_is - turned).mean()),
            reflection=float(np.abs(as_is - reflected).mean()),
            monotone=float((gains >= -_TOLERANCE).mean()) if len(gains) else math.nan,
            stone_gain=float(gains.mean()) if len(gains) else math.nan,
        )

    def _gains(self, positions: Positions, before: NDArray[np.float64]) -> NDArray[np.float64]:
        """Increase of a colour's win probability by a random stone of it, with the same mover."""
        boards, to_move = positions.stones, positions.to_move
        # moves_of_board needs at least one stone of each colour.
        usable = np.flatnonzero((positions.plies >= 2) & ~positions.finished)
        if not len(usable):
            return np.zeros(0)
        gains = []
        for colour in (BLUE, RED):
            added = boards[usable].copy()
            for board in added:
                free = np.flatnonzero(board.reshape(-1) == EMPTY)
                board.reshape(-1)[self._rng.choice(free)] = colour
            after = self._predictor.answer(positions_of_boards(added, to_move[usable]))
            gains.append((after.win_prob_red - before[usable]) * (1 if colour == RED else -1))
        return np.concatenate(gains)

    def _baselines(self, evaluation: Evaluation) -> dict[str, StageMetrics]:
        if not len(self._train):
            return {}
        predictions = baseline_predictions(self._archive, self._train, self._positions)
        return {
            name: replace(evaluation, win_prob_red=answers).metrics()
            for name, answers in predictions.items()
        }


_COLUMNS = ("red_won", "stage", "to_end", "final", "game", "ply")


def reliability_bins(evaluation: Evaluation) -> tuple[ReliabilityBin, ...]:
    answers, won = evaluation.win_prob_red, evaluation.red_won
    number = np.minimum((answers * _RELIABILITY_BINS).astype(int), _RELIABILITY_BINS - 1)
    bins = []
    for which in range(_RELIABILITY_BINS):
        inside = number == which
        count = int(inside.sum())
        share = float(won[inside].mean()) if count else math.nan
        bins.append(
            ReliabilityBin(
                low=which / _RELIABILITY_BINS,
                high=(which + 1) / _RELIABILITY_BINS,
                positions=count,
                answer=float(answers[inside].mean()) if count else math.nan,
                red_won=share,
                standard_error=clustered_error(won[inside] - share, evaluation.game[inside]),
            )
        )
    return tuple(bins)


def clustered_error(residuals: NDArray[np.float64], game: NDArray[np.int64]) -> float:
    """Standard error of a mean, clustered by game."""
    games, index = np.unique(game, return_inverse=True)
    if len(games) < 2:
        return math.nan
    sums = np.bincount(index, residuals)
    scale = len(games) / (len(games) - 1)
    return float(np.sqrt(scale * np.square(sums).sum()) / len(residuals))


def _add_intervals(part: dict[str, Any], intervals: dict[str, Interval]) -> None:
    """Add `accuracy_low` and `accuracy_high` to `accuracy`, and so on."""
    for name, (low, high) in intervals.items():
        part |= _plain({f"{name}_low": low, f"{name}_high": high})


def _short(metrics: dict[str, Any]) -> dict[str, Any]:
    keys = ("value_loss", "accuracy", "positions")
    return {
        **{key: metrics["overall"][key] for key in keys},
        **{
            cut: {name: {key: part[key] for key in keys} for name, part in metrics[cut].items()}
            for cut in ("stages", "to_end")
        },
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if value != value else (round(value, 7) if isinstance(value, float) else value)
        for name, value in values.items()
    }
