"""Launching, resuming and comparing, for Python and for the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexsearch.config.study import StudyConfig
from hexsearch.interface.given import (
    Games,
    dated_name,
    new_folder,
    paths_of,
    settings_of,
    time_budget_of,
)
from hexsearch.interface.resuming import located
from hexsearch.interface.study import Study
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.named import find_study
from hexsearch.search.shipped import find_space
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import load_space
from hexsearch.study.listener import Ended, Further, Listener

if TYPE_CHECKING:
    from hexsearch.interface.callbacks import Callback


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """A study to be started.

    Attributes:
        label: name of the space in messages, such as its file's name.
        doctor: whether the doctor's quick checks come first. Errors prevent the start.
    """

    config: StudyConfig
    space: SearchSpace
    label: str
    folder: StudyFolder
    games: Sequence[str]
    address: str | None = None
    doctor: bool = True
    warm_starts: Sequence[StudyFolder] = ()


def start(plan: StudyPlan, listener: Listener, callbacks: Sequence[Callback] = ()) -> Ended:
    """Run a new study to its end. If it is refused, Ray has not started, and there is no folder."""
    from hexsearch.data.collection.sources import find_sources

    find_sources(plan.games)
    listener.wait("torch to be imported")
    from hexsearch.interface.callbacks import CallbackListener, named_callbacks
    from hexsearch.interface.doctor_check import check_components, games_examiner, hints
    from hexsearch.study.admission import LaunchRequest
    from hexsearch.study.launch import launch

    told = [*named_callbacks(plan.config.run.callbacks), *callbacks]
    if plan.address is None:
        for line in hints(plan.config.run):
            listener.say(line)
    if plan.doctor:
        check_components(plan.label, plan.space, plan.config.data.board_size)
    heard = CallbackListener(Study(plan.folder), told, listener)
    examine = games_examiner(plan.label, plan.space, listener.say) if plan.doctor else None
    try:
        return launch(
            LaunchRequest(
                config=plan.config,
                games=plan.games,
                folder=plan.folder,
                listener=heard.listener,
                address=plan.address,
                where=f"{plan.label}: ",
                examine=examine,
                warm_starts=plan.warm_starts,
            )
        )
    finally:
        heard.ended()


def go_on(
    folder: StudyFolder,
    further: Further,
    listener: Listener,
    callbacks: Sequence[Callback] = (),
) -> Ended:
    """Continue a study to its end."""
    from hexsearch.interface.callbacks import CallbackListener, named_callbacks
    from hexsearch.study import launch as studies
    from hexsearch.study.changes import change_run

    if further.settings:
        change_run(folder, further.settings)
    _, config = folder.read_description()
    told = [*named_callbacks(config.run.callbacks), *callbacks]
    heard = CallbackListener(Study(folder), told, listener)
    try:
        return studies.resume(folder, further, heard.listener)
    finally:
        heard.ended()


def launch(
    space: str | Path,
    games: Games | None = None,
    *,
    name: str | None = None,
    results: str | Path = "results",
    set: Mapping[str, Any] | None = None,
    trials: int | None = None,
    time_budget: str | float | None = None,
    seed: int | None = None,
    address: str | None = None,
    doctor: bool = True,
    warm_start: Sequence[str | Path] = (),
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
) -> Study:
    """Start a study and run it to its end.

    Args:
        space: a search-space file, or the name of a shipped one such as `quick`.
        games: files and folders; by default the starter games.
        name, results: the study's folder is `results/name`.
        set: settings that are fixed, such as `{"run.trials": 20}`.
        time_budget: seconds, or text such as `10m`. Then the study stops and can be resumed.
        doctor: False starts without the doctor's quick checks.
        warm_start: studies whose trials the searcher is told.
        callbacks: callbacks that get the events of the study; see `hexsearch.Callback`.
        progress: whether progress is shown on stderr.
    Returns:
        The study, which is finished or can be resumed.
    Raises:
        HexsearchError: the error that the command line would print.

    Example:
        >>> study = hs.launch("quick", games="my_games/", set={"run.trials": 20})  # doctest: +SKIP
        >>> study.leaderboard()                                                    # doctest: +SKIP
    """
    fixed = {**(set or {}), **_given({"trials": trials, "seed": seed, "time_budget": time_budget})}
    file = find_space(str(space))
    config, loaded = load_space(file, settings_of(fixed))
    plan = StudyPlan(
        config=config,
        space=loaded,
        label=str(file),
        folder=new_folder(results, name or dated_name(file)),
        games=paths_of(games),
        address=address,
        doctor=doctor,
        warm_starts=[StudyFolder(find_study(Path(path))) for path in warm_start],
    )
    with watching(config, progress) as listener:
        start(plan, listener, callbacks)
    return Study(plan.folder)


def compare(
    space: str | Path,
    games: Games | None = None,
    *,
    seeds: int | None = None,
    name: str | None = None,
    results: str | Path = "results",
    set: Mapping[str, Any] | None = None,
    address: str | None = None,
    doctor: bool = True,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
) -> Study:
    """Train all value heads of a finite space on shared trunks, and compare them in pairs.

    Args:
        seeds: number of trunks. The other arguments are those of `launch`.

    Example:
        >>> hs.compare("heads", games="my_games/", seeds=3).leaderboard()  # doctest: +SKIP
    """
    from hexsearch.search.space_parsing import build_space
    from hexsearch.study.comparison import compared_heads, comparison_config
    from hexsearch.study.frozen_trunk import take_frozen_trunk

    fixed = {**(set or {}), **({} if seeds is None else {"compare.seeds": seeds})}
    file = find_space(str(space))
    config, whole = load_space(file, settings_of(fixed))
    compared_heads(whole)  # checks the whole space, before it is reduced to the heads
    config = comparison_config(config)
    with_trunk, _ = take_frozen_trunk(config)
    plan = StudyPlan(
        config=config,
        space=build_space(with_trunk, f"{file}: "),
        label=str(file),
        folder=new_folder(results, name or dated_name(file)),
        games=paths_of(games),
        address=address,
        doctor=doctor,
    )
    with watching(config, progress) as listener:
        start(plan, listener, callbacks)
    return Study(plan.folder)


def resume(
    study: str | Path,
    *,
    trials: int = 0,
    time_budget: str | float | None = None,
    set: Mapping[str, Any] | None = None,
    results: str | Path = "results",
    address: str | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
) -> Study:
    """Continue a study that has stopped.

    Args:
        study: the study's folder, or its name in `results`, or its URL in `run.trial_files`, from
            which it is fetched to `results`.
        trials: number of further trials.
        time_budget: as of `launch`, for this session; by default that of the study.
        set: settings of `run` that change from now on, such as `{"run.max_concurrent": 1}`.

    Example:
        >>> hs.resume("results/mine", trials=10)                     # doctest: +SKIP
    """
    say = (lambda line: print(line, file=sys.stderr)) if progress else (lambda line: None)
    folder = located(study, results, say)
    further = Further(
        trials=trials,
        time_budget=time_budget_of(time_budget),
        address=address,
        settings=tuple(settings_of(set or {})),
    )
    _, config = folder.read_description()
    with watching(config, progress) as listener:
        go_on(folder, further, listener, callbacks)
    return Study(folder)


@contextmanager
def watching(config: StudyConfig, progress: bool) -> Iterator[Listener]:
    """A listener that shows progress on stderr, or one that does nothing."""
    if not progress:
        yield Listener()
        return
    from hexsearch.report.console import make_progress
    from hexsearch.report.terminal import Console

    console = Console(stderr=True, highlight=False)
    with make_progress(console, config.scheduler.max_t) as shown:
        yield Listener(shown.say, shown.record, shown.beat, shown.wait)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {f"run.{name}": value for name, value in options.items() if value is not None}
