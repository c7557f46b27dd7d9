"""Checks of confidence: answers that are right and too timid, or too bold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.noise import label_noise
from hexsearch.doctor.hypotheses.values import compression
from hexsearch.doctor.pipeline import ExaminedPipeline


def check_compression(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Answers that are right and too timid, or too bold."""
    observed = pipeline.observed
    assert observed is not None
    evaluation = observed.evaluation
    overall = evaluation.metrics().overall
    if not overall.auc > 0.65:
        return
    found = compression(observed)
    final = evaluation.final
    sure = np.abs(evaluation.win_prob_red[final] - 0.5) + 0.5
    right = (evaluation.win_prob_red[final] > 0.5) == (evaluation.red_won[final] == 1)
    known = pipeline.loaded.config.readout.label_smoothing if pipeline.loaded else 0.0
    timid = len(sure) >= 20 and right.mean() > 0.95 and np.quantile(sure, 0.9) < 0.93 - known / 2
    if timid and found.noise_gain > max(0.003, 2 * found.error) and found.noise_share > 0.08:
        yield Finding(
            "calibration",
            "warning",
            f"finished boards: {right.mean():.1%} right, but nine answers in ten stay below "
            f"{np.quantile(sure, 0.9):.2f}; undoing {found.noise_share:.0%} of random labels "
            f"lowers the value loss by {found.noise_gain:.4f} (a temperature by "
            f"{found.temperature_gain:.4f})",
            f"about {found.noise_share:.0%} of the training labels were drawn at random (label "
            "noise), or labels were smoothed as much",
            "look for wrong winners in the training games: `games audit PATH`; if labels were "
            "smoothed on purpose, all is well",
            root="reading",
        )
    elif found.temperature_gain > 0.01 and overall.calibration_error > 0.06:
        bold = found.temperature < 1
        yield Finding(
            "calibration",
            "error" if overall.value_loss > 0.25 else "warning",
            f"calibration error {overall.calibration_error:.3f}, bias {overall.bias:+.3f} on "
            f"{overall.games} games; log odds times {found.temperature:.2f} lower the value loss "
            f"by {found.temperature_gain:.4f}",
            "confidence and frequency disagree: "
            + (
                "answers are too bold (overfitting, or a scale on the output)"
                if bold
                else "answers are too timid (smoothed labels, or a scale on the output)"
            ),
            "rescale the raw output by one temperature, fitted on held-out games",
            root="reading",
        )


def check_label_noise(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Finished boards, whose winner is certain, against what the network believes of them."""
    observed = pipeline.observed
    assert observed is not None
    found = label_noise(observed)
    if found is None:
        return
    smoothing = pipeline.loaded.config.readout.label_smoothing if pipeline.loaded else 0.0
    if found.low < smoothing / 2 + 0.02:
        return
    sure = (
        f"{found.sure_and_wrong:.0%} of its sure answers are wrong there"
        if found.sure_and_wrong > 0
        else f"nine answers in ten stay below {found.cap:.2f} there"
    )
    yield Finding(
        "label noise",
        "warning",
        f"on {found.boards} finished boards {found.right:.0%} are called right, and the loser is "
        f"given {found.share:.0%} [{found.low:.0%}, {found.high:.0%}] on average; {sure}",
        f"label noise: up to about {found.drawn} of the training labels were drawn at random (or "
        f"{found.share:.0%} inverted); boards that the network cannot read count as noise here, "
        "and a training on too few games by heart or on smoothed labels looks alike",
        "look for wrong winners in the training games: `games audit PATH`; compare each label "
        "with the finished board of its game",
        root="reading",
    )
