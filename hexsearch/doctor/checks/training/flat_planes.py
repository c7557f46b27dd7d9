"""The check of planes that are the same all over a board: whether their number reaches anything."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_POSITIONS = 64
_NOTHING = 1e-4  # of the spread of the outputs over positions
_CONSTANT = 1e-6  # spread of an output that tells nothing, as of a head that begins with zeros
_NAMES = {2: "the side to move"}


def check_flat_planes(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Give each such plane another number, and see whether an output changes."""
    trial = needed(pipeline.finite)
    planes = torch.from_numpy(needed(pipeline.samples).planes[:_POSITIONS])
    flat = (planes.flatten(2).std(dim=2) < 1e-6).all(dim=0)
    told = planes.flatten(2).mean(dim=2)
    network = trial.network

    def outputs(shown: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad(), in_eval_mode(network.modules()):
            output = network(trial.execution.show(shown))
        return output.value_raw.float(), output.policy_logits.float()

    before = outputs(planes)
    for number in flat.nonzero().flatten().tolist():
        low, high = float(told[:, number].min()), float(told[:, number].max())
        if high - low < 1e-6:
            continue
        other = planes.clone()
        other[:, number] = low + high - planes[:, number]
        changes = [
            float((new - old).abs().max()) / float(old.std())
            for new, old in zip(outputs(other), before, strict=True)
            if float(old.std()) > _CONSTANT
        ]
        if changes and max(changes) < _NOTHING:
            name = f"plane {number}" + (f", {_NAMES[number]}" if number in _NAMES else "")
            yield Finding.error(
                "flat planes",
                f"with {name} inverted on {len(planes)} positions, value and policy change by "
                f"{max(changes):.1g} standard deviations",
                f"what {name}, says is lost in the network: the plane is the same all over a board "
                "and is normalised away (an instance or layer norm on the input, a mean that is "
                "taken out), cut off or overwritten",
                "normalise no plane position by position; give constant planes to the network as "
                "they are",
                root="unread",
            )
