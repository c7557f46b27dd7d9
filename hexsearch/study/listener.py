"""The listener to a study's progress, and the ways in which a study can end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hexsearch.data.collection.importing import ImportReport
from hexsearch.data.dataset import Dataset
from hexsearch.ledger.events import Event
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.progress import StudyProgress

Ended = Literal["finished", "interrupted", "out_of_budget"]
Examiner = Callable[[Dataset, ImportReport], list[str]]


@dataclass(frozen=True, kw_only=True)
class Further:
    """How a study is continued.

    Attributes:
        trials: number of further trials.
        time_budget: seconds of this session; None takes the study's own budget.
        address: address of a running Ray cluster; None starts Ray on this machine.
        settings: settings of the section `run` that change, such as `run.max_concurrent=1`.
    """

    trials: int = 0
    time_budget: float | None = None
    address: str | None = None
    settings: tuple[str, ...] = ()


@dataclass
class Listener:
    """Functions that are called while a study runs; the defaults do nothing.

    Attributes:
        say: called with a line of text.
        record: called with each event after it was written, and with the history that includes it.
        beat: called several times in a second while trials run, with their progress.
        wait: called with what the study waits for while it starts.
    """

    say: Callable[[str], None] = lambda line: None
    record: Callable[[Event, StudyHistory], None] = lambda event, history: None
    beat: Callable[[StudyHistory, StudyProgress], None] = lambda history, progress: None
    wait: Callable[[str], None] = lambda what: None
