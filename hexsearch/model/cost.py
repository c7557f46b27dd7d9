"""What a network costs: numbers to store, arithmetic for a position, time for a position."""

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
_REPEATS = 3  # timed passes, after one that is not


@dataclass(frozen=True)
class NetworkCost:
    """Of one network on one device.

    Attributes:
        parameters: weights that answers are made of.
        mflops: millions of floating-point operations to judge one position: convolutions and
            matrix products, a multiplication and an addition counting as two. Halve it for
            multiply-accumulates. Norms, activations and means are left out, as is usual; they
            are about 1% of a trunk's.
        microseconds: of wall clock for each position of a large batch at inference, the median
            of a few passes. The only figure here that differs from run to run: nothing may be
            decided by it but what asks for speed by name.
        auxiliary_parameters: weights of heads that only training asks.
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
    """Count and time a network as it answers; its weights and its mode are left alone.

    Args:
        planes: channels of the input. side: its rows, the edge ring included.
        forward: the network on planes [B, C, N, N], in the precision that it answers in.
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


def count_flops(network: nn.Module, batch: Tensor) -> int:
    """Operations of one forward pass over a batch [B, C, N, N], in the network's present mode."""
    with FlopCounterMode(display=False) as counter:
        network(batch)
    return int(counter.get_total_flops())


def _timed(forward: Callable[[Tensor], object], batch: Tensor, device: torch.device) -> float:
    started = time.perf_counter()
    forward(batch)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
