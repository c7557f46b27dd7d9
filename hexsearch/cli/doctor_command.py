"""`doctor`: finds faults of games, networks and training."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from rich.text import Text

from hexsearch.cli.arguments import add_command, add_format, add_games, add_settings
from hexsearch.cli.number_types import board_size
from hexsearch.config.data import DataConfig
from hexsearch.config.files.load import load_study
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import STARTER_GAMES
from hexsearch.doctor.admission import admit_checkpoint, admit_configs, admit_foreign
from hexsearch.doctor.examine import examine
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import ANSWERS, QUICK
from hexsearch.errors import ConfigError
from hexsearch.interface.doctor_check import configurations
from hexsearch.report.diagnosis import render_diagnosis
from hexsearch.report.terminal import Console
from hexsearch.search.shipped import shipped_spaces
from hexsearch.search.space_parsing import build_space

_YAML = (".yaml", ".yml")
_PIPE_WIDTH = 120  # of findings that go into a file or a pipe


def register(commands: Any) -> None:
    """Add `doctor`."""
    doctor = add_command(
        commands,
        "doctor",
        [
            "search_spaces/quick.yaml --games my_games/",
            "results/NAME/winner/model.pt --format json",
            "--model my_net:load --encoder my_net:encode --quick",
        ],
        "Examine a search space, a checkpoint or your own network, and name its faults with "
        "evidence and a remedy. The exit status is 1 if there are errors.",
    )
    doctor.add_argument(
        "examined",
        nargs="?",
        type=_examined,
        metavar="SPACE.yaml|CHECKPOINT",
        help="(default: the default configuration)",
    )
    add_games(doctor)
    own = doctor.add_argument_group("a network of your own")
    own.add_argument("--model", metavar="MODULE:LOAD", help="a function that makes the network")
    own.add_argument("--encoder", metavar="MODULE:ENCODE", help="a function that encodes positions")
    own.add_argument(
        "--train",
        metavar="MODULE:TRAIN",
        help="your training function of a list of (moves, red_won): it is run for some steps",
    )
    own.add_argument("--size", type=board_size, default=13, metavar="N", help="board side")
    checks = doctor.add_argument_group("checks")
    checks.add_argument("--quick", action="store_true", help="without checks that need training")
    checks.add_argument("--verbose", action="store_true", help="show every finding and check")
    add_settings(checks)
    add_format(checks)
    doctor.set_defaults(run=run_doctor)


def _examined(text: str) -> Path:
    """The path of a file or of a shipped search space."""
    return shipped_spaces().get(text, Path(text)) if not Path(text).exists() else Path(text)


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
    if arguments.train is not None and arguments.model is None:
        raise ConfigError("--train: is compared with a network; give --model and --encoder, too")
    if arguments.set and (arguments.examined is None or arguments.examined.suffix not in _YAML):
        raise ConfigError("--set: fixes a setting of a SPACE.yaml, but none is given; leave it out")
    if arguments.model is not None:
        if arguments.examined is not None:
            raise ConfigError(f"{arguments.examined}: give either this or --model, not both")
        return admit_foreign(
            arguments.model, arguments.encoder, arguments.size, games, arguments.train
        )
    examined = arguments.examined
    if examined is None:
        data = DataConfig(board_size=arguments.size)
        return admit_configs("the default configuration", [TrialConfig()], data, games)
    if examined.suffix in _YAML:
        config = load_study(examined, arguments.set)
        space = build_space(config, f"{examined}: ")
        return admit_configs(str(examined), configurations(space), config.data, games)
    return admit_checkpoint(examined, games)
