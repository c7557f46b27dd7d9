"""How value outputs would have to be read: decodings and sides, each scored on known games.

Every way to read the outputs is one hypothesis: a decoding (as reported, raw, sigmoid, tanh,
(x + 1) / 2, or a list of outcomes) and, for boards that are finished, that Blue is to play on and
that Red is to play on, whether the answer is turned round there. Its score is the Brier score, and
by how much that beats the reported answers, with a standard error clustered by game.
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
Sides = tuple[bool, bool, bool]  # turned round on finished boards, for Blue, for Red
_FINISHED_SHARE = 0.2  # of all weight, so that the few finished boards count
_SAME = 1e-3
_FEW_FINISHED, _CLEARLY = 10, 0.01
AS_REPORTED = "as reported"
# In the words of a finding: what it means that one decoding fits and another is reported.
DECODINGS = {
    AS_REPORTED: "as reported",
    "raw": "the raw output itself",
    "sigmoid": "sigmoid(raw)",
    "tanh": "(tanh(raw) + 1) / 2",
    "signed": "(raw + 1) / 2",
    "list": "the first of softmax(raw)",
    "list end": "the last of softmax(raw)",
    "bins": "the mean of equal bins over [0, 1]",
}


@dataclass(frozen=True)
class Reading:
    """One way to read the outputs, and how good the answers then are.

    Attributes:
        turned: against Red's chance, on finished boards, where Blue and where Red is to move.
        gain: by how much its value loss is below the reported one. noise: standard error of that.
    """

    decoding: str
    turned: Sides
    answers: Floats
    value_loss: float
    accuracy: float
    gain: float
    noise: float


def readings(observed: Observed) -> list[Reading]:
    """All readings of a network's outputs, the reported one first."""
    won, game = observed.evaluation.red_won, observed.evaluation.game
    weight, groups = _weights(observed), _groups(observed)
    reported = observed.evaluation.win_prob_red
    base = np.square(reported - won)
    found = [_reading(AS_REPORTED, (False,) * 3, reported, base, won, weight, game)]
    for decoding, plain in _decoded(observed):
        for turned in product((False, True), repeat=3):
            flipped = np.zeros(len(won), dtype=bool)
            for group, turn in zip(groups, turned, strict=True):
                flipped |= group & turn
            answers = np.where(flipped, 1.0 - plain, plain)
            if decoding == AS_REPORTED and not any(turned):
                continue
            found.append(_reading(decoding, turned, answers, base, won, weight, game))
    return found


def reported_reading(found: list[Reading]) -> Reading | None:
    """The decoding of the raw outputs that is the reported one; None if it is another formula."""
    for reading in found[1:]:
        if reading.decoding == AS_REPORTED:
            continue
        if np.abs(reading.answers - found[0].answers).max() < _SAME:
            return reading
    return None


def turned_against(reading: Reading, found: list[Reading]) -> Sides:
    """Where a reading turns answers round that the reported one does not."""
    if reading.decoding == AS_REPORTED:
        return reading.turned
    own = reported_reading(found)
    base = own.turned if own else (False, False, False)
    first, second, third = (a ^ b for a, b in zip(reading.turned, base, strict=True))
    return first, second, third


def simplest_of_the_best(found: list[Reading], least: float) -> Reading | None:
    """The reading that is clearly better than the reported one, the simplest among equals.

    Args:
        least: gain in value loss that counts.
    """
    better = [r for r in found[1:] if r.gain > max(least, 3.0 * r.noise)]
    # A changed decoding alone moves the mean of all answers: one side of the interval suffices.
    better += [
        r
        for r in found[1:]
        if r.decoding in ("raw", "signed")
        and not any(turned_against(r, found))
        and r.gain > max(least, 1.645 * r.noise)
    ]
    if not better:
        return None
    best = max(better, key=lambda reading: reading.gain)
    equals = [r for r in better if best.gain - r.gain < max(0.1 * best.gain, 0.004)]
    return min(equals, key=lambda reading: (_changes(reading, found), -reading.gain))


def _changes(reading: Reading, found: list[Reading]) -> int:
    """How much a reading changes: other decodings count two, sides as they fall apart."""
    sides = turned_against(reading, found)
    own = reported_reading(found)
    known = {AS_REPORTED, own.decoding if own else AS_REPORTED}
    cost = {0: 0, 1: 2, 2: 2, 3: 1}[sum(sides)]
    return cost + (0 if reading.decoding in known else 2)


