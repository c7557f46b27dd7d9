"""`launch`, `resume` and `schema`.

Each imports what it runs when it runs: Ray, torch and Optuna take seconds, which help, a wrong
option and a dry run need not wait for.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hexsearch.cli.arguments import positive
from hexsearch.config.run import parse_duration
from hexsearch.config.study import StudyConfig
from hexsearch.data.collection.importing import STARTER_GAMES
from hexsearch.errors import ConfigError, printable
from hexsearch.ledger.folder import COMPARISON, StudyFolder, require_name
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import read_ledger
from hexsearch.report.console import make_progress
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import load_space
from hexsearch.study.listener import Ended, Listener


def register(commands: Any) -> None:
    """Add the sub-commands that are about studies."""
    launch = commands.add_parser("launch", help="start a study")
    launch.add_argument("space", type=Path, metavar="SPACE.yaml")
    launch.add_argument(
        "--games",
        action="append",
        metavar="PATH",
        help="game files, archives or folders, repeatable (default: the games that come along)",
    )
    launch.add_argument("--name", help="of the study (default: the space's, with date and time)")
    launch.add_argument("--results", default="results", metavar="DIR")
    launch.add_argument("--trials", type=positive, metavar="N")
    launch.add_argument("--time-budget", metavar="10m", help="stop, resumable, after this long")
    launch.add_argument("--seed", type=int, metavar="N")
    launch.add_argument("--address", metavar="A", help="of a running Ray cluster")
    add_settings(launch)
    launch.add_argument(
        "--no-doctor", action="store_true", help="start without the doctor's quick checks"
    )
    launch.add_argument("--dry-run", action="store_true", help="say what it would do, in seconds")
    launch.add_argument(
        "--format", choices=("table", "json"), default="table", help="of what --dry-run says"
    )
    launch.set_defaults(run=run_launch)

    launch.add_argument(
        "--warm-start",
        action="append",
        type=Path,
        default=[],
        metavar="STUDY_DIR",
        help="let the searcher know the trials of another study, repeatable",
    )

    storage = commands.add_parser(
        "storage", help="write a study's Optuna storage anew, for optuna-dashboard"
    )
    storage.add_argument("study", type=Path, metavar="STUDY_DIR")
    storage.add_argument("--to", metavar="URL", help="a database; default: the study's own storage")
    storage.set_defaults(run=run_storage)

    resume = commands.add_parser("resume", help="go on where a study stopped")
    resume.add_argument("study", type=Path, metavar="STUDY_DIR")
    resume.add_argument(
        "--trials",
        type=positive,
        default=0,
        metavar="+N",
        help="further trials beyond the study's",
    )
    resume.add_argument("--address", metavar="A", help="of a running Ray cluster")
    resume.set_defaults(run=run_resume)

    schema = commands.add_parser(
        "schema", help="JSON Schema of search-space files, for editors that check while one types"
    )
    schema.set_defaults(run=run_schema)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The `--set` option, which several commands share."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="fix a setting, such as trunk.preset=tiny; a searched one is searched no more",
    )


def run_launch(arguments: argparse.Namespace) -> int:
    """Start a study and print its leaderboard."""
    settings = list(arguments.set)
    for option in ("trials", "seed"):
        value = getattr(arguments, option)
        if value is not None:
            settings.append(f"run.{option}={value}")
    if arguments.time_budget is not None:
        try:
            parse_duration(arguments.time_budget)
        except ValueError as error:
            raise ConfigError(f"--time-budget: {error}") from error
        settings.append(f"run.time_budget='{arguments.time_budget}'")
    console = stderr()
    config, space = load_space(
        arguments.space, settings, lambda line: console.print(Text(line), soft_wrap=True)
    )
    if arguments.dry_run:
        return _dry_run(config, space, arguments.format)
    from hexsearch.cli.preflight import check_components, games_examiner, hints
    from hexsearch.leaderboard.summary import leader_summary
    from hexsearch.study import launch as study

    folder = new_folder(arguments)
    label = str(arguments.space)
    if not arguments.no_doctor:
        check_components(label, space)
    console.print(Text(f"{config.question}\n{_where_to(config, folder)}"), soft_wrap=True)
    if arguments.address is None:
        for line in hints(config.run):
            console.print(Text(line), soft_wrap=True)
    with going_on(folder), make_progress(console, config.scheduler.max_t) as progress:
        listener = Listener(progress.say, progress.record, progress.beat)
        ended = study.launch(
            config,
            arguments.games or [STARTER_GAMES],
            folder,
            arguments.address,
            listener,
            leader_summary,
            where=f"{arguments.space}: ",
            examine=None if arguments.no_doctor else games_examiner(label, space, progress.say),
            warm_starts=[StudyFolder(path) for path in arguments.warm_start],
        )
    _print_leaderboard(folder)
    return finish(folder, ended)


def new_folder(arguments: argparse.Namespace) -> StudyFolder:
    """Where `--results` and `--name` lead.

    Raises:
        ConfigError: a study is there already, or the name is a path.
    """
    if "://" in arguments.results:
        raise ConfigError(
            f"--results {arguments.results}: the ledger needs a folder on a disk; keep the trials' "
            f"files elsewhere with --set run.trial_files={arguments.results}"
        )
    name = arguments.name or f"{arguments.space.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    require_name(name)
    folder = StudyFolder(Path(arguments.results) / name)
    folder.require_new()
    return folder


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
    """Go on with a study and print its leaderboard."""
    from hexsearch.leaderboard.summary import leader_summary
    from hexsearch.study import launch as study
    from hexsearch.study.comparison import resume_comparison

    folder = StudyFolder(arguments.study)
    description, config = folder.read_description()
    is_comparison = description.get("kind") == COMPARISON
    if is_comparison and arguments.trials:
        raise ConfigError(
            "--trials: a comparison has as many runs as heads and seeds; leave it out"
        )
    with going_on(folder), make_progress(stderr(), config.scheduler.max_t) as progress:
        listener = Listener(progress.say, progress.record, progress.beat)
        if is_comparison:
            ended = resume_comparison(folder, arguments.address, listener)
        else:
            ended = study.resume(
                folder, arguments.trials, arguments.address, listener, leader_summary
            )
    _print_leaderboard(folder)
    return finish(folder, ended)


def run_storage(arguments: argparse.Namespace) -> int:
    """Rebuild an Optuna storage and say where it lies."""
    from hexsearch.study import launch as study

    where = study.rebuild_storage(StudyFolder(arguments.study), arguments.to)
    print(f"written from the ledger: {where}\nlook at it with: optuna-dashboard {where}")
    return 0


def run_schema(arguments: argparse.Namespace) -> int:
    """Print the format of search-space files."""
    from hexsearch.config.files.json_schema import study_schema

    json.dump(study_schema(), sys.stdout, indent=2, allow_nan=False)
    print()
    return 0


@contextmanager
def going_on(folder: StudyFolder) -> Iterator[None]:
    """Say how to go on with a study that is left at once, by a second Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        if folder.ledger.exists() and folder.ledger.stat().st_size:
            finish(folder, "interrupted")
        raise


