"""`dashboard`: a live page about all studies of a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from hexsearch.cli.arguments import add_command
from hexsearch.cli.number_types import at_least
from hexsearch.errors import ConfigError


def register(commands: Any) -> None:
    """Add the sub-command."""
    parser = add_command(
        commands,
        "dashboard",
        ["results", "results --port 8100"],
        "Serve a live page about the studies of a folder: the sections of the report, and how far "
        "each running trial is. It only reads. It needs the extra `dashboard`.",
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="folder that studies lie in")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this "
                        "machine alone)")  # fmt: skip
    parser.add_argument(
        "--port",
        type=at_least(0),
        default=8100,
        metavar="N",
        help="(default: 8100; 0 takes a free one)",
    )
    parser.set_defaults(run=run_dashboard)


def run_dashboard(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C, which is how a server ends well."""
    try:
        from hexsearch.report.dashboard.server import serve
    except ImportError as error:
        raise ConfigError(
            f"dashboard: a package is missing ({error.name}); pip install 'hexsearch[dashboard]'"
        ) from error
    try:
        serve(
            arguments.results,
            arguments.host,
            arguments.port,
            lambda line: print(line, flush=True),
        )
    except KeyboardInterrupt:
        pass
    return 0
