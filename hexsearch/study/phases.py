"""The stages of a study, one after the other, on the Ray that is connected."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from hexsearch.config.study import StudyConfig
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import Ledger, read_ledger
from hexsearch.search.reruns import Judge, LeaderSummary, follow_up
from hexsearch.search.space import SearchSpace, Values
from hexsearch.search.space_parsing import build_space
from hexsearch.search.warm_start import place_of
from hexsearch.study.comparison import comparison_config, heads_of, run_comparison
from hexsearch.study.confirmation import is_confirmed, run_confirmation
from hexsearch.study.listener import Ended, Listener
from hexsearch.study.session import Session

_OPENING = ("name", "kind", "hexsearch", "versions", "git", "code", "games", "config")


def run_phases(
    config: StudyConfig,
    folder: StudyFolder,
    ledger: Ledger,
    trials: int,
    address: str | None,
    listener: Listener,
    judge: Judge,
) -> Ended:
    """Go through what is left of a study, from wherever it stands.

    Args:
        ledger: the study's own, opened by its `study` record. trials: that the search is to have.
    Raises:
        HexsearchError: something cannot be written any more; what is on disk can be resumed.
    """
    deadline = time.monotonic() + (config.run.time_budget or math.inf)
    opening = next(iter(ledger))
    archive_hash = opening["games"]["content_hash"]
    space = build_space(config)
    if "compare" in config.phases:
        stage = comparison_folder(folder)
        opened = {name: opening[name] for name in (*_OPENING, "baselines", "warnings")}
        opened["stage"] = "compare"
        ended = run_comparison(
            comparison_config(config),
            heads_of(space),
            stage,
            folder,
            archive_hash,
            listener,
            opened,
            deadline,
        )
        if ended != "finished":
            ledger.append("interrupted", reason="in the comparison")
            return ended
        space = _heads_first(config, space, stage, judge, listener)
    follow = (
        follow_up(config, folder, judge) if {"pruning_check", "race"} & {*config.phases} else None
    )
    session = Session(
        config, folder, ledger, archive_hash, trials, address, listener, space, follow, deadline
    )
    ended = session.run()
    if ended != "finished" or "confirm" not in config.phases:
        return ended
    summary = judge(session.history, folder)
    ended = run_confirmation(config, folder, archive_hash, summary, session.history, listener,
                             deadline)  # fmt: skip
    if ended != "finished":
        ledger.append("interrupted", reason="in the confirmation")
    return ended


def is_through(config: StudyConfig, folder: StudyFolder, history: StudyHistory) -> bool:
    """Whether all stages have ended."""
    confirmed = "confirm" not in config.phases or is_confirmed(folder)
    return history.state == "finished" and confirmed


def comparison_folder(folder: StudyFolder) -> StudyFolder:
    """Where a study keeps its first stage."""
    return StudyFolder(folder.path / "compare")


def _heads_first(
    config: StudyConfig, space: SearchSpace, stage: StudyFolder, judge: Judge, listener: Listener
) -> SearchSpace:
    """A space that begins with the best heads of the comparison, after what is enqueued.

    No head is dropped: how heads read a common trunk says little of how they train one of their
    own (LOG.md, "does a comparison's ranking agree with independent training?").
    """
    history = StudyHistory.of(read_ledger(stage.ledger))
    summary = judge(history, stage)
    first = summary.places[: config.compare.enqueue]
    enqueued = tuple(_values_of(place.variant, history, space) for place in first)
    listener.say(_verdict(summary, len(enqueued)))
    return replace(space, enqueued=(*space.enqueued, *enqueued))


def _values_of(variant: str, history: StudyHistory, space: SearchSpace) -> Values:
    """A head of the comparison as a configuration of the search, all else at its default."""
    trial = next(trial for trial in history.trials.values() if trial.variant == variant)
    found = place_of(trial, space)
    return trial.values if isinstance(found, str) else found


def _verdict(summary: LeaderSummary, enqueued: int) -> str:
    names = [place.name for place in summary.places]
    if not names:
        return "comparison: no head was trained to the end"
    tied = (
        f"{summary.tied} of {len(names)} heads cannot be told apart"
        if summary.tied > 1
        else f"{names[0]} reads the common trunk best of {len(names)} heads"
    )
    return f"comparison: {tied}; the search begins with {', '.join(names[:enqueued]) or 'none'}"
