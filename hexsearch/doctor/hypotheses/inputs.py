"""Transformations of a network's planes, each scored by the answers that the network then gives."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.analysis.boards import Positions
from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.hypotheses.general.plane_changes import (
    TURNS,
    Change,
    all_changes,
    scaled,
)
from hexsearch.doctor.hypotheses.policies import uniform_likelihood
from hexsearch.doctor.networks import (
    ExaminedNetwork,
    Observed,
    respond_in_parts,
    seconds_for_one,
    take,
)
from hexsearch.errors import PluginError
from hexsearch.training.metrics import slice_metrics

OTHER_PLY = "boards of one ply"
_MORE = 0.2  # share of the gain by an inversion that planes must add to it
_SIDE = " filled with the side to move"
_TOLD = 0.05  # nats that the side to move must tell the policy
_KNOWS = 0.1  # nats above a uniform policy from which on a policy has learnt
_NUMBERS = (" for ", " times ", " as ")  # in the names of changes of numbers alone
_INVERTED = ", and gives 1 - p"
_POSITIONS = 800  # positions that each transformation is tried on
_SECONDS = 25.0  # of the CPU that are wanted for all of them
_FEWEST = 120  # positions of a slow network
NEAR = 14  # plies to the end within which a network should be rather sure
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
    chosen, positions, planes, changes = _chosen(examined, observed, seed)
    won, game = observed.evaluation.red_won[chosen], observed.evaluation.game[chosen]
    played = observed.played[chosen]
    moving = played >= 0
    going = torch.from_numpy(~positions.finished)
    scores: list[InputScore] = []
    base_errors, base_policy = np.zeros(0), np.zeros(0)
    for name, change in changes:
        changed = change(planes).contiguous()
        if scores and going.any() and torch.equal(changed[going], planes[going]):
            continue  # scripts differ in whether somebody is to move on a finished board
        try:
            policy, raw = respond_in_parts(examined, changed)
        except PluginError:  # a model that looks stones up in a table takes no other numbers
            if not scores:
                raise
            continue
        p = np.clip(examined.reported(raw, positions).double().numpy(), 0.0, 1.0)
        policy = examined.on_board(policy, positions)
        table = torch.log_softmax(policy, dim=1).double().numpy()
        fits = table.shape[1] > int(played.max(initial=0))
        if not scores and fits and getattr(examined, "for_mover", False):
            played = _as_shown(table, played, positions.plies % 2 == 1, examined.size)
        log_p = np.zeros(moving.sum())
        if fits:
            red = positions.plies[moving] % 2 == 1
            log_p = _likelihoods(table[moving], played[moving], name, red, examined.size)
        if not scores:
            base_errors, base_policy = np.square(p - won), log_p
        policy_gains = log_p - base_policy
        # The same planes may also belong to the other side's answer.
        for told, answers in ((name, p), (f"{name}{_INVERTED}", 1 - p)):
            errors = np.square(answers - won)
            gains = base_errors - errors
            scores.append(
                InputScore(
                    name=told,
                    auc=slice_metrics(answers, won, game).auc,
                    value_loss=float(errors.mean()),
                    gain=float(gains.mean()),
                    noise=clustered_error(gains - gains.mean(), game),
                    likelihood=float(log_p.mean()) - uniform_likelihood(examined.size),
                    policy_gain=float(policy_gains.mean()),
                    policy_noise=clustered_error(policy_gains - policy_gains.mean(), game[moving]),
                )
            )
    return scores


def _chosen(
    examined: ExaminedNetwork, observed: Observed, seed: int
) -> tuple[Ints, Positions, Tensor, list[tuple[str, Change]]]:
    """The rows that are tried, fewer of them for a slow network, and what `_prepared` gives."""
    rng = np.random.default_rng(seed)
    near = np.flatnonzero(observed.evaluation.to_end <= NEAR)
    usable = near if len(near) >= _POSITIONS // 2 else np.arange(len(observed.positions))
    chosen = np.sort(rng.choice(usable, min(_POSITIONS, len(usable)), replace=False))
    prepared = _prepared(examined, observed, chosen)
    each = seconds_for_one(examined, prepared[1])
    seconds = each * len(prepared[1]) * len(prepared[2])
    if seconds > _SECONDS and len(chosen) > _FEWEST:
        few = max(_FEWEST, int(len(chosen) * _SECONDS / seconds))
        chosen = np.sort(rng.choice(chosen, few, replace=False))
        prepared = _prepared(examined, observed, chosen)
    return chosen, *prepared


def _prepared(
    examined: ExaminedNetwork, observed: Observed, chosen: Ints
) -> tuple[Positions, Tensor, list[tuple[str, Change]]]:
    """The positions of some rows with their planes, and all transformations of these."""
    positions = take(observed.positions, chosen)
    planes = examined.planes(positions)
    changes: list[tuple[str, Change]] = [("as it is", scaled(1.0))]
    changes += all_changes(planes, torch.from_numpy(positions.plies % 2 == 1))
    return positions, planes, changes + _other_plies(examined, observed, chosen)


def _other_plies(
    examined: ExaminedNetwork, observed: Observed, chosen: Ints
) -> list[tuple[str, Change]]:
    """Changes that show each position as it was one ply earlier, and as it is one ply later."""
    changes = []
    for name, plies in (("earlier", -1), ("later", 1)):
        near = take(observed.positions, _neighbours(chosen, observed.evaluation.game, plies))
        changes.append((f"{OTHER_PLY} {name}", _replaced_by(examined.planes(near))))
    return changes


def _likelihoods(
    table: Floats, played: Ints, change: str, red: NDArray[np.bool_], size: int
) -> Floats:
    """[n] log-probabilities of the moves, turned like the board where these fit better.

    Args:
        red: [n] whether Red is to move; a board may be turned for one side alone.
    """
    rows = np.arange(len(played))
    log_p = np.asarray(table[rows, played])
    name, _, side = change.removeprefix("the board ").partition(" where ")
    turn = TURNS.get(name.removesuffix(" with colours exchanged"))
    if turn is not None:  # a network of turned boards gives turned moves
        shown = {"": np.ones(len(red), dtype=bool), "Red is to move": red}.get(side, ~red)
        cells = np.where(shown, _turned_cells(turn, size)[played], played)
        turned = np.asarray(table[rows, cells])
        log_p = turned if turned.mean() > log_p.mean() else log_p
    return log_p


def _turned_cells(turn: Change, size: int) -> Ints:
    """[N*N] where each cell lies on a board that is turned."""
    cells = torch.arange(size * size).reshape(1, 1, size, size)
    order: Ints = np.argsort(turn(cells).reshape(-1).numpy())
    return order


def _as_shown(table: Floats, played: Ints, red: NDArray[np.bool_], size: int) -> Ints:
    """[P] the cells played, on reflected boards for Red if the policy belongs to these.

    Args:
        table: [P, N*N] log probabilities.
        played: [P] cells, -1 where there is none.
    """
    rows = np.flatnonzero(played >= 0)
    shown = np.where(red & (played >= 0), played % size * size + played // size, played)
    better = table[rows, shown[rows]].mean() > table[rows, played[rows]].mean()
    return shown if better else played


def restoring(
    scores: list[InputScore], least: float, of_a_side: Collection[str] = ()
) -> InputScore | None:
    """The transformation that clearly restores value or policy; None if there is none.

    Args:
        scores: all scores, as `input_scores` gives them.
        least: AUC that the value must exceed.
        of_a_side: transformations that show one side to move at every position.
    """
    # Other numbers may undo a saturation of the value. If planes held them in training, the policy
    # gains by them, too.
    knows = scores[0].likelihood > _KNOWS
    # Planes must explain more than an answer for the other side does.
    inverted = [s for s in scores[1:] if s.name == f"{scores[0].name}{_INVERTED}"]
    plain = max((score.gain for score in inverted), default=0.0)
    scores = [score for score in scores if score not in inverted]
    # The value of a board one ply later is better anyway, so only the policy is used for these.
    # A transformation that makes the moves played less likely is not that of training.
    candidates = [
        score
        for score in scores[1:]
        if not score.name.startswith(OTHER_PLY)
        and score.policy_gain > -max(0.05, 3.0 * score.policy_noise)
        and not (knows and _is_of_numbers(score) and score.policy_gain < 2.0 * score.policy_noise)
    ]
    value = max(candidates, key=lambda score: score.gain, default=scores[0])
    alone = value.name in of_a_side
    # In Hex a board with exchanged colours is another view of the same one, so a plain change comes
    # before one with inverted answers that is about as good.
    if value.name.endswith(_INVERTED):
        kept = [each for each in candidates if not each.name.endswith(_INVERTED)]
        best = max(kept, key=lambda score: score.gain, default=value)
        value = best if best.gain > value.gain - max(2.0 * value.noise, 0.1 * value.gain) else value
    # Setting a plane to a constant is reported only if nothing that keeps it is about as good.
    if " set to " in value.name and not alone:
        others = [each for each in candidates if " set to " not in each.name]
        best = max(others, key=lambda score: score.gain, default=value)
        value = best if best.gain > value.gain - max(2.0 * value.noise, 0.3 * value.gain) else value
    more = value.gain - plain if plain > 0 else value.gain
    clear = more > max(0.015, _MORE * plain if plain > 0 else 4.0 * value.noise)
    if clear and value.auc > max(least, scores[0].auc + 0.02):
        return value
    # What a plane of the side to move is worth is often seen by the policy alone. A value that no
    # plane moves has another fault.
    shown = [s for s in scores[1:] if _SIDE in s.name and not s.name.endswith(_INVERTED)]
    side = max(shown, key=lambda score: score.policy_gain, default=scores[0])
    told = side.policy_gain > max(_TOLD, 4.0 * side.policy_noise)
    if knows and told and side.gain > -0.005 and side.gain != 0.0:
        return side
    policy = max(scores[1:], key=lambda score: score.policy_gain)
    sure = policy.policy_gain > max(0.2, 4.0 * policy.policy_noise) and policy.gain > -0.005
    if sure and policy.likelihood > 0.1:
        return policy
    return None


def _is_of_numbers(score: InputScore) -> bool:
    return any(word in score.name for word in _NUMBERS)


def _neighbours(chosen: Ints, game: Ints, plies: int) -> Ints:
    """[Q] rows some plies later in the same game; the row itself beyond the ends of a game."""
    rows = np.clip(chosen + plies, 0, len(game) - 1)
    neighbours: Ints = np.where(game[rows] == game[chosen], rows, chosen)
    return neighbours


def _replaced_by(other: Tensor) -> Change:
    return lambda planes: other
