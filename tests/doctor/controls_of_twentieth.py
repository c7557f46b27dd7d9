"""Unusual but sound pipelines beside the twentieth set of slips, which must raise no alarm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.data.batch import Batch
from hexsearch.data.order import keyed_bits
from hexsearch.data.position_set import PositionSet
from hexsearch.model.network import Network
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.optimisation import owner as steps
from tests.doctor.slips import Patch, Slip, in_network
from tests.doctor.slips_twentieth_training import Wrapped, with_readouts


class _TwoScores(Wrapped):
    """Half the log score and half the Brier score of the answer: a sum of proper scores."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        p = self.inner.win_prob(raw)
        logarithmic = functional.binary_cross_entropy(
            p.clamp(1e-6, 1.0 - 1e-6), target, reduction="none"
        )
        return 0.5 * logarithmic + 0.5 * (p - target).square()


def _orthogonal(network: Network) -> None:
    generator = torch.Generator().manual_seed(26)
    for module in network.trunk.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) and bool(module.weight.any()):
            nn.init.orthogonal_(module.weight, gain=2.0**0.5, generator=generator)


def _with_replacement(patch: Patch) -> None:
    """Every sample is drawn uniformly and independently of the others."""

    def draw_plain(self: Any, seed: int, cursor: int, size: int) -> Any:
        samples = np.arange(cursor, cursor + size, dtype=np.int64)
        index = (keyed_bits(seed, 2601, samples) % np.uint64(len(self))).astype(np.int64)
        return self.at(index, samples // len(self), seed)

    patch.setattr(PositionSet, "draw_plain", draw_plain)


class _ChannelNorm(nn.Module):
    """Layer norm over the channels of each cell (as in ConvNeXt)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        mean = features.mean(dim=1, keepdim=True)
        variance = features.var(dim=1, keepdim=True, unbiased=False)
        normed = (features - mean) * torch.rsqrt(variance + 1e-5)
        return normed * self.weight[:, None, None] + self.bias[:, None, None]


def _channel_norms(network: Network) -> None:
    for parent in list(network.trunk.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, _ChannelNorm(child.num_features))


def _trapezoid(patch: Patch) -> None:
    """A linear rise, a plateau, and a linear fall to 0 over the last 40% (WSD)."""

    def set_rates(optimiser: Any, config: OptimiserConfig, progress: float) -> None:
        rise = max(config.warmup, 0.02)
        share = min((progress + 1e-3) / rise, 1.0, max((1.0 - progress) / 0.4, 0.0))
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * share * group["factor"]

    patch.setattr(steps, "set_learning_rate", set_rates)


def _both_views(patch: Patch) -> None:
    """Answers of an evaluation are means over a position and its half turn, as raw values."""
    sound = Evaluator._answer

    def answer(self: Any, network: Any, batch: Batch) -> Any:
        raws, logits = sound(self, network, batch)
        turned = replace(batch, planes=batch.planes.flip(2, 3))
        other_raws, other_logits = sound(self, network, turned)
        means = [(a + b) / 2 for a, b in zip(raws, other_raws, strict=True)]
        return means, (logits + other_logits.flip(1)) / 2

    patch.setattr(Evaluator, "_answer", answer)


CONTROLS: dict[str, Slip] = {
    "half log score, half Brier score": Slip(
        with_readouts(_TwoScores),
        r"(?!)",
        cause="Sound: the value loss is the mean of two proper scores of the answer.",
    ),
    "orthogonal initial weights": Slip(
        in_network(_orthogonal),
        r"(?!)",
        cause="Sound: the trunk's kernels and matrices begin orthogonal, with gain sqrt 2.",
    ),
    "samples drawn with replacement": Slip(
        _with_replacement,
        r"(?!)",
        cause="Sound: positions are drawn uniformly with replacement instead of in permutations.",
    ),
    "layer norm over channels": Slip(
        in_network(_channel_norms),
        r"(?!)",
        cause="Sound: the trunk's batch norms are replaced by layer norms over each cell's "
        "channels.",
    ),
    "trapezoid schedule": Slip(
        _trapezoid,
        r"(?!)",
        cause="Sound: the rate rises, stays, and falls linearly over the last 40%.",
    ),
    "answers averaged over the half turn": Slip(
        _both_views,
        r"(?!)",
        cause="Sound: evaluation averages the raw values of a position and of its half turn.",
    ),
}
