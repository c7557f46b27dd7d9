"""The check of the weights of a user's network: lengths, zeros, and what was cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.general.initial_weights import (
    has_vanished,
    is_too_long,
    larger_layers,
)
from hexsearch.doctor.hypotheses.general.norm_statistics import before_norms, is_norm
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_LAYERS, _ROWS = 3, 4  # layers that are needed, and rows of each
_SAME = 1e-4  # difference of equal lengths
_PRUNED, _DENSE = 0.05, 64  # share of zeros that is reported; numbers that a layer needs
_TOP, _CROWDED = 0.8, 0.08  # values above this part of the largest one, and their usual share
_GAP = 0.1  # part of the median size below which nothing lies where small weights were removed


def check_loaded_weights(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report weights as no training leaves them."""
    foreign = needed(pipeline.foreign)
    network = foreign.model
    if not isinstance(network, nn.Module):
        return
    layers = _layers(network)
    if len(layers) < _LAYERS:
        return
    loss = needed(pipeline.observed).evaluation.metrics().overall.value_loss
    is_poor = loss > 0.25
    for finding in (
        _vanished(network) if is_poor else None,
        _too_long(network) if is_poor else None,
        _equal_lengths(layers),
        _zeros(layers, is_poor),
        lost_part(foreign),
    ):
        if finding is not None:
            evidence, cause, remedy = finding
            yield Finding(
                "weights of the network",
                "error" if is_poor else "warning",
                f"{evidence}; the value loss is {loss:.3f}",
                cause,
                remedy,
                root="weights",
            )
            return


def lost_part(foreign: ForeignNetwork) -> tuple[str, str, str] | None:
    """Evidence, cause and remedy where weights show that a part of them was lost."""
    network, empty = foreign.model, np.zeros((foreign.size, foreign.size), dtype=np.int8)
    if not isinstance(network, nn.Module):
        return None

    def run() -> None:
        planes = [torch.as_tensor(foreign.encoded(empty, side)).float() for side in (-1, 1)]
        foreign.respond(torch.stack(planes))

    return _switched_off(network) or _one_sign(_layers(network)) or _without_biases(network, run)


def _layers(network: nn.Module) -> dict[str, Tensor]:
    """Weights as rows, by name, of layers that are not small."""
    return {
        name: weight.detach().float().flatten(1)
        for name, weight in network.named_parameters()
        if weight.ndim > 1 and weight.shape[0] >= _ROWS and weight.numel() >= _DENSE
    }


def _vanished(network: nn.Module) -> tuple[str, str, str] | None:
    """Weights that are far smaller than initial ones, in most layers."""
    layers = larger_layers(network)
    gone = [name for name, layer in layers.items() if has_vanished(layer)]
    if not gone or 2 * len(gone) < len(layers):
        return None
    empty = [name for name in gone if not bool(layers[name].weight.any())]
    if 2 * len(empty) >= len(layers):
        return (
            f"the weights of {len(empty)} of {len(layers)} larger layers, such as {empty[0]}, are "
            "all exactly 0",
            "the weights are all 0: they began with 0 (a constant initialisation), and then no "
            "gradient reaches them, so nothing but the last biases was trained",
            "keep torch's own initial weights, and train again",
        )
    return (
        f"the weights of {len(gone)} of {len(layers)} larger layers, such as {gone[0]}, are less "
        "than a tenth as long as torch draws initial ones",
        "the weights have decayed to about 0, so nothing of the board reaches the value: the "
        "weight decay (L2 penalty) is far too strong",
        "use a weight decay of about 1e-4, and train again",
    )


def _too_long(network: nn.Module) -> tuple[str, str, str] | None:
    """Weights that are far larger than initial ones, in most layers."""
    layers = larger_layers(network)
    long = [name for name, layer in layers.items() if is_too_long(layer)]
    if not long or 2 * len(long) <= len(layers):
        return None
    return (
        f"the weights of {len(long)} of {len(layers)} larger layers, such as {long[0]}, are more "
        "than six times as long as torch draws initial ones",
        "the weights are far too large, which saturates what follows them: initial weights were "
        "drawn with far too large a deviation (normal_ with 1, without a division by the root of "
        "the inputs), or training diverged (a learning rate that is far too high, or gradients "
        "that are never cleared: zero_grad is missing)",
        "call zero_grad() in each step, lower the learning rate, and keep torch's own initial "
        "weights, or divide the deviation by the root of the inputs of a "
        "unit; then train again",
    )


