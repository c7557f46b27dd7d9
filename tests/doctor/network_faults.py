"""Draws random faults of a user's network: of its inputs, its outputs, and their reading.

A sound network is wrapped so that its outputs are those of another training (probabilities, values
in [-1, 1], a value of the side to move, label noise), or are reported by another formula. Or it
gets other planes than those that it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.doctor.slips import Named

Decode = Callable[[Tensor], Tensor]
Change = Callable[[Tensor], Tensor]

# Outputs for a probability, and their decoding.
_OUTPUTS: dict[str, tuple[Decode, Decode]] = {
    "logit": (lambda p: (p / (1 - p)).log(), torch.sigmoid),
    "raw": (lambda p: p, lambda x: x),
    "signed": (lambda p: 2 * p - 1, lambda x: (x + 1) / 2),
    "tanh": (lambda p: (2 * p - 1).clamp(-0.9999, 0.9999).atanh(), lambda x: (x.tanh() + 1) / 2),
}
_INPUTS: dict[str, tuple[Change, str]] = {
    "transposed": (lambda p: p.transpose(2, 3), "transposed"),
    "upside down": (lambda p: p.flip(2), "upside down|left and right"),
    "left to right": (lambda p: p.flip(3), "upside down|left and right"),
    "colours swapped": (lambda p: p[:, [1, 0, 2]], "exchanged|transposed|colour"),
    "scaled": (lambda p: p / 255, "times 255|times"),
    "signed planes": (lambda p: 2 * p - 1, r"\(x \+ 1\) / 2|planes"),
    "quarter": (lambda p: p.rot90(1, (2, 3)), "quarter"),
}
_POLICIES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "column-major": (lambda b: b.transpose(1, 2), "column"),
    "turned": (lambda b: b.flip(1, 2), "180"),
    "upside down": (lambda b: b.flip(1), "upside down"),
    "shifted": (lambda b: b.roll(1, 2), "shifted"),
    "negative": (lambda b: -b, "sign"),
}


class Distorted(nn.Module):
    """A sound network with one fault."""

    def __init__(self, network: nn.Module, **what: Any) -> None:
        super().__init__()
        self.network = network.eval()
        self.what = what

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        shown = self.what["input"](planes) if "input" in self.what else planes
        output = self.network(shown.contiguous())
        p = output.value_raw.sigmoid().clamp(1e-4, 1 - 1e-4)
        red = planes[:, 2].mean(dim=(1, 2))
        if "sides" in self.what:  # finished, Blue to move, Red to move
            over, blue, other = self.what["sides"]
            turned = ((red == 0.5) & over) | ((red < 0.25) & blue) | ((red > 0.75) & other)
            p = torch.where(turned, 1 - p, p)
        share = self.what.get("noise", 0.0)
        p = share / 2 + (1 - share) * p
        policy = output.policy_logits
        if "policy" in self.what:
            size = planes.shape[-1]
            policy = self.what["policy"](policy.reshape(-1, size, size)).flatten(1)
        raw = _OUTPUTS[self.what["put_out"]][0](p)
        if self.what.get("random"):
            raw = raw * (torch.rand(len(raw)) < 0.7)
        if self.what.get("over_batch"):
            raw = raw - raw.mean()
        return policy, raw

    def win_prob_red(self, raw: Tensor) -> Tensor:
        return _OUTPUTS[self.what["read_as"]][1](raw)


@dataclass(frozen=True)
class NetworkFault(Named):
    """One faulty network: the arguments of Distorted, and the words that name the fault."""

    label: str
    what: dict[str, Any]
    named_by: str


def draw_network_fault(seed: int) -> NetworkFault:
    """The fault of a seed."""
    rng = np.random.default_rng([seed, 1])
    put_out = list(_OUTPUTS)[rng.integers(4)]
    sound: dict[str, Any] = {"put_out": put_out, "read_as": put_out}
    kind = ["decoding", "sides", "input", "policy", "noise", "random", "over_batch"][
        rng.choice(7, p=[0.25, 0.2, 0.2, 0.15, 0.1, 0.05, 0.05])
    ]
    if kind == "decoding":
        pairs = [("raw", "logit"), ("signed", "logit"), ("signed", "raw"), ("logit", "raw")]
        put_out, read_as = pairs[rng.integers(4)]
        named = {"raw": "put out 0 and 1", "signed": r"-1 and 1|\(raw \+ 1\)", "logit": "sigmoid"}
        named_by = f"{named[put_out]}|no probability"
        return NetworkFault(
            f"{put_out} read as {read_as}", {"put_out": put_out, "read_as": read_as}, named_by
        )
    if kind == "sides":
        patterns = {
            "everywhere": ((True, True, True), "one colour is reported"),
            "for Red": ((False, False, True), "side to move|odd plies"),
            "for Blue": ((False, True, False), "side to move|even plies"),
            "in play": ((False, True, True), "one colour is reported"),
            "for Red and at the end": ((True, False, True), "side to move|odd plies"),
        }
        name = list(patterns)[rng.integers(5)]
        sides, named_by = patterns[name]
        return NetworkFault(f"{put_out}, inverted {name}", {**sound, "sides": sides}, named_by)
    if kind == "input":
        name = list(_INPUTS)[rng.integers(len(_INPUTS))]
        change, cause = _INPUTS[name]
        return NetworkFault(f"{put_out}, planes {name}", {**sound, "input": change}, cause)
    if kind == "policy":
        name = list(_POLICIES)[rng.integers(len(_POLICIES))]
        moved, named_by = _POLICIES[name]
        return NetworkFault(f"{put_out}, policy {name}", {**sound, "policy": moved}, named_by)
    if kind == "noise":
        share = float(rng.uniform(0.2, 0.5))
        return NetworkFault(
            f"{put_out}, {share:.0%} label noise", {**sound, "noise": share}, "random|noise|smooth"
        )
    cause = "dropout|train mode|random" if kind == "random" else "batch"
    return NetworkFault(f"{put_out}, {kind}", {**sound, kind: True}, cause)
