"""The device that a worker trains on."""

from __future__ import annotations

import socket

import torch

from hexsearch.errors import TrialError


def device_of(gpus: float) -> torch.device:
    """The GPU that Ray gave this worker, limited to its share; the CPU if it has no GPU.

    Raises:
        TrialError: Ray counts a GPU on this node that torch cannot use.
    """
    if not gpus:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrialError(
            f"torch finds no GPU on {socket.gethostname()}; install a CUDA build of torch there, "
            "or set run.gpus_per_trial to 0"
        )
    if gpus < 1.0:
        # Ray does not enforce its fractions. This limit protects the memory of other trials.
        torch.cuda.set_per_process_memory_fraction(gpus)
    return torch.device("cuda")