def _equal_lengths(layers: dict[str, Tensor]) -> tuple[str, str, str] | None:
    """Rows that all have the same length, which training does not give."""
    alike = [
        name
        for name, rows in layers.items()
        if float((rows.norm(dim=1) - 1.0).abs().max()) < _SAME and rows.shape[1] > 1
    ]
    if len(alike) < max(_LAYERS, len(layers) // 2):
        return None
    return (
        f"in {len(alike)} of {len(layers)} layers, such as {alike[0]}, the weights of each output "
        "have length 1",
        "the lengths of the weights are lost: each row or kernel has length 1, as the directions "
        "of a weight normalisation have without their lengths (weight_g, original0), or as after a "
        "normalisation that training did not know",
        "load both parts of a weight normalisation, or remove it before saving "
        "(remove_parametrizations); if weights have length 1 on purpose, all is well",
    )


def _switched_off(network: nn.Module) -> tuple[str, str, str] | None:
    """Channels that norms multiply by exactly 0, in part of the channels of several norms."""
    scales = [m.weight for m in network.modules() if is_norm(m) and hasattr(m, "weight")]
    held = [scale.detach() for scale in scales if isinstance(scale, Tensor)]
    part = [scale for scale in held if 0 < int((scale == 0).sum()) < len(scale)]
    count, zero = sum(map(len, part)), sum(int((scale == 0).sum()) for scale in part)
    if len(part) < 2 or zero < _PRUNED * count:
        return None
    return (
        f"{len(part)} of {len(held)} norms have a scale of exactly 0 for some of their channels, "
        f"{zero / count:.0%} of these in all",
        "channels are switched off by the scales of their norms (a pruning of channels by gamma), "
        "and the network was not trained on afterwards",
        "compare the answers before and after pruning; prune less, or train on",
    )


def _one_sign(layers: dict[str, Tensor]) -> tuple[str, str, str] | None:
    """Weights of several layers of which none is negative."""
    positive = [name for name, rows in layers.items() if float(rows.min()) >= 0.0]
    if len(positive) < max(_LAYERS, len(layers) // 2):
        return None
    return (
        f"no weight is negative in {len(positive)} of {len(layers)} layers, such as {positive[0]}",
        "the signs of the weights are lost: their absolute values were saved or loaded (a pruning "
        "or a quantisation that went on with the sizes that it had compared)",
        "compare sizes, and keep the weights themselves with their signs",
    )


def _without_biases(network: nn.Module, run: Callable[[], object]) -> tuple[str, str, str] | None:
    """Convolutions without biases where no norm shifts what they give, or whose biases are 0.

    Args:
        run: calls the network.
    """
    modules = list(network.modules())
    convolutions = [m for m in modules if isinstance(m, _ConvNd) and m.out_channels >= _ROWS]
    if len(convolutions) < _LAYERS:
        return None
    # A library without biases before norms fills in zeros there.
    followed = list(before_norms(network, run).values())
    alone = [m for m in convolutions if not any(m is other for other in followed)]
    others = [m.bias for m in modules if isinstance(m, nn.Linear) and m.bias is not None]
    zero = [m for m in alone if m.bias is not None and not bool(m.bias.any())]
    if len(zero) > len(alone) // 2 and any(bool(bias.any()) for bias in others):
        evidence = f"the biases of {len(zero)} of {len(alone)} convolutions are exactly 0"
    elif all(m.bias is None for m in convolutions) and not any(is_norm(m) for m in modules):
        evidence = f"{len(convolutions)} convolutions have no bias, and no norm follows them"
    else:
        return None
    return (
        evidence,
        "the biases of the convolutions are lost: they were not loaded (a file of fused "
        "convolutions and batch norms has biases, which a model with bias=False leaves out and "
        "strict=False does not tell), or the loader takes them for 0",
        "build the convolutions with biases and load strictly; if training had none, all is well",
    )


def _zeros(layers: dict[str, Tensor], is_poor: bool) -> tuple[str, str, str] | None:
    """Weights that are exactly 0, and which ones these were.

    Inputs or outputs of a layer that are 0 as a whole are its shape, such as the two corners of a
    kernel that reads six neighbours. A network that answers well may be pruned.
    """
    layers = {n: rows[rows.any(dim=1)][:, rows.any(dim=0)] for n, rows in layers.items()}
    count = sum(rows.numel() for rows in layers.values())
    zero = sum(int((rows == 0).sum()) for rows in layers.values())
    sparse = {n: rows for n, rows in layers.items() if float((rows == 0).float().mean()) > _PRUNED}
    if zero < _PRUNED * count or len(sparse) < _LAYERS:
        return None
    kept = [rows[rows != 0].abs() for rows in sparse.values() if bool((rows != 0).any())]
    crowded = [float((sizes > _TOP * sizes.max()).float().mean()) for sizes in kept]
    gaps = [float(sizes.min() / sizes.median()) for sizes in kept]
    half = len(kept) / 2
    if sum(share > _CROWDED for share in crowded) > half:
        which = (
            "the largest weights were removed and the small ones kept (the mask of a pruning is "
            "the wrong way round): what is left ends abruptly below a limit"
        )
    elif not is_poor:
        return None
    elif sum(gap > _GAP for gap in gaps) > half:
        which = "small weights were removed (pruned), more than the network can do without"
    else:
        which = "weights were removed at random, or their mask belongs to other layers"
    return (
        f"{zero / count:.0%} of {count:,} weights in matrices and kernels are exactly 0, in "
        f"{len(sparse)} of {len(layers)} layers",
        which,
        "compare the answers before and after pruning; prune by the smallest sizes, and train on",
    )
