"""Transformations of a network's planes, each scored by the answers that the network then gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, permutations, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.hypotheses.policies import uniform_likelihood
from hexsearch.doctor.networks import ExaminedNetwork, Observed, respond_in_parts, take
from hexsearch.training.metrics import slice_metrics

OTHER_PLY = "boards of one ply"
_POSITIONS = 800  # positions that each transformation is tried on
NEAR = 14  # plies to the end within which a network should be rather sure
Change = Callable[[Tensor], Tensor]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class InputScore:
    """How good the answers are if the planes are transformed.

    Attributes:
        name: the transformation, as a noun.
        auc, value_loss: of the answers.
        gain: value loss for the planes as they are minus `value_loss`.
        noise: standard error of the gain, clustered by game.
        likelihood: mean log probability of the moves played, above that of uniform cells.
        policy_gain: the same minus its value for the planes as they are.
        policy_noise: standard error of policy_gain, clustered by game.
    """

    name: str
    auc: float
    value_loss: float
    gain: float
    noise: float
    likelihood: float
    policy_gain: float
    policy_noise: float


def input_scores(examined: ExaminedNetwork, observed: Observed, seed: int) -> list[InputScore]:
    """Scores of all transformations, the planes as they are first.

    Positions near the end of the games are used where there are enough of them.
    """
    rng = np.random.default_rng(seed)
    near = np.flatnonzero(observed.evaluation.to_end <= NEAR)
    usable = near if len(near) >= _POSITIONS // 2 else np.arange(len(observed.positions))
    chosen = np.sort(rng.choice(usable, min(_POSITIONS, len(usable)), replace=False))
    positions = take(observed.positions, chosen)
    planes = examined.planes(positions)
    won, game = observed.evaluation.red_won[chosen], observed.evaluation.game[chosen]
    played = observed.played[chosen]
    moving = played >= 0
    chosen_games = observed.evaluation.game
    others = {
        f"{OTHER_PLY} {name}": examined.planes(
            take(observed.positions, _neighbours(chosen, chosen_games, plies))
        )
        for name, plies in (("earlier", -1), ("later", 1))
    }
    scores: list[InputScore] = []
    base_errors, base_policy = np.zeros(0), np.zeros(0)
    changes: list[tuple[str, Change]] = [("as it is", _scaled(1.0)), *_changes(planes)]
    changes += [(name, _replaced_by(other)) for name, other in others.items()]
    changes += _by_side(planes, torch.from_numpy(positions.plies % 2 == 1))
    for name, change in changes:
        policy, raw = respond_in_parts(examined, change(planes).contiguous())
        p = np.clip(examined.reported(raw, positions).double().numpy(), 0.0, 1.0)
        errors = np.square(p - won)
        policy = examined.on_board(policy, positions)
        table = torch.log_softmax(policy, dim=1).double().numpy()
        fits = table.shape[1] > int(played.max(initial=0))
        log_p = table[np.flatnonzero(moving), played[moving]] if fits else np.zeros(moving.sum())
        if not scores:
            base_errors, base_policy = errors, log_p
        gains, policy_gains = base_errors - errors, log_p - base_policy
        scores.append(
            InputScore(
                name=name,
                auc=slice_metrics(p, won, game).auc,
                value_loss=float(errors.mean()),
                gain=float(gains.mean()),
                noise=clustered_error(gains - gains.mean(), game),
                likelihood=float(log_p.mean()) - uniform_likelihood(examined.size),
                policy_gain=float(policy_gains.mean()),
                policy_noise=clustered_error(policy_gains - policy_gains.mean(), game[moving]),
            )
        )
    return scores


def restoring(scores: list[InputScore], least: float) -> InputScore | None:
    """The transformation that clearly restores value or policy; None if there is none.

    Args:
        scores: all scores, as `input_scores` gives them.
        least: AUC that the value must exceed.
    """
    # The value of a board one ply later is better anyway, so only the policy is used for these.
    # A transformation that makes the moves played less likely is not that of training.
    candidates = [
        score
        for score in scores[1:]
        if not score.name.startswith(OTHER_PLY)
        and score.policy_gain > -max(0.05, 3.0 * score.policy_noise)
    ]
    value = max(candidates, key=lambda score: score.gain, default=scores[0])
    # Setting a plane to a constant is reported only if nothing that keeps it is about as good.
    if " set to " in value.name:
        others = [each for each in candidates if " set to " not in each.name]
        best = max(others, key=lambda score: score.gain, default=value)
        value = best if best.gain > value.gain - max(2.0 * value.noise, 0.3 * value.gain) else value
    if value.gain > max(0.015, 4.0 * value.noise) and value.auc > max(least, scores[0].auc + 0.02):
        return value
    policy = max(scores[1:], key=lambda score: score.policy_gain)
    clear = policy.policy_gain > max(0.1, 4.0 * policy.policy_noise) and policy.gain > -0.005
    if clear and policy.likelihood > 0.1:
        return policy
    return None


def _neighbours(chosen: Ints, game: Ints, plies: int) -> Ints:
    """[Q] rows some plies later in the same game; the row itself beyond the ends of a game."""
    rows = np.clip(chosen + plies, 0, len(game) - 1)
    neighbours: Ints = np.where(game[rows] == game[chosen], rows, chosen)
    return neighbours


def _replaced_by(other: Tensor) -> Change:
    return lambda planes: other


def _changes(planes: Tensor) -> Iterator[tuple[str, Change]]:
    """Transformations that are the same for every position, with their names."""
    channels = planes.shape[1]
    stones, flags = _kinds(planes)
    for name, change in _TURNS.items():
        yield f"the board {name}", change
    for first, second in pairwise(stones):
        yield f"planes {first} and {second} exchanged", _exchanged(channels, first, second)
    if len(stones) >= 2:
        exchanged = _exchanged(channels, stones[0], stones[1])
        for name in ("transposed", "transposed in the other diagonal"):
            turn = _TURNS[name]
            yield f"the board {name} and its colours exchanged", _chain(exchanged, turn)
    for flag in flags:
        values = planes[:, flag].mean(dim=(1, 2))
        low, high = float(values.min()), float(values.max())
        if high > low:
            yield f"plane {flag} inverted", _with_plane(flag, -1.0, low + high)
        for number in (0.0, 0.5, 1.0):
            yield f"plane {flag} set to {number:g}", _with_plane(flag, 0.0, number)
        if low < -0.5:
            yield f"plane {flag} as (x + 1) / 2", _with_plane(flag, 0.5, 0.5)
        elif high > 0.5:
            yield f"plane {flag} as 2 x - 1", _with_plane(flag, 2.0, -1.0)
        for scale in (255.0, 1 / 255.0):
            yield f"plane {flag} times {scale:.3g}", _with_plane(flag, scale, 0.0)
        for other in stones:
            yield f"planes {flag} and {other} exchanged", _exchanged(channels, flag, other)
    if 3 <= channels <= 4:
        for order in permutations(range(channels)):
            if sum(place != number for place, number in enumerate(order)) > 2:
                yield f"its planes in the order {order}", _in_order(order)
    for scale in (255.0, 1 / 255.0, 2.0, 0.5, -1.0):
        yield f"planes times {scale:.3g}", _scaled(scale)
    yield "planes as 2 x - 1", lambda p: 2 * p - 1
    yield "planes as (x + 1) / 2", lambda p: (p + 1) / 2
    yield "planes as 1 - x", lambda p: 1 - p
    for rows, columns in product((-1, 0, 1), repeat=2):
        if (rows, columns) != (0, 0):
            yield f"the board shifted by ({rows}, {columns})", _rolled(rows, columns)


def _by_side(planes: Tensor, red: Tensor) -> Iterator[tuple[str, Change]]:
    """Transformations that depend on the side to move, with their names.

    Args:
        red: [P] whether Red is to move.
    """
    stones, flags = _kinds(planes)
    for flag in flags:
        mover = red.float()[:, None, None].expand(planes[:, flag].shape)
        yield f"plane {flag} filled with the side to move", _with_values(flag, mover)
        yield f"plane {flag} filled with the side not to move", _with_values(flag, 1 - mover)
    changes = list(_TURNS.items())
    if len(stones) >= 2:
        exchanged = _exchanged(planes.shape[1], stones[0], stones[1])
        changes.append(("with colours exchanged", exchanged))
        changes.append(
            ("transposed with colours exchanged", _chain(exchanged, _TURNS["transposed"]))
        )
    elif len(stones) == 1:
        changes.append(("with its sign exchanged", _scaled(-1.0)))
    for name, change in changes:
        for side, chosen in (("Red", red), ("Blue", ~red)):
            yield f"the board {name} where {side} is to move", _where(chosen, change)


def _kinds(planes: Tensor) -> tuple[list[int], list[int]]:
    """Indices of the planes that vary over a board, and of those that are constant on boards."""
    constant = (planes.flatten(2).std(dim=2) < 1e-6).all(dim=0)
    every = range(planes.shape[1])
    return [n for n in every if not constant[n]], [n for n in every if constant[n]]


def _with_values(index: int, values: Tensor) -> Change:
    def changed(planes: Tensor) -> Tensor:
        out = planes.clone()
        out[:, index] = values
        return out

    return changed


def _where(chosen: Tensor, change: Change) -> Change:
    return lambda planes: torch.where(chosen[:, None, None, None], change(planes), planes)


_TURNS: dict[str, Change] = {
    "transposed": lambda p: p.transpose(2, 3),
    "transposed in the other diagonal": lambda p: p.transpose(2, 3).flip(2, 3),
    "upside down": lambda p: p.flip(2),
    "left and right exchanged": lambda p: p.flip(3),
    "given a quarter turn to the left": lambda p: p.rot90(1, (2, 3)),
    "given a quarter turn to the right": lambda p: p.rot90(-1, (2, 3)),
}


def _in_order(order: tuple[int, ...]) -> Change:
    return lambda planes: planes[:, list(order)]


def _exchanged(channels: int, first: int, second: int) -> Change:
    order = list(range(channels))
    order[first], order[second] = order[second], order[first]
    return lambda planes: planes[:, order]


def _with_plane(index: int, factor: float, offset: float) -> Change:
    def changed(planes: Tensor) -> Tensor:
        out = planes.clone()
        out[:, index] = factor * planes[:, index] + offset
        return out

    return changed


def _chain(first: Change, second: Change) -> Change:
    return lambda planes: second(first(planes))


def _scaled(factor: float) -> Change:
    return lambda planes: planes * factor


def _rolled(rows: int, columns: int) -> Change:
    return lambda planes: torch.roll(planes, (rows, columns), dims=(2, 3))
