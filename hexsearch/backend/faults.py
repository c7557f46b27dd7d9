"""Explains why a worker failed: the reason, a remedy, and the last lines of its log."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hexsearch.errors import TrialError
from hexsearch.model.plugins import fault_of_plugin

LOG_LINES = 20
DIED = "its worker process died"
_LINE_CHARACTERS = 300
_LESS = "lower batch_size, set micro_batch, or run fewer trials at once (run.max_concurrent)"
_LESS_ON_GPU = "lower batch_size, set micro_batch, or raise run.gpus_per_trial"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Messages of Python, numpy and torch when an allocation fails.
_REFUSED_ON_GPU = re.compile(
    r"(?:CUDA|HIP|XPU) out of memory|CUDA error: out of memory|STATUS_ALLOC_FAILED"
)
_REFUSED = re.compile(
    r"\bMemoryError\b|ArrayMemoryError|can't allocate memory|Cannot allocate memory|bad_alloc"
)
_LOW_NODE = re.compile(r"killed due to the node running low on memory.*?was (?P<use>[^(]*)\(")
_ERROR = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)(?::|$)")
_OURS = re.compile(r"^hexsearch\.errors\.\w+: ")  # messages that state the remedy themselves
_STEP = re.compile(r'trainable\.py", line \d+ in step$', re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """Why a worker failed.

    Attributes:
        reason: one line.
        log: up to 20 lines; the most informative ones come last.
    """

    reason: str
    log: str = ""


def failure_of(error: TrialError | SystemExit) -> str:
    """Why a trial fails at once, since training it again would end in the same way."""
    if isinstance(error, TrialError):
        return f"{error.verdict}: {error}"
    fault = fault_of_plugin(error) or f"something called sys.exit({error.code!r})"
    return f"failed: {str(fault).splitlines()[0]}"


def explain(text: str) -> Fault:
    """The fault in Ray's message about a worker that raised an error or died.

    >>> explain("Traceback:\\n  File x\\nValueError: bad").reason
    'ValueError: bad'
    >>> explain("The actor died unexpectedly before finishing this task.").reason[:23]
    'its worker process died'
    """
    lines = [line.rstrip()[:_LINE_CHARACTERS] for line in _COLOURS.sub("", text).splitlines()]
    log = _tail(lines)
    if low := _LOW_NODE.search(text):
        users = next((n for n, line in enumerate(lines) if "memory users" in line), len(lines))
        return Fault(
            f"its node ran low on memory ({low['use'].strip()}), so Ray ended its worker; {_LESS}",
            "\n".join(lines[users : users + LOG_LINES // 2]),
        )
    if "node has died" in text or "node was preempted" in text:
        return Fault("its node died or was preempted", log)
    if "actor died" in text.lower() or "actor is dead" in text:
        return Fault(
            f"{DIED}: it crashed, or was killed from outside (by the kernel if memory ran out; see "
            "dmesg on its node)",
            log,
        )
    # The last error of a traceback, whose message may have several lines.
    named = [line for line in lines if _ERROR.match(line)]
    reason = named[-1] if named else next((line for line in reversed(lines) if line), DIED)
    return Fault(with_remedy(_OURS.sub("", reason)), log)


def with_remedy(reason: str) -> str:
    """An error's last line, with a remedy if it is about memory.

    >>> with_remedy("MemoryError")[:30]
    'MemoryError; lower batch_size,'
    """
    if _REFUSED_ON_GPU.search(reason):
        return f"{reason.partition('. GPU ')[0]}; {_LESS_ON_GPU}"
    if _REFUSED.search(reason):
        return f"{reason}; {_LESS}"
    return reason


def explain_hang(seconds: float, stacks: str = "") -> Fault:
    """The fault for a process that the watchdog ended, with the stacks that it wrote.

    Args:
        stacks: stacks of all threads, innermost call first, as faulthandler writes them.
    """
    threads = re.split(r"\n(?=Thread |Current thread )", stacks)
    hung = next((thread for thread in threads if _STEP.search(thread)), stacks)
    # The innermost call comes last, as in a traceback, so that it is kept if lines are cut.
    innermost_last = [line for line in hung.splitlines() if line.startswith("  ")][::-1]
    return Fault(f"no report within {seconds:,.0f} s (run.hang_timeout)", _tail(innermost_last))


def _tail(lines: list[str]) -> str:
    return "\n".join(lines[-LOG_LINES:]).strip("\n")
