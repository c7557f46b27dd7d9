"""Batch-norm statistics for evaluation.

The running averages of training lag behind weights that change fast. Near the peak of a one-cycle
schedule, a network with a value loss of 0.238 was measured at 0.384, worse than chance, and ASHA
would have pruned it. So before every evaluation the statistics are computed again over a few
thousand training positions (Wu and Johnson, arXiv:2105.07576, section 3.1). They stay in the
network, so a checkpoint gives exactly the answers that were evaluated. Training never reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.data.batch import Batch


def calibrate_norms(
    network: nn.Module, batches: Iterable[Batch], forward: Callable[[Batch], object]
) -> None:
    """Replace running means and variances by plain averages over `batches`.

    The network is in eval mode afterwards. Without batch norm nothing is computed.
    """
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
        norm.train()
    try:
        with torch.no_grad():
            for batch in batches:
                forward(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
