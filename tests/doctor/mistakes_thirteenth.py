"""The wrong parts of the scripts in `slips_thirteenth_scripts`, each a mistake of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.doctor.networks_of_thirteenth import (
    HEADS,
    WIDTH,
    Bottleneck,
    Depthwise,
    GatedUnit,
    Headed,
    RotaryAttention,
    hexagons,
)
from tests.doctor.outside import Samples
from tests.doctor.outside_networks import of_mover

_BINS = 33
_KEPT = 18  # channels that are not cut
_PRIOR = 2.2  # log of nine wins to one loss, of another collection
_STAGES = 10
_STEPS = 250
_BATCH = 128
_EXPECTILE = 0.9


def with_values_first(network: nn.Module) -> nn.Module:
    """Reads the joint layer of gate and values as if the values came first."""
    for module in network.modules():
        if isinstance(module, GatedUnit):
            module.gate_first = False
    return network.eval()


def turned_by_halves(network: nn.Module, sorted_rows: bool = False) -> nn.Module:
    """Turns channels of the two halves together; rows are sorted for that or left as they were."""
    for module in network.modules():
        if isinstance(module, RotaryAttention):
            module.interleaved = False
            for layer in (module.queries, module.keys) if sorted_rows else ():
                for weight in (layer.weight, layer.bias):
                    heads = weight.detach().reshape(HEADS, -1, *weight.shape[1:])
                    weight.data = torch.cat([heads[:, 0::2], heads[:, 1::2]], dim=1).flatten(0, 1)
    return network.eval()


def without_margins_in_means(network: nn.Module) -> nn.Module:
    """Means over neighbours on the board alone, not over zeros beyond it as well."""
    for module in network.modules():
        if isinstance(module, nn.AvgPool2d):
            module.count_include_pad = False
    return network.eval()


class Surrounded(nn.Module):
    """A convolution with a value of its own for each channel beyond the board."""

    def __init__(self, conv: nn.Conv2d, beyond: Tensor) -> None:
        super().__init__()
        self.conv, self.beyond = conv, beyond[:, None, None]
        conv.padding = (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x - self.beyond, (1, 1, 1, 1)) + self.beyond
        return self.conv(padded)  # type: ignore[no-any-return]


@torch.no_grad()
def folded_forwards(network: Any, exact: bool = False) -> nn.Module:
    """Norms put into the convolutions behind them.

    A norm is not a norm of the zeros beyond the board, which `exact` heeds.
    """
    for place, (norm, conv) in enumerate(zip(network.norms, network.convs, strict=True)):
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shift = norm.bias - norm.running_mean * scale
        conv.bias += (conv.weight * shift[:, None, None]).sum(dim=(1, 2, 3))
        conv.weight *= scale[:, None, None]
        network.norms[place] = nn.Identity()
        if exact:
            network.convs[place] = Surrounded(conv, -shift / scale)
    return network.eval()  # type: ignore[no-any-return]


def with_newest_first(network: Any) -> nn.Module:
    """Rebuilt with the new features before the old ones; all shapes are the same."""
    network.newest_first = True
    return network.eval()  # type: ignore[no-any-return]


def with_multipliers_first(network: nn.Module) -> nn.Module:
    """Kernels in the order of first and second kernel of all channels, not channel by channel."""
    for module in network.modules():
        if isinstance(module, Depthwise):
            weight = module.depthwise.weight
            pairs = weight.detach().reshape(WIDTH, 2, *weight.shape[1:])
            weight.data = pairs.transpose(0, 1).flatten(0, 1)
    return network.eval()


def without_own_cell(network: Any) -> nn.Module:
    """Links to the neighbours alone, as a library without self-loops makes them."""
    network.links = hexagons(network.size, own=False)
    return network.eval()  # type: ignore[no-any-return]


def with_one_round(network: Any) -> nn.Module:
    """Rebuilt with the default number of rounds, which the file of weights does not hold."""
    network.rounds = 1
    return network.eval()  # type: ignore[no-any-return]


@torch.no_grad()
def pruned(network: nn.Module) -> nn.Module:
    """The channels with the largest scales are kept; the next layer keeps its first inputs."""
    for block in network.modules():
        if isinstance(block, Bottleneck):
            kept = block.norm1.weight.abs().topk(_KEPT).indices
            conv, norm = nn.Conv2d(WIDTH, _KEPT, 1), nn.BatchNorm2d(_KEPT)
            following = nn.Conv2d(_KEPT, WIDTH, 3, padding=1)
            conv.load_state_dict({k: v[kept] for k, v in block.conv1.state_dict().items()})
            norm.load_state_dict(
                {k: v[kept] if v.ndim else v for k, v in block.norm1.state_dict().items()}
            )
            following.load_state_dict(
                {"weight": block.conv2.weight[:, :_KEPT], "bias": block.conv2.bias}
            )
            block.conv1, block.norm1, block.conv2 = conv, norm, following
    return network.eval()


def expectile(raw: Tensor, target: Tensor) -> Tensor:
    """Squared errors, of which those from below weigh nine times as much."""
    errors = target - raw.reshape(len(raw))
    return (torch.where(errors > 0, _EXPECTILE, 1 - _EXPECTILE) * errors.square()).mean()


def dice(raw: Tensor, target: Tensor) -> Tensor:
    """One minus the overlap of answers and results, as in segmentation, for Red and for Blue."""
    chances = raw.reshape(len(raw)).sigmoid()
    overlaps = [
        2 * (answer * result).sum() / (answer.sum() + result.sum())
        for answer, result in ((chances, target), (1 - chances, 1 - target))
    ]
    return 1 - (overlaps[0] + overlaps[1]) / 2


def with_prior(raw: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the logit and that of a class's share, which is not added in answers."""
    return functional.binary_cross_entropy_with_logits(raw.reshape(len(raw)) + _PRIOR, target)


