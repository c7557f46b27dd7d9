"""Metrics of answers, overall and by stage. Every metric is computed from `win_prob_red`.

No loss weight and no smoothed label of the search enters, so trials may be ranked by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.positions import STAGE_NAMES, TO_END_BANDS, to_end_names

if TYPE_CHECKING:  # torch takes a second to import, which commands that only read need not wait for
    from torch import Tensor

Floats = NDArray[np.float64]
# Slices by cut, in the order of `slice_masks`.
SLICES: dict[str, tuple[str, ...]] = {
    "stages": (*STAGE_NAMES, "penultimate", "final"),
    "to_end": to_end_names(),
    "to_move": ("blue", "red", "nobody"),
}


@dataclass(frozen=True)
class SliceMetrics:
    """Metrics of the answers on a part of the positions.

    Attributes:
        positions, games: number of positions, and of the games that they come from.
        value_loss: Brier score, the mean squared difference of answer and result (Brier, 1950);
            0.25 if all answers are 50%.
        value_loss_se: its standard error, clustered by game: positions of one game share a label.
        log_loss: mean negative log likelihood, in nats.
        accuracy: share of right answers at the threshold 0.5; an answer of exactly 0.5 counts half.
        strict_accuracy: share with |p - result| < 0.3.
        confident_share: share of answers below 0.3 or above 0.7.
        confident_accuracy: share of these that are right.
        auc: probability that a Red win is rated above a Blue win; ties count half. nan if all
            results are equal.
        calibration_error: mean difference of confidence and frequency over 15 bins (Guo et al.,
            2017).
        calibration_slope: factor on the answers' log odds that fits the results best (Cox, 1958);
            1 is ideal, below 1 is over-confident. nan if answers or results do not vary.
        correlation: Pearson's correlation of answers and results; nan as above.
        bias: mean answer minus share of Red wins.
    """

    positions: int
    games: int
    value_loss: float
    value_loss_se: float
    log_loss: float
    accuracy: float
    strict_accuracy: float
    confident_share: float
    confident_accuracy: float
    auc: float
    calibration_error: float
    calibration_slope: float
    correlation: float
    bias: float


@dataclass(frozen=True)
class StageMetrics:
    """The same metrics overall, by stage, by plies to the end, and by side to move."""

    overall: SliceMetrics
    stages: dict[str, SliceMetrics]  # early, middle, late, penultimate, final
    to_end: dict[str, SliceMetrics]  # 0-5, 6-15, 16-30, >30
    to_move: dict[str, SliceMetrics]  # blue, red, nobody (finished games)

    def to_json(self) -> dict[str, Any]:
        """Plain mappings. A slice without positions is left out, and nan becomes None."""
        return {
            "overall": _plain(self.overall),
            "stages": {name: _plain(part) for name, part in self.stages.items()},
            "to_end": {name: _plain(part) for name, part in self.to_end.items()},
            "to_move": {name: _plain(part) for name, part in self.to_move.items()},
        }


@dataclass(frozen=True)
class Evaluation:
    """Answers on a validation set: arrays of length P, with one entry for each position.

    Attributes:
        reduced: the figures of these answers, when they have been computed, which is done where the
            answers are. A copy with other answers (`dataclasses.replace`) does not take them over.
    """

    win_prob_red: Floats
    red_won: Floats
    stage: NDArray[np.int8]
    to_end: NDArray[np.int64]
    final: NDArray[np.bool_]
    game: NDArray[np.int64]
    ply: NDArray[np.int64]
    reduced: Reduced | None = field(init=False, default=None, compare=False, repr=False)

    def masks(self) -> dict[str, dict[str, NDArray[np.bool_]]]:
        """Masks of the positions in each slice, by cut: `stages`, `to_end` and `to_move`."""
        rows = iter(slice_masks(self._columns()).numpy())
        return {cut: {name: next(rows) for name in names} for cut, names in SLICES.items()}

    def metrics(self) -> StageMetrics:
        """StageMetrics of the whole set."""
        return self._reduced().metrics()

    def game_losses(self) -> GameLosses:
        """Sums of squared errors by game, the unit of paired comparisons."""
        return self._reduced().game_losses()

    def keep(self, reduced: Reduced) -> Reduced:
        """Keep the figures of these answers."""
        object.__setattr__(self, "reduced", reduced)
        return reduced

    def _reduced(self) -> Reduced:
        if self.reduced is None:
            return self.keep(reduce(_tensor(self.win_prob_red), self._columns()))
        return self.reduced

    def _columns(self) -> dict[str, Tensor]:
        names = ("red_won", "stage", "to_end", "final", "game", "ply")
        return {name: _tensor(getattr(self, name)) for name in names}


@dataclass(frozen=True)
class Reduced:
    """What a report needs of P answers.

    Attributes:
        figures: [1 + S, 14] figures of all positions and of each slice, in the order of SLICES.
        games: [G] the games, ascending.
        sums, counts: [G, 3] as in GameLosses.
    """

    figures: Tensor
    games: Tensor
    sums: Tensor
    counts: Tensor

    @property
    def columns(self) -> list[Tensor]:
        """All numbers in a row, to be copied together with other ones."""
        return [self.figures.flatten(), self.games, self.sums.flatten(), self.counts.flatten()]

    def filled(self, columns: Sequence[Floats]) -> Reduced:
        """The same with the numbers of `columns`, which are on the host."""
        shapes = (self.figures.shape, self.games.shape, self.sums.shape, self.counts.shape)
        tensors = [_tensor(column) for column in columns]
        return Reduced(*(t.reshape(shape) for t, shape in zip(tensors, shapes, strict=True)))

    def metrics(self) -> StageMetrics:
        """StageMetrics, without slices that have no positions."""
        overall, *parts = (_slice_of(row) for row in self.figures.tolist())
        rows = iter(parts)
        cuts = {cut: {name: next(rows) for name in names} for cut, names in SLICES.items()}
        known = {
            cut: {name: part for name, part in of.items() if part.positions}
            for cut, of in cuts.items()
        }
        return StageMetrics(overall=overall, **known)

    def game_losses(self) -> GameLosses:
        """Sums of squared errors by game."""
        return GameLosses(
            games=self.games.numpy().astype(np.int64),
            sums=self.sums.numpy().astype(np.float32),
            counts=self.counts.numpy().astype(np.int32),
        )


def reduce(win_prob_red: Tensor, columns: Mapping[str, Tensor]) -> Reduced:
    """Reduce [P] answers on their device.

    Args:
        columns: the other columns of an Evaluation, on the same device.
    """
    import torch

    from hexsearch.statistics import slices

    answers = slices.Answers.by_game(win_prob_red, columns["red_won"], columns["game"])
    masks = slice_masks(columns)
    everything = torch.ones_like(masks[:1])
    return Reduced(
        slices.figures(answers, torch.cat([everything, masks])),
        torch.unique(columns["game"]),
        *slices.losses_by_game(answers, columns["stage"], len(STAGE_NAMES)),
    )


def slice_masks(columns: Mapping[str, Tensor]) -> Tensor:
    """[S, P] whether a position is in a slice, in the order of SLICES."""
    import torch

    stage, to_end, final = columns["stage"], columns["to_end"], columns["final"]
    blue = columns["ply"] % 2 == 0
    bands = [
        (to_end >= low) if high is None else (to_end >= low) & (to_end <= high)
        for low, high in TO_END_BANDS
    ]
    stages = [stage == number for number in range(len(STAGE_NAMES))]
    return torch.stack([*stages, to_end == 1, final, *bands, blue & ~final, ~blue & ~final, final])


@dataclass(frozen=True)
class GameLosses:
    """Squared errors of one evaluation, summed by game and stage.

    Attributes:
        games: [G] archive index of each game.
        sums, counts: [G, 3] sum of squared errors and number of positions, for early, middle, late.
    """

    games: NDArray[np.int64]
    sums: NDArray[np.float32]
    counts: NDArray[np.int32]


def slice_metrics(win_prob_red: Floats, red_won: Floats, game: NDArray[np.int64]) -> SliceMetrics:
    """Metrics of [P] answers for [P] results (1.0 Red won, 0.0 Blue won) of [P] games.

    Raises:
        ValueError: shapes differ. [P, 1] against [P] would broadcast to [P, P].
    """
    if not win_prob_red.shape == red_won.shape == game.shape:
        raise ValueError(f"shapes differ: {win_prob_red.shape}, {red_won.shape} and {game.shape}")
    count = len(win_prob_red)
    if not count:
        return SliceMetrics(0, 0, *(float("nan"),) * 12)
    from hexsearch.statistics import slices

    p, won, games = (_tensor(column) for column in (win_prob_red, red_won, game))
    everything = _tensor(np.ones((1, count), dtype=bool))
    return _slice_of(slices.figures(slices.Answers.by_game(p, won, games), everything)[0].tolist())


def _tensor(column: NDArray[Any]) -> Tensor:
    """A copy, since a column may be reversed or not be writable."""
    import torch

    return torch.tensor(np.ascontiguousarray(column))


def _slice_of(row: list[float]) -> SliceMetrics:
    positions, games, *rest = row
    return SliceMetrics(int(positions), int(games), *rest)


def _plain(part: SliceMetrics) -> dict[str, float | int | None]:
    return {
        name: None if value != value else (round(value, 7) if isinstance(value, float) else value)
        for name, value in asdict(part).items()
    }
