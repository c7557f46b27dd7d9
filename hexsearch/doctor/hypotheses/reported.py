"""Explains why the answers of evaluation are not those of the network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.table import Flags, Hypothesis, where
from hexsearch.doctor.hypotheses.truth import Truth
from hexsearch.doctor.hypotheses.values import sigmoid

Floats = NDArray[np.float64]
_CLOSE = 1e-3  # answers with a smaller difference are equal
_REACH = 2  # plies before and after, whose answers may enter
ONE_NETWORK = "use one encoder, one read-out and one network in evaluation, training and inference"
_PLAIN = "report probabilities as the read-out gives them"


def explain_reported(
    ours: Floats, theirs: Floats, raw: Floats, red_won: Floats, subsets: Mapping[str, Flags]
) -> Hypothesis | None:
    """The first explanation that gives the answers of evaluation; None if there is none.

    Args:
        ours: [P] the right answers.
        theirs: [P] the answers of evaluation.
        raw: [P] raw values.
        red_won: [P] results, 1.0 where Red won.
        subsets: [P] for each part of the positions, by words that can follow `exactly`.
    """
    return (
        _inverted(ours, theirs, subsets)
        or _constant(theirs)
        or _own_output(ours, theirs, raw)
        or _rounded(ours, theirs)
        or _other_rows(ours, theirs)
        or _linear(ours, theirs, red_won)
        or _temperature(ours, theirs)
        or _monotone(ours, theirs)
    )


def smoothed_in_games(ours: Floats, theirs: Floats, here: Truth) -> Hypothesis | None:
    """Answers that are sums of those of several positions of a game.

    Args:
        ours, theirs: as in `explain_reported`.
        here: the positions.
    """
    rows = {(g, p): n for n, (g, p) in enumerate(zip(here.game, here.ply, strict=True))}
    near = [
        [rows.get((g, p + lag), -1) for lag in range(-_REACH, _REACH + 1)]
        for g, p in zip(here.game, here.ply, strict=True)
    ]
    inside = np.array([min(each) >= 0 for each in near])
    if inside.sum() < 4 * _REACH:
        return None
    columns = ours[np.array(near)[inside]]
    solved, *_ = np.linalg.lstsq(columns, theirs[inside], rcond=None)
    if np.abs(columns @ solved - theirs[inside]).max() > _CLOSE:
        return None
    told = ", ".join(
        f"{weight:.2g} of that {abs(lag)} plies {'later' if lag > 0 else 'earlier'}"
        for lag, weight in zip(range(-_REACH, _REACH + 1), solved, strict=True)
        if lag and abs(weight) > 0.01
    )
    if not told:
        return None
    cause = (
        f"evaluation averages answers over neighbouring positions of a game (smoothed): beside "
        f"{solved[_REACH]:.2g} of its own each answer holds {told}"
    )
    return Hypothesis("smoothed", cause, "report the answer to each position alone")


def _inverted(ours: Floats, theirs: Floats, subsets: Mapping[str, Flags]) -> Hypothesis | None:
    wrong = np.abs(ours - theirs) > _CLOSE
    if (np.abs(1 - ours - theirs)[wrong] < _CLOSE).mean() < 0.97:
        return None
    # An answer near 0.5 is the same if it is inverted.
    place = where(wrong, subsets, among=np.abs(ours - 0.5) >= _CLOSE)
    cause = f"the chance of Blue is reported as that of Red in evaluation, {place}"
    remedy = "report win_prob_red: 1 - p where p is Blue's win probability"
    return Hypothesis("inverted", cause, remedy)


def _constant(theirs: Floats) -> Hypothesis | None:
    if np.ptp(theirs) > 1e-6:
        return None
    cause = (
        f"evaluation reports {theirs[0]:.3g} for every position, whatever the network answers: a "
        "constant, other weights (zeros, or rounded to 0), or another formula"
    )
    return Hypothesis("constant", cause, ONE_NETWORK)


def _own_output(ours: Floats, theirs: Floats, raw: Floats) -> Hypothesis | None:
    # Where the network answers for Blue, both are carried back to its own view in the second look.
    turned = (sigmoid(raw) > 0.5) != (ours > 0.5)
    own = np.where(turned, 1 - ours, ours), np.where(turned, 1 - theirs, theirs)
    return _formula_of(ours, theirs, raw) or _formula_of(*own, raw)


def _formula_of(ours: Floats, theirs: Floats, raw: Floats) -> Hypothesis | None:
    for name, other in (
        ("the raw output itself", raw),
        ("the raw output cut to [0, 1]", np.clip(raw, 0.0, 1.0)),
        ("sigmoid(raw)", sigmoid(raw)),
        ("the sigmoid of the answer: a sigmoid is applied twice", sigmoid(ours)),
        ("(tanh(raw) + 1) / 2", 0.5 * (np.tanh(raw) + 1)),
        ("tanh(raw)", np.tanh(raw)),
        ("tanh(raw) cut to [0, 1], in place of (tanh(raw) + 1) / 2", np.clip(np.tanh(raw), 0, 1)),
        ("(raw + 1) / 2", np.clip(0.5 * (raw + 1), 0.0, 1.0)),
        ("2 p - 1, a value in [-1, 1]", 2 * ours - 1),
        ("2 p - 1 cut to [0, 1]: a value in [-1, 1] as a chance", np.clip(2 * ours - 1, 0, 1)),
        ("the squared answer", ours**2),
        ("the root of the answer", np.sqrt(ours)),
        ("how confident the answer is, not which side it favours", np.maximum(ours, 1 - ours)),
    ):
        if np.abs(theirs - other).max() < _CLOSE or np.abs(theirs - (1 - other)).max() < _CLOSE:
            cause = f"evaluation reports {name}, not the read-out's answer (another formula)"
            return Hypothesis("decoding", cause, "report win_prob of the read-out of training")
    return None


def _rounded(ours: Floats, theirs: Floats) -> Hypothesis | None:
    for digits in (0, 1, 2):
        if np.abs(np.round(ours, digits) - theirs).max() < 1e-6:
            step = 10.0**-digits
            cause = f"answers are rounded to multiples of {step:g} in evaluation"
            return Hypothesis("rounded", cause, _PLAIN)
    if len(np.unique(theirs.round(6))) <= 2 < len(np.unique(ours.round(6))):
        cause = "evaluation reports a decision (one of two numbers), not a probability: rounded"
        return Hypothesis("rounded", cause, _PLAIN)
    low, high = float(theirs.min()), float(theirs.max())
    if np.abs(np.clip(ours, low, high) - theirs).max() < _CLOSE:
        cause = f"answers are clamped to [{low:.3g}, {high:.3g}] in evaluation (cut off)"
        return Hypothesis("clamped", cause, _PLAIN)
    return None


def _other_rows(ours: Floats, theirs: Floats) -> Hypothesis | None:
    order = np.sort(ours)
    at = np.clip(np.searchsorted(order, theirs), 1, len(order) - 1)
    nearest = np.minimum(np.abs(order[at] - theirs), np.abs(order[at - 1] - theirs))
    moved = np.abs(ours - theirs) > _CLOSE
    spread = float(ours.std())
    # Some answer is always close by chance, so a much smaller difference is required.
    if len(ours) < 8 or spread < 1e-6 or (nearest[moved] < 1e-5).mean() < 0.9:
        return None
    for lag in range(1, min(len(ours) // 2, 64)):
        for sign, name in ((lag, "earlier"), (-lag, "later")):
            if (np.abs(np.roll(ours, sign) - theirs) < 1e-5).mean() > 0.9:
                cause = (
                    f"answers are those of the position {lag} row(s) {name}: rows are in "
                    "another order"
                )
                return Hypothesis("rows", cause, "report the answer of row n for position n")
    cause = "answers belong to other positions (rows in another order)"
    return Hypothesis("rows", cause, "report the answer of row n for position n")


def _linear(ours: Floats, theirs: Floats, red_won: Floats) -> Hypothesis | None:
    columns = np.stack([ours, red_won, np.ones_like(ours)], axis=1)
    solved, *_ = np.linalg.lstsq(columns, theirs, rcond=None)
    if np.abs(columns @ solved - theirs).max() > _CLOSE:
        return None
    share, label, offset = (float(each) for each in solved)
    if abs(label) > 0.01:
        cause = (
            "evaluation reports answers into which the label itself enters, with weight "
            f"{label:.2f}"
        )
        return Hypothesis("label", cause, "compute answers from the network only, not from results")
    cause = f"evaluation reports {share:.3g} p {offset:+.3g} instead of p (another formula, scaled)"
    return Hypothesis("linear", cause, ONE_NETWORK)


def _temperature(ours: Floats, theirs: Floats) -> Hypothesis | None:
    inside = (ours > 1e-4) & (ours < 1 - 1e-4) & (theirs > 1e-6) & (theirs < 1 - 1e-6)
    if inside.sum() < 8:
        return None
    own, other = (np.log(p[inside]) - np.log1p(-p[inside]) for p in (ours, theirs))
    slope, offset = np.polyfit(own, other, 1)
    if np.abs(slope * own + offset - other).max() > 0.01 * max(float(np.ptp(other)), 1e-6):
        return None
    cause = (
        f"evaluation multiplies the log odds by {slope:.3g} and adds {offset:.3g} (a temperature, "
        "a scale or a bias on the output)"
    )
    return Hypothesis("temperature", cause, ONE_NETWORK)


def _monotone(ours: Floats, theirs: Floats) -> Hypothesis | None:
    steps = np.diff(theirs[np.argsort(ours, kind="stable")])
    rising, falling = bool((steps > -1e-6).all()), bool((steps < 1e-6).all())
    if not rising and not falling:
        return None
    side = "" if rising else ", for the other side"
    cause = f"evaluation reports another formula of the same output{side}"
    return Hypothesis("formula", cause, ONE_NETWORK)
