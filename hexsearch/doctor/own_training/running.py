"""Calls a user's training function."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch.nn.utils import clip_grad
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.optimizer import register_optimizer_step_post_hook

from hexsearch.doctor.own_training.files import files_aside
from hexsearch.doctor.own_training.recording import Recording
from hexsearch.doctor.own_training.where.lines import Kind, Lines, remembered
from hexsearch.model.plugins import plugin_code

_CLIP = "_clip_grads_with_norm_"  # what torch's own functions call
GamesOfTraining = Sequence[tuple[list[int], bool]]


def record(train: Callable[..., Any], games: GamesOfTraining, name: str, size: int) -> Recording:
    """Call a training function with games, until it has taken some steps.

    Args:
        train: the user's function of a list of (moves, red_won).
        name: of it, in error messages.
        size: of the boards, by which policies are told from values.
    Raises:
        PluginError: it raises an error.
    """
    recording = Recording(size)
    with called(f"{name}:"), _schedules(recording), _lines(recording.lines):
        with recording.watching(), _clips(recording):
            train(list(games))
    return recording


@contextmanager
def called(name: str) -> Iterator[None]:
    """Where a user's training function is called: an error of it is raised as PluginError.

    What it prints goes to the standard error, and what it saves to a temporary folder. Random
    generators are left as they were.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with ExitStack() as stack:
        stack.callback(random.setstate, python_state)
        stack.callback(np.random.set_state, numpy_state)
        stack.enter_context(files_aside())
        stack.enter_context(torch.enable_grad())
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        random.seed(0)
        np.random.seed(0)
        with plugin_code(name):
            yield


@contextmanager
def _clips(recording: Recording) -> Iterator[None]:
    """In this context it is noted where gradients are clipped by their norm after a step."""
    clip = getattr(clip_grad, _CLIP, None)
    if clip is None:  # another version of torch
        yield
        return

    def seen(*given: Any, **named: Any) -> Any:
        recording.lines.note("clip")
        if recording.steps and not recording.late:  # no pass since the step
            recording.steps[-1].clipped_late = True
        return clip(*given, **named)

    setattr(clip_grad, _CLIP, seen)
    try:
        yield
    finally:
        setattr(clip_grad, _CLIP, clip)


@contextmanager
def _schedules(recording: Recording) -> Iterator[None]:
    """In this context schedules are noted, and what those that wait for a plateau are given."""
    step, begin = ReduceLROnPlateau.step, LRScheduler.__init__

    def begun(self: LRScheduler, *given: Any, **named: Any) -> None:
        recording.lines.note("schedule")
        recording.schedules.append(self)
        begin(self, *given, **named)

    def seen(self: ReduceLROnPlateau, metrics: Any, *more: Any, **named: Any) -> Any:
        before = float(self.optimizer.param_groups[0]["lr"])
        told = step(self, metrics, *more, **named)
        after = float(self.optimizer.param_groups[0]["lr"])
        recording.plateaus.append((self.mode, float(metrics), before, after))
        return told

    ReduceLROnPlateau.step = seen  # type: ignore[method-assign]
    LRScheduler.__init__ = begun  # type: ignore[method-assign]
    try:
        yield
    finally:
        ReduceLROnPlateau.step = step  # type: ignore[method-assign]
        LRScheduler.__init__ = begin  # type: ignore[method-assign]


@contextmanager
def _lines(lines: Lines) -> Iterator[None]:
    """In this context it is noted which lines of the user take the parts of a step."""

    def noting(owner: Any, name: str, kind: Kind) -> tuple[Any, str, Any]:
        sound = getattr(owner, name)

        @wraps(sound)
        def noted(*given: Any, **named: Any) -> Any:
            lines.note(kind)
            return sound(*given, **named)

        setattr(owner, name, noted)
        return owner, name, sound

    kept = [
        noting(Optimizer, "__init__", "made"),
        noting(Optimizer, "zero_grad", "cleared"),
        noting(torch.autograd, "backward", "backward"),
        noting(torch.autograd, "grad", "grad"),
    ]
    with ExitStack() as first:  # ends with the first step, since it takes time
        first.enter_context(remembered())
        handle = register_optimizer_step_post_hook(lambda *_: first.close())
        try:
            yield
        finally:
            handle.remove()
            for owner, name, sound in kept:
                setattr(owner, name, sound)
