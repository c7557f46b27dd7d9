"""What a study tells whoever watches it, and how it can end."""

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


@dataclass
class Listener:
    """Somebody who watches; the defaults listen to nothing.

    Attributes:
        say: one line for a person. record: each event once it is on disk, with the
            history that includes it. beat: called several times a second while trials run, with
            where they stand between their reports. wait: what the study waits for as it starts.
    """

    say: Callable[[str], None] = lambda line: None
    record: Callable[[Event, StudyHistory], None] = lambda event, history: None
    beat: Callable[[StudyHistory, StudyProgress], None] = lambda history, progress: None
    wait: Callable[[str], None] = lambda what: None
