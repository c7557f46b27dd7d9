"""Figures of answers on several slices of the positions at once, on the device that holds them.

On a GPU each operation waits for its launch, so all slices are reduced together: an answer counts
in a slice by the weight 1 or 0. All sums are in float64 and in a fixed order, so that equal answers
have equal figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# The columns of `figures`, which SliceMetrics explains.
FIGURES = (
    "positions",
    "games",
    "value_loss",
    "value_loss_se",
    "log_loss",
    "accuracy",
    "strict_accuracy",
    "confident_share",
    "confident_accuracy",
    "auc",
    "calibration_error",
    "calibration_slope",
    "correlation",
    "bias",
)
_CLIP = 1e-6  # keeps the log loss of a confident error finite
_BINS = 15  # equal-width bins of the calibration error
_NEWTON_STEPS = 30  # limit for the calibration slope, which usually needs six
_AT_ONCE = 4_000_000  # positions times slices whose weights are made together, 32 MB an array
_ROWS = 250_000  # positions whose columns are made together, 60 MB
_NAN = float("nan")


@dataclass(frozen=True)
class Answers:
    """P answers in float64, ordered by game.

    Attributes:
        p: [P] probability that Red wins.
        won: [P] results, 1 if Red won and 0 if Blue won.
        lengths: [G] number of positions of each game.
        order: [P] where each position was before.
    """

    p: Tensor
    won: Tensor
    lengths: Tensor
    order: Tensor

    @classmethod
    def by_game(cls, p: Tensor, won: Tensor, game: Tensor) -> Answers:
        """Answers for positions of the games `game` [P], in any order."""
        sorted_game, order = torch.sort(game, stable=True)
        _, lengths = torch.unique_consecutive(sorted_game, return_counts=True)
        return cls(p.double()[order], won.double()[order], lengths, order)

    @property
    def errors(self) -> Tensor:
        """[P] squared errors."""
        return (self.p - self.won).square()

    def summed_by_game(self, values: Tensor) -> Tensor:
        """[S, G] sums of [S, P] values over the positions of each game."""
        columns = values.T.contiguous()
        return torch.segment_reduce(columns, "sum", lengths=self.lengths, axis=0, unsafe=True).T


def figures(answers: Answers, masks: Tensor) -> Tensor:
    """[S, 14] FIGURES of each slice; nan where one does not exist.

    Args:
        masks: [S, P] whether a position is in a slice, in the answers' own former order.
    """
    if not len(answers.p):
        return masks.new_full((len(masks), len(FIGURES)), _NAN, dtype=torch.float64).index_fill_(
            1, torch.arange(2, device=masks.device), 0.0
        )
    all_slices, ordered = _Slices.of(answers), masks[:, answers.order]
    sums = all_slices.sums(ordered)
    parts = torch.split(ordered, max(1, _AT_ONCE // len(answers.p)))
    some = torch.split(sums, len(parts[0])) if len(parts) else ()
    return torch.cat([all_slices.figures(*each) for each in zip(parts, some, strict=True)])


def losses_by_game(answers: Answers, kinds: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """[G, K] sums of squared errors and numbers of positions, by game and kind of position.

    Args:
        kinds: [P] kind of each position, 0 to K-1, in the answers' own former order.
        number: K.
    """
    each = (kinds[answers.order] == torch.arange(number, device=kinds.device)[:, None]).double()
    sums = answers.summed_by_game(each * answers.errors)
    return sums.T, answers.summed_by_game(each).T


@dataclass(frozen=True)
class _Slices:
    """What the figures of all slices are computed from.

    Attributes:
        log_odds: [P] log odds of the answers, which are kept from 0 and 1.
        rank, distinct: [P] rank of each answer, and number of different ones.
        middle: [2] mean answer and result. Moments are taken around them, since answers that
            hardly differ would lose their digits.
    """

    answers: Answers
    log_odds: Tensor
    rank: Tensor
    distinct: int
    middle: Tensor

    @classmethod
    def of(cls, answers: Answers) -> _Slices:
        clipped = answers.p.clamp(_CLIP, 1 - _CLIP)
        values, rank = torch.unique(answers.p, return_inverse=True)
        middle = torch.stack([answers.p.mean(), answers.won.mean()])
        return cls(answers, clipped.log() - torch.log1p(-clipped), rank, len(values), middle)

    def sums(self, inside: Tensor) -> Tensor:
        """[S, K] sums of the columns over slices [S, P], for some positions at a time."""
        some = [slice(at, at + _ROWS) for at in range(0, inside.shape[1], _ROWS)]
        return torch.stack([inside[:, rows].double() @ self._columns(rows) for rows in some]).sum(0)

    def _columns(self, rows: slice) -> Tensor:
        """[n, K] what is summed over a slice."""
        p, won = self.answers.p[rows], self.answers.won[rows]
        gap = p - won
        clipped = p.clamp(_CLIP, 1 - _CLIP)
        called = ((p > 0.5) == (won == 1)).double()
        confident = ((p < 0.3) | (p > 0.7)).double()
        p_off, won_off = p - self.middle[0], won - self.middle[1]
        bins = (p * _BINS).clamp(0, _BINS - 1).floor()
        columns = [
            torch.ones_like(p),
            won,
            gap * gap,
            -(won * clipped.log() + (1 - won) * torch.log1p(-clipped)),
            torch.where(p == 0.5, 0.5, called),
            (gap.abs() < 0.3).double(),
            confident,
            confident * called,
            gap,
            p_off,
            won_off,
            p_off * p_off,
            won_off * won_off,
            p_off * won_off,
        ]
        binned = (bins == torch.arange(_BINS, device=p.device)[:, None]) * gap
        return torch.cat([torch.stack(columns), binned]).T

    def figures(self, inside: Tensor, sums: Tensor) -> Tensor:
        """[S, 14] figures of slices [S, P], given in the answers' own order, with their `sums`."""
        weights = inside.double()
        count, ones, error, log_loss, right, strict, sure, sure_right, bias, *moments = sums[
            :, :-_BINS
        ].T
        both = (ones > 0) & (ones < count)
        games, standard_error = self._clustered(weights, error / count, count)
        return torch.stack(
            [
                count,
                games,
                error / count,
                standard_error,
                log_loss / count,
                right / count,
                strict / count,
                sure / count,
                sure_right / sure,  # 0 / 0 is nan
                self._auc(weights, ones, count - ones),
                sums[:, -_BINS:].abs().sum(1) / count,
                self._slope(weights, both & _varies(self.log_odds, inside)),
                torch.where(
                    both & _varies(self.answers.p, inside), _correlation(count, *moments), _NAN
                ),
                bias / count,
            ],
            dim=1,
        )

    def _clustered(self, weights: Tensor, mean: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """[S] number of games, and [S] standard error of the mean error, clustered by game."""
        counts = self.answers.summed_by_game(weights)
        residuals = self.answers.summed_by_game(weights * (self.answers.errors - mean[:, None]))
        games = (counts > 0).sum(1).double()
        spread = games / (games - 1) * residuals.square().sum(1)
        return games, torch.where(games < 2, _NAN, spread.sqrt() / count)

    def _auc(self, weights: Tensor, ones: Tensor, zeros: Tensor) -> Tensor:
        """[S] Mann-Whitney U over the pairs of a Red win and a Blue win."""
        won = self.answers.won
        lost = weights.new_zeros(len(weights), self.distinct)
        lost.index_add_(1, self.rank, weights * (1 - won))  # whole numbers, exact in any order
        below = lost.cumsum(1) - lost / 2
        pairs = ones * zeros
        return torch.where(pairs > 0, (below[:, self.rank] * weights) @ won / pairs, _NAN)

    def _slope(self, weights: Tensor, exists: Tensor) -> Tensor:
        """[S] slope of a logistic regression of results on log odds, by Newton's method.

        If the answers separate the results, the likelihood has no maximum and the slope is nan.
        """
        log_odds, won = self.log_odds, self.answers.won
        powers = torch.stack([torch.ones_like(log_odds), log_odds, log_odds * log_odds], dim=1)
        singular = 1e-12 * weights.sum(1).square()
        at = weights.new_zeros(len(weights), 2)
        active, found = exists, torch.zeros_like(exists)
        for _ in range(_NEWTON_STEPS):
            fitted = torch.addmm(at[:, :1], at[:, 1:], log_odds[None]).sigmoid_()
            rest = (won - fitted).mul_(weights)
            level, tilt = (rest @ powers[:, :2]).T
            flat, mixed, steep = (fitted.mul_(1 - fitted).mul_(weights) @ powers).T
            curvature = flat * steep - mixed * mixed
            active = active & (curvature > singular)
            step = torch.stack([steep * level - mixed * tilt, flat * tilt - mixed * level], dim=1)
            step = torch.where(active[:, None], step / curvature[:, None], 0.0)
            at = at + step
            found = found | (active & (step.abs().amax(1) < 1e-8))
            active = active & ~found
            if not active.any():
                break
        return torch.where(found, at[:, 1], _NAN)


def _varies(values: Tensor, inside: Tensor) -> Tensor:
    """[S] whether values [P] differ within each slice."""
    high = torch.where(inside, values, -torch.inf).amax(1)
    return high > torch.where(inside, values, torch.inf).amin(1)


def _correlation(
    count: Tensor, p: Tensor, won: Tensor, p2: Tensor, won2: Tensor, both: Tensor
) -> Tensor:
    """[S] Pearson's correlation, from sums of moments."""
    spreads = (p2 - p * p / count) * (won2 - won * won / count)
    return (both - p * won / count) / spreads.sqrt()
