"""`games generate`: new games, by OpenSpiel's MCTS or by a network that plays itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from hexsearch.cli.number_types import at_least, board_size
from hexsearch.errors import ConfigError
from hexsearch.play.mcts_games import SelfplayConfig, generate_games
from hexsearch.play.selfplay import NetworkGamesConfig, generate_network_games
from hexsearch.report.terminal import Console
from hexsearch.training.stored_trial import read_stored_trial

Generate = Callable[[Callable[[int], None]], int]


def register_generate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command of `games`."""
    generate = commands.add_parser(
        "generate", help="new games, by OpenSpiel's MCTS or by a network that plays itself"
    )
    mcts = SelfplayConfig()
    generate.add_argument("path", type=Path, metavar="PATH", help="TRMPH file to append to")
    generate.add_argument(
        "--games", type=at_least(1), default=1000, help="number of games that the file will hold"
    )
    generate.add_argument(
        "--opening-plies",
        type=at_least(0),
        default=mcts.opening_plies,
        help="most random moves at the start of a game",
    )
    generate.add_argument("--workers", type=at_least(1), default=1, help="number of processes")
    generate.add_argument(
        "--seed", type=at_least(0), default=mcts.seed, help="seed of all random numbers"
    )
    generate.add_argument(
        "--size", type=board_size, help=f"board (default: {mcts.size}, or the network's own)"
    )
    by_mcts = generate.add_argument_group("by MCTS with random rollouts")
    by_mcts.add_argument(
        "--playouts", type=at_least(1), default=mcts.playouts, help="number for each move"
    )
    by_mcts.add_argument("--uct-c", type=float, default=mcts.uct_c, help="weight of exploration")
    _add_network_options(generate)
    generate.set_defaults(run=_run)


def _add_network_options(generate: argparse.ArgumentParser) -> None:
    network = NetworkGamesConfig(network=Path())
    by_network = generate.add_argument_group("by a network")
    by_network.add_argument(
        "--network", type=Path, metavar="CHECKPOINT", help="a model.pt that plays itself"
    )
    by_network.add_argument(
        "--nodes", type=at_least(1), default=network.nodes, help="evaluations for each move"
    )
    by_network.add_argument(
        "--decided-nodes",
        type=at_least(1),
        metavar="N",
        help="evaluations for each move after the search is nearly sure of the winner (default: as "
        "many as before)",
    )
    by_network.add_argument(
        "--considered",
        type=at_least(1),
        default=network.considered,
        metavar="N",
        help="number of the policy's likeliest moves that a search examines; a poor policy needs "
        "more",
    )
    by_network.add_argument(
        "--temperature",
        type=float,
        default=network.temperature,
        help="scale of the noise by which the first plies vary; 0: no noise",
    )
    by_network.add_argument(
        "--temperature-plies",
        type=at_least(0),
        default=network.temperature_plies,
        metavar="N",
        help="number of plies with noise",
    )
    by_network.add_argument(
        "--bfloat16",
        action="store_true",
        help="compute in bfloat16, which is faster on processors that support it",
    )
    by_network.add_argument(
        "--root-values", action="store_true", help="store the search's value of each position"
    )


def _run(args: argparse.Namespace) -> int:
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    size, generate = _by_mcts(args) if args.network is None else _by_network(args)
    if args.opening_plies > size:
        raise ConfigError(
            f"--opening-plies {args.opening_plies} could decide games on a "
            f"{size}x{size} board; give at most {size}"
        )
    console = Console(stderr=True)
    columns = (TextColumn("games"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    held = 0
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("games", total=args.games)

            def advance(count: int) -> None:
                nonlocal held
                held = count
                progress.update(task, completed=count)

            generate(advance)
    except KeyboardInterrupt:
        console.print(
            Text(f"interrupted: {args.path} holds {held:,} whole games; the same command continues")
        )
        return 130
    console.print(Text(f"{args.path} holds {held:,} games"))
    return 0


def _by_mcts(args: argparse.Namespace) -> tuple[int, Generate]:
    config = SelfplayConfig(
        size=args.size or SelfplayConfig.size,
        playouts=args.playouts,
        opening_plies=args.opening_plies,
        uct_c=args.uct_c,
        seed=args.seed,
    )
    return config.size, lambda show: generate_games(
        args.path, config, args.games, args.workers, show
    )


def _by_network(args: argparse.Namespace) -> tuple[int, Generate]:
    own = read_stored_trial(args.network).data.board_size
    size = args.size or own
    if args.temperature < 0:
        raise ConfigError(f"--temperature {args.temperature:g}: must be 0 or more")
    config = NetworkGamesConfig(
        network=args.network,
        size=None if size == own else size,
        nodes=args.nodes,
        decided_nodes=args.decided_nodes,
        considered=args.considered,
        opening_plies=args.opening_plies,
        temperature=args.temperature,
        temperature_plies=args.temperature_plies,
        seed=args.seed,
        bfloat16=args.bfloat16,
        root_values=args.root_values,
    )
    return size, lambda show: generate_network_games(
        args.path, config, args.games, args.workers, show
    )
