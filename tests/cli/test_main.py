from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hexsearch.cli.commands import COMMANDS
from hexsearch.cli.main import build_parser, build_whole_parser, main

ROOT = Path(__file__).parents[2]


def below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of a parser."""
    found = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


@pytest.fixture(scope="module")
def whole() -> argparse.ArgumentParser:
    return build_whole_parser("hexsearch")


def everything(whole: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for command in below(whole).values():
        yield command
        yield from below(command).values()


def modules_after(arguments: list[str]) -> set[str]:
    """What is imported once the command line has been answered."""
    code = "import contextlib, io, sys; from hexsearch.cli.main import main\n"
    code += "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
    code += f"    main({arguments})\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    return set(done.stdout.split())


def test_the_table_names_every_command_that_the_modules_add_and_no_other(
    whole: argparse.ArgumentParser,
) -> None:
    assert set(below(whole)) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_found_without_the_others(name: str) -> None:
    module = COMMANDS[name].module
    assert set(below(build_parser(name))) == {n for n, c in COMMANDS.items() if c.module == module}


def test_the_help_lists_every_command_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for name, command in COMMANDS.items():
        assert f"{name} {command.summary}" in lines


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("lanch", "did you mean 'launch'?"),
        ("qick", "did you mean 'launch quick'?"),
        ("quick", "to start a study: hexsearch launch quick"),
        ("mine.yaml", "to start a study: hexsearch launch mine.yaml"),
        ("zzz", f"commands are {', '.join(COMMANDS)}"),
    ],
)
def test_an_unknown_command_is_one_line_with_what_was_meant(
    typed: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([typed]) == 2
    assert capsys.readouterr().err == f"error: {typed}: unknown command; {hint}\n"


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_that_takes_time(option: str) -> None:
    loaded = modules_after([option])
    assert "hexsearch.cli.main" in loaded
    assert not loaded & {"torch", "ray", "optuna", "numpy", "pydantic", "rich", "shtab"}


def test_the_version_is_followed_by_those_that_decide_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["hexsearch", "torch", "ray", "optuna"]


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
    loaded = modules_after(command)
    assert "hexsearch.ledger.folder" in loaded and "ray" not in loaded


def test_help_on_launching_does_not_wait_for_torch() -> None:
    loaded = modules_after(["launch", "--help"])
    assert "hexsearch.cli.study_commands" in loaded and not loaded & {"torch", "ray"}


def test_every_option_says_what_it_is_for(whole: argparse.ArgumentParser) -> None:
    for parser in everything(whole):
        for action in parser._actions:
            assert action.help or isinstance(action, argparse._SubParsersAction), (
                f"{parser.prog} {action.option_strings or action.dest}"
            )


def test_a_default_is_shown_unless_it_is_told_or_means_nothing() -> None:
    text = " ".join(below(build_parser("launch"))["launch"].format_help().split())
    assert "folder of studies (default: results)" in text
    assert "(default: the space's run.trials)" in text
    assert "None" not in text and "False" not in text and "[]" not in text


def test_every_example_of_a_help_is_accepted_by_its_command(
    whole: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for name, command in below(whole).items():
        title, *lines = (command.epilog or "").splitlines()
        assert title == "examples:" and lines, name
        for line in lines:
            words = shlex.split(line.split(" > ")[0].replace("%%", "%"), comments=True)
            assert words[:2] == ["hexsearch", name]
            whole.parse_args(words[1:])
