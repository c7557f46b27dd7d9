"""`launch`, `resume` and `storage`.

Each imports its modules when it runs, since Ray, torch and Optuna take seconds. Help, errors about
options and a dry run do not need all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.text import Text

from hexsearch.cli.arguments import (
    add_address,
    add_command,
    add_format,
    add_places,
    add_running,
    add_settings,
    add_space,
    add_study,
    positive,
    study_path,
)
from hexsearch.cli.number_types import at_least
from hexsearch.cli.program import program
from hexsearch.config.study import StudyConfig
from hexsearch.data.collection.importing import STARTER_GAMES
from hexsearch.errors import HexsearchError, printable
from hexsearch.interface.given import dated_name, new_folder, time_budget_of
from hexsearch.interface.studies import StudyPlan, go_on, start, watching
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.report.terminal import Console
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import load_space
from hexsearch.study.listener import Ended, Further


def register(commands: Any) -> None:
    """Add the sub-commands that are about studies."""
    _register_launch(commands)
    _register_resume(commands)
    storage = add_command(
        commands, "storage", ["results/NAME", "results/NAME --to sqlite:///trials.db"]
    )
    add_study(storage)
    storage.add_argument("--to", metavar="URL", help="a database (default: the study's own)")
    storage.set_defaults(run=run_storage)


def _register_launch(commands: Any) -> None:
    launch = add_command(
        commands,
        "launch",
        [
            "quick",
            "search_spaces/quick.yaml --games my_games/ --name mine",
            "value_head --set trunk.preset=small --time-budget 2h",
            "confirmed --dry-run",
        ],
        "Start a study: propose configurations, train them, stop the poor ones early, and print a "
        "leaderboard. Ctrl-C stops it, and 'resume' continues it.",
    )
    add_space(launch)
    add_places(launch)
    search = launch.add_argument_group("search")
    search.add_argument(
        "--trials",
        type=positive,
        metavar="N",
        help="number of trials (default: the space's run.trials)",
    )
    search.add_argument(
        "--time-budget",
        metavar="10m",
        help="stop after this time; the study can be resumed (default: the space's "
        "run.time_budget)",
    )
    search.add_argument(
        "--seed",
        type=at_least(0),
        metavar="N",
        help="seed of all random numbers (default: the space's run.seed)",
    )
    add_settings(search)
    search.add_argument(
        "--warm-start",
        action="append",
        type=study_path,
        default=[],
        metavar="STUDY",
        help="tell the searcher the trials of another study; may be repeated",
    )
    running = add_running(launch)
    running.add_argument(
        "--dry-run",
        action="store_true",
        help="print what the study would do and cost, without running it",
    )
    add_format(running, of="of the leaderboard, or of what --dry-run says")
    launch.set_defaults(run=run_launch)


def _register_resume(commands: Any) -> None:
    resume = add_command(
        commands,
        "resume",
        ["results/NAME", "NAME --trials +20", "NAME --time-budget 2h"],
        "Continue a study that has stopped, beginning with its unfinished trials. No result is "
        "lost, and none is trained twice.",
    )
    add_study(resume)
    resume.add_argument(
        "--trials", type=positive, default=0, metavar="+N", help="number of further trials"
    )
    resume.add_argument(
        "--time-budget",
        metavar="10m",
        help="stop after this time; the study can be resumed again (default: the study's "
        "run.time_budget)",
    )
    add_address(resume)
    add_format(resume, of="of the leaderboard")
    resume.set_defaults(run=run_resume)


def run_launch(arguments: argparse.Namespace) -> int:
    """Start a study and print its leaderboard."""
    settings = list(arguments.set)
    for option in ("trials", "seed"):
        value = getattr(arguments, option)
        if value is not None:
            settings.append(f"run.{option}={value}")
    time_budget = time_budget_of(arguments.time_budget)
    if time_budget is not None:
        settings.append(f"run.time_budget={time_budget}")
    console = stderr()
    config, space = load_space(
        arguments.space, settings, lambda line: console.print(Text(line), soft_wrap=True)
    )
    if arguments.dry_run:
        return _dry_run(config, space, arguments.format)
    folder = new_folder(arguments.results, arguments.name or dated_name(arguments.space))
    console.print(Text(f"{config.question}\n{_where_to(config, folder)}"), soft_wrap=True)
    plan = StudyPlan(
        config=config,
        space=space,
        label=str(arguments.space),
        folder=folder,
        games=arguments.games or [STARTER_GAMES],
        address=arguments.address,
        doctor=not arguments.no_doctor,
        warm_starts=[StudyFolder(path) for path in arguments.warm_start],
    )
    with going_on(folder), watching(config, progress=True) as listener:
        ended = start(plan, listener)
    _print_leaderboard(folder, arguments.format)
    status = finish(folder, ended)
    print_report(folder)
    return status


def _dry_run(config: StudyConfig, space: SearchSpace, output: str) -> int:
    from hexsearch.report.plan import render_plan
    from hexsearch.search.plan import plan_study

    plan = plan_study(config, space)
    if output == "json":
        json.dump(plan, sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        Console(highlight=False).print(render_plan(plan))
    return 0


def run_resume(arguments: argparse.Namespace) -> int:
    """Continue a study and print its leaderboard."""
    folder = StudyFolder(arguments.study)
    _, config = folder.read_description()
    further = Further(
        trials=arguments.trials,
        time_budget=time_budget_of(arguments.time_budget),
        address=arguments.address,
    )
    with going_on(folder), watching(config, progress=True) as listener:
        ended = go_on(folder, further, listener)
    _print_leaderboard(folder, arguments.format)
    status = finish(folder, ended)
    print_report(folder)
    return status


def run_storage(arguments: argparse.Namespace) -> int:
    """Rebuild an Optuna storage, and print its place."""
    from hexsearch.study import launch as study

    where = study.rebuild_storage(StudyFolder(arguments.study), arguments.to)
    print(f"written from the ledger: {where}\nlook at it with: optuna-dashboard {where}")
    return 0


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
    trials = StudyHistory.read(folder.ledger).trials.values()
    if not trials or any(trial.status != "failed" for trial in trials):
        return None
    return next((trial.reason for trial in trials if trial.reason), "nothing")


def stderr() -> Console:
    """The console for messages, so that stdout holds only the output."""
    return Console(stderr=True, highlight=False)


def _print_leaderboard(folder: StudyFolder, output: str) -> None:
    from hexsearch.cli.leaderboard_command import print_json, print_table
    from hexsearch.leaderboard.leaderboard import read_leaderboard

    board = read_leaderboard(folder)
    if output == "json":
        print_json(board)
    else:
        print_table(board)


def _where_to(config: StudyConfig, folder: StudyFolder) -> str:
    trials, seen = config.run.trials, config.scheduler.max_t
    return f"{trials} trials of at most {seen:,} positions each, into {folder.path}"
