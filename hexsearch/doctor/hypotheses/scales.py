"""Answers that are ordered well and scaled wrongly, or carried to the wrong side by each mover."""

from __future__ import annotations

import numpy as np

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.hypotheses.values import (
    DECODINGS,
    Reading,
    compression,
    sigmoid,
)
from hexsearch.doctor.networks import Observed

_HALVED = 0.01  # mean difference from (v + 1) / 2; a tanh may go a little below its targets
_BEYOND = 1.2  # raw values of a network that was trained on 0 and 1, or -1 and 1, stay below
_SAME = 1e-3
_BANDS: tuple[tuple[int, int], ...] = ((0, 0), (1, 2), (3, 4), (5, 6))  # plies to the end
_FEW = 100  # positions that each band needs
# Numbers that answers may fade to: words for the distance from them and for the case, range of the
# factor on finished boards, which no discount changes, least factor far from the end, and slope.
_CENTRES = (
    (0.5, "p - 0.5", "", (0.8, 1.25), 1.4, 0.05),
    (0.0, "p", ", towards 0 (wins count less the later they come)", (0.9, 1.1), 1.25, 0.035),
    (
        1.0,
        "1 - p",
        ", towards 1 (Blue's wins count less the later they come)",
        (0.9, 1.1),
        1.25,
        0.035,
    ),
)
_ONE_LATER = 1.15  # what a discount may have done one move before the end
_SPREAD = 1.2  # ratio of the surest answers near the end to the usual ones that tells no level
_SHRUNK, _UNIFORM = 1.2, 1.25  # least factor of answers that are shrunk, and ratio of the factors
# Largest factor at the end, and least multiple of it before, of answers that know the end alone.
_AT_END, _BEFORE, _KNOWN = 2.0, 3.0, 0.6
# Chances that a second sigmoid drives to 0, their share, and the gain by it.
_LOW, _DRIVEN, _TWICE = 0.1, 0.55, 0.02
_LEANS, _LEAN_GAIN = 0.5, 0.008  # offset of the log odds, and gain in value loss, that are told


def offset(observed: Observed) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy if the log odds lack a constant, everywhere or for each mover."""
    evaluation = observed.evaluation
    p, won = np.clip(evaluation.win_prob_red, 1e-4, 1 - 1e-4), evaluation.red_won
    odds = np.log(p / (1 - p))
    side = np.where(evaluation.ply % 2 == 1, 1.0, -1.0)  # +1 where Red is to move
    for who, column in (("Red", np.ones(len(p))), ("the side to move", side)):
        shifts = np.linspace(-3.0, 3.0, 61)
        losses = [float(np.square(sigmoid(odds - s * column) - won).mean()) for s in shifts]
        shift = float(shifts[int(np.argmin(losses))])
        gains = np.square(p - won) - np.square(sigmoid(odds - shift * column) - won)
        noise = clustered_error(gains - gains.mean(), evaluation.game)
        if abs(shift) < _LEANS or gains.mean() < max(_LEAN_GAIN, 3 * noise):
            continue
        lean = who if shift > 0 else {"Red": "Blue"}.get(who, "the side that has just moved")
        return (
            f"with {abs(shift):.1f} taken from the log odds of {lean} the value loss is lower by "
            f"{gains.mean():.4f} (+-{1.96 * noise:.4f}); the mean answer is {p.mean():.2f}, and "
            f"Red wins {won.mean():.0%} of these positions",
            f"answers lean to {lean}, by a factor of {np.exp(abs(shift)):.1f} on the odds: one "
            "outcome weighs more in the loss (a class weight, pos_weight), its positions or games "
            "are more frequent in training, or a constant is added to the output",
            "weigh both outcomes alike and train on all games, or compare the formula of inference "
            "with that of training",
        )
    return None


def clamped(observed: Observed, best: Reading) -> tuple[str, str] | None:
    """Cause and remedy if the answers are those of another decoding, cut at both ends."""
    found = observed.evaluation.win_prob_red
    low, high = float(found.min()), float(found.max())
    if np.abs(np.clip(best.answers, low, high) - found).max() > _SAME:
        return None
    return (
        f"answers are clamped to [{low:.3g}, {high:.3g}]: they are never nearer to 0 or 1, however "
        "sure the network is",
        "report the probability without cutting it off",
    )


def scaled_answers(observed: Observed, best: Reading) -> tuple[str, str] | None:
    """Cause and remedy if a factor on the log odds explains the gain of another decoding.

    Only for raw values that are too large for that decoding.
    """
    raw = observed.raw
    if raw.ndim > 1 or np.quantile(np.abs(raw), 0.98) < _BEYOND:
        return None
    found = compression(observed)
    if found.temperature_gain < 0.5 * best.gain or 0.8 < found.temperature < 1.25:
        return None
    return (
        f"the output lacks a factor of about {found.temperature:.2g}: a factor (a temperature, or "
        "a scale) that training applies is left out at inference, or labels were smoothed or "
        "discounted",
        f"multiply the log odds by {found.temperature:.2g}, or use the formula of training at "
        "inference",
    )


def fading(observed: Observed) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy if answers come nearer to one number with the moves to the end.

    For each distance it is measured which factor on p - 0.5, on p, or on 1 - p fits the results
    best. A sound network needs a factor of about 1 or below, whatever the distance.
    """
    for centre, words, others, (low, high), last, least in _CENTRES:
        factors, bands = _factors(observed, centre), _BANDS
        if factors is not None and observed.of_red is not None and centre != 0.5:
            factors, bands = factors[1:], _BANDS[1:]  # who is to move has lost a finished board
            high *= _ONE_LATER
        if factors is None or min(factors) <= 0 or not low < factors[0] < high:
            continue
        distance = np.array([(first + end) / 2 for first, end in bands])
        slope = float(np.polyfit(distance, np.log(factors), 1)[0])
        steps = np.diff(factors).min()
        if slope < least or factors[-1] < last or steps < (-0.05 if centre == 0.5 else 0.03):
            continue
        told = ", ".join(f"{each:.2f}" for each in factors)
        places = ", ".join(f"{first} to {end}" if first < end else f"{end}" for first, end in bands)
        return (
            f"{places} plies before the end {words} must be multiplied by {told} to fit the "
            "results",
            "confidence fades with the moves to the end, by a factor of about "
            f"{np.exp(-slope):.2f} for each{others}: the value was trained on discounted results "
            "(a discount factor below 1)",
            "train on results without a discount, or undo it where the number of moves is known",
        )
    return None


