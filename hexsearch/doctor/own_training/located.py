"""The lines of a user's code that a finding is about."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hexsearch.doctor.findings import Check, Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.own_training.lines import Kind, Line
from hexsearch.doctor.own_training.outputs import Output, policy_of, value_of
from hexsearch.doctor.own_training.recording import Recording

_MOST = 2  # lines that are shown
_MAKING: tuple[Kind, ...] = ("made", "schedule")
_STEPPING: tuple[Kind, ...] = ("cleared", "backward")
# What a finding of steps is about, by its root; else the step itself.
_OF_STEPS: dict[str, tuple[Kind, ...]] = {
    "rate": _MAKING,
    "steps rate": _MAKING,
    "decay": _MAKING,
    "setting": _MAKING,
    "frozen": _MAKING,
    "parameter groups": _MAKING,
    "steps remade": _MAKING,
    "steps sign": _MAKING,
    "steps half": _MAKING,
    "clipping": ("clip",),
    "steps clipped late": ("clip",),
    "steps accumulated": _STEPPING,
    "steps none": _STEPPING,
    "steps dropped": _STEPPING,
    "no step": _STEPPING,
}
_OF_VALUE = ("squashed", "training value", "one side", "reading", "no chance", "smoothing")
_OF_POLICY = ("policy targets", "policy smoothing", "policy cells", "detached policy")

_READ_BY = {"reading of the value": ("win_prob_red",), "read-out": ("loss", "win_prob_red")}


def with_lines(
    found: Sequence[tuple[Check | None, Finding]],
    recording: Recording | None,
    foreign: ForeignNetwork | None,
) -> list[tuple[Check | None, Finding]]:
    """The same findings; those about a user's functions say in which lines.

    Args:
        recording: of the user's training function; None if none was watched.
        foreign: the user's network; None if it is one of hexsearch's own.
    """
    located: list[tuple[Check | None, Finding]] = []
    for check, finding in found:
        lines: list[Line] = []
        if check is not None and recording is not None and "own_training" in check.needs:
            lines = _of_training(check.name, finding.root, recording, foreign)
        elif check is not None and foreign is not None:
            lines = _of_functions(check.name, foreign)
        where = tuple(str(line) for line in lines[:_MOST])
        located.append((check, replace(finding, where=where)))
    return located


def _of_training(
    check: str, root: str, recording: Recording, foreign: ForeignNetwork | None
) -> list[Line]:
    if check == "validation":
        return _known(recording.evaluations.line)
    size = foreign.size if foreign is not None else 0
    outputs = next((each.outputs for each in recording.passes if each.outputs), [])
    value, policy = value_of(outputs, size), policy_of(outputs, size)
    losses = {"training value": value, "training policy": policy}.get(check)
    if root in _OF_VALUE or root in _OF_POLICY:
        losses = value if root in _OF_VALUE else policy
    if losses is not None:
        return _of_loss(losses, policy if losses is value else value)
    if check != "training steps":
        return _known(*(each.line for each in recording.passes[:1]))
    lines = recording.lines.among(_OF_STEPS.get(root, ()))
    return lines or _known(*(each.line for each in recording.steps[:1]))


def _of_loss(output: Output, other: Output | None) -> list[Line]:
    """Lines that compute the loss of one output, without those of another one's."""
    shared = set(other.lines) if other is not None else set()
    return [line for line in output.lines if line not in shared] or output.lines


def _of_functions(check: str, foreign: ForeignNetwork) -> list[Line]:
    """Where the user's encoder or read-out is defined, for a finding about it."""
    if check == "encoder":
        return _known(_defined(foreign.encoder))
    named = _READ_BY.get(check, ())
    return _known(*(_defined(getattr(foreign.model, name, None)) for name in named))


def _defined(function: Callable[..., Any] | None) -> Line | None:
    """The first line of a function that is written in Python."""
    function = inspect.unwrap(function) if callable(function) else None
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    lines, _ = inspect.getsourcelines(code)
    ahead = next((n for n, text in enumerate(lines) if text.lstrip().startswith("def ")), 0)
    return Line(code.co_filename, code.co_firstlineno + ahead)


def _known(*lines: Line | None) -> list[Line]:
    return [line for line in lines if line is not None]
