"""Cost of a network: parameters, operations for each position, and time for each position."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hexsearch.model.network import count_parameters

_CPU_BATCH, _GPU_BATCH = 256, 1024
_REPEATS = 3  # timed passes, after one untimed pass


@dataclass(frozen=True)
class NetworkCost:
    """Cost of one network on one device.

    Attributes:
        parameters: number of weights that its answers depend on.
        mflops: millions of floating-point operations for one position, in convolutions and matrix
            products. A multiplication and an addition count as two, so multiply-accumulates are
            half of it. Norms, activations and means are not counted, as is usual; they are about
            1% of a trunk.
        microseconds: wall-clock time for each position of a large batch at inference, the median
            of a few passes. It differs from run to run, so nothing may depend on it except where
            the user asks for speed by name.
        auxiliary_parameters: number of weights of the heads that are used in training only.
    """

    parameters: int
    mflops: float
    microseconds: float
    auxiliary_parameters: int = 0


def measure_cost(
    network: nn.Module,
    planes: int,
    side: int,
    device: torch.device,
    forward: Callable[[Tensor], object],
) -> NetworkCost:
    """Count and time a network at inference. Its weights and its mode are not changed.

    Args:
        planes: channels of the input.
        side: rows of the input, including the edge ring.
        forward: the network on planes [B, C, N, N], in its precision at inference.
    """
    was_training = network.training
    network.eval()
    try:
        size = _GPU_BATCH if device.type == "cuda" else _CPU_BATCH
        batch = torch.zeros(size, planes, side, side, device=device)
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            flops = count_flops(network, batch[:1])
            forward(batch)
            seconds = statistics.median(_timed(forward, batch, device) for _ in range(_REPEATS))
    finally:
        network.train(was_training)
    answering = count_parameters(network)
    every = sum(parameter.numel() for parameter in network.parameters())
    return NetworkCost(answering, flops / 1e6, 1e6 * seconds / size, every - answering)


def count_flops(network: Callable[[Tensor], object], batch: Tensor) -> int:
    """Operations of one forward pass over a batch [B, C, N, N], in the network's current mode."""
    with FlopCounterMode(display=False) as counter:
        network(batch)
    return int(counter.get_total_flops())


def _timed(forward: Callable[[Tensor], object], batch: Tensor, device: torch.device) -> float:
    started = time.perf_counter()
    forward(batch)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
