"""Checks of calibration: answers that are too near to 0.5, or too far from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.beyond import beyond_a_number
from hexsearch.doctor.hypotheses.noise import label_noise, one_sided
from hexsearch.doctor.hypotheses.scales import fading, offset, only_the_end, shrunk, squashed_twice
from hexsearch.doctor.hypotheses.table import percentages
from hexsearch.doctor.hypotheses.values import Compression, compression
from hexsearch.doctor.networks import Observed
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.training.metrics import Evaluation

_NEARLY_ALL = 0.6  # share of the wins of one colour with the other's label
_SOFTMAX = (
    "answers are overconfident, and the value ends in a softmax: if the loss is a cross-entropy, "
    "which applies a softmax itself, two stand one behind the other, and chances are driven to 0 "
    "and 1 (or overfitting)"
)
_TIMID = 2.5  # factor on the log odds that a regularised training may need
_FAINT = 4.0  # factor on the log odds that answers near 0.5 need
_LEANS = 0.25  # difference of the mean answer to the share of Red's wins


def check_compression(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report label noise that finished boards show, or a wrong temperature of all answers."""
    observed = needed(pipeline.observed)
    evaluation = observed.evaluation
    overall = evaluation.metrics().overall
    own = pipeline.own_training
    certain = own is not None and own.has_certain_targets  # so they do not fade, nor are scaled
    if not overall.auc > 0.65 or one_sided(observed) is not None:
        return  # check `label noise` reports labels that are wrong for one colour
    if not certain and (fades := fading(observed) or only_the_end(observed)) is not None:
        yield Finding.warning("calibration", *fades, root="reading")
        return
    if abs(overall.bias) > _LEANS:
        yield _leaning(evaluation, overall.auc or 0.5)
        return
    if (leans := offset(observed)) is not None:
        yield Finding.warning("calibration", *leans, root="reading")
        return
    if certain and compression(observed).temperature < _TIMID:
        return  # dropout, weight decay and few steps make answers timid
    if not _smoothing(pipeline) and (scaled := shrunk(observed)) is not None:
        yield Finding.warning("calibration", *scaled, root="reading")
        return
    found = compression(observed)
    final = evaluation.final
    sure = np.abs(evaluation.win_prob_red[final] - 0.5) + 0.5
    right = (evaluation.win_prob_red[final] > 0.5) == (evaluation.red_won[final] == 1)
    highest = 0.93 - _smoothing(pipeline) / 2
    unsure = len(sure) >= 20 and right.mean() > 0.95 and np.quantile(sure, 0.9) < highest
    if unsure and found.noise_gain > max(0.003, 2 * found.error) and found.noise_share > 0.08:
        yield _drawn(float(right.mean()), float(np.quantile(sure, 0.9)), found)
    elif found.temperature > _FAINT and found.temperature_gain > 0.01:
        yield _faint(observed, found)
    elif found.temperature_gain > 0.01 and overall.calibration_error > 0.06:
        overconfident = found.temperature < 1
        yield Finding(
            "calibration",
            "error" if overall.value_loss > 0.25 else "warning",
            f"on {overall.games} games the calibration error is {overall.calibration_error:.3f} "
            f"and the bias {overall.bias:+.3f}; log odds times {found.temperature:.2f} have a "
            f"value loss that is lower by {found.temperature_gain:.4f}",
            "confidence and frequency disagree: "
            + (
                _SOFTMAX
                if overconfident and _are_probabilities(observed)
                else "answers are overconfident (overfitting, or a scale on the output)"
                if overconfident
                else "answers are not confident enough (smoothed labels, or a scale on the output)"
            ),
            f"multiply the log odds by a temperature of about {found.temperature:.2f} that is "
            "fitted on held-out games",
            root="reading",
        )


def _drawn(right: float, surest: float, found: Compression) -> Finding:
    """The finding for answers that are right on finished boards, and unsure.

    Args:
        right: share of right answers there.
        surest: certainty below which nine of ten are.
    """
    return Finding.warning(
        "calibration",
        f"on finished boards {right:.1%} of the answers are right, but nine in ten are "
        f"less sure than {surest:.2f}; without the effect of "
        f"{found.noise_share:.0%} random labels the value loss is lower by "
        f"{found.noise_gain:.4f} (with another temperature by {found.temperature_gain:.4f})",
        f"about {found.noise_share:.0%} of the training labels were drawn at random (label "
        "noise), or labels were smoothed as much, or targets were scaled down (a discount, a "
        "transformed value whose inverse is left out at inference)",
        "look for wrong winners in the training games by `hexsearch games audit PATH`; if "
        "labels were smoothed on purpose, nothing is wrong; if the target was transformed, "
        "apply the inverse in win_prob_red",
        root="reading",
    )


