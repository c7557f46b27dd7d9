"""Checks of value answers on known games: their range, and how they have to be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hexsearch.doctor.checks.computation.given_planes import mover_plane, of_other_planes, shown_as
from hexsearch.doctor.checks.network.outputs import rounded_answers, why_not_finite
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.inputs import NEAR, OTHER_PLY, input_scores, restoring
from hexsearch.doctor.hypotheses.policies import policy_scores
from hexsearch.doctor.hypotheses.scales import (
    carried_by_the_mover,
    clamped,
    fading,
    other_scale,
    scaled_answers,
    taken_for_another,
)
from hexsearch.doctor.hypotheses.values import (
    AS_REPORTED,
    DECODINGS,
    Floats,
    Reading,
    curve,
    finished_boards,
    inverted_against,
    readings,
    reported_reading,
    simplest_of_the_best,
)
from hexsearch.doctor.networks import Observed
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.doctor.strength import CONSTANT, READ_BETTER, restores, sensible_auc
from hexsearch.training.metrics import slice_metrics

_APART = 0.15  # difference of the AUC by the side to move of a network that knows one side
_FROM_MINUS_ONE = ("signed", "tanh")  # decodings of values from -1 to 1
_MOVES = 0.8  # share of what other planes add to the policy, if it is read otherwise
_ODD = (
    "the value belongs to the side to move and is reported as one colour's, or labels were "
    "inverted on odd plies"
)
_EVEN = (
    "the value belongs to the side to move and is reported as one colour's (Red's), or labels "
    "were inverted on even plies"
)

# Where answers are inverted (on finished boards, Blue to move, Red to move): place and cause.
_SIDES = {
    (True, True, True): ("everywhere", "the chance of one colour is reported as the other's"),
    (False, True, True): (
        "on boards that are not finished",
        "the chance of one colour is reported as the other's until the game is over, or targets "
        "were values of the next position, which are the other side's, without a minus sign",
    ),
    (False, False, True): ("where Red is to move (odd plies)", _ODD),
    (True, False, True): ("where Red is to move and on finished boards", _ODD),
    (False, True, False): ("where Blue is to move (even plies)", _EVEN),
    (True, True, False): ("where Blue is to move and on finished boards", _EVEN),
    (True, False, False): (
        "on finished boards",
        "finished boards are read for the wrong side, or their labels were inverted",
    ),
}


def check_range(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Answers must be finite, in [0, 1], and not rounded to few values."""
    observed = needed(pipeline.observed)
    answered = observed.answered
    broken = ~np.isfinite(answered)
    if broken.any():
        yield Finding.error(
            "answers",
            f"{broken.mean():.0%} of {len(answered):,} answers are not finite",
            *why_not_finite(pipeline),
        )
        return
    found = readings(observed)
    # Answers of a usual decoding are near 0 and 1 where raw values are large, and not rounded.
    if reported_reading(found) is None:
        yield from rounded_answers(observed)
    outside = (answered < -1e-3) | (answered > 1 + 1e-3)
    if outside.any():
        best = min(found[1:], key=lambda reading: reading.value_loss)
        yield Finding.error(
            "answers",
            f"{outside.mean():.0%} of {len(answered):,} answers lie outside [0, 1], from "
            f"{answered.min():.2f} to {answered.max():.2f}; read {_as(_words(best, found))} they "
            f"have a value loss of {best.value_loss:.3f} and {best.accuracy:.1%} are right; "
            f"{curve(observed)}",
            f"the reported value is no probability, but {_words(best, found)} is",
            f"report {_words(best, found)} in win_prob_red",
            root="reading",
        )


