"""`launch`, `resume` and `storage`.

Each imports its modules when it runs, since Ray, torch and Optuna take seconds. Help, errors about
options and a dry run do not need all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
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
    study_place,
)
from hexsearch.cli.number_types import at_least
from hexsearch.cli.running import conduct, plan_of, resume_study, say_on_stderr, stderr
from hexsearch.config.study import StudyConfig
from hexsearch.interface.given import dated_name, new_folder, time_budget_of
from hexsearch.interface.resuming import located, started_before
from hexsearch.interface.studies import start
from hexsearch.ledger.folder import StudyFolder
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
        ["results/NAME", "NAME --trials +20", "s3://bucket/studies/NAME --time-budget 2h"],
        "Continue a study that has stopped, beginning with its unfinished trials. No result is "
        "lost, and none is trained twice.",
    )
    resume.add_argument(
        "study",
        type=study_place,
        metavar="STUDY",
        help="the folder of a study, the name of one in ./results, or the URL of one whose driver "
        "ran elsewhere with run.trial_files: URL/NAME",
    )
    resume.add_argument(
        "--results",
        default="results",
        metavar="DIR",
        help="folder of studies to which a study with a URL is fetched",
    )
    resume.add_argument(
        "--trials", type=positive, default=0, metavar="+N", help="number of further trials"
    )
    resume.add_argument(
        "--time-budget",
        metavar="10m",
        help="stop after this time; the study can be resumed again (default: the study's "
        "run.time_budget)",
    )
    resume.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change how the study is run from now on, such as run.max_concurrent=1; may be "
        "repeated",
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
        sources = [StudyFolder(path) for path in arguments.warm_start]
        return _dry_run(config, space, arguments.games, sources, arguments.format)
    if arguments.or_resume:
        found = started_before(
            arguments.results, arguments.name, config.run.trial_files, say_on_stderr
        )
        if found is not None:
            further = Further(time_budget=time_budget, address=arguments.address)
            return resume_study(found, further, config, show=_show(found, arguments.format))
    folder = new_folder(arguments.results, arguments.name or dated_name(arguments.space))
    console.print(Text(f"{config.question}\n{_amount(config)}"), soft_wrap=True)
    plan = replace(
        plan_of(arguments, config, space, folder),
        warm_starts=[StudyFolder(path) for path in arguments.warm_start],
    )
    return conduct(
        plan.folder,
        config,
        lambda listener: start(plan, listener),
        _show(folder, arguments.format),
    )


def _dry_run(
    config: StudyConfig,
    space: SearchSpace,
    games: list[str] | None,
    sources: list[StudyFolder],
    output: str,
) -> int:
    from hexsearch.data.collection.importing import import_games
    from hexsearch.report.plan import render_plan
    from hexsearch.search.plan import plan_study
    from hexsearch.search.warm_start import warm_starts

    warm_starts(sources, space, config.searcher.name, say_on_stderr)
    if games:  # those of the package are known to be good
        _, imported = import_games(games, config.data.board_size, say=say_on_stderr)
        say_on_stderr(imported.summary())
    plan = plan_study(config, space)
    if output == "json":
        json.dump(plan, sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        Console(highlight=False).print(render_plan(plan))
    return 0


def run_resume(arguments: argparse.Namespace) -> int:
    """Continue a study and print its leaderboard."""
    further = Further(
        trials=arguments.trials,
        time_budget=time_budget_of(arguments.time_budget),
        address=arguments.address,
        settings=tuple(arguments.set),
    )
    folder = located(arguments.study, arguments.results, say_on_stderr)
    return resume_study(folder, further, show=_show(folder, arguments.format))


def run_storage(arguments: argparse.Namespace) -> int:
    """Rebuild an Optuna storage, and print its place."""
    from hexsearch.study import launch as study

    where = study.rebuild_storage(StudyFolder(arguments.study), arguments.to)
    print(f"written from the ledger: {where}\nlook at it with: optuna-dashboard {where}")
    return 0


def _show(folder: StudyFolder, output: str) -> Callable[[Ended], None]:
    """The function that prints a study's leaderboard at its end."""
    return lambda ended: _print_leaderboard(folder, output)


def _print_leaderboard(folder: StudyFolder, output: str) -> None:
    from hexsearch.cli.leaderboard_command import print_json, print_table
    from hexsearch.leaderboard.leaderboard import read_leaderboard

    board = read_leaderboard(folder)
    if output == "json":
        print_json(board)
    else:
        print_table(board)


def _amount(config: StudyConfig) -> str:
    trials, seen = config.run.trials, config.scheduler.max_t
    return f"{trials} trials of at most {seen:,} positions each"
