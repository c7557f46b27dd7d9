"""`match` and `engine`: networks play each other, reference players and other programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from hexsearch.cli.arguments import add_command, add_format, positive
from hexsearch.cli.networks.analysis_commands import stdout
from hexsearch.cli.number_types import at_least, board_size, seconds
from hexsearch.errors import ConfigError
from hexsearch.interface.players import find_players, on_one_board
from hexsearch.play.htp.session import HtpSession
from hexsearch.play.match import MINUTE_S, OPENINGS_PLAYED, MatchSettings, play_match
from hexsearch.play.openings import read_openings
from hexsearch.play.spec import STYLES, SYNTAX, PlayerSpec, build_network_player
from hexsearch.play.standings import standings
from hexsearch.progress import at_intervals
from hexsearch.report.match_table import render_standings
from hexsearch.report.terminal import Console

_OPENINGS = 30


def register(commands: Any) -> None:
    """Add the sub-commands that play."""
    match = add_command(
        commands,
        "match",
        ["results/A results/B --openings 30", "model.pt mcts:400 --player search --nodes 256"],
    )
    match.add_argument("players", nargs="*", metavar="PLAYER", help=SYNTAX)
    match.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="COMMAND",
        help="a further player: an engine that speaks the Hex Text Protocol",
    )
    match.add_argument(
        "--timeout", type=seconds, default=60.0, metavar="S", help="for each answer of an engine"
    )
    _add_player_options(match)
    match.add_argument("--policy", type=Path, metavar="CHECKPOINT", help="shared by value players")
    match.add_argument(
        "--candidates", type=positive, default=6, metavar="K", help="of its likeliest moves"
    )
    match.add_argument(
        "--openings",
        type=positive,
        metavar="N",
        help=f"each played twice (default: {_OPENINGS}, or all of --openings-file)",
    )
    match.add_argument("--openings-file", type=Path, metavar="FILE", help="TRMPH, one a line")
    match.add_argument("--size", type=board_size, help="board (default: the networks' own)")
    match.add_argument("--swap", action="store_true", help="the first move may be taken over")
    match.add_argument(
        "--seed", type=at_least(0), default=0, metavar="N", help="of openings and players"
    )
    match.add_argument("--workers", type=positive, default=1, metavar="N", help="processes")
    match.add_argument("--output", type=Path, metavar="FILE", help="keeps games; goes on there")
    add_format(match)
    match.set_defaults(run=run_match)

    engine = add_command(commands, "engine", ["model.pt --player search --nodes 256"])
    engine.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model.pt")
    _add_player_options(engine)
    engine.add_argument("--swap", action="store_true", help="take over a strong first move")
    engine.add_argument(
        "--resign",
        type=float,
        default=0.0,
        metavar="P",
        help="resign below this win probability (default: never)",
    )
    engine.set_defaults(run=run_engine)


def _add_player_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for networks whose specification does not say how they play."""
    parser.add_argument("--player", choices=STYLES, default="search", help="default: search")
    parser.add_argument(
        "--nodes", type=positive, default=64, metavar="N", help="evaluations for each move"
    )
    parser.add_argument(
        "--milliseconds", type=positive, metavar="MS", help="for each move, in place of --nodes"
    )


def run_match(arguments: argparse.Namespace) -> int:
    """Play the missing games, then print standings."""
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    defaults = _player_defaults(arguments)
    players = find_players(arguments.players, defaults)
    players += [
        PlayerSpec(name=command, kind="engine", command=command, timeout_s=arguments.timeout)
        for command in arguments.engine
    ]
    players, board = on_one_board(players, arguments.size)
    settings = _settings(arguments, board)
    console = Console(stderr=True, highlight=False)
    try:
        with _progress(console) as show:
            results = play_match(players, settings, arguments.output, arguments.workers, show)
    except KeyboardInterrupt:
        kept = f"the games are in {arguments.output}; the same command continues there"
        console.print(Text(f"interrupted; {kept if arguments.output else 'no game was kept'}"))
        return 130
    found = standings([player.name for player in players], results)
    if arguments.format == "json":
        print(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        stdout().print(render_standings(found))
    return 0


def run_engine(arguments: argparse.Namespace) -> int:
    """Answer commands until `quit` or the end of the input."""
    if not 0.0 <= arguments.resign < 1.0:
        raise ConfigError(f"--resign {arguments.resign:g}: must be at least 0 and below 1")
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    defaults = _player_defaults(arguments)
    player = build_network_player(replace(defaults, path=str(arguments.checkpoint)))
    session = HtpSession(player, swap=arguments.swap, resign_below=arguments.resign)
    # Bytes that are not text must not end the session.
    lines = (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
    for reply in session.serve(lines):
        sys.stdout.write(reply)
        sys.stdout.flush()
    return 0


def _player_defaults(arguments: argparse.Namespace) -> PlayerSpec:
    """The options of a command as a specification."""
    policy = getattr(arguments, "policy", None)
    return PlayerSpec(
        name="",
        kind="network",
        style=arguments.player,
        nodes=arguments.nodes,
        milliseconds=arguments.milliseconds,
        policy=None if policy is None else str(policy),
        candidates=getattr(arguments, "candidates", 6),
    )


def _settings(arguments: argparse.Namespace, size: int) -> MatchSettings:
    given = None
    if arguments.openings_file is not None:
        given = tuple(read_openings(arguments.openings_file, size))
    return MatchSettings(
        size=size,
        openings=arguments.openings or (len(given) if given else _OPENINGS),
        seed=arguments.seed,
        swap=arguments.swap,
        given=given,
    )


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, a line for each minute elsewhere."""
    if not console.is_terminal:
        yield at_intervals(console.print, OPENINGS_PLAYED, MINUTE_S)
        return
    columns = (TextColumn("openings"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("openings")
        yield lambda done, total: progress.update(task, completed=done, total=total)
