"""The stages of a study, one after the other, on the Ray that is connected."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from hexsearch.config.study import StudyConfig
from hexsearch.search.confirmation import is_confirmed, run_confirmation
from hexsearch.search.folder import StudyFolder
from hexsearch.search.history import StudyHistory
from hexsearch.search.ledger import Ledger, read_ledger
from hexsearch.search.listener import Ended, Listener
from hexsearch.search.reruns import Judge, Standing, follow_up
from hexsearch.search.session import Session
from hexsearch.search.space import SearchSpace, Values
from hexsearch.search.space_parsing import build_space
from hexsearch.search.tournament import heads_of, run_tournament, tournament_config
from hexsearch.search.warm_start import place_of

_OPENING = ("name", "kind", "hexsearch", "versions", "git", "code", "games", "config")


def run_stages(
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
    if "tournament" in config.stages:
        stage = tournament_folder(folder)
        opened = {name: opening[name] for name in (*_OPENING, "floors", "warnings")}
        opened["stage"] = "tournament"
        ended = run_tournament(
            tournament_config(config),
            heads_of(space),
            stage,
            folder,
            archive_hash,
            listener,
            opened,
            deadline,
        )
        if ended != "finished":
            ledger.append("interrupted", reason="in the tournament")
            return ended
        space = _heads_first(config, space, stage, judge, listener)
    follow = follow_up(config, folder, judge) if {"audit", "race"} & {*config.stages} else None
    session = Session(
        config, folder, ledger, archive_hash, trials, address, listener, space, follow, deadline
    )
    ended = session.run()
    if ended != "finished" or "confirm" not in config.stages:
        return ended
    standing = judge(session.history, folder)
    ended = run_confirmation(config, folder, archive_hash, standing, session.history, listener,
                             deadline)  # fmt: skip
    if ended != "finished":
        ledger.append("interrupted", reason="in the confirmation")
    return ended


def is_through(config: StudyConfig, folder: StudyFolder, history: StudyHistory) -> bool:
    """Whether all stages have ended."""
    confirmed = "confirm" not in config.stages or is_confirmed(folder)
    return history.state == "finished" and confirmed


def tournament_folder(folder: StudyFolder) -> StudyFolder:
    """Where a study keeps its first stage."""
    return StudyFolder(folder.path / "tournament")


def _heads_first(
    config: StudyConfig, space: SearchSpace, stage: StudyFolder, judge: Judge, listener: Listener
) -> SearchSpace:
    """A space that begins with the best heads of the tournament, after what is enqueued.

    No head is dropped: how heads read a common trunk says little of how they train one of their
    own (LOG.md, "does a tournament's ranking agree with independent training?").
    """
    history = StudyHistory.of(read_ledger(stage.ledger))
    standing = judge(history, stage)
    first = standing.places[: config.tournament.enqueue]
    enqueued = tuple(_values_of(place.variant, history, space) for place in first)
    listener.say(_verdict(standing, len(enqueued)))
    return replace(space, enqueued=(*space.enqueued, *enqueued))


def _values_of(variant: str, history: StudyHistory, space: SearchSpace) -> Values:
    """A head of the tournament as a configuration of the search, all else at its default."""
    trial = next(trial for trial in history.trials.values() if trial.variant == variant)
    found = place_of(trial, space)
    return trial.values if isinstance(found, str) else found


def _verdict(standing: Standing, enqueued: int) -> str:
    names = [place.name for place in standing.places]
    if not names:
        return "tournament: no head was trained to the end"
    tied = (
        f"{standing.tied} of {len(names)} heads cannot be told apart"
        if standing.tied > 1
        else f"{names[0]} reads the common trunk best of {len(names)} heads"
    )
    return f"tournament: {tied}; the search begins with {', '.join(names[:enqueued]) or 'none'}"
