"""Whether calls that give different answers draw random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

Answer = TypeVar("Answer")
_SEED = 0


def is_random(call: Callable[[], Answer], alike: Callable[[Answer, Answer], bool]) -> bool:
    """Whether two calls are alike once all global generators begin at the same state.

    A state that is kept between calls makes them differ all the same, and so does a generator of
    the code's own.
    """
    with _one_seed():
        first = call()
    with _one_seed():
        return alike(first, call())


@contextmanager
def _one_seed() -> Iterator[None]:
    """The generators of torch, numpy and Python at one state; the old one comes back afterwards."""
    legacy, own = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        np.random.seed(_SEED)
        random.seed(_SEED)
        try:
            yield
        finally:
            np.random.set_state(legacy)
            random.setstate(own)
