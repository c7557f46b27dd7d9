"""Checks of value answers on known games: range, reading, strength, and what explains a failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.inputs import NEAR, OTHER_PLY, InputScore, input_scores, restoring
from hexsearch.doctor.hypotheses.policies import policy_scores
from hexsearch.doctor.hypotheses.values import (
    AS_REPORTED,
    DECODINGS,
    Floats,
    Reading,
    compression,
    finished_boards,
    readings,
    reported_reading,
    simplest_of_the_best,
    turned_against,
)
from hexsearch.doctor.networks import ExaminedNetwork, Observed, take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.training.metrics import slice_metrics

_GAIN = 0.01  # of value loss that another reading must bring
_BEYOND = 1.2  # raw values that a network taught -1 and 1, or 0 and 1, does not put out

_SIDES = {
    (True, True, True): ("everywhere", "the chance of one colour is reported as the other's"),
    (False, True, True): (
        "on boards that are not finished",
        "the chance of one colour is reported as the other's while the game goes on",
    ),
    (False, False, True): (
        "where Red is to move (odd plies)",
        "the value belongs to the side to move and is reported as one colour's, or labels were "
        "inverted on odd plies",
    ),
    (True, False, True): (
        "where Red is to move and on finished boards",
        "the value belongs to the side to move and is reported as one colour's, or labels were "
        "inverted on odd plies",
    ),
    (False, True, False): (
        "where Blue is to move (even plies)",
        "the value belongs to the side to move and is reported as the other side's, or labels were "
        "inverted on even plies",
    ),
    (True, True, False): (
        "where Blue is to move and on finished boards",
        "the value belongs to the side to move and is reported as the other side's, or labels were "
        "inverted on even plies",
    ),
    (True, False, False): (
        "on finished boards",
        "finished boards are read for the wrong side, or their labels were inverted",
    ),
}


def check_range(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Answers must be numbers from 0 to 1."""
    assert pipeline.observed is not None
    answered = pipeline.observed.answered
    broken = ~np.isfinite(answered)
    if broken.any():
        yield Finding(
            "answers",
            "error",
            f"{broken.mean():.0%} of {len(answered):,} answers are not finite",
            "answers are not finite: training has diverged and left such weights, or the planes "
            "are not those that it was trained on",
            "load weights from before the loss became nan, and compare the planes with training's",
        )
        return
    yield from _rounded(pipeline.observed)
    outside = (answered < -1e-3) | (answered > 1 + 1e-3)
    if outside.any():
        found = readings(pipeline.observed)
        best = min(found[1:], key=lambda reading: reading.value_loss)
        yield Finding(
            "answers",
            "error",
            f"{outside.mean():.0%} of {len(answered):,} answers lie outside [0, 1], from "
            f"{answered.min():.2f} to {answered.max():.2f}; read {_as(_words(best, found))} they "
            f"have a value loss of {best.value_loss:.3f} and {best.accuracy:.1%} are right",
            f"what is reported is no probability: {_words(best, found)} is",
            f"report {_words(best, found)} in win_prob_red",
            root="reading",
        )


def _rounded(observed: Observed) -> Iterator[Finding]:
    """Answers of a few numbers, from raw values of many."""
    raw = observed.raw if observed.raw.ndim == 1 else observed.raw[:, 0]
    shown, many = np.unique(observed.answered.round(6)), len(np.unique(raw.round(6)))
    if not 2 <= len(shown) <= 12 or many < 10 * len(shown):
        return
    told = ", ".join(f"{each:.3g}" for each in shown[:4])
    yield Finding(
        "answers",
        "error",
        f"{many:,} different raw values are reported as {len(shown)} different answers: {told}",
        "answers are rounded or cut to a few numbers, such as 0 and 1: a decision is reported "
        "where a probability should be",
        "report the probability itself; decide by it later",
        root="reading",
    )


