"""Calls a user's training function."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from hexsearch.doctor.own_training.recording import Recording
from hexsearch.model.plugins import plugin_code

GamesOfTraining = Sequence[tuple[list[int], bool]]


def record(train: Callable[..., Any], games: GamesOfTraining, name: str, size: int) -> Recording:
    """Call a training function with games, until it has taken some steps.

    What it prints goes to the standard error. Random generators are left as they were.

    Args:
        train: the user's function of a list of (moves, red_won).
        name: of it, in error messages.
        size: of the boards, by which policies are told from values.
    Raises:
        PluginError: it raises an error.
    """
    recording = Recording(size)
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with ExitStack() as stack:
        stack.callback(random.setstate, python_state)
        stack.callback(np.random.set_state, numpy_state)
        stack.enter_context(torch.enable_grad())
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        random.seed(0)
        np.random.seed(0)
        with plugin_code(f"{name}:"), recording.watching():
            train(list(games))
    return recording
