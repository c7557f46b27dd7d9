"""Listed slips in what reports and restored states leave of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from hexsearch.model.many_heads import ManyHeads
from hexsearch.training.optimisation.optimiser import build_optimiser
from hexsearch.training.stored_trial import answering_weights
from hexsearch.training.trial import Trial
from tests.doctor.listed.places import AVERAGED
from tests.doctor.slips import Slip, patched


def _optimisers_anew(sound: Any) -> Any:
    def reports(self: Trial) -> Any:
        found = sound(self)
        for owner in self._stepper.owners:
            owner.optimiser = build_optimiser(owner._parts, owner._config, owner._device)
        return found

    return reports


def _from_the_average(sound: Any) -> Any:
    return lambda self, state: sound(self, {**state, "network": answering_weights(state)})


def _by_another_prefix(sound: Any) -> Any:
    def load(self: ManyHeads, weights: Mapping[str, Tensor], *more: Any, **named: Any) -> Any:
        renamed = {f"module.{name}": weight for name, weight in weights.items()}
        return sound(self, renamed, strict=False)

    return load


SLIPS: dict[str, Slip] = {
    "average restored as the trained weights": Slip(
        patched(Trial, "load_state", _from_the_average),
        r"other weights than those of the checkpoint: from the averaged ones \(EMA\)",
        AVERAGED,
        cause="A restored trial trains on from the averaged weights.",
    ),
    "weights loaded by names with another prefix": Slip(
        patched(ManyHeads, "load_state_dict", _by_another_prefix),
        r"from the initial ones \(nothing is loaded: other names, or strict=False\)",
        cause="Weights are loaded by names with another prefix and without strict, so nothing is "
        "loaded.",
    ),
}
SLOW: dict[str, Slip] = {
    "optimiser rebuilt at each report": Slip(
        patched(Trial, "reports", _optimisers_anew),
        "the optimiser is reset, or built anew, at each report",
        cause="The optimiser is built anew at each report, so its moments are lost.",
    ),
}
