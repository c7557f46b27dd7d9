"""Fits the optimiser's steps by a sum of the directions that optimisers use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from hexsearch.doctor.hypotheses.general.fits import Fit, short_sum
from hexsearch.doctor.hypotheses.table import Hypothesis

_WEIGHTS = 4_000  # weights that the fit looks at
_EXPLAINS = 0.995  # share of the variance of the steps that a sum must explain
_EPSILON = 1e-8


def explain_directions(
    configured: str,
    gradients: Sequence[Tensor],
    before: Sequence[Tensor],
    after: Sequence[Tensor],
    rates: Sequence[Tensor],
    decay: Tensor,
) -> Hypothesis | None:
    """What the steps are, if they are a short sum of known directions.

    Args:
        configured: name of the configured optimiser.
        gradients, before, after, rates, decay: as in `updates.Steps`.
    """
    coupled = [g + decay * w for g, w in zip(gradients, before, strict=True)]
    fits = [_fitted(each, before, after, rates) for each in (gradients, coupled)]
    best = max(fits, key=lambda fit: fit.share)
    if best.share < _EXPLAINS:
        return _of_past_gradients(configured, coupled, before, after, rates)
    decayed = best is fits[1] and fits[1].share > fits[0].share + 1e-3
    return Hypothesis(
        "directions",
        f"each step is the learning rate times {best}, not the step of {configured}: it is another "
        "optimiser, or one with other settings"
        + (" (weight decay is added to the gradient)" if decayed else ""),
        "build the optimiser as configured, and do not change its state between steps",
    )


def _of_past_gradients(
    configured: str,
    gradients: Sequence[Tensor],
    before: Sequence[Tensor],
    after: Sequence[Tensor],
    rates: Sequence[Tensor],
) -> Hypothesis | None:
    """The last step as a sum of its own gradient and of earlier ones, as momentum gives it."""
    change = (before[-1] - after[-1]) / rates[-1].clamp(min=1e-12)
    columns = torch.stack(list(reversed(gradients)), dim=1)
    solved = torch.linalg.lstsq(columns, change[:, None], driver="gelsd").solution
    rest = change - (columns @ solved)[:, 0]
    if float(rest.square().sum()) > (1 - _EXPLAINS) * float(change.square().sum()):
        return None
    weights = ", ".join(f"{float(each):.3g}" for each in solved[:, 0])
    return Hypothesis(
        "past gradients",
        f"step {len(gradients)} is the learning rate times the gradients of this step and of those "
        f"before with the weights {weights}: not those of the momentum of {configured} (another "
        "momentum, or dampening, which makes the gradient enter with less weight)",
        "build the optimiser as configured, and do not change its state between steps",
    )


def _fitted(
    gradients: Sequence[Tensor],
    before: Sequence[Tensor],
    after: Sequence[Tensor],
    rates: Sequence[Tensor],
) -> Fit:
    moved = [
        (rate > 0).nonzero()[:: max(len(rate) // _WEIGHTS, 1), 0] for rate in rates
    ]  # a rate of 0 tells nothing
    found = [
        ((old - new) / rate.clamp(min=1e-12))[index]
        for old, new, rate, index in zip(before, after, rates, moved, strict=True)
    ]
    terms: dict[str, list[Tensor]] = {}
    for name, directions in _directions(gradients, before):
        terms[name] = [each[index] for each, index in zip(directions, moved, strict=True)]
    return short_sum(
        torch.cat(found).numpy(), {name: torch.cat(each).numpy() for name, each in terms.items()}
    )


def _directions(
    gradients: Sequence[Tensor], weights: Sequence[Tensor]
) -> Iterator[tuple[str, list[Tensor]]]:
    """Directions with their names, each for all steps."""
    yield "the gradient", list(gradients)
    yield "the sign of the gradient (sign descent)", [each.sign() for each in gradients]
    yield "the weights (decay)", list(weights)
    for beta in (0.9, 0.95, 0.99):
        mean = _mean(gradients, beta)
        yield f"the momentum of {beta:g} (SGD)", [each / (1 - beta) for each in mean]
        yield f"the mean gradient of momentum {beta:g}, without division (dampened)", mean
        yield f"the sign of the momentum of {beta:g} (Lion)", [each.sign() for each in mean]
    for beta in (0.9, 0.99, 0.999):
        roots = [each.sqrt() + _EPSILON for each in _mean([g.square() for g in gradients], beta)]
        name = f"the gradient over the root of its mean square ({beta:g}), without momentum"
        ratios = [g / root for g, root in zip(gradients, roots, strict=True)]
        yield f"{name} (RMSprop)", ratios
        corrected = [ratio * (1 - beta ** (n + 1)) ** 0.5 for n, ratio in enumerate(ratios)]
        yield f"{name}, with correction of its bias (Adam without momentum)", corrected
    totals = [
        torch.stack([g.square() for g in gradients[: n + 1]]).sum(0) for n in range(len(gradients))
    ]
    yield (
        "the gradient over the root of the sum of its squares (Adagrad)",
        [g / (total.sqrt() + _EPSILON) for g, total in zip(gradients, totals, strict=True)],
    )


def _mean(numbers: Sequence[Tensor], beta: float) -> list[Tensor]:
    """Exponential means of the numbers up to each step, without a correction of their bias."""
    means, mean = [], torch.zeros_like(numbers[0])
    for each in numbers:
        mean = beta * mean + (1 - beta) * each
        means.append(mean)
    return means