class Binned(Headed):
    """Two convolutions and a value in bins from -1 to 1."""

    def __init__(self, size: int) -> None:
        super().__init__(size, outputs=_BINS)
        layers: list[nn.Module] = []
        for inputs in (2, WIDTH, WIDTH):
            layers += [nn.Conv2d(inputs, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def trunk(self, planes: Tensor) -> Tensor:
        return self.layers(planes)  # type: ignore[no-any-return]


def in_bins(raw: Tensor, target: Tensor, width: float = 1.5) -> Tensor:
    """Cross-entropy with a normal distribution round the target, cut off at -1 and 1.

    The width is one and a half in units of the value, and was meant in bins.
    """
    edges = torch.linspace(-1, 1, _BINS + 1)
    below = torch.special.ndtr((edges - target[:, None]) / width)
    shares = below.diff(dim=1)
    return functional.cross_entropy(raw, shares / shares.sum(dim=1, keepdim=True))


def in_narrow_bins(raw: Tensor, target: Tensor) -> Tensor:
    """The same with the width of one and a half bins."""
    return in_bins(raw, target, 1.5 * 2 / _BINS)


def mean_of_bins(raw: Tensor, to_move: Tensor) -> Tensor:
    """Red's chance from the mean of the bins of the side to move."""
    edges = torch.linspace(-1, 1, _BINS + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    return of_mover((raw.softmax(dim=1) @ centres)[:, None], to_move)


def from_the_end(samples: Samples) -> Tensor:
    """Rows by plies to the end of the game, finished boards first."""
    return samples.left.argsort(stable=True)


def stage_by_stage(rows: Tensor, draw: torch.Generator) -> Iterator[Tensor]:
    """Batches of one tenth of the rows after another; no stage comes back."""
    for step in range(_STEPS):
        stage = rows.tensor_split(_STAGES)[step * _STAGES // _STEPS]
        yield stage[torch.randint(len(stage), (_BATCH,), generator=draw)]
