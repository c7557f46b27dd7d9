"""Readings of the value: decodings and sides, each scored on known games.

A reading consists of a decoding (as reported, raw, sigmoid, tanh, (x + 1) / 2, or a list of
outcomes), and of whether the answer p is inverted to 1 - p on finished boards, where Blue is to
move, and where Red is to move. It is scored by its value loss (Brier score), and by how much lower
that is than the loss of the reported answers, with a standard error clustered by game.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.networks import Observed

Floats = NDArray[np.float64]
Sides = tuple[bool, bool, bool]  # inverted on finished boards, for Blue to move, for Red to move
_FINISHED_SHARE = 0.2  # share of the weight of all finished boards together, which are few
_SAME = 1e-3  # answers with a smaller difference are equal
_FEW_FINISHED = 10  # finished boards that are needed
_CLEARLY = 0.01  # difference in value loss that makes a reading clearly better
_PARTS = 5
AS_REPORTED = "as reported"
DECODINGS = {  # in words
    AS_REPORTED: "as reported",
    "raw": "the raw output itself",
    "sigmoid": "sigmoid(raw)",
    "tanh": "(tanh(raw) + 1) / 2",
    "signed": "(raw + 1) / 2",
    "log": "exp(raw) (the raw output is a logarithm)",
    "list": "the first of softmax(raw)",
    "list end": "the last of softmax(raw)",
    "bins": "the mean of equal bins over [0, 1]",
}


@dataclass(frozen=True)
class Reading:
    """One reading of the outputs, and how good its answers are.

    Attributes:
        decoding: a key of DECODINGS.
        inverted: where answers are inverted.
        answers: [P] win_prob_red under this reading.
        value_loss: weighted so that finished boards count as much as _FINISHED_SHARE.
        accuracy: share of right answers.
        gain: value loss of the reported answers minus that of this reading.
        noise: standard error of the gain, clustered by game.
    """

    decoding: str
    inverted: Sides
    answers: Floats
    value_loss: float
    accuracy: float
    gain: float
    noise: float


def readings(observed: Observed) -> list[Reading]:
    """All readings of a network's outputs, the reported answers first."""
    won, game = observed.evaluation.red_won, observed.evaluation.game
    weight, groups = _weights(observed), _groups(observed)
    reported = observed.evaluation.win_prob_red
    base = np.square(reported - won)
    found = [_reading(AS_REPORTED, (False,) * 3, reported, base, won, weight, game)]
    for decoding, plain in _decoded(observed):
        for inverted in product((False, True), repeat=3):
            if decoding == AS_REPORTED and not any(inverted):
                continue
            rows = np.any([g & i for g, i in zip(groups, inverted, strict=True)], axis=0)
            answers = np.where(rows, 1.0 - plain, plain)
            found.append(_reading(decoding, inverted, answers, base, won, weight, game))
    return found


def reported_reading(found: list[Reading]) -> Reading | None:
    """The reading of the raw outputs that gives the reported answers; None if there is none."""
    for reading in found[1:]:
        if reading.decoding == AS_REPORTED:
            continue
        if np.abs(reading.answers - found[0].answers).max() < _SAME:
            return reading
    return None


def inverted_against(reading: Reading, found: list[Reading]) -> Sides:
    """Where the answers of a reading are inverted with respect to the reported ones."""
    if reading.decoding == AS_REPORTED:
        return reading.inverted
    own = reported_reading(found)
    base = own.inverted if own else (False, False, False)
    first, second, third = (a ^ b for a, b in zip(reading.inverted, base, strict=True))
    return first, second, third


def simplest_of_the_best(found: list[Reading], least: float) -> Reading | None:
    """The best of the readings that are clearly better than the reported one, or None.

    Of readings that are about equally good it is the simplest.

    Args:
        found: all readings, as `readings` gives them.
        least: smallest gain in value loss that counts.
    """
    better = [r for r in found[1:] if r.gain > max(least, 3.0 * r.noise)]
    # For a missing decoding, the most frequent fault, a one-sided interval of 95% suffices.
    better += [
        r
        for r in found[1:]
        if r.decoding in ("raw", "signed")
        and not any(inverted_against(r, found))
        and r.gain > max(least, 1.645 * r.noise)
    ]
    if not better:
        return None
    best = max(better, key=lambda reading: reading.gain)
    equals = [r for r in better if best.gain - r.gain < max(0.1 * best.gain, 0.004)]
    return min(equals, key=lambda reading: (_changes(reading, found), -reading.gain))


def _changes(reading: Reading, found: list[Reading]) -> int:
    """How much a reading changes: 2 for another decoding, 1 or 2 for inverted sides.

    Inverting all sides costs less than inverting some of them.
    """
    sides = inverted_against(reading, found)
    own = reported_reading(found)
    known = {AS_REPORTED, own.decoding if own else AS_REPORTED}
    cost = {0: 0, 1: 2, 2: 2, 3: 1}[sum(sides)]
    return cost + (0 if reading.decoding in known else 2)


def finished_boards(observed: Observed) -> str:
    """In words, which reading is best on finished boards; empty if there are too few."""
    evaluation = observed.evaluation
    final, won = evaluation.final, evaluation.red_won
    if final.sum() < _FEW_FINISHED:
        return ""

    def figures(answers: Floats) -> tuple[float, float]:
        p, label = answers[final], won[final]
        return float(np.square(p - label).mean()), float(((p > 0.5) == (label == 1)).mean())

    ways = [
        (inverted, decoding, *figures(1 - answers if inverted else answers))
        for decoding, answers in _decoded(observed)
        # The side to move has lost on all of them, which a constant of any decoding says.
        if observed.of_red is None or decoding == AS_REPORTED
        for inverted in (False, True)
    ]
    # The first reading is the reported one. Another one must be clearly better to be named.
    best = min(ways, key=lambda way: way[2])
    inverted, decoding, loss, right = best if best[2] < ways[0][2] - _CLEARLY else ways[0]
    named = DECODINGS[decoding] + (", inverted" if inverted else "")
    how = named if named.startswith("as ") else f"as {named}"
    return (
        f"the {int(final.sum())} finished boards alone are best read {how}: {right:.0%} are right, "
        f"value loss {loss:.3f}"
    )


