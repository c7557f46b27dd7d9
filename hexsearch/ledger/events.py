"""The records of a ledger: one frozen dataclass for each kind, and its conversion to JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal

from hexsearch.errors import LedgerError
from hexsearch.ledger.kinds import all_made, checked, config_misfit, made
from hexsearch.ledger.place import Place
from hexsearch.ledger.report import ReportSummary

Record = dict[str, Any]  # an event as the plain values of its line in the ledger
FORMAT = 2  # version of study folder and ledger; raised when older studies cannot be continued

ProposedBy = str  # a searcher's name, `enqueued`, `enumerated`, `grid`, or why a run was planned


@dataclass(frozen=True, kw_only=True)
class Event:
    """One record.

    Attributes:
        at: time at which it was written, in seconds since the epoch; the ledger fills it in.
    """

    event: ClassVar[str]
    at: float = 0.0

    def to_record(self) -> Record:
        """The event as plain values, as they are written."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        if isinstance(report := values.get("report"), ReportSummary):
            values["report"] = report.to_json()
        if isinstance(self, Chosen):
            values["places"] = [asdict(place) for place in self.places]
        return {"event": self.event, **values}

    def written(self, at: float) -> Event:
        """The same event with the time at which it was written."""
        return replace(self, at=at)


@dataclass(frozen=True, kw_only=True)
class StudyOpened(Event):
    """The first record: the question, the games and the code of a study.

    Attributes:
        config: the whole resolved study.
        trials: number of trials that the search will have.
        baselines: scores that are reached without a network.
        warnings: warnings of the doctor.
        placement: what was measured to decide how many trials share a GPU; empty if nothing was.
            The decision itself is in `config.run`.
    """

    event = "study"
    format: int = FORMAT
    name: str = ""
    hexsearch: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    git: str | None = None
    code: str = ""
    games: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    trials: int = 0
    baselines: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    placement: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WarmStarted(Event):
    """A trial of another study that the searcher is told at the start.

    Its study predicts its final value: `expected` and `variance`, in units of its own."""

    event = "warm_started"
    source: str
    source_trial: str
    values: dict[str, Any]
    state: str
    report: ReportSummary
    expected: float | None = None
    variance: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Resumed(Event):
    """The study was resumed; `trials` is the number of trials that the search will have now."""

    event = "resumed"
    trials: int


@dataclass(frozen=True, kw_only=True)
class Interrupted(Event):
    """The driver has stopped all workers, and the study can be resumed."""

    event = "interrupted"
    reason: str


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """All phases have ended."""

    event = "finished"


@dataclass(frozen=True, kw_only=True)
class Compared(Event):
    """The comparison has ended.

    Attributes:
        enqueued: configurations that the search tries first, after those of the study's file.
        sentence: the same as a sentence.
    """

    event = "compared"
    enqueued: list[dict[str, Any]]
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Chosen(Event):
    """The winners that will be confirmed, best first."""

    event = "chosen"
    places: list[Place]


@dataclass(frozen=True, kw_only=True)
class TrialEvent(Event):
    """A record about one trial, given by its name."""

    trial: str


@dataclass(frozen=True, kw_only=True)
class Suggested(TrialEvent):
    """A trial was planned.

    Attributes:
        number: its number among the trials of its kind (comparison, search with its reruns,
            confirmation).
        variant: equal for trials that differ only in their seed.
        replicate: number of the seed.
        head: the value head's spelling.
        values: dimension -> value.
        config: the whole resolved trial.
        origin: the searcher that proposed it, `enqueued`, `enumerated`, or why it was planned.
        missing: number of trials that were planned together with it and are recorded after it.
    """

    event = "suggested"
    number: int
    variant: str
    replicate: int
    seed: int
    head: str
    values: dict[str, Any]
    config: dict[str, Any]
    origin: ProposedBy
    missing: int = 0


@dataclass(frozen=True, kw_only=True)
class Started(TrialEvent):
    """A worker has started a trial, or has started it again."""

    event = "started"
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Reported(TrialEvent):
    """A trial's report, as its worker wrote it."""

    event = "reported"
    report: ReportSummary


@dataclass(frozen=True, kw_only=True)
class Decided(TrialEvent):
    """The decision on a trial after a report, and its reason.

    Attributes:
        rung: level at which the trial was compared, or None.
        rank, of: rank of the trial among `of` trials at this rung; 1 is best.
        cutoff: value loss that was needed to continue; with `evidence` the final one to expect.
        trainings_left: whole trainings that the budget allowed for each worker; None without a
            budget.
        reason: the reason as a sentence.
    """

    event = "decided"
    positions_seen: int
    value_loss: float
    decision: Literal["continue", "pause", "prune", "complete", "stop"]
    bracket: int = 0
    rung: int | None = None
    rank: int | None = None
    of: int | None = None
    cutoff: float | None = None
    trainings_left: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Retried(TrialEvent):
    """A trial's worker raised an error or died; the trial will continue from its checkpoint."""

    event = "retried"
    reason: str
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class Failed(TrialEvent):
    """A trial has failed and does not continue; `log` holds its worker's last lines of output."""

    event = "failed"
    reason: str
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class Told(TrialEvent):
    """The searcher was told that a trial has ended; `state` is Optuna's word for how."""

    event = "told"
    state: str


@dataclass(frozen=True, kw_only=True)
class Promoted(TrialEvent):
    """A paused trial continues from its checkpoint."""

    event = "promoted"


@dataclass(frozen=True, kw_only=True)
class Discarded(TrialEvent):
    """The checkpoint of a paused trial was removed to save space; it is pruned."""

    event = "discarded"


KINDS: dict[str, type[Event]] = {
    kind.event: kind
    for kind in (
        StudyOpened, WarmStarted, Resumed, Interrupted, Finished, Compared, Chosen,
        Suggested, Started, Reported, Decided, Promoted, Discarded, Retried, Failed, Told,
    )
}  # fmt: skip


def event_of(record: Record, where: str) -> Event:
    """The event that a record holds.

    Args:
        where: file and line, for error messages.
    Raises:
        LedgerError: the record is unknown to this version of hexsearch.
    """
    if not isinstance(record, dict):
        raise LedgerError(f"{where}: holds {type(record).__name__}, not a record; restore the file")
    values = dict(record)
    event = values.pop("event", "")
    kind = KINDS.get(event) if isinstance(event, str) else None
    if kind is StudyOpened and values.get("format") != FORMAT:
        raise LedgerError(other_format(where, values.get("format"), values.get("hexsearch")))
    try:
        if kind is None:
            raise TypeError(f"unknown event {record.get('event')!r}")
        if kind in (Reported, WarmStarted):
            values["report"] = ReportSummary.from_json(values["report"])
        if kind is Chosen:
            values["places"] = all_made(Place, values["places"], "places")
        found = checked(made(kind, values, f"'{event}'"))
        fault = config_misfit(found.config) if isinstance(found, StudyOpened) else None
        if fault is not None:
            raise TypeError(fault)
        return found
    except (TypeError, KeyError, AttributeError) as error:
        raise LedgerError(
            f"{where}: this hexsearch does not know the record ({error}); read it with the version "
            "that wrote it"
        ) from error


def other_format(where: str, found: object, version: object) -> str:
    """The error message for a study that was written in another format."""
    wrote = f"hexsearch {version}" if version else "an older hexsearch"
    return (
        f"{where}: was written by {wrote} in format {found or 1}, and this hexsearch reads format "
        f"{FORMAT}; read or resume the study with the version that wrote it, or launch a new study"
    )
