"""`train`: trains one configuration with monitors, without a search."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from rich.text import Text

from hexsearch.analysis.learnability import check_learnability, verdict
from hexsearch.cli.arguments import add_command, add_format, add_games, add_settings, add_space
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import STARTER_GAMES, import_games
from hexsearch.data.dataset import Dataset
from hexsearch.errors import ConfigError
from hexsearch.interface.training import (
    describe_training,
    first_configuration,
    prepare_training,
)
from hexsearch.interface.training_loop import train_to_end
from hexsearch.report.analysis_tables import render_learnability
from hexsearch.report.terminal import Console
from hexsearch.search.space_parsing import load_space


def register(commands: Any) -> None:
    """Add the sub-command that trains a single network."""
    train = add_command(
        commands,
        "train",
        ["best_small --output results/best", "quick --learnability --set value_head='512->1'"],
        "Train one configuration: the first one that the space enqueues, or its default. The "
        "network is saved in DIR/model.pt. Ctrl-C saves the last full step, from which the same "
        "command continues.",
    )
    add_space(train)
    data = train.add_argument_group("games and results")
    add_games(data)
    data.add_argument(
        "--output", type=Path, default=Path("results/train"), metavar="DIR", help="folder"
    )
    data.add_argument("--tensorboard", action="store_true", help="also write curves to DIR/events")
    training = train.add_argument_group("training")
    training.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="seed of all random numbers (default: the space's run.seed)",
    )
    training.add_argument(
        "--start-from",
        type=Path,
        metavar="CHECKPOINT",
        help="begin with its weights; with a convolutional policy it may be of another board",
    )
    add_settings(training)
    learning = train.add_argument_group("learnability check")
    learning.add_argument(
        "--learnability",
        action="store_true",
        help="instead, train briefly on final, last 2, last 20 and all positions, and report at "
        "which step learning fails",
    )
    learning.add_argument(
        "--learnability-positions",
        type=int,
        default=40_000,
        metavar="N",
        help="training positions of each step",
    )
    add_format(learning, of="of the check's steps")
    train.set_defaults(run=run_train)


def run_train(arguments: argparse.Namespace) -> int:
    """Train the first enqueued configuration, or the default one, and save it in DIR/model.pt.

    An unfinished model.pt of the same training is continued.
    """
    config, space = load_space(arguments.space, arguments.set)
    seed = config.run.seed if arguments.seed is None else arguments.seed
    console = Console(stderr=True, highlight=False)
    archive, imported = import_games(arguments.games or [STARTER_GAMES], config.data.board_size)
    for line in (imported.summary(), *imported.decision_lines()):
        console.print(Text(line), soft_wrap=True)
    if not torch.cuda.is_available():
        torch.set_num_threads(config.run.cpus)
    if arguments.learnability:
        dataset = Dataset(archive, config.data)
        return _check_learnability(arguments, first_configuration(space), dataset, seed)
    training = prepare_training(
        space,
        archive,
        config.data,
        config.scheduler,
        seed,
        arguments.output,
        arguments.start_from,
    )
    describe_training(training, console)
    trial, path = training.trial, training.path
    events = arguments.output / "events" if arguments.tensorboard else None
    if not train_to_end(trial, training.points, path, console, events):
        console.print(
            Text(
                f"interrupted at {trial.positions_seen:,} positions, saved in {path}; the same "
                "command continues from there"
            ),
            soft_wrap=True,
        )
        return 130
    console.print(Text(f"saved {path}"))
    return 0


def _check_learnability(
    arguments: argparse.Namespace, config: TrialConfig, dataset: Dataset, seed: int
) -> int:
    """Run the learnability check. The exit status is 1 if a step is not learnt."""
    if arguments.learnability_positions < 1:
        raise ConfigError(
            f"--learnability-positions {arguments.learnability_positions}: must be 1 or more"
        )
    console = Console(stderr=True, highlight=False)
    steps = check_learnability(
        config,
        dataset,
        arguments.learnability_positions,
        seed,
        lambda step: console.print(Text(f"{step.name}: {step.accuracy:.1%} right")),
    )
    if arguments.format == "json":
        said = {"steps": [step.to_json() for step in steps], "verdict": verdict(steps)}
        json.dump(said, sys.stdout, indent=2, allow_nan=False)
        print()
    else:
        Console(highlight=False).print(render_learnability(steps, verdict(steps)))
    return 0 if all(step.passed for step in steps) else 1
