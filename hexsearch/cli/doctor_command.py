"""`doctor`: name what is mis-wired."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

from hexsearch.cli.preflight import configurations
from hexsearch.cli.study_commands import add_settings
from hexsearch.config.load import apply_setting, load_study
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.data.collection.importing import STARTER_GAMES
from hexsearch.doctor.admission import admit_checkpoint, admit_configs, admit_foreign
from hexsearch.doctor.examine import examine
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import ANSWERS, QUICK
from hexsearch.errors import ConfigError
from hexsearch.report.diagnosis import render_diagnosis
from hexsearch.search.space_parsing import build_space

_PIPE_WIDTH = 120  # of findings that go into a file or a pipe


def register(commands: Any) -> None:
    """Add `doctor`."""
    doctor = commands.add_parser("doctor", help="name what is mis-wired, with evidence")
    doctor.add_argument("examined", nargs="?", type=Path, metavar="SPACE.yaml|CHECKPOINT")
    doctor.add_argument(
        "--games",
        action="append",
        metavar="PATH",
        help="game files, archives or folders, repeatable (default: the games that come along)",
    )
    doctor.add_argument("--model", metavar="PACKAGE.MODULE:LOAD", help="a network of your own")
    doctor.add_argument("--encoder", metavar="PACKAGE.MODULE:ENCODE", help="its encoder")
    doctor.add_argument("--size", type=int, default=13, help="board side, with --model")
    doctor.add_argument("--quick", action="store_true", help="leave out what has to train")
    doctor.add_argument("--verbose", action="store_true", help="show every finding and check")
    doctor.add_argument("--format", choices=("table", "json"), default="table")
    add_settings(doctor)
    doctor.set_defaults(run=run_doctor)


def run_doctor(arguments: argparse.Namespace) -> int:
    """Examine a search space, a checkpoint or a foreign model; 1 if there are errors."""
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    pipeline = _admit(arguments)
    messages = Console(stderr=True, highlight=False)
    if pipeline.imported is not None:
        messages.print(Text(pipeline.imported.summary()), soft_wrap=True)
    diagnosis = examine(
        pipeline,
        (*QUICK, *ANSWERS) if arguments.quick else None,
        lambda name: messages.print(Text(f"checking {name}", style="dim")),
    )
    if arguments.format == "json":
        json.dump(diagnosis.to_json(), sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        console = Console(highlight=False)
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console = Console(width=_PIPE_WIDTH, highlight=False)
        console.print(render_diagnosis(diagnosis, console.width, arguments.verbose))
    return 1 if diagnosis.errors else 0


def _admit(arguments: argparse.Namespace) -> ExaminedPipeline:
    games = arguments.games or [STARTER_GAMES]
    if (arguments.model is None) != (arguments.encoder is None):
        raise ConfigError("--model and --encoder belong together; give both")
    if arguments.model is not None:
        if arguments.examined is not None:
            raise ConfigError(f"{arguments.examined}: give either this or --model, not both")
        if arguments.set:
            raise ConfigError(
                f"--set {arguments.set[0]}: a network of your own has no settings; --size gives "
                "the side of its board"
            )
        return admit_foreign(arguments.model, arguments.encoder, arguments.size, games)
    examined = arguments.examined
    if examined is None:
        raw: dict[str, Any] = {"question": "?", "data": {"board_size": arguments.size}}
        for setting in arguments.set:
            raw = apply_setting(raw, setting)
        config = build(StudyConfig, raw, "")
        space = build_space(config, "")
        return admit_configs("the default configuration", configurations(space), config.data, games)
    if examined.suffix in (".yaml", ".yml"):
        config = load_study(examined, arguments.set)
        space = build_space(config, f"{examined}: ")
        return admit_configs(str(examined), configurations(space), config.data, games)
    return admit_checkpoint(examined, games)