def finished_boards(observed: Observed) -> str:
    """In words, how the outputs on finished boards, whose winner is certain, are best read.

    Empty where there are too few of them.
    """
    evaluation = observed.evaluation
    final, won = evaluation.final, evaluation.red_won
    if final.sum() < _FEW_FINISHED:
        return ""

    def figures(answers: Floats) -> tuple[float, float]:
        some, label = answers[final], won[final]
        return float(np.square(some - label).mean()), float(((some > 0.5) == (label == 1)).mean())

    ways = [
        (inverted, decoding, *figures(1 - answers if inverted else answers))
        for decoding, answers in _decoded(observed)
        for inverted in (False, True)
    ]
    # The first one is as reported; another must be clearly better to be named.
    best = min(ways, key=lambda way: way[2])
    inverted, decoding, loss, right = best if best[2] < ways[0][2] - _CLEARLY else ways[0]
    named = DECODINGS[decoding] + (", inverted" if inverted else "")
    how = named if named.startswith("as ") else f"as {named}"
    return (
        f"the {int(final.sum())} finished boards alone are best read {how}: {right:.0%} right, "
        f"value loss {loss:.3f}"
    )


def _reading(
    decoding: str,
    turned: tuple[bool, ...],
    answers: Floats,
    base: Floats,
    won: Floats,
    weight: Floats,
    game: NDArray[np.int64],
) -> Reading:
    errors = np.square(answers - won)
    gains = weight * (base - errors)
    first, second, third = turned
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
    """Every decoding of the outputs, as Red's chance if nothing is turned round."""
    raw = observed.raw
    yield AS_REPORTED, observed.evaluation.win_prob_red
    if raw.ndim == 1:
        yield "raw", np.clip(raw, 0.0, 1.0)
        yield "sigmoid", 0.5 * (np.tanh(0.5 * raw) + 1.0)
        yield "tanh", 0.5 * (np.tanh(raw) + 1.0)
        yield "signed", np.clip(0.5 * (raw + 1.0), 0.0, 1.0)
        return
    shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
    chances = shifted / shifted.sum(axis=1, keepdims=True)
    if raw.shape[1] <= 3:
        draw = chances[:, 1] / 2 if raw.shape[1] == 3 else 0.0
        yield "list", chances[:, 0] + draw
        yield "list end", chances[:, -1] + draw
    else:
        yield "bins", chances @ np.linspace(0.0, 1.0, raw.shape[1])


def _groups(observed: Observed) -> tuple[NDArray[np.bool_], ...]:
    final, red = observed.evaluation.final, observed.evaluation.ply % 2 == 1
    return final, ~final & ~red, ~final & red


def _weights(observed: Observed) -> Floats:
    """[P] of mean 1, finished boards together as much as _FINISHED_SHARE."""
    final = observed.evaluation.final
    share = float(final.mean())
    if not 0.0 < share < _FINISHED_SHARE:
        return np.ones(len(final))
    return np.where(final, _FINISHED_SHARE / share, (1 - _FINISHED_SHARE) / (1 - share))


@dataclass(frozen=True)
class Compression:
    """Answers pressed towards the middle, and which formula undoes it best.

    Attributes:
        noise_share: share of random labels that would explain it. temperature: factor on the log
            odds that would. gains: value loss gained by either. error: standard error of the first.
    """

    noise_share: float
    temperature: float
    noise_gain: float
    temperature_gain: float
    error: float


def compression(observed: Observed) -> Compression:
    """The best inverse of label noise and of a temperature, on all positions."""
    evaluation = observed.evaluation
    p, won = evaluation.win_prob_red, evaluation.red_won
    base = np.square(p - won)

    def gains(answers: Floats) -> Floats:
        return base - np.square(answers - won)

    def unmixed(share: float) -> Floats:
        return np.clip((p - share / 2) / (1 - share), 0.0, 1.0)

    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    log_odds = np.log(clipped) - np.log1p(-clipped)
    shares = np.linspace(0.0, 0.9, 46)
    factors = np.exp(np.linspace(-2.5, 2.5, 51))
    share = max(shares, key=lambda s: float(gains(unmixed(s)).mean()))
    factor = max(
        factors, key=lambda f: float(gains(0.5 * (np.tanh(0.5 * f * log_odds) + 1.0)).mean())
    )
    by_noise = gains(unmixed(float(share)))
    by_factor = gains(0.5 * (np.tanh(0.5 * float(factor) * log_odds) + 1.0))
    return Compression(
        noise_share=float(share),
        temperature=float(factor),
        noise_gain=float(by_noise.mean()),
        temperature_gain=float(by_factor.mean()),
        error=clustered_error(by_noise - by_noise.mean(), evaluation.game),
    )