def check_reading(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether other planes, another decoding or another side give much better answers.

    Planes come first, since a turned board also inverts some answers.
    """
    observed, examined = needed(pipeline.observed), needed(pipeline.examined)
    found = readings(observed)
    best = simplest_of_the_best(found, READ_BETTER)
    scores = input_scores(examined, observed, SEED)
    near = observed.evaluation.to_end <= NEAR
    won = observed.evaluation.red_won
    table = needed(pipeline.table)
    mover = mover_plane(examined, observed)
    sides = shown_as(*mover) if mover and _knows_one_side(observed) else {}
    other_planes = restoring(scores, sensible_auc(table[near], won[near]), sides)
    if other_planes is not None and (
        other_planes.name.startswith(OTHER_PLY) or other_planes.gain < 2.0 * other_planes.noise
    ):
        # A policy of another ply or cell has the same effect. Check `policy cells` reports it.
        moves = policy_scores(observed, examined.size)
        if max((score.gain for score in moves), default=0.0) > _MOVES * other_planes.policy_gain:
            other_planes = None
    if other_planes is not None:
        restored = best is not None and restores(best, observed, table)
        loss = np.square(best.answers - won)[near].mean() if best and restored else 1.0
        if other_planes.value_loss < loss - READ_BETTER:
            yield of_other_planes(other_planes, scores[0], mover[0] if mover else None, sides)
            return
    control = pipeline.loaded is not None and pipeline.loaded.predictor.readout.control
    for finding in reading_findings("reading of the value", observed, table):
        yield as_control(finding) if control else finding


def _knows_one_side(observed: Observed) -> bool:
    """Whether positions of one side to move are ranked much better than those of the other."""
    evaluation = observed.evaluation
    known = []
    for side in (evaluation.ply % 2 == 1, evaluation.ply % 2 == 0):
        rows = side & ~evaluation.final
        answers, won = evaluation.win_prob_red[rows], evaluation.red_won[rows]
        known.append(slice_metrics(answers, won, evaluation.game[rows]).auc)
    return bool(abs(known[0] - known[1]) > _APART)


def as_control(finding: Finding) -> Finding:
    """The same finding for a read-out that is a negative control: it is no error."""
    return replace(
        finding, severity="info", cause=f"a negative control, by design: {finding.cause}"
    )


def reading_findings(
    check: str, observed: Observed, table: Floats, least: float = READ_BETTER
) -> Iterator[Finding]:
    """Report a reading of the outputs that is clearly better than the reported one.

    Args:
        check: name of the check in the findings.
        table: [P] answers of a table of shortest paths.
        least: by how much the value loss of the other reading must be lower.
    """
    if np.isnan(observed.evaluation.metrics().overall.auc):
        return
    found = readings(observed)
    best = simplest_of_the_best(found, least)
    if best is None or not restores(best, observed, table) or best.answers.std() < CONSTANT:
        return
    sides = inverted_against(best, found)
    reported, won = observed.evaluation.win_prob_red, observed.evaluation.red_won
    right = float(((reported > 0.5) == (won == 1)).mean())
    span = f"answers go from {np.quantile(reported, 0.02):.2f} to {np.quantile(reported, 0.98):.2f}"
    evidence = (
        f"{span}, and {right:.1%} of them are right; read {_as(_words(best, found))}, "
        f"{best.accuracy:.1%} are right and the value loss is lower by {best.gain:.3f} "
        f"(+-{1.96 * best.noise:.3f})"
    )
    if finished := finished_boards(observed):
        evidence += f"; {finished}"
    if (fades := fading(observed)) is not None and not any(sides):
        figures, cause, remedy = fades
        yield Finding.error(check, f"{evidence}; {figures}", cause, remedy, root="reading")
        return
    own = reported_reading(found)
    decoded = best.decoding not in (AS_REPORTED, own.decoding if own else AS_REPORTED)
    if decoded and not any(sides):
        yield Finding.error(check, evidence, *_why_decoded(best, observed), root="reading")
        return
    place, cause = _SIDES[sides] if any(sides) else ("", "")
    whose = "the value is that of the side that has just moved, or labels were inverted"
    if observed.raw.ndim > 1 and all(sides):
        order = (
            "the list of outcomes is read in the opposite order (loss, draw, win as win, draw, "
            "loss, or the other way round)"
        )
        cause = f"{order if observed.of_red is None else f'{order}, or {whose}'}: {cause}"
    elif observed.of_red is not None and all(sides):
        cause = f"{whose}: {cause}"
    if decoded:
        cause = f"{cause}, and the output is {DECODINGS[best.decoding]}, not what is reported"
    only_finished = sides == (True, False, False)
    yield Finding(
        check,
        "warning" if only_finished and best.gain < 0.1 else "error",
        f"{evidence}: the answer is inverted {place}",
        cause,
        "report 1 - p there, by win_prob_red(raw, to_move) for a value of the side to move; if "
        "training labels were inverted, correct them and train again",
        root="reading",
    )


def _why_decoded(best: Reading, observed: Observed) -> tuple[str, str]:
    """Cause and remedy of a better decoding, the most particular cause first."""
    scaled = scaled_answers(observed, best) if best.decoding in ("raw", "signed") else None
    return (
        scaled
        or taken_for_another(observed, best)
        or clamped(observed, best)
        or carried_by_the_mover(observed, best)
        or other_scale(observed)
        or _other_decoding(best, observed)
    )


def _other_decoding(best: Reading, observed: Observed) -> tuple[str, str]:
    """Cause and remedy if another decoding is better."""
    own = reported_reading(readings(observed))
    if best.decoding == "raw" and own and own.decoding in _FROM_MINUS_ONE:
        return (
            "the network was trained on targets of 0 and 1, and its value is read as one from -1 "
            f"to 1, by {DECODINGS[own.decoding]}: 0 becomes 0.50, and hardly any chance lies below "
            "a half",
            "train on targets of -1 and 1, or report the chance without (v + 1) / 2; the accuracy "
            f"is then about {best.accuracy:.0%}",
        )
    if best.decoding == "raw":
        return (
            "the network was trained to put out 0 and 1 itself (or ends in a sigmoid), and a "
            "sigmoid is applied afterwards, which turns them into 0.50 and 0.73",
            "report the raw output, or apply the sigmoid in the loss, too; with the right decoding "
            f"the accuracy is {best.accuracy:.1%} without more training",
        )
    if best.decoding == "signed" and observed.raw.min() > -1e-6 and observed.raw.max() < 1 + 1e-6:
        return (
            "the output lies in [0, 1] (it ends in a sigmoid) and was driven to its ends, where "
            "the answers are not that sure: a loss that applies a sigmoid itself (cross-entropy of "
            "logits) got probabilities, so two sigmoids stand one behind the other",
            "give the loss the number before the sigmoid, or use a loss of probabilities; then "
            "train again",
        )
    if best.decoding == "signed":
        return (
            "the network was trained to put out -1 and 1 (or ends in a tanh), and something else "
            "than (raw + 1) / 2 is reported",
            f"report (raw + 1) / 2; the accuracy is then {best.accuracy:.1%} without more training",
        )
    return (
        "the reported probability is not that of the loss in training, which is "
        f"{DECODINGS[best.decoding]}",
        f"report {DECODINGS[best.decoding]}; the accuracy is then {best.accuracy:.1%} without more "
        "training",
    )


def _as(words: str) -> str:
    return words if words.startswith("as ") else f"as {words}"


def _words(reading: Reading, found: list[Reading]) -> str:
    sides = inverted_against(reading, found)
    text = DECODINGS[reading.decoding]
    return f"{text}, inverted {_SIDES[sides][0]}" if any(sides) else text
