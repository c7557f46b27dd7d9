from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from hexsearch.cli.main import MODULES, build_parser

ROOT = Path(__file__).parents[2]


def commands(parser: argparse.ArgumentParser) -> Iterable[str]:
    (action,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return list(action.choices)


def test_the_help_names_every_command_of_every_module() -> None:
    assert commands(build_parser()) == [name for names in MODULES.values() for name in names]


@pytest.mark.parametrize("module", MODULES)
def test_a_command_is_found_without_the_others(module: str) -> None:
    for name in MODULES[module]:
        assert commands(build_parser(name)) == list(MODULES[module])


@pytest.mark.parametrize(
    "command",
    [
        ["leaderboard", "/none"],
        ["ensemble", "/none"],
        ["launch", "search_spaces/quick.yaml", "--dry-run"],
    ],
    ids=str,
)
def test_what_starts_no_trial_does_not_wait_for_ray(command: list[str]) -> None:
    code = f"import sys; from hexsearch.cli.main import main; main({command}); "
    code += "sys.exit('ray' in sys.modules)"
    quiet = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT)
    assert quiet.returncode == 0


def test_help_on_launching_does_not_wait_for_torch() -> None:
    code = "import sys; from hexsearch.cli.main import build_parser; build_parser('launch'); "
    code += "sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
