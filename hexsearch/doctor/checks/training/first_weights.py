"""Checks how large the weights are with which training begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.recorded import by_tensor
from hexsearch.doctor.watching import WatchedTrial

_MANY = 400  # weights of a layer whose deviation is known to a few percent
_EQUAL, _FAR = 0.12, 3.5  # relative difference of equal deviations; factor that is not usual
_SOME, _LOUD, _SURE = 16, 3.0, 0.1  # weights of a head's layer; factor; distance from 50%
_LAYERS = 2  # layers of a part that must be alike


def _alike(weights: Mapping[str, Tensor]) -> Iterator[Finding]:
    """Report layers of one shape that begin with the same random weights."""
    first: dict[tuple[tuple[int, ...], bytes], str] = {}
    pairs = []
    for name, each in weights.items():
        if each.ndim < 2 or len(torch.unique(each)) < each.numel() // 2:
            continue  # not random, such as an identity
        key = tuple(each.shape), each.detach().float().cpu().numpy().tobytes()
        if key in first:
            pairs.append((first[key], name))
        first.setdefault(key, name)
    if pairs:
        one, other = pairs[0]
        yield Finding.error(
            "initial weights",
            f"{len(pairs)} layer(s) of the trunk begin with exactly the weights of another one, "
            f"such as {other} with those of {one}",
            "layers of one shape begin with the same weights: the random generator is seeded again "
            "before each layer, or one layer is copied",
            "seed once before the network is built",
        )


def check_first_weights(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the deviation of each layer's first weights with the usual ones for its inputs.

    Usual are those of He (2 / fan), Glorot (2 / (inputs + outputs)), LeCun (1 / inputs) and of
    torch (1 / (3 inputs)), and layers that begin at 0.
    """
    trial = needed(pipeline.watched)
    if trial.config.start_from is not None or trial.config.network is not None:
        return
    drawn = first_weights(trial, "trunk")
    yield from list(_alike(drawn)) or _large_heads(trial)
    odd: dict[str, tuple[float, float, float]] = {}
    seen = 0
    for name, weights in drawn.items():
        if weights.ndim < 2 or weights.numel() < _MANY or not bool(weights.any()):
            continue
        seen += 1
        inputs = weights[0].numel()
        outputs = weights.numel() // weights.shape[1]
        deviation = float(weights.float().square().mean().sqrt())
        usual = [2 / inputs, 2 / outputs, 2 / (inputs + outputs), 1 / inputs, 1 / (3 * inputs)]
        low, high = min(usual) ** 0.5, max(usual) ** 0.5
        squared = any(abs(deviation - v) < _EQUAL * v for v in usual[:4])
        if deviation * _FAR < low or deviation > _FAR * high or (squared and deviation < low):
            odd[name] = (deviation, usual[1] ** 0.5, usual[1] if squared else 0.0)
    if len(odd) < max(_LAYERS, (seen + 1) // 2):
        return
    name, (deviation, wanted, square) = next(iter(odd.items()))
    size = "small" if deviation < wanted else "large"
    without = trial.config.trunk.norm == "none"
    yield Finding(
        "initial weights",
        "error" if without else "warning",
        f"the first weights of {len(odd)} of {seen} layers of the trunk, such as {name}, have a "
        f"standard deviation of {deviation:.2g}; by the number of their inputs it should be about "
        f"{wanted:.2g}",
        f"the initial weights of the trunk are far too {size}"
        + (
            f": their standard deviation is the variance ({square:.2g}; the square root is missing)"
            if square
            else " (a gain or a fan that is wrong)"
        )
        + (", and without norms features and gradients vanish or explode" if without else ""),
        "draw weights with a standard deviation of sqrt(2 / fan), as kaiming_normal_ does",
        root="range",
    )


def _large_heads(trial: WatchedTrial) -> Iterator[Finding]:
    """Report layers of a head whose first weights are far larger than those of usual ones."""
    for head in ("value_head", "policy_head"):
        for name, weights in first_weights(trial, head).items():
            if weights.ndim < 2 or weights.numel() < _SOME:
                continue
            wanted = (2 / weights[0].numel()) ** 0.5
            deviation = float(weights.float().square().mean().sqrt())
            if deviation < _LOUD * wanted:
                continue
            answers = trial.readout.win_prob(trial.steps[0].raw) if trial.steps else weights[:0]
            apart = float((answers - 0.5).abs().mean()) if len(answers) else 0.0
            is_sure = head == "value_head" and apart > _SURE
            yield Finding(
                "initial weights",
                "error" if is_sure else "warning",
                f"the first weights of layer {name} of the {in_words(head)} have a standard "
                f"deviation of {deviation:.2g}; by the number of their inputs it should be "
                f"{wanted:.2g} or less"
                + (f"; the first answers are {apart:.2f} away from 50% on average" * is_sure),
                f"the initial weights of the {in_words(head)} are far too large (a gain that is "
                "multiplied and not divided, or drawn with a deviation of 1)"
                + (
                    ": training begins with answers that are sure of a winner, and must unlearn "
                    "them first"
                    if is_sure
                    else ": training begins with outputs that are far too large"
                ),
                "draw weights with a standard deviation of sqrt(1 / fan) or less, and make those "
                "of the output layer small, so that the first answers are near 50%",
                root="range",
            )
            return


def first_weights(trial: WatchedTrial, part: str) -> dict[str, Tensor]:
    """Weights of a part of the network before any step, by their names."""
    found = by_tensor(trial.initial_weights, {part: trial.network.parts()[part]})
    return {name.removeprefix(f"{part}."): each for name, each in found.items()}