def shrunk(observed: Observed) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy if answers are too near to 0.5 by one factor at all distances."""
    factors = _factors(observed, 0.5)
    if factors is None or min(factors) < _SHRUNK or max(factors) > _UNIFORM * min(factors):
        return None
    evaluation = observed.evaluation
    p, won = evaluation.win_prob_red, evaluation.red_won
    near = evaluation.to_end <= _BANDS[-1][1]
    factor = float(np.mean(factors))
    wider = np.clip(0.5 + factor * (p - 0.5), 0.0, 1.0)
    gains = (np.square(p - won) - np.square(wider - won))[near]
    noise = clustered_error(gains - gains.mean(), evaluation.game[near])
    if gains.mean() < 4 * noise:
        return None
    told = ", ".join(f"{each:.2f}" for each in factors)
    sure = np.quantile(np.abs(p - 0.5)[evaluation.to_end <= _BANDS[1][1]], (0.5, 0.9))
    causes = [
        "the target was scaled down (a result or reward times a factor, smoothed labels)",
        "a factor of training is left out at inference",
    ]
    young = "the network has not learnt to be surer yet (a short training, dropout, decay)"
    # Answers to a smaller target lie near that target.
    causes.insert(0 if sure[1] > _SPREAD * sure[0] else 2, young)
    return (
        f"0, 1 to 2, 3 to 4 and 5 to 6 plies before the end p - 0.5 must be multiplied by {told} "
        f"to fit the results; with {factor:.2f} the value loss there is lower by "
        f"{gains.mean():.4f} (+-{1.96 * noise:.4f})",
        f"answers are {1 / factor:.2f} times as far from one half as they should be, at every "
        f"distance from the end: {causes[0]}, {causes[1]}, or {causes[2]}",
        ("train longer" if causes[0] == young else "train on results of 0 and 1 (or -1 and 1)")
        + f", or report 0.5 + {factor:.2f} (p - 0.5), cut to 0..1",
    )


def only_the_end(observed: Observed) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy if answers are right at the end and near 0.5 before it."""
    factors = _factors(observed, 0.5)
    if factors is None or not 0.0 < factors[0] < _AT_END:
        return None
    if min(factors[1:]) < _BEFORE * max(factors[0], _KNOWN):
        return None
    told = ", ".join(f"{each:.2f}" for each in factors)
    return (
        f"0, 1 to 2, 3 to 4 and 5 to 6 plies before the end p - 0.5 must be multiplied by {told} "
        "to fit the results",
        "answers are right on finished boards and near one half on all others, also one move "
        "before: only the last position of a game had its result as target, and all others 0, an "
        "even value (a reward that is not carried back through the game)",
        "give every position of a game its result, with the sign of its side to move",
    )


