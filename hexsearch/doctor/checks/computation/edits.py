"""The check that tries edits of a user's network, each of which undoes one mistake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn

from hexsearch.analysis.boards import Positions
from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.checks.computation.loaded_weights import lost_part
from hexsearch.doctor.findings import Finding, Severity
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.edits import all_edits
from hexsearch.doctor.hypotheses.edits.edit import Edit
from hexsearch.doctor.hypotheses.general.norm_statistics import copied
from hexsearch.doctor.hypotheses.policies import log_softmax
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
_NEEDED = 256  # positions of the second halves of games that are needed
_TRIED, _FEWEST, _CONFIRMED = 256, 64, 1024  # positions of a trial and of what confirms it
_PROBED = 4  # positions that show whether an edit changes anything
_SECONDS, _LONGEST = 15.0, 60.0  # wanted for all edits together, and after which no more is tried
_GAIN, _SURE = 0.008, 3.5  # what an edit must gain, also in standard errors
# The same as a share, where the loss falls to so many times that of a table of shortest paths, and
# where it does not.
_SHARE, _LARGE_SHARE, _AS_GOOD = 0.12, 0.35, 1.6
_ERROR = 0.03  # gain from which on it is an error
_USEFUL = 0.23  # value loss that an edit must reach
_EQUAL = 1.05  # factor on the least loss up to which an edit that comes earlier is preferred
_ALIKE = 1.1  # factor on the least loss up to which edits of one family are told together
_END = 8.0  # log odds beyond which answers are cut off
_STEPS, _RIDGE = 12, 1e-3  # of the fit of the scale
_NATS, _SURER = 0.12, 6.0  # what the policy must gain, also in standard errors
_WORSE, _SERIOUS = 0.005, 0.8  # what the value may lose by it, and a gain that is an error
_KNOWN = 0.4  # nats by which moves must be likelier than by uniform cells
_TEMPERATURES = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.2, 3.2)


@dataclass(frozen=True)
class Losses:
    """[P] squared errors of the values, and log losses of the moves that were played."""

    value: Floats
    policy: Floats


def check_edits(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Try what could have gone wrong when the network was brought over, loaded or written.

    Answers are compared after the best scale and offset of their log odds for each side to move:
    an edit that only makes answers less sure, or inverts them, gains nothing. An edit may also show
    in the policy, which knows more of a position than one result.
    """
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    evaluation = observed.evaluation
    late = np.flatnonzero(evaluation.to_end <= evaluation.ply)
    if not isinstance(foreign.model, nn.Module) or len(late) < _NEEDED:
        return
    # A network that cannot be copied is edited itself, and left as it was.
    network = copied(foreign.model) or foreign.model
    tried_on = ForeignNetwork(network, foreign.encoded, foreign.size)

    def losses_on(rows: Rows) -> Callable[[], Losses]:
        positions, won = take(observed.positions, rows), evaluation.red_won[rows]
        planes, played = foreign.planes(positions), observed.played[rows]
        return lambda: _losses(tried_on, positions, planes, won, played)

    chosen = np.random.default_rng(SEED).permutation(late)[: _TRIED + _CONFIRMED]
    tried = min(_TRIED, len(chosen) // 3)
    planes = foreign.planes(take(observed.positions, chosen[:tried]))
    edits = list(_effective(all_edits(network, planes), tried_on, planes[:_PROBED]))
    confirming = np.sort(chosen[tried:])
    game, confirm, own = evaluation.game[confirming], losses_on(confirming), None
    for kind, edit, tale in _best(edits, losses_on, chosen[:tried]):
        own = own or confirm()
        other = _tried(edit, confirm)
        if other is None:
            continue
        if kind == "value":
            # What undoes the fault makes a network good; another edit may make a bad one a little
            # better.
            table = _scaled_errors(
                needed(pipeline.table)[confirming],
                evaluation.ply[confirming],
                evaluation.red_won[confirming],
            )
            told = _of_value(own.value, other.value, game, float(table.mean()))
        else:
            told = _of_policy(own, other, game, foreign.size)
        if told is not None:
            severity, evidence = told
            evidence = f"in the second halves of games, {evidence} with {edit.words}{tale}"
            cause, remedy, root = edit.cause, edit.remedy, "computation"
            # An edit may make up for a part of what is lost.
            if (lost := lost_part(tried_on)) is not None:
                evidence, cause, remedy = f"{lost[0]}; {evidence}", *lost[1:]
                root = "weights"
            yield Finding("computation", severity, evidence, cause, remedy, root=root)
            return


def _effective(edits: Iterator[Edit], tried_on: ForeignNetwork, planes: Tensor) -> Iterator[Edit]:
    """The edits that change an answer, of those that the network can compute with."""
    policy, value = tried_on.respond(planes)
    for edit in edits:
        try:
            with edit.made():
                changed = tried_on.respond(planes)
        except Exception:  # as in _tried
            continue
        if not (torch.equal(changed[0], policy) and torch.equal(changed[1], value)):
            yield edit


def _of_value(own: Floats, other: Floats, game: Rows, table: float) -> tuple[Severity, str] | None:
    """Severity and evidence if an edit clearly makes values better."""
    gains = own - other
    noise = clustered_error(gains - gains.mean(), game)
    share = _SHARE if other.mean() <= _AS_GOOD * table else _LARGE_SHARE
    if gains.mean() < max(_GAIN, _SURE * noise, share * own.mean()) or other.mean() > _USEFUL:
        return None
    return (
        "error" if gains.mean() > _ERROR else "warning",
        f"the value loss after the best scale of the log odds is {own.mean():.3f}, and "
        f"{other.mean():.3f} (lower by {gains.mean():.3f} +-{2 * noise:.3f})",
    )


def _of_policy(own: Losses, other: Losses, game: Rows, size: int) -> tuple[Severity, str] | None:
    """Severity and evidence if an edit makes the moves played far likelier, and values no worse."""
    moved = np.isfinite(own.policy) & np.isfinite(other.policy)
    gains = (own.policy - other.policy)[moved]
    if len(gains) < _NEEDED or (own.value - other.value).mean() < -_WORSE:
        return None
    noise = clustered_error(gains - gains.mean(), game[moved])
    last = float(other.policy[moved].mean())
    if gains.mean() < max(_NATS, _SURER * noise) or last > np.log(size * size) - _KNOWN:
        return None
    return (
        "error" if gains.mean() > _SERIOUS else "warning",
        f"the moves played have a log loss of {own.policy[moved].mean():.2f} at the best "
        f"temperature, and {last:.2f} (lower by {gains.mean():.2f} +-{2 * noise:.2f})",
    )


def _best(
    edits: list[Edit], losses_on: Callable[[Rows], Callable[[], Losses]], rows: Rows
) -> Iterator[tuple[str, Edit, str]]:
    """The edits with the least loss of the value, and of the policy, and how they were found.

    Only those that gain something on the positions that they are tried on.
    """
    trying = losses_on(np.sort(rows))
    began = time.perf_counter()
    unchanged = trying()
    seconds = (time.perf_counter() - began) * len(edits)
    if seconds > _SECONDS:
        count = max(_FEWEST, int(len(rows) * _SECONDS / seconds))
        trying = losses_on(np.sort(rows[:count]))
        unchanged = trying()
    found: list[Losses | None] = []
    for edit in edits:
        if time.perf_counter() - began > _LONGEST:
            break
        found.append(_tried(edit, trying))
    of_value = [np.inf if each is None else float(each.value.mean()) for each in found]
    least = min(of_value, default=np.inf)
    if least < min(_USEFUL, unchanged.value.mean() - _GAIN / 2):
        yield "value", *_first(edits, of_value, _EQUAL, _ALIKE)
    of_policy = [np.inf if each is None else _mean(each.policy) for each in found]
    if min(of_policy, default=np.inf) < _mean(unchanged.policy) - _NATS / 2:
        yield "policy", *_first(edits, of_policy, 1.0, _EQUAL)


def _mean(losses: Floats) -> float:
    """The mean where a move was played; infinite if there is none."""
    known = losses[np.isfinite(losses)]
    return float(known.mean()) if len(known) else np.inf


def _first(edits: list[Edit], losses: list[float], equal: float, alike: float) -> tuple[Edit, str]:
    """The first edit that is about as good as the best, and how it was found."""
    least = min(losses)
    place = next(at for at, loss in enumerate(losses) if loss <= equal * least)
    others = [
        edits[at].words
        for loss, at in sorted(zip(losses, range(len(losses)), strict=True))
        if at != place and loss < alike * least and edits[at].family == edits[place].family
    ]
    also = f" (and nearly as well with {others[0]})" if others else ""
    return edits[place], f"{also}, the best of {len(losses)} edits"


def _tried(edit: Edit, losses: Callable[[], Losses]) -> Losses | None:
    """What `losses` gives with an edit; None if the network cannot compute so."""
    try:
        with edit.made():
            return losses()
    except Exception:  # whatever an edit breaks in a user's network, it is not what is wrong
        return None


def _losses(
    foreign: ForeignNetwork, positions: Positions, planes: Tensor, won: Floats, played: Rows
) -> Losses:
    """Losses of answers after the best scale, which a flipped board inverts, and of moves."""
    policy, raw = foreign.respond(planes)
    reported = foreign.reported(raw, positions).double().numpy()
    return Losses(
        _scaled_errors(reported, positions.plies, won),
        _move_losses(policy.double().numpy(), played, positions.plies % 2 == 1, foreign.size),
    )


def _move_losses(logits: Floats, played: Rows, red: NDArray[np.bool_], size: int) -> Floats:
    """[P] log losses of the moves at the best temperature; nan where there is none.

    Cells are those of the board as played, or as reflected where Red is to move.
    """
    losses = np.full(len(logits), np.nan)
    rows = np.flatnonzero(played >= 0)
    if logits.shape[1] < size * size or not len(rows) or not np.isfinite(logits).all():
        return losses
    cell = played[rows]
    reflected = np.where(red[rows], cell % size * size + cell // size, cell)
    tables = [log_softmax(temperature * logits[rows]) for temperature in _TEMPERATURES]
    at = np.arange(len(rows))
    tried = [-table[at, cells] for table in tables for cells in (cell, reflected)]
    losses[rows] = min(tried, key=lambda each: float(each.mean()))
    return losses


def _scaled_errors(reported: Floats, plies: Rows, won: Floats) -> Floats:
    answers = np.clip(np.nan_to_num(reported, nan=0.5), 1e-6, 1.0 - 1e-6)
    odds = np.clip(np.log(answers / (1.0 - answers)), -_END, _END)
    side = np.where(plies % 2 == 1, 1.0, -1.0)
    terms = np.stack([odds, odds * side, side, np.ones(len(odds))], axis=1)
    weights = np.zeros(terms.shape[1])
    for _ in range(_STEPS):  # Newton's method for a logistic regression
        p = expit(terms @ weights)
        curvature = (terms * (p * (1 - p))[:, None]).T @ terms + _RIDGE * len(p) * np.eye(4)
        slope = terms.T @ (p - won) + _RIDGE * len(p) * weights
        weights = weights - np.linalg.solve(curvature, slope)
    errors: Floats = np.square(expit(terms @ weights) - won)
    return errors
