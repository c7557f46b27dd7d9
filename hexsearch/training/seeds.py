"""Seeds of a trial's random streams, and a trial's own state of torch's generator."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def derive_seed(seed: int, purpose: str) -> int:
    """A seed below 2**62 that is different for each purpose."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 2


def initial_weights_seed(seed: int) -> int:
    """The seed for `build_network` in a trial with this seed."""
    return derive_seed(seed, "weights")


class OwnGenerator:
    """The trial's own state for torch's global generator.

    Dropout can only use the global generator, so its state is replaced and then restored.

    Attributes:
        state: [S] uint8, state of the trial's random stream.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self.state: Tensor = torch.Generator(device).manual_seed(seed).get_state()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """In this context the global generator continues from `state`. Then it is restored."""
        on_gpu = self._device.type == "cuda"
        with torch.random.fork_rng(devices=[self._device] if on_gpu else []):
            if on_gpu:
                torch.cuda.set_rng_state(self.state, self._device)
            else:
                torch.set_rng_state(self.state)
            yield
            self.state = torch.cuda.get_rng_state(self._device) if on_gpu else torch.get_rng_state()