def check_reading(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether other planes, another decoding or another side make much better answers.

    What is shown comes before what is read of it: a turned board also inverts some answers.
    """
    observed, examined = pipeline.observed, pipeline.examined
    assert observed is not None and examined is not None
    found = readings(observed)
    best = simplest_of_the_best(found, _GAIN)
    scores = input_scores(examined, observed, SEED)
    near = observed.evaluation.to_end <= NEAR
    won = observed.evaluation.red_won
    assert pipeline.table is not None
    shown = restoring(scores, sense(pipeline.table[near], won[near]))
    if shown is not None and shown.name.startswith(OTHER_PLY):
        # A policy that belongs to another ply looks alike; it is named by the policy's own check.
        moves = policy_scores(observed, examined.size)
        if max((score.gain for score in moves), default=0.0) > 0.9 * shown.policy_gain:
            shown = None
    if shown is not None:
        restored = best is not None and _restores(best, observed, pipeline.table)
        read = np.square(best.answers - won)[near].mean() if best and restored else 1.0
        if shown.value_loss < read - _GAIN:
            yield _other_planes(shown, scores[0], _mover_plane(examined, observed))
            return
    control = pipeline.loaded is not None and pipeline.loaded.predictor.readout.control
    for finding in reading_findings("reading of the value", observed, pipeline.table):
        yield as_control(finding) if control else finding


def as_control(finding: Finding) -> Finding:
    """What is wrong on purpose is said, and is no error."""
    return replace(
        finding, severity="info", cause=f"a negative control, by design: {finding.cause}"
    )


def _mover_plane(examined: ExaminedNetwork, observed: Observed) -> int | None:
    """The plane that is the same all over a board and tells who is to move; None without one."""
    going = np.flatnonzero(~observed.positions.finished)[:200]
    planes = examined.planes(take(observed.positions, going)).flatten(2)
    red = observed.evaluation.ply[going] % 2 == 1
    for number in range(planes.shape[1]):
        if float(planes[:, number].std(dim=1).max()) < 1e-6:
            told = planes[:, number].mean(dim=1).numpy()
            if np.ptp(told[red]) < 1e-6 and np.ptp(told[~red]) < 1e-6 and np.ptp(told) > 1e-6:
                return number
    return None


def _other_planes(best: InputScore, as_it_is: InputScore, mover: int | None) -> Finding:
    name = best.name
    if mover is not None:
        name = name.replace(f"plane {mover} ", f"plane {mover} (the side to move) ")
    return Finding(
        "planes of the network",
        "error",
        f"near the end of the games AUC is {as_it_is.auc:.3f}; shown {best.name}, it is "
        f"{best.auc:.3f} and the value loss is lower by {best.gain:.3f} "
        f"(+-{1.96 * best.noise:.3f}), the moves played {np.exp(best.policy_gain):.2f} times as "
        "likely",
        f"the network was trained on other planes than it is shown: it wants {name}",
        "encode as in training: same order and scale of planes, rows and columns",
        root="reading",
    )


def reading_findings(check: str, observed: Observed, table: Floats) -> Iterator[Finding]:
    """What the outputs would have to be read as, where that is clearly something else."""
    if np.isnan(observed.evaluation.metrics().overall.auc):
        return
    found = readings(observed)
    best = simplest_of_the_best(found, _GAIN)
    if best is None or not _restores(best, observed, table):
        return
    sides = turned_against(best, found)
    reported, won = observed.evaluation.win_prob_red, observed.evaluation.red_won
    right = float(((reported > 0.5) == (won == 1)).mean())
    span = (
        f"answers run from {np.quantile(reported, 0.02):.2f} to {np.quantile(reported, 0.98):.2f}"
    )
    evidence = (
        f"{span}, {right:.1%} of them right; read {_as(_words(best, found))} {best.accuracy:.1%} "
        f"are right and the value loss falls by {best.gain:.3f} (+-{1.96 * best.noise:.3f})"
    )
    if finished := finished_boards(observed):
        evidence += f"; {finished}"
    own = reported_reading(found)
    decoded = best.decoding not in (AS_REPORTED, own.decoding if own else AS_REPORTED)
    if decoded and best.decoding in ("raw", "signed") and not any(sides):
        scaled = _scaled(observed, best)
        if scaled is not None:
            yield Finding(check, "error", evidence, *scaled, root="reading")
            return
    if decoded and not any(sides):
        yield Finding(check, "error", evidence, *_other_decoding(best), root="reading")
        return
    place, cause = _SIDES[sides] if any(sides) else ("", "")
    if decoded:
        cause = f"{cause}, and the output is {DECODINGS[best.decoding]}, not what is reported"
    only_finished = sides == (True, False, False)
    yield Finding(
        check,
        "warning" if only_finished and best.gain < 0.1 else "error",
        f"{evidence}: the answer is inverted {place}",
        cause,
        "report 1 - p there: take win_prob_red(raw, to_move) for a value of the side to move; if "
        "the training labels were inverted, mend them and train again",
        root="reading",
    )


def _scaled(observed: Observed, best: Reading) -> tuple[str, str] | None:
    """Whether a factor on the log odds does as well as another decoding, for outputs beyond it."""
    raw = observed.raw
    if raw.ndim > 1 or np.quantile(np.abs(raw), 0.98) < _BEYOND:
        return None
    found = compression(observed)
    if found.temperature_gain < 0.5 * best.gain or 0.8 < found.temperature < 1.25:
        return None
    return (
        f"the output is to be multiplied by about {found.temperature:.2g} before it is reported: a "
        "factor (a temperature, a scale) that training applies is left out at inference, or the "
        "labels were smoothed",
        f"multiply the log odds by {found.temperature:.2g}, or use one formula in both places",
    )


def sense(table: Floats, won: Floats) -> float:
    """The AUC that answers need to make sense: halfway from chance to a table of shortest paths.

    Outputs of random weights are ordered somehow, and inverted often a little better than before.
    """
    known = slice_metrics(table, won, np.arange(len(won))).auc
    return 0.5 + 0.5 * max(known - 0.5, 0.0)


def _restores(best: Reading, observed: Observed, table: Floats) -> bool:
    """Whether the reading makes sense of the outputs, or at least takes a bias out of them."""
    majority = max(observed.evaluation.red_won.mean(), 1 - observed.evaluation.red_won.mean())
    if best.decoding in ("raw", "signed") and best.value_loss < 0.26:
        return True
    won = observed.evaluation.red_won
    auc = slice_metrics(best.answers, won, observed.evaluation.game).auc
    right = best.accuracy > majority + 0.03
    return best.value_loss < 0.24 and right and auc > sense(table, won)


def _other_decoding(best: Reading) -> tuple[str, str]:
    if best.decoding == "raw":
        return (
            "the network was trained to put out 0 and 1 itself (or ends in a sigmoid), and a "
            "sigmoid is applied afterwards, which makes 0.50 and 0.73 of them",
            "report the raw output, or apply the sigmoid in the loss too; under the right decode "
            f"accuracy is {best.accuracy:.1%} without another step of training",
        )
    if best.decoding == "signed":
        return (
            "the network was trained to put out -1 and 1 (or ends in a tanh), and something "
            "else than (raw + 1) / 2 is reported",
            f"report (raw + 1) / 2; accuracy is then {best.accuracy:.1%} without more training",
        )
    return (
        "the reported probability is not the decode that the loss was trained with: it is "
        f"{DECODINGS[best.decoding]}",
        "let loss and probability be one formula; under the right decode accuracy is "
        f"{best.accuracy:.1%}",
    )


def _as(words: str) -> str:
    return words if words.startswith("as ") else f"as {words}"


def _words(reading: Reading, found: list[Reading]) -> str:
    sides = turned_against(reading, found)
    text = DECODINGS[reading.decoding]
    return f"{text}, inverted {_SIDES[sides][0]}" if any(sides) else text
