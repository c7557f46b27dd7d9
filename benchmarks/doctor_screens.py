"""Writes docs/doctor-screens.md: the doctor's first screens, 80 columns wide.

    python benchmarks/doctor_screens.py [--games PATH] [--where TEXT] [--output FILE]

It examines everything in examples/, small networks of one training script that have a fault, and
the network that comes with the package. With --games it judges that network by these games too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

from hexsearch.cli.main import main as run_command  # noqa: E402
from hexsearch.config.data import DataConfig  # noqa: E402
from hexsearch.data.archive import build_archive  # noqa: E402
from hexsearch.doctor.examine import examine  # noqa: E402
from hexsearch.doctor.pipeline import ExaminedPipeline  # noqa: E402
from hexsearch.report.diagnosis import render_diagnosis  # noqa: E402
from hexsearch.report.terminal import Console  # noqa: E402
from tests.doctor.games import lopsided_games  # noqa: E402
from tests.doctor.scripts import Script, trained_by  # noqa: E402
from tests.doctor.slips_of_scripts import SCRIPTS  # noqa: E402

_SIZE, _WIDTH = 5, 80
_HEAD = """# What does the doctor say?

Its first screens, made by `python benchmarks/doctor_screens.py{games}` ({where}).
[Other pages](doctor.md) say how it works, and [how often it is right](doctor-sets.md) on faults
that nobody listed.
"""


def _odd_plies(samples: Any, target: Tensor) -> Tensor:
    return torch.where(samples.to_move > 0, 1 - target, target)


def _noisy(samples: Any, target: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    struck = torch.rand(len(target), generator=generator) < 0.2
    return torch.where(struck, (torch.rand(len(target), generator=generator) < 0.5).float(), target)


SCRIPT_SCREENS: dict[str, Script] = {
    "Raw outputs are compared with 0 and 1, and a sigmoid shows them": Script(
        loss=lambda raw, target: (raw[:, 0] - target).square().mean()
    ),
    "Labels are inverted on odd plies": Script(targets=_odd_plies),
    "The labels of half of the games are inverted": SCRIPTS["half of the games inverted"],
    "20% of the labels are drawn at random": Script(targets=_noisy),
    "The same script without a fault": Script(),
}


@dataclass(frozen=True)
class Command:
    """A command and what its screen shows."""

    title: str
    arguments: list[str]


def commands(games: str | None) -> Iterator[Command]:
    """The commands whose screens are shown."""
    foreign = ["--model", "{}:load", "--encoder", "{}:encode", "--games", "starter"]
    for title, module, load in (
        ("`examples/foreign_resnet.py`: the fault that started this project", "resnet", "load"),
        ("The same network, corrected", "resnet", "load_corrected"),
        ("`examples/foreign_alphazero.py`: values of the side to move", "alphazero", "load"),
    ):
        given = [part.format(f"foreign_{module}") for part in foreign]
        yield Command(title, [*given[:1], f"foreign_{module}:{load}", *given[2:]])
    quick = ["search_spaces/quick.yaml", "--quick"]
    yield Command(
        "`examples/mystery.py`: the same fault as a plug-in of a space",
        [*quick, "--set", "readout=mystery:RawMseShownBySigmoid"],
    )
    yield Command(
        "`examples/own_network.py`: a whole network of a user, in a space",
        ["examples/own_network.yaml", "--quick"],
    )
    yield Command("The network that comes with the package, by the starter games", ["starter.pt"])
    if games:
        yield Command(
            "The same network, by games of another engine", ["starter.pt", "--games", games]
        )


def screen_of_command(command: Command) -> str:
    """Standard output of `hexsearch doctor`."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        status = run_command(["doctor", *command.arguments])
    if status not in (0, 1):
        raise SystemExit(f"doctor {' '.join(command.arguments)}: exit status {status}")
    return shown.getvalue()


def screen_of_script(script: Script) -> str:
    """The screen for a network that a script trains for 300 steps on 600 games on 5x5."""
    archive = build_archive(lopsided_games(600, _SIZE))
    pipeline = ExaminedPipeline(
        "script",
        archive=archive,
        data=DataConfig(board_size=_SIZE),
        foreign=trained_by(script, archive, _SIZE),
    )
    shown = io.StringIO()
    console = Console(file=shown, width=_WIDTH, highlight=False, color_system=None)
    console.print(render_diagnosis(examine(pipeline), _WIDTH))
    return shown.getvalue()


def section(title: str, command: str, screen: str) -> str:
    lines = "\n".join(line.rstrip() for line in screen.strip("\n").splitlines())
    return f"## {title}\n\n{command}```text\n{lines}\n```\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--games", help="further games for the network of the package")
    parser.add_argument("--where", default="date and machine not given", help="date and machine")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "doctor-screens.md")
    args = parser.parse_args()
    os.environ |= {"COLUMNS": str(_WIDTH), "LINES": "24"}
    torch.set_num_threads(1)
    games = f" --games {Path(args.games).name}" if args.games else ""
    parts = [_HEAD.format(games=games, where=args.where)]
    for command in commands(args.games):
        print(command.title, flush=True)
        named = replace(
            command,
            arguments=[
                Path(part).name if part == args.games else part for part in command.arguments
            ],
        )
        shown = f"`hexsearch doctor {' '.join(named.arguments)}`\n\n"
        parts.append(section(command.title, shown, screen_of_command(command)))
    parts.append(
        "## Small networks of a script\n\nA script trains each for 300 steps on 600 games on 5x5; "
        "hexsearch gets only its answers.\n"
    )
    for title, script in SCRIPT_SCREENS.items():
        print(title, flush=True)
        parts.append(section(title, "", screen_of_script(script)).replace("## ", "### ", 1))
    args.output.write_text("\n".join(parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
