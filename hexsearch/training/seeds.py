"""Seeds of a trial's random streams, and torch's generator as the trial's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def derive_seed(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, below 2**62."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 2


def initial_weights_seed(seed: int) -> int:
    """What `build_network` is seeded with in a trial of this seed."""
    return derive_seed(seed, "weights")


class OwnGenerator:
    """torch's global generator, in a state of the trial's own while the trial computes.

    Dropout can draw from nowhere else, so the generator is borrowed and put back.

    Attributes:
        state: [S] uint8, where the trial's stream stands.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self.state: Tensor = torch.Generator(device).manual_seed(seed).get_state()

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Inside, the global generator continues from `state`; afterwards it is put back."""
        on_gpu = self._device.type == "cuda"
        with torch.random.fork_rng(devices=[self._device] if on_gpu else []):
            if on_gpu:
                torch.cuda.set_rng_state(self.state, self._device)
            else:
                torch.set_rng_state(self.state)
            yield
            self.state = torch.cuda.get_rng_state(self._device) if on_gpu else torch.get_rng_state()
