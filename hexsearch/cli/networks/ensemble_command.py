"""`ensemble`: averages networks and evaluates them on test games."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.text import Text

from hexsearch.analysis.ensemble import METHODS, choose_ensembles
from hexsearch.cli.arguments import (
    add_command,
    add_format,
    add_games,
    add_looks,
    looks_of,
    positive,
    study_path,
)
from hexsearch.cli.networks.analysis_commands import one_thread, stdout
from hexsearch.cli.networks.ensemble_members import Members
from hexsearch.errors import ConfigError
from hexsearch.ledger.own_files import require_not_of_study
from hexsearch.report.ensemble import ensemble_json, evaluate_ensembles, render_ensembles
from hexsearch.report.terminal import Console
from hexsearch.training.atomic import write_atomically


def register(commands: Any) -> None:
    """Add the sub-command."""
    parser = add_command(
        commands,
        "ensemble",
        [
            "results/NAME",
            "results/NAME --top 5 --method greedy --format json",
            "first/model.pt second/model.pt --games my_games/",
        ],
        "Average a study's finished networks, or some checkpoints, and select from them greedily "
        "with replacement (Caruana et al., 2004) on validation games. Then evaluate both, and the "
        "best single network, on test games. For a comparison, the heads of each trunk are "
        "averaged as well. Each use of the test games makes them less independent.",
    )
    parser.add_argument(
        "sources",
        type=Path,
        nargs="+",
        metavar="STUDY|CHECKPOINT",
        help="the folder of a study, such as results/NAME, or the name of one in ./results; or "
        "two checkpoints or more, with --games",
    )
    add_games(parser, only_for="checkpoints")
    parser.add_argument(
        "--top",
        type=positive,
        metavar="K",
        help="number of a study's networks, best on validation games first (default: all with a "
        "checkpoint)",
    )
    parser.add_argument(
        "--method", choices=METHODS, action="append", help="may be repeated (default: both)"
    )
    add_looks(parser)
    add_format(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the JSON here")
    parser.set_defaults(run=run_ensemble)


def run_ensemble(arguments: argparse.Namespace) -> int:
    """Choose ensembles on validation games, evaluate them on test games, print."""
    if arguments.output is not None:
        require_not_of_study(arguments.output)
    one_thread()
    messages = Console(stderr=True, highlight=False)

    def say(line: str) -> None:
        messages.print(Text(line), soft_wrap=True)

    found = _members(arguments, say)
    looks = looks_of(arguments)
    members = replace(found, networks=[each.with_looks(*looks) for each in found.networks])
    answers = []
    for games, split in ((members.validation, "validation"), (members.test, "test")):
        say(f"{len(members.networks)} networks answer {len(games):,} {split} games")
        answers.append(members.answers(games, say))
    validation, test = answers
    methods = arguments.method or METHODS
    ensembles = choose_ensembles(validation, methods, list(members.trunks.items()))
    rows = evaluate_ensembles(ensembles, members.names, validation, test)
    document = json.dumps(ensemble_json(members.label, rows), indent=2, allow_nan=False)
    if arguments.output is not None:
        write_atomically(arguments.output, (document + "\n").encode())
    if arguments.format == "json":
        print(document)
    else:
        console = stdout()
        console.print(render_ensembles(members.label, rows, console.width))
    return 0


def _members(arguments: argparse.Namespace, say: Callable[[str], None]) -> Members:
    sources: list[Path] = arguments.sources
    files = [path for path in sources if path.is_file()]
    if not files and len(sources) == 1:
        if arguments.top == 1:
            raise ConfigError("--top 1: an ensemble needs two networks or more")
        if arguments.games:
            raise ConfigError(
                "--games goes with checkpoints; the networks of a study answer its own games"
            )
        return Members.of_study(study_path(str(sources[0])), arguments.top)
    if len(files) < len(sources):
        odd = next(path for path in sources if path not in files)
        what = "is no checkpoint" if odd.exists() else "does not exist"
        raise ConfigError(f"{odd} {what}; give one study, or two checkpoints or more")
    if len(files) == 1 or not arguments.games:
        lacking = "a second checkpoint" if len(files) == 1 else "--games PATH"
        raise ConfigError(f"an ensemble of checkpoints needs {lacking}")
    if arguments.top is not None:
        raise ConfigError("--top goes with a study; give the checkpoints that are to be averaged")
    if len(set(files)) < len(files):
        twice = next(path for path in files if files.count(path) > 1)
        raise ConfigError(f"{twice} is given twice")
    return Members.of_checkpoints(files, arguments.games, say)
