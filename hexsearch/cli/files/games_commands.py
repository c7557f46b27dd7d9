"""`games audit`, `convert`, `generate`, `annotate` and `show`: commands for game files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from hexsearch.cli.arguments import add_command, add_format
from hexsearch.cli.files.annotate_command import register_annotate
from hexsearch.cli.files.games_view import audit_json, draw_board, position_json, print_audit
from hexsearch.cli.files.generate_command import register_generate
from hexsearch.cli.number_types import at_least, board_size
from hexsearch.data.archive import ArchiveBuilder
from hexsearch.data.collection.audit import audit_games
from hexsearch.data.collection.exporting import (
    ARCHIVE,
    TEXT_FORMATS,
    chosen_games,
    format_for,
    write_games,
)
from hexsearch.data.collection.importing import ImportReport, read_games, refuse_dirt
from hexsearch.data.collection.leaks import AUDITED
from hexsearch.errors import GamesError
from hexsearch.game.board import (
    COLOUR_NAMES,
    cell_name,
    colour_to_move,
    stones_after,
    winner,
)
from hexsearch.game.formats.trmph import parse_trmph
from hexsearch.progress import at_intervals
from hexsearch.report.terminal import Console

_PATHS_HELP = (
    "game files in any known format, plain, .gz or .zip; archives; folders; '-' for standard "
    "input; 'starter' for the games of the package"
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `games` and its sub-commands; each sets `run`."""
    games = add_command(
        subparsers,
        "games",
        [
            "audit my_games/",
            "convert my_games/ --output games.trmph",
            "generate new.trmph --games 100 --playouts 200",
            "annotate my_games/ --network results/train/model.pt --output taught.trmph",
            "show '#5,a1b2c3'",
        ],
    )
    commands = games.add_subparsers(
        dest="games_command", required=True, metavar="COMMAND", title="commands"
    )
    audit = commands.add_parser("audit", help="examine games before training on them")
    _add_reading(audit)
    audit.add_argument(
        "--curriculum",
        choices=AUDITED,
        default="all",
        help="the curriculum that you will train with, tested for leaks of the winner",
    )
    add_format(audit)
    audit.set_defaults(run=_audit)

    convert = commands.add_parser("convert", help="write games as an archive or in a text format")
    _add_reading(convert)
    convert.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="the file to write"
    )
    convert.add_argument("--to", choices=(ARCHIVE, *TEXT_FORMATS), help="(default: by FILE's name)")
    convert.add_argument("--force", action="store_true", help="replace FILE if it exists")
    convert.add_argument(
        "--finished", action="store_true", help="only games that end with a connection"
    )
    convert.add_argument(
        "--distinct",
        action="store_true",
        help="only the first of equal games, mirrored and turned ones included",
    )
    convert.set_defaults(run=_convert)

    register_generate(commands)
    register_annotate(commands)

    show = commands.add_parser("show", help="draw a game or a position")
    show.add_argument("path", metavar="PATH", help="a game file, or a position such as '#5,a1b2'")
    show.add_argument(
        "--game", type=at_least(1), default=1, help="number of the game in the file, from 1"
    )
    show.add_argument("--ply", type=at_least(0), help="number of moves to show; default: all")
    show.add_argument("--size", type=board_size, help="board of files that do not state it")
    add_format(show)
    show.set_defaults(run=_show)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help=_PATHS_HELP)
    parser.add_argument("--size", type=board_size, help="board of files that do not state it")
    parser.add_argument("--strict", action="store_true", help="a refused game is an error")


def _audit(args: argparse.Namespace) -> int:
    say = Console(stderr=True, highlight=False).print
    audit = audit_games(args.paths, args.size, say=say)
    if args.strict:
        refuse_dirt(audit.report)
    if args.format == "json":
        _print_json(audit_json(audit))
    else:
        print_audit(audit, Console(highlight=False), args.curriculum)
    return 0


def _convert(args: argparse.Namespace) -> int:
    kind = args.to or format_for(args.output)
    if args.output.exists() and not args.force:
        raise GamesError(f"{args.output}: exists already; give another file, or --force")
    messages = Console(stderr=True, highlight=False)
    report = ImportReport(watch=at_intervals(messages.print))
    builder = ArchiveBuilder()
    for games, refused in read_games(args.paths, report, args.size):
        report.refused += refused
        report.read += len(games)
        builder.add(games)
    if args.strict:
        refuse_dirt(report)
    if not report.read:
        raise GamesError([f"{', '.join(args.paths)}: no usable game", *map(str, report.refused)])
    for line in [*report.decision_lines(), *report.skipped, *map(str, report.refused)]:
        messages.print(line, soft_wrap=True)
    archive = chosen_games(builder.build(), args.finished, args.distinct)
    write_games(args.output, archive, kind)
    summary = f"{report.summary()}; {len(archive):,} written to {args.output}"
    messages.print(summary, soft_wrap=True)
    return 0


def _show(args: argparse.Namespace) -> int:
    size, moves, label = _chosen_game(args)
    ply = len(moves) if args.ply is None else args.ply
    if ply > len(moves):
        raise GamesError(f"{label}: has {len(moves)} moves, so --ply {ply} is too large")
    shown = moves[:ply]
    stones = stones_after(shown, size)
    won, to_move = winner(stones), colour_to_move(ply)
    names = [cell_name(cell, size) for cell in shown]
    if args.format == "json":
        _print_json(position_json(stones, names, to_move, won))
        return 0
    console = Console(highlight=False)
    console.print(draw_board(stones, shown[-1] if shown else None))
    state = f"{COLOUR_NAMES[won]} has won" if won else f"{COLOUR_NAMES[to_move]} to move"
    last = f", last move {names[-1]}" if names else ""
    summary = f"{label}: ply {ply} of {len(moves)}, {state}{last}"
    console.print(summary, soft_wrap=True)
    return 0


def _chosen_game(args: argparse.Namespace) -> tuple[int, tuple[int, ...], str]:
    """Board size, moves and a label of the game that `games show` draws."""
    if "#" in args.path and not Path(args.path).exists():
        try:
            record = parse_trmph(args.path)
        except ValueError as error:
            raise GamesError(f"{args.path}: {error}") from error
        if len(set(record.moves)) < len(record.moves):
            raise GamesError(f"{args.path}: a cell is played twice")
        return record.size, record.moves, "position"
    count, report = 0, ImportReport()
    for games, refused in read_games([args.path], report, args.size):
        report.refused += refused
        if args.game <= count + len(games):
            game = games[args.game - 1 - count]
            return game.size, game.moves, f"{game.source} line {game.line}"
        count += len(games)
    first = f"; first refusal: {report.refused[0]}" if report.refused else ""
    raise GamesError(f"{args.path}: holds {count:,} usable games, not {args.game:,}{first}")


def _print_json(value: dict[str, Any]) -> None:
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")
