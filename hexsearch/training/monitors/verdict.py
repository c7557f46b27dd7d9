"""The verdict on the health of a training, with the figures that led to it."""

from __future__ import annotations

from dataclasses import dataclass

from hexsearch.training.metrics import SliceMetrics
from hexsearch.training.monitors.activations import ActivationHealth
from hexsearch.training.monitors.gradients import GradientHealth

# From the best to the worst. `nan` always ends a trial.
VERDICTS = (
    "healthy",
    "not_learning",
    "constant_output",
    "vanishing",
    "saturated",
    "dead",
    "exploding",
    "nan",
)
_ANSWERS_COUNT_FROM = 0.2  # progress from which answers are tested; the warm-up is over by then
_LOOKS = 2  # samples that are needed; at the first one the learning rate may be 0
_LEARNT_FROM = 0.4  # progress from which a sound training must beat the prior
_LARGEST_UPDATE = 0.1  # relative change of the trunk's weights in one step
_LARGEST_HEAD_UPDATE = 0.5  # the same for heads, whose small initial weights may grow fast
_SMALLEST_UPDATE = 1e-9
_SMALLEST_GRADIENT = 1e-9  # norm of the value loss's gradient on the trunk
_DEAD = 0.9
_SATURATED = 0.9
_CONSTANT = 0.005


@dataclass(frozen=True)
class Verdict:
    """One of VERDICTS and its evidence."""

    name: str
    evidence: str = ""

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong."""
        return self.name == "healthy"


def find_verdict(
    gradients: GradientHealth,
    activations: dict[str, ActivationHealth],
    answers: SliceMetrics,
    answer_spread: float,
    prior_loss: float,
    progress: float,
) -> Verdict:
    """The first verdict that applies.

    Args:
        activations: activations on a training batch.
        answers: metrics on the whole validation set.
        answer_spread: standard deviation of win_prob_red there.
        prior_loss: value loss of always answering Red's share there.
        progress: share of the trial's positions that have been seen. Early in training, the
            answers are not tested.
    """
    verdict = _by_weights(gradients) or _by_activations(activations, answers, prior_loss)
    if verdict is None:
        verdict = _by_gradient(gradients, answers, prior_loss)
    if verdict is None and progress >= _ANSWERS_COUNT_FROM:
        verdict = _by_answers(answers, answer_spread, prior_loss, progress)
    return verdict or Verdict("healthy")


def _by_weights(gradients: GradientHealth) -> Verdict | None:
    for part, ratio in gradients.update_ratio.items():
        if ratio > (_LARGEST_UPDATE if part == "trunk" else _LARGEST_HEAD_UPDATE):
            return Verdict(
                "exploding", f"a step changes the {_words(part)}'s weights by {ratio:.0%}"
            )
    return None


def _by_activations(
    activations: dict[str, ActivationHealth], answers: SliceMetrics, prior_loss: float
) -> Verdict | None:
    features = activations.get("trunk_features")
    if features is not None and features.dead > _DEAD:
        return Verdict(
            "dead", f"{features.dead:.0%} of the trunk features are the same for a whole batch"
        )
    for place, seen in activations.items():
        # Certain answers are not a fault if they are right, as on finished boards.
        if place == "value_raw" and answers.value_loss < prior_loss:
            continue
        if seen.saturated is not None and seen.saturated > _SATURATED:
            return Verdict("saturated", f"{seen.saturated:.0%} of {place} is at its bounds")
    return None


def _by_gradient(
    gradients: GradientHealth, answers: SliceMetrics, prior_loss: float
) -> Verdict | None:
    if gradients.norms.get("value_head") == 0.0:
        return Verdict("vanishing", "the value head's gradient is exactly 0")
    norm = gradients.trunk_value_norm
    if norm == 0.0:
        return Verdict("vanishing", "no gradient of the value loss reaches the trunk")
    if norm is not None and norm < _SMALLEST_GRADIENT and answers.value_loss > 0.1 * prior_loss:
        return Verdict("vanishing", f"the value loss has a gradient of {norm:.1e} on the trunk")
    if gradients.looks >= _LOOKS:
        for part in ("trunk", "value_head"):
            ratio = gradients.update_ratio.get(part, 1.0)
            if ratio < _SMALLEST_UPDATE:
                return Verdict(
                    "not_learning", f"a step changes the {_words(part)}'s weights by {ratio:.1e}"
                )
    return None


def _by_answers(
    answers: SliceMetrics, spread: float, prior_loss: float, progress: float
) -> Verdict | None:
    if spread < _CONSTANT:
        return Verdict("constant_output", f"answers spread by only {spread:.4f}")
    if progress >= _LEARNT_FROM and answers.value_loss >= prior_loss:
        return Verdict(
            "not_learning",
            f"value loss {answers.value_loss:.4f}, while the prior alone has {prior_loss:.4f}",
        )
    return None


def _words(part: str) -> str:
    return part.replace("_", " ")