def squashed_twice(observed: Observed) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy if chances were trained by a loss that applies a sigmoid."""
    raw, won = observed.raw, observed.own(observed.evaluation.red_won)
    if raw.ndim > 1 or raw.min() < 0.0 or raw.max() > 1.0:
        return None
    own = observed.own(observed.evaluation.win_prob_red)
    if np.abs(own - raw).max() > _SAME or float((raw < _LOW).mean()) < _DRIVEN:
        return None
    gains = np.square(raw - won) - np.square(sigmoid(raw) - won)
    noise = clustered_error(gains - gains.mean(), observed.evaluation.game)
    if gains.mean() < max(_TWICE, 4 * noise):
        return None
    return (
        f"{float((raw < _LOW).mean()):.0%} of the outputs, which lie in 0..1, are below {_LOW:g}; "
        f"with a sigmoid applied to them the value loss is lower by {gains.mean():.3f} "
        f"(+-{1.96 * noise:.3f})",
        "the network ends in a sigmoid, and a loss of logits (BCEWithLogits), which applies one "
        "itself, was trained on its output: two sigmoids stand one behind the other, and every "
        "chance up to a half is driven to 0",
        "give the loss the number before the sigmoid, or use a loss of probabilities; then train "
        "again",
    )


def _factors(observed: Observed, centre: float) -> list[float] | None:
    """For each band of distances, the factor on p - centre that fits the results best.

    The chances are those of the side that the raw value belongs to.
    """
    evaluation = observed.evaluation
    p = observed.own(evaluation.win_prob_red) - centre
    won = observed.own(evaluation.red_won) - centre
    factors = []
    for low, high in _BANDS:
        band = (evaluation.to_end >= low) & (evaluation.to_end <= high)
        if band.sum() < _FEW or not p[band].any():
            return None
        factors.append(float((p * won)[band].sum() / np.square(p)[band].sum()))
    return factors


def other_scale(observed: Observed) -> tuple[str, str] | None:
    """Cause and remedy if finished boards have raw values of another scale than 0..1 or -1..1."""
    evaluation, raw = observed.evaluation, observed.raw
    if raw.ndim > 1:
        return None
    ends = []
    for won in (0, 1):
        values = raw[evaluation.final & (evaluation.red_won == won)]
        if len(values) < _FEW // 4:
            return None
        ends.append(np.quantile(values, (0.5, 0.25, 0.75)))
    low, high = float(ends[0][0]), float(ends[1][0])
    width = high - low
    spread = max(float(end[2] - end[1]) for end in ends)
    known = min(abs(low - a) + abs(high - b) for a, b in ((0.0, 1.0), (-1.0, 1.0)))
    if not 0.3 < width < 3.0 or spread > 0.35 * width or known < 0.3 * width:
        return None
    return (
        f"the raw output is about {low:.2g} on finished boards that Red has lost and {high:.2g} "
        "where Red has won: it was trained on targets of this scale, which is neither 0..1 nor "
        "-1..1 (results of one scale mixed with values of another, or a shifted reward)",
        "bring results and search values to one scale before they are mixed, and train again; "
        f"until then report (raw - {low:.2g}) / {width:.2g}, cut to 0..1".replace("- -", "+ "),
    )


def taken_for_another(observed: Observed, best: Reading) -> tuple[str, str] | None:
    """Whether a chance is read as a value of -1 to 1, or a logit as a chance."""
    reported, raw = observed.own(observed.answered), observed.raw
    as_raw = raw.ndim == 1 and np.abs(np.clip(reported, 0, 1) - np.clip(raw, 0, 1)).max() < _SAME
    if as_raw and best.decoding in ("sigmoid", "tanh"):
        return (
            "the output is a logit and is reported as a chance, cut to 0..1: the sigmoid or tanh "
            "of the loss in training is missing at inference",
            f"report {DECODINGS[best.decoding]}; the accuracy is then {best.accuracy:.1%} without "
            "more training",
        )
    if np.abs(reported - (observed.own(best.answers) + 1) / 2).mean() > _HALVED:
        return None
    return (
        "the value is a chance between 0 and 1 already (its targets were 0 and 1, or it ends in a "
        "sigmoid), and (v + 1) / 2 is applied to it as to a tanh, a value between -1 and 1: a lost "
        "position is answered as even, and no answer is below a half",
        f"leave (v + 1) / 2 out; the accuracy is then {best.accuracy:.1%} without more training",
    )


def carried_by_the_mover(observed: Observed, best: Reading) -> tuple[str, str] | None:
    """Whether a value of one colour is inverted at inference where one side is to move."""
    reported, plain = observed.answered, best.answers
    same, inverted = np.abs(reported - plain) < _SAME, np.abs(reported - 1 + plain) < _SAME
    odd = observed.evaluation.ply % 2 == 1
    if not (same | inverted).all():
        return None
    for side, there in (("Red", odd), ("Blue", ~odd)):
        if inverted[there].all() and same[~there].all():
            return (
                "the value belongs to one colour (Red) and is carried back at inference as if it "
                f"belonged to the side to move: the answer is inverted where {side} is to move",
                "report the decoded value as it is, without to_move: win_prob_red(raw)",
            )
    return None
