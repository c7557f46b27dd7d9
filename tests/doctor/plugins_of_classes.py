"""Plug-ins with one mistake each, for `slips_of_classes`."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from hexsearch.model.readout import Readout
from tests.doctor.plugins_ninth import Network


class CutProbability(Readout):
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        p = raw.sigmoid().clamp(0.1, 0.9)
        return functional.binary_cross_entropy(p, target.to(p.dtype), reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class TwoSigmoids(Readout):
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            raw.sigmoid(), target.to(raw.dtype), reduction="none"
        )

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class TwoSigmoidsShown(TwoSigmoids):
    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid().sigmoid()


class ClampedValue(Network):
    def judged(self, features: Tensor) -> Tensor:
        return super().judged(features).clamp(-1, 1)


class RowsReversed(Network):
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(planes)
        return self.moves(features).flip(1).flatten(1), self.judged(features)


class Tempered(Readout):
    """One temperature in loss and probability. Sound."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(raw / 2.0, target, reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return (raw / 2.0).sigmoid()


class SmallEpsilon(Readout):
    """Probabilities are kept from 0 and 1 by a millionth. Sound."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        p = raw.sigmoid().clamp(1e-6, 1 - 1e-6)
        return functional.binary_cross_entropy(p, target.to(p.dtype), reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()
