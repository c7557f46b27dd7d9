"""The check that tries edits of a user's network, each of which undoes one mistake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn

from hexsearch.analysis.boards import Positions
from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.edits import all_edits
from hexsearch.doctor.hypotheses.edits.edit import Edit
from hexsearch.doctor.hypotheses.general.norm_statistics import copied
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
_NEEDED = 256  # positions of the second halves of games that are needed
_TRIED, _FEWEST, _CONFIRMED = 256, 64, 1024  # positions of a trial and of what confirms it
_SECONDS, _LONGEST = 15.0, 60.0  # wanted for all edits together, and after which no more is tried
_GAIN, _SURE = 0.008, 3.5  # what an edit must gain, also in standard errors
# The same as a share, where the loss falls to so many times that of a table of shortest paths, and
# where it does not.
_SHARE, _LARGE_SHARE, _AS_GOOD = 0.12, 0.35, 1.6
_ERROR = 0.03  # gain from which on it is an error
_USEFUL = 0.2  # value loss that an edit must reach
_EQUAL = 1.05  # factor on the least loss up to which an edit that comes earlier is preferred
_ALIKE = 1.1  # factor on the least loss up to which edits of one family are told together
_END = 8.0  # log odds beyond which answers are cut off
_STEPS, _RIDGE = 12, 1e-3  # of the fit of the scale


def check_edits(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Try what could have gone wrong when the network was brought over, loaded or written.

    Answers are compared after the best scale and offset of their log odds for each side to move:
    an edit that only makes answers less sure, or inverts them, gains nothing.
    """
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    evaluation = observed.evaluation
    late = np.flatnonzero(evaluation.to_end <= evaluation.ply)
    if not isinstance(foreign.model, nn.Module) or len(late) < _NEEDED:
        return
    # A network that cannot be copied is edited itself, and left as it was.
    network = copied(foreign.model) or foreign.model
    tried_on = ForeignNetwork(network, foreign.encoded, foreign.size)

    def errors_on(rows: Rows) -> Callable[[], Floats]:
        positions, won = take(observed.positions, rows), evaluation.red_won[rows]
        planes = foreign.planes(positions)
        return lambda: _errors(tried_on, positions, planes, won)

    chosen = np.random.default_rng(SEED).permutation(late)[: _TRIED + _CONFIRMED]
    tried = min(_TRIED, len(chosen) // 3)
    edits = list(all_edits(network, foreign.planes(take(observed.positions, chosen[:tried]))))
    best = _best(edits, errors_on, chosen[:tried])
    if best is None:
        return
    edit, tale = best
    confirming = np.sort(chosen[tried:])
    confirm = errors_on(confirming)
    own, other = confirm(), _tried(edit, confirm)
    if other is None:
        return
    gains = own - other
    noise = clustered_error(gains - gains.mean(), evaluation.game[confirming])
    # What undoes the fault makes a network good; another edit may make a bad one a little better.
    table = _scaled_errors(
        needed(pipeline.table)[confirming],
        evaluation.ply[confirming],
        evaluation.red_won[confirming],
    )
    share = _SHARE if other.mean() <= _AS_GOOD * table.mean() else _LARGE_SHARE
    if gains.mean() < max(_GAIN, _SURE * noise, share * own.mean()) or other.mean() > _USEFUL:
        return
    yield Finding(
        "computation",
        "error" if gains.mean() > _ERROR else "warning",
        f"in the second halves of games, the value loss after the best scale of the log odds is "
        f"{own.mean():.3f}, and {other.mean():.3f} (lower by {gains.mean():.3f} "
        f"+-{2 * noise:.3f}) with {edit.words}{tale}",
        edit.cause,
        edit.remedy,
        root="computation",
    )


def _best(
    edits: list[Edit], errors_on: Callable[[Rows], Callable[[], Floats]], rows: Rows
) -> tuple[Edit, str] | None:
    """The edit with the least loss on positions, and how it was found; None if none gains."""
    trying = errors_on(np.sort(rows))
    began = time.perf_counter()
    unchanged = trying().mean()
    seconds = (time.perf_counter() - began) * len(edits)
    if seconds > _SECONDS:
        count = max(_FEWEST, int(len(rows) * _SECONDS / seconds))
        trying = errors_on(np.sort(rows[:count]))
        unchanged = trying().mean()
    losses: list[tuple[float, int]] = []
    for place, edit in enumerate(edits):
        if time.perf_counter() - began > _LONGEST:
            break
        errors = _tried(edit, trying)
        losses.append((np.inf if errors is None else float(errors.mean()), place))
    least = min(losses, default=(np.inf, 0))[0]
    if not least < min(_USEFUL, unchanged - _GAIN / 2):
        return None
    place = next(place for loss, place in losses if loss <= _EQUAL * least)
    alike = [
        edits[at].words
        for loss, at in sorted(losses)
        if at != place and loss < _ALIKE * least and edits[at].family == edits[place].family
    ]
    also = f" (and nearly as well with {alike[0]})" if alike else ""
    return edits[place], f"{also}, the best of {len(losses)} edits"


def _tried(edit: Edit, errors: Callable[[], Floats]) -> Floats | None:
    """What `errors` gives with an edit; None if the network cannot compute so."""
    try:
        with edit.made():
            return errors()
    except Exception:  # whatever an edit breaks in a user's network, it is not what is wrong
        return None


def _errors(foreign: ForeignNetwork, positions: Positions, planes: Tensor, won: Floats) -> Floats:
    """[P] squared errors of the answers after the best scale, which a flipped board inverts."""
    reported = foreign.reported(foreign.respond(planes)[1], positions).double().numpy()
    return _scaled_errors(reported, positions.plies, won)


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
