"""Runs a study for a command: progress, the line on its end, and its report."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.text import Text

from hexsearch.cli.program import program
from hexsearch.config.study import StudyConfig
from hexsearch.data.collection.importing import STARTER_GAMES
from hexsearch.errors import HexsearchError, printable
from hexsearch.interface.studies import StudyPlan, go_on, watching
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.report.terminal import Console
from hexsearch.search.space import SearchSpace
from hexsearch.study.listener import Ended, Further, Listener


def plan_of(
    arguments: argparse.Namespace, config: StudyConfig, space: SearchSpace, folder: StudyFolder
) -> StudyPlan:
    """The plan of a new study, with the options of `add_places` and `add_running`."""
    return StudyPlan(
        config=config,
        space=space,
        label=str(arguments.space),
        folder=folder,
        games=arguments.games or [STARTER_GAMES],
        address=arguments.address,
        doctor=not arguments.no_doctor,
    )


def conduct(
    folder: StudyFolder,
    config: StudyConfig,
    run: Callable[[Listener], Ended],
    show: Callable[[Ended], None],
) -> int:
    """Run a study with progress, show its result, and write its report.

    Args:
        run: starts or continues the study, and runs it to its end.
        show: prints the result.
    Returns:
        The exit status.
    """
    with going_on(folder), watching(config, progress=True) as listener:
        ended = run(listener)
    show(ended)
    status = finish(folder, ended)
    print_report(folder)
    return status


def resume_study(
    folder: StudyFolder,
    further: Further,
    asked: StudyConfig | None = None,
    *,
    show: Callable[[Ended], None],
) -> int:
    """Continue a study, and print its result.

    Args:
        asked: configuration of a command that would have started it; its own one counts.
    Returns:
        The exit status.
    """
    _, config = folder.read_description()
    if asked is not None:
        # What is measured where a study runs, such as its placement, is in its own `run` alone.
        is_same = asked.model_copy(update={"run": config.run}) == config
        differ = "" if is_same else ", with its own settings, which differ from these"
        say_on_stderr(f"{folder.path} was started before and is resumed{differ}")
    return conduct(folder, config, lambda listener: go_on(folder, further, listener), show)


@contextmanager
def going_on(folder: StudyFolder) -> Iterator[None]:
    """Print how to continue a study that was ended at once by a second Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        if folder.ledger.exists() and folder.ledger.stat().st_size:
            finish(folder, "interrupted")
        raise


def finish(folder: StudyFolder, ended: Ended) -> int:
    """Print how a study ended, and how it can be continued. Returns the exit status."""
    message = stderr()
    if ended == "finished":
        reason = _why_all_failed(folder)
        if reason:
            line = f"every trial failed: {folder.path} has no result. The first reason: {reason}"
            message.print(Text(printable(line)), soft_wrap=True)
            return 1
        message.print(Text(f"finished: {folder.path}"), soft_wrap=True)
        return 0
    why = "budget reached" if ended == "out_of_budget" else "interrupted"
    message.print(Text(f"{why}; go on with: {program()} resume {folder.path}"), soft_wrap=True)
    return 0 if ended == "out_of_budget" else 130


def print_report(folder: StudyFolder) -> None:
    """Write the study's page, and print its path. It does not change a study's exit status."""
    from hexsearch.report.html.page import write_report

    try:
        line = f"report: {write_report(folder)}"
    except HexsearchError as error:
        line = f"the report could not be written: {error}"
    stderr().print(Text(printable(line)), soft_wrap=True)


def _why_all_failed(folder: StudyFolder) -> str | None:
    """The reason of the first failed trial, if no trial of a study has a result."""
    history = StudyHistory.read(folder.ledger)
    if not history.all_failed:
        return None
    return next((trial.reason for trial in history.trials.values() if trial.reason), "nothing")


def say_on_stderr(line: str) -> None:
    """Print a line for those who watch."""
    stderr().print(Text(printable(line)), soft_wrap=True)


def stderr() -> Console:
    """The console for messages, so that stdout holds only the output."""
    return Console(stderr=True, highlight=False)
