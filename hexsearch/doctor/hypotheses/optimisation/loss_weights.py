"""Explains gradients that are those of the losses with other weights than configured."""

from __future__ import annotations

from collections.abc import Mapping

from hexsearch.config.trial import TrialConfig
from hexsearch.doctor.hypotheses.optimisation.batch_sums import CLOSE
from hexsearch.doctor.hypotheses.table import Hypothesis

_ABOUT = 0.05  # relative difference, as micro-batches differ in their numbers of moves


def other_weights(shares: dict[str, float], config: TrialConfig) -> Hypothesis:
    """The losses have other weights than configured. Clipping may add one common factor."""
    wanted = {"value": config.value_weight, "policy": config.policy_head.weight, "auxiliary": 1.0}
    wanted = {name: wanted[name] for name in shares}
    if (named := _exchanged(shares, wanted)) is not None:
        return named
    scale = max((shares[n] / w for n, w in wanted.items() if w), key=abs, default=1.0)
    if (named := _of_the_policy(shares, config)) is not None:
        return named
    weights = ", ".join(
        f"{name} {shares[name] / (abs(scale) or 1.0):.3g} (configured {weight:g})"
        for name, weight in wanted.items()
    )
    for name, weight in wanted.items():
        relative = shares[name] / (abs(scale) or 1.0)
        if weight and abs(relative) < 0.02:
            return Hypothesis(
                f"no {name}",
                f"the {name} loss does not enter the training step at all",
                f"add the {name} loss to the loss that backward() is called on",
            )
        if weight and relative < 0:
            return Hypothesis(
                f"{name} negative",
                f"the {name} loss enters with the wrong sign: training makes it larger",
                f"add the {name} loss, do not subtract it",
            )
    return Hypothesis(
        "other weights",
        "the losses are not weighted as configured; up to one factor, their weights are: "
        f"{weights}",
        "weight the losses by trial.value_weight and policy_head.weight, each once",
    )


def other_auxiliary(shares: Mapping[str, float], config: TrialConfig) -> Hypothesis:
    """Auxiliary losses that enter with other weights than configured, relative to the value."""
    scale = shares["value"] / config.value_weight if config.value_weight else 1.0
    weights = config.auxiliary.weights
    found = {name: shares[name] / (scale or 1.0) for name in weights if name in shares}
    told = ", ".join(
        f"{name} {each:.3g} (configured {weights[name]:g})" for name, each in found.items()
    )
    all_one = all(abs(each - 1.0) < CLOSE for each in found.values())
    return Hypothesis(
        "auxiliary weights",
        (
            "the auxiliary losses are not multiplied by their weights"
            if all_one
            else "the auxiliary losses enter with other weights than configured"
        )
        + f": {told}",
        "multiply each auxiliary loss by its weight of the section auxiliary, once",
    )


def _exchanged(shares: Mapping[str, float], wanted: Mapping[str, float]) -> Hypothesis | None:
    """Weights of value and policy that are exchanged, or an auxiliary weight that is another."""
    both = [shares.get(name, 0.0) for name in ("value", "policy")]
    if min(both) <= 0 or not wanted["value"] or not wanted["policy"]:
        return None
    scale = both[0] / wanted["policy"]
    swapped = abs(both[1] - scale * wanted["value"]) < CLOSE * both[1]
    if swapped and abs(wanted["value"] - wanted["policy"]) > CLOSE * wanted["value"]:
        return Hypothesis(
            "exchanged",
            f"the weights of value and policy loss are exchanged: the value loss is multiplied by "
            f"policy_head.weight ({wanted['policy']:g}), and the policy loss by trial.value_weight "
            f"({wanted['value']:g})",
            "weight the value loss by trial.value_weight, the policy loss by policy_head.weight",
        )
    scale = both[0] / wanted["value"]
    right = abs(both[1] - scale * wanted["policy"]) < CLOSE * both[1]
    taught = shares.get("auxiliary", scale)
    if right and taught > 0 and abs(taught / scale - 1) > CLOSE:
        return Hypothesis(
            "auxiliary weight",
            f"the auxiliary losses enter with {taught / scale:.3g} times their "
            "configured weights (weights that are not applied, or applied twice, or another "
            "number), and value and policy loss as configured",
            "multiply each auxiliary loss by its weight of the section auxiliary, once",
        )
    return None


def _of_the_policy(shares: Mapping[str, float], config: TrialConfig) -> Hypothesis | None:
    """A policy loss with the value's weight, or values that are summed over micro-batches."""
    value, policy = shares.get("value", 0.0), shares.get("policy", 0.0)
    if value <= 0 or policy <= 0 or not config.value_weight:
        return None
    relative = policy / value * config.value_weight
    own, parts = config.policy_head.weight, config.batch_size / (config.micro_batch or 1)
    if abs(relative - config.value_weight) < CLOSE * config.value_weight:
        return Hypothesis(
            "weight of the value",
            f"the policy loss is multiplied by trial.value_weight ({config.value_weight:g}) and "
            f"not by policy_head.weight ({own:g}), as the value loss is",
            "weight the policy loss by policy_head.weight",
        )
    if config.micro_batch and abs(relative * parts - own) < CLOSE * own:
        return Hypothesis(
            "summed parts",
            f"the value loss enters with {parts:g} times its weight: the means of the {parts:g} "
            "micro-batches are summed, and not averaged over the whole batch",
            "divide the value loss of each micro-batch by the number of positions of the batch",
        )
    return None


def summed_parts(ratio: float, config: TrialConfig) -> Hypothesis | None:
    """Losses of micro-batches that are not divided by their number.

    Args:
        ratio: of the norm of the gradient to the right one.
    """
    parts = config.batch_size / (config.micro_batch or config.batch_size)
    if parts < 2 or abs(ratio - parts) > _ABOUT * parts:
        return None
    return Hypothesis(
        "summed parts",
        f"the loss that is minimised is about {parts:g} times the configured one: the losses of "
        f"the {parts:g} micro-batches are summed, and not divided by their number",
        "divide the loss of each micro-batch by the number of positions of the whole batch",
    )
