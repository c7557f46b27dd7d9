"""`engine`: a network that speaks the Hex Text Protocol on standard input and output."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hexsearch.cli.match_command import add_player_options, player_defaults
from hexsearch.errors import ConfigError
from hexsearch.play.htp_session import HtpSession
from hexsearch.play.spec import build_network_player


def register(commands: Any) -> None:
    """Add the sub-command."""
    engine = commands.add_parser("engine", help="play by HTP, for HexGui and other programs")
    engine.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    add_player_options(engine)
    engine.add_argument("--swap", action="store_true", help="take over a strong first move")
    engine.add_argument(
        "--resign",
        type=float,
        default=0.0,
        metavar="P",
        help="resign below this win probability (default: never)",
    )
    engine.set_defaults(run=run_engine)


def run_engine(arguments: argparse.Namespace) -> int:
    """Answer commands until `quit` or the end of the input."""
    if not 0.0 <= arguments.resign < 1.0:
        raise ConfigError(f"--resign {arguments.resign:g}: a probability from 0 to below 1")
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    defaults = player_defaults(arguments)
    player = build_network_player(replace(defaults, path=str(arguments.checkpoint)))
    session = HtpSession(player, swap=arguments.swap, resign_below=arguments.resign)
    # Bytes that are no text must not end the session.
    lines = (line.decode("utf-8", "replace") for line in sys.stdin.buffer)
    for reply in session.serve(lines):
        sys.stdout.write(reply)
        sys.stdout.flush()
    return 0
