from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable

import pytest

from hexsearch.cli.main import MODULES, build_parser


def commands(parser: argparse.ArgumentParser) -> Iterable[str]:
    (action,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return list(action.choices)


def test_the_help_names_every_command_of_every_module() -> None:
    assert commands(build_parser()) == [name for names in MODULES.values() for name in names]


@pytest.mark.parametrize("module", MODULES)
def test_a_command_is_found_without_the_others(module: str) -> None:
    for name in MODULES[module]:
        assert commands(build_parser(name)) == list(MODULES[module])


def test_reading_a_leaderboard_does_not_wait_for_ray() -> None:
    code = "import sys; from hexsearch.cli.main import main; main(['leaderboard', '/none']); "
    code += "sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 0
