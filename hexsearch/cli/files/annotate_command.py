"""`games annotate`: stores what a network thinks of the positions of games."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from rich.text import Text

from hexsearch.cli.number_types import share
from hexsearch.data.collection.exporting import ARCHIVE, write_games
from hexsearch.data.collection.importing import import_games
from hexsearch.errors import GamesError
from hexsearch.report.terminal import Console

_DECAY = 0.9


def register_annotate(commands: Any) -> None:
    """Add the sub-command; it sets `run`."""
    annotate = commands.add_parser(
        "annotate",
        help="store what a network thinks of later positions, to train on",
        description="Write games with search values: before each move, the mean of what the "
        "network answers at the following plies and of the result. Train on them with --set "
        "curriculum.search_value=0.5.",
    )
    annotate.add_argument("paths", nargs="+", metavar="PATH", help="game files, archives, folders")
    annotate.add_argument(
        "--network", type=Path, required=True, metavar="CHECKPOINT", help="a model.pt"
    )
    annotate.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="the file to write; its name ends in .trmph, .trmph.gz or .games",
    )
    annotate.add_argument(
        "--decay",
        type=share,
        default=_DECAY,
        metavar="SHARE",
        help="by how much less the answer at the next ply counts, from 0 (only the next one) to 1 "
        f"(only the result) (default: {_DECAY:g})",
    )
    annotate.add_argument("--force", action="store_true", help="replace FILE if it exists")
    annotate.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import torch

    from hexsearch.analysis.later_answers import annotated
    from hexsearch.analysis.loading import load_network

    kind = _writable_kind(args.output, args.force)
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    messages = Console(stderr=True, highlight=False)

    def say(line: str) -> None:
        messages.print(Text(line), soft_wrap=True)

    loaded = load_network(args.network)
    archive, report = import_games(args.paths, loaded.data.board_size, say=say)
    for line in (report.summary(), *report.decision_lines()):
        say(line)
    if kind != ARCHIVE and archive.setups.any():
        raise GamesError(
            f"{args.output}: trmph cannot hold set-up stones; write an archive (.games) instead"
        )
    found = annotated(archive, loaded.predictor.averaged(), args.decay, say)
    write_games(args.output, found, kind)
    say(f"{len(found):,} games with values written to {args.output}")
    return 0


def _writable_kind(output: Path, force: bool) -> str:
    """The format of the file to write, which is asked before minutes are spent on the games.

    Raises:
        GamesError: it cannot hold search values, exists already, or its folder cannot be written.
    """
    name = output.name.lower()
    if not name.endswith((".trmph", ".trmph.gz", ".games")):
        raise GamesError(
            f"{output}: only text in TRMPH and archives hold search values; end the name in "
            ".trmph, .trmph.gz or .games"
        )
    if output.is_dir():
        raise GamesError(f"{output}: is a folder; give the name of a file in it")
    if output.exists() and not force:
        raise GamesError(f"{output}: exists already; give another file, or --force")
    above = next(folder for folder in output.absolute().parents if folder.exists())
    if not os.access(above, os.W_OK):
        raise GamesError(f"{output}: cannot be written: {above} is read-only")
    return ARCHIVE if name.endswith(".games") else "trmph"
