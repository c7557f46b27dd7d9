"""The end of a study: winners and a baseline with fresh seeds, judged once on the test games.

Runs stand in a ledger of their own, since they are judged by other games than the search. Only
the last report of a run reads the test split; until then it keeps checkpoints and says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hexsearch.backend.confirmation_run import ConfirmationJob
from hexsearch.backend.jobs import Job, Message
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.ledger import Ledger, read_ledger
from hexsearch.search.pruning import RungSchedule
from hexsearch.search.reruns import LeaderSummary
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import position_unit, variant_key, with_values
from hexsearch.search.space_parsing import build_space
from hexsearch.study.book import Book
from hexsearch.study.listener import Ended, Listener
from hexsearch.study.signals import draining_signals
from hexsearch.training.report_points import report_points, round_up

BASELINE = "512->1"
_SAVES = 10  # checkpoints over the whole budget


def is_confirmed(folder: StudyFolder) -> bool:
    """Whether the last stage has ended."""
    path = folder.confirmation.ledger
    return path.exists() and StudyHistory.of(read_ledger(path)).state == "finished"


def run_confirmation(
    config: StudyConfig,
    folder: StudyFolder,
    archive_hash: str,
    summary: LeaderSummary,
    search: StudyHistory,
    listener: Listener,
    deadline: float,
) -> Ended:
    """Train what is still to be confirmed, on the Ray that is connected.

    A study that was extended after its confirmation may have other winners; those that are
    confirmed already are not trained again.

    Args:
        summary: of the search at its end. search: its history. deadline: of `time.monotonic`.
    """
    from hexsearch.backend.pool import run_jobs

    if not summary.places:
        listener.say("confirmation: no trial was trained to the end, so there is none to confirm")
        return "finished"
    mine = folder.confirmation
    schedule = RungSchedule.of(config.scheduler, position_unit(build_space(config)))
    ledger = Ledger(mine.ledger)
    try:
        book = Book(ledger, schedule.budget, listener.record, letter="c")
        if not book.history.study:
            opening = {
                "name": folder.name,
                "stage": "confirmation",
                "baselines": [],
                "warnings": [],
            }
            book.record("study", **opening, trials=0)
        _plan(config, summary, search, book)
        jobs = _jobs(config, schedule.budget, book, folder, mine, archive_hash)
        if jobs:
            listener.say(f"confirmation: {len(jobs)} trainings with fresh seeds, for test games")
        with draining_signals(book, listener.say):
            supervisor = _Supervisor(book)
            run_jobs(jobs, config.run, supervisor, lambda: book.beat(listener, deadline))
        return book.close()
    finally:
        ledger.close()


def _plan(config: StudyConfig, summary: LeaderSummary, search: StudyHistory, book: Book) -> None:
    """Choose what is confirmed and record its runs, but for those that are recorded already."""
    winners = summary.places[: min(summary.tied, config.confirm.winners)]
    planned = {(trial.variant, trial.replicate) for trial in book.history.trials.values()}
    chosen: list[tuple[TrialConfig, dict[str, Any], str]] = []
    for place in winners:
        like = _first(search, place.variant)
        chosen.append((build(TrialConfig, like.config, "trial"), like.values, "winner"))
    baseline = _baseline(_first(search, winners[0].variant))
    if variant_key(baseline[0]) not in {place.variant for place in winners}:
        chosen.append((*baseline, "baseline"))
    if any(
        (variant_key(trial), seed) not in planned
        for trial, _, _ in chosen
        for seed in range(config.confirm.seeds)
    ):
        book.record("chosen", places=[asdict(place) for place in winners])
    for seed in range(config.confirm.seeds):
        for trial, values, origin in chosen:
            if (variant_key(trial), seed) not in planned:
                fresh = derive_seed(config.run.seed, "confirm", seed)
                book.plan(trial, seed, fresh, origin, values)
    book.record("resumed", trials=len(book.history.trials))


def _first(search: StudyHistory, variant: str) -> TrialHistory:
    return next(trial for trial in search.trials.values() if trial.variant == variant)


def _baseline(winner: TrialHistory) -> tuple[TrialConfig, dict[str, Any]]:
    """The winner's settings with the plainest head: what is compared is the head alone."""
    trial = build(TrialConfig, winner.config, "trial")
    spelling = BASELINE.replace("512", str(trial.value_head.inputs))
    values = {
        name: value
        for name, value in winner.values.items()
        if name.partition(".")[0] != "value_head"
    }
    return with_values(trial, {"value_head": spelling}), {"value_head": spelling, **values}


def _jobs(
    config: StudyConfig,
    budget: int,
    book: Book,
    study: StudyFolder,
    mine: StudyFolder,
    archive_hash: str,
) -> list[Job]:
    # Whole batches between checkpoints, so that the run is the one that `train` would make.
    unit = position_unit(build_space(config))
    points = report_points(budget, round_up(max(1, budget // _SAVES), unit), ())
    return [
        ConfirmationJob(
            name=trial.trial,
            folder=str(mine.trial(trial.trial).resolve()),
            config=trial.config,
            archive=str(study.archive.resolve()),
            archive_hash=archive_hash,
            data=config.data.model_dump(mode="json"),
            seed=trial.seed,
            save_points=points,
            threads=config.run.cpus_per_trial,
            gpus=config.run.gpus_per_trial,
        )
        for trial in book.history.unfinished
    ]


class _Supervisor:
    """Passes what runs say to the book."""

    def __init__(self, book: Book) -> None:
        self._book = book

    @property
    def draining(self) -> bool:
        """Whether nothing more is to start."""
        return self._book.draining

    def started(self, job: Job) -> None:
        """A worker begins on a run."""
        self._book.start(job.name)

    def heard(self, job: Job, messages: Sequence[Message]) -> None:
        """The report of a run that has ended, or why it could not."""
        for message in messages:
            self._book.hear(job.name, message)

    def lost(self, job: Job, reason: str, log: str) -> None:
        """A run that no retry could save."""
        self._book.fail(job.name, reason, log)