def curve(observed: Observed) -> str:
    """In words, which share of games Red wins at which raw value: a curve that is measured.

    Positions are sorted by their raw value and cut into five equal parts.
    """
    order = np.argsort(observed.value, kind="stable")
    parts = np.array_split(order, _PARTS)
    told = (
        f"{np.median(observed.value[part]):.3g}: {observed.evaluation.red_won[part].mean():.0%}"
        for part in parts
    )
    return f"Red wins, by the raw value, {', '.join(told)}"


def _reading(
    decoding: str,
    inverted: tuple[bool, ...],
    answers: Floats,
    base: Floats,
    won: Floats,
    weight: Floats,
    game: NDArray[np.int64],
) -> Reading:
    errors = np.square(answers - won)
    gains = weight * (base - errors)
    first, second, third = inverted
    return Reading(
        decoding,
        (first, second, third),
        answers,
        value_loss=float((weight * errors).mean()),
        accuracy=float(((answers > 0.5) == (won == 1)).mean()),
        gain=float(gains.mean()),
        noise=clustered_error(gains - gains.mean(), game),
    )


def _decoded(observed: Observed) -> Iterator[tuple[str, Floats]]:
    """Each decoding of the outputs with its answers [P], without an inversion."""
    yield AS_REPORTED, observed.evaluation.win_prob_red
    for name, answers in _decodings(observed.raw):
        # A value that is read as that of the side to move is Blue's where Blue is to move.
        of_red = observed.of_red
        yield name, answers if of_red is None else np.where(of_red, answers, 1.0 - answers)


def _decodings(raw: Floats) -> Iterator[tuple[str, Floats]]:
    """Each decoding of raw values, with the chances [P] of those whose values they are."""
    if raw.ndim == 1:
        yield "raw", np.clip(raw, 0.0, 1.0)
        yield "sigmoid", sigmoid(raw)
        yield "tanh", 0.5 * (np.tanh(raw) + 1.0)
        yield "signed", np.clip(0.5 * (raw + 1.0), 0.0, 1.0)
        if raw.max() < 1e-3:
            yield "log", np.exp(np.minimum(raw, 0.0))
        return
    shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
    shares = shifted / shifted.sum(axis=1, keepdims=True)
    if raw.shape[1] <= 3:
        draw = shares[:, 1] / 2 if raw.shape[1] == 3 else 0.0
        yield "list", shares[:, 0] + draw
        yield "list end", shares[:, -1] + draw
    else:
        yield "bins", shares @ np.linspace(0.0, 1.0, raw.shape[1])


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow."""
    p: Floats = 0.5 * (np.tanh(0.5 * x) + 1.0)
    return p


def _groups(observed: Observed) -> tuple[NDArray[np.bool_], ...]:
    """[P] each: finished boards, Blue to move, Red to move."""
    final, red = observed.evaluation.final, observed.evaluation.ply % 2 == 1
    return final, ~final & ~red, ~final & red


def _weights(observed: Observed) -> Floats:
    """[P] weights of mean 1; those of finished boards sum to _FINISHED_SHARE of all, or more."""
    final = observed.evaluation.final
    share = float(final.mean())
    if not 0.0 < share < _FINISHED_SHARE:
        return np.ones(len(final))
    return np.where(final, _FINISHED_SHARE / share, (1 - _FINISHED_SHARE) / (1 - share))


@dataclass(frozen=True)
class Compression:
    """How far answers are too near to 0.5, or too far from it, by two formulas.

    Attributes:
        noise_share: share of labels drawn at random whose effect, undone, improves answers most.
        temperature: factor on the log odds that improves answers most.
        noise_gain, temperature_gain: improvement of the value loss by each.
        error: standard error of noise_gain, clustered by game.
    """

    noise_share: float
    temperature: float
    noise_gain: float
    temperature_gain: float
    error: float


def compression(observed: Observed) -> Compression:
    """Fit a share of label noise, and a temperature, to the answers on all positions."""
    evaluation = observed.evaluation
    p, won = evaluation.win_prob_red, evaluation.red_won
    base = np.square(p - won)

    def gains(answers: Floats) -> Floats:
        return base - np.square(answers - won)

    def without_noise(share: float) -> Floats:
        return np.clip((p - share / 2) / (1 - share), 0.0, 1.0)

    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    log_odds = np.log(clipped) - np.log1p(-clipped)
    shares = np.linspace(0.0, 0.9, 46)
    factors = np.exp(np.linspace(-2.5, 5.0, 76))
    share = max(shares, key=lambda s: float(gains(without_noise(s)).mean()))
    factor = max(factors, key=lambda f: float(gains(sigmoid(f * log_odds)).mean()))
    by_noise = gains(without_noise(float(share)))
    by_factor = gains(sigmoid(float(factor) * log_odds))
    return Compression(
        noise_share=float(share),
        temperature=float(factor),
        noise_gain=float(by_noise.mean()),
        temperature_gain=float(by_factor.mean()),
        error=clustered_error(by_noise - by_noise.mean(), evaluation.game),
    )