def finish(folder: StudyFolder, ended: Ended) -> int:
    """Say how a study ended and, if it can, how to go on; the exit status."""
    message = stderr()
    if ended == "finished":
        reason = _why_all_failed(folder)
        if reason:
            line = f"every trial failed: {folder.path} holds no result. The first said: {reason}"
            message.print(Text(printable(line)), soft_wrap=True)
            return 1
        message.print(Text(f"finished: {folder.path}"), soft_wrap=True)
        return 0
    why = "budget reached" if ended == "out_of_budget" else "interrupted"
    message.print(
        Text(f"{why}; go on with: python run_search.py resume {folder.path}"), soft_wrap=True
    )
    return 0 if ended == "out_of_budget" else 130


def _why_all_failed(folder: StudyFolder) -> str | None:
    """The first trial's reason, where no trial of a study came to a result."""
    trials = StudyHistory.of(read_ledger(folder.ledger)).trials.values()
    if not trials or any(trial.status != "failed" for trial in trials):
        return None
    return next((trial.reason for trial in trials if trial.reason), "nothing")


def stderr() -> Console:
    """Where messages go, so that stdout holds only what was asked for."""
    return Console(stderr=True, highlight=False)


def _print_leaderboard(folder: StudyFolder) -> None:
    from hexsearch.cli.leaderboard_command import print_table
    from hexsearch.leaderboard.leaderboard import read_leaderboard

    print_table(read_leaderboard(folder))


def _where_to(config: StudyConfig, folder: StudyFolder) -> str:
    trials, seen = config.run.trials, config.scheduler.max_t
    return f"{trials} trials of at most {seen:,} positions each, into {folder.path}"