def _faint(observed: Observed, found: Compression) -> Finding:
    """The finding for answers that hardly leave 0.5, and rank positions."""
    p = observed.evaluation.win_prob_red
    low, high = (float(np.quantile(p, share)) for share in (0.02, 0.98))
    return Finding.warning(
        "calibration",
        f"answers go from {low:.3f} to {high:.3f}; log odds times {found.temperature:.3g} have a "
        f"value loss that is lower by {found.temperature_gain:.4f}",
        "answers rank positions and hardly leave one half: labels were smoothed nearly to one half "
        "(or targets, rewards, were scaled down), a scale or temperature of training is left out "
        "at inference, or training ended soon after its beginning",
        "look at the labels that the loss gets: apart from slight smoothing they should be 0 and 1 "
        "(or -1 and 1); then compare the formulas of training and inference",
        root="reading",
    )


def _are_probabilities(observed: Observed) -> bool:
    """Whether the outcomes that the network puts out are nowhere below 0 and have the sum 1."""
    raw = observed.raw
    return raw.ndim > 1 and bool((raw >= 0).all()) and bool((abs(raw.sum(axis=1) - 1) < 1e-3).all())


def _leaning(evaluation: Evaluation, auc: float) -> Finding:
    """The finding for answers that rank positions, and nearly all speak for one colour."""
    p, won = evaluation.win_prob_red, evaluation.red_won
    side, end = ("Blue", "0") if p.mean() < won.mean() else ("Red", "1")
    return Finding.error(
        "calibration",
        f"the mean answer is {p.mean():.3f}, and Red wins {won.mean():.0%} of these positions; "
        f"half of the answers are within {np.median(np.abs(p - float(end))):.2g} of {end}, though "
        f"positions are ranked (AUC {auc:.2f})",
        f"answers are driven to {end}, for {side}, wherever they are not certain: the loss has no "
        "minimum there, or pulls to one side (labels of -1 and 1 under a loss for 0 and 1, labels "
        "that became 0 or 1, a weight of one class, an offset behind the output)",
        "look at the labels that the loss gets: they must be 0 and 1 for a cross-entropy, and half "
        "of them 1 if both colours win as often",
        root="reading",
    )


def check_label_noise(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Estimate label noise from the answers on finished boards, whose winner is certain."""
    observed = needed(pipeline.observed)
    if (twice := squashed_twice(observed)) is not None:
        yield Finding.error("calibration", *twice, root="reading")
        return
    if (lopsided := one_sided(observed)) is not None:
        yield _of_one_colour(*lopsided)
        return
    found = label_noise(observed)
    if found is None or fading(observed) is not None:
        return  # check `calibration` reports answers that fade
    if found.low < _smoothing(pipeline) / 2 + 0.02:
        return
    beyond = beyond_a_number(observed.evaluation, needed(pipeline.table))
    sure = (
        f"{found.sure_and_wrong:.0%} of the sure answers are wrong"
        if found.sure_and_wrong > 0
        else f"nine answers in ten give the winner less than {found.cap:.2f}"
    )
    noise = (
        f"label noise: up to about {found.drawn} of the training labels were drawn at random (or "
        f"{found.share:.0%} inverted); boards that the network does not understand count as noise "
        "here, and memorised games or smoothed labels have the same effect"
    )
    yield Finding.warning(
        "label noise",
        f"on {found.boards} finished boards {found.right:.0%} of the answers are right, and the "
        f"loser gets {percentages(found.share, found.low, found.high)} on average; {sure}",
        beyond or noise,
        "look for wrong winners in the training games by `hexsearch games audit PATH`; compare "
        "each label with the finished board of its game",
        root="reading",
    )


def _of_one_colour(worse: str, better: str, low: float, high: float, leans: float) -> Finding:
    """The finding for wins of one colour that were taught as the other's."""
    return Finding(
        "label noise",
        "error" if leans > _LEANS / 2 else "warning",
        f"on finished boards the winner gets {high:.0%} on average where {better} has won, and "
        f"{low:.0%} where {worse} has; on all others the answers lean to {better} by {leans:.0%}",
        f"part of {worse}'s wins, about {1 - low:.0%}, was taught as {better}'s, and none or few "
        "the other way round: "
        + (
            f"nearly all labels said that {better} wins (a sign that alternates from the first ply "
            "instead of the last one, or the result of one player for all positions)"
            if 1 - low > _NEARLY_ALL
            else "labels are wrong for one colour (a winner that is written in two ways and "
            "compared with one of them, or a default for games whose winner is not known)"
        ),
        f"count the wins of each colour among the labels of training, and follow one of {worse}'s "
        "games from the file to its label",
        root="reading",
    )


def _smoothing(pipeline: ExaminedPipeline) -> float:
    """Label smoothing of the checkpoint's configuration; 0 for another network."""
    return pipeline.loaded.config.readout.label_smoothing if pipeline.loaded else 0.0
