"""Every exception ends as one line for each fault and an exit status."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hexsearch.cli.boundary import guarded
from hexsearch.errors import ConfigError, HexsearchError, PluginError, TrialError

ROOT = Path(__file__).parents[2]


def raising(error: BaseException) -> Callable[[], int]:
    def run() -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ConfigError(["a: wrong", "b: wrong"]), 2, "error: a: wrong\nerror: b: wrong\n"),
        (PluginError("head x: its factory raised"), 2, "error: head x"),
        (HexsearchError("went wrong"), 1, "error: went wrong"),
        (TrialError("no more"), 1, "error: no more"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "memory ran out"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1, "x: No space left on device;"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "y"), 1, "choose a shorter name"),
        (PermissionError(errno.EACCES, "Permission denied", "z"), 1, "z: Permission denied"),
        (ConfigError("title \x1b]0;x\x07"), 2, "title \\x1b]0;x\\x07"),
        (ConfigError("a\nb.yaml: no such file"), 2, "error: a\\nb.yaml: no such file\n"),
        (OSError(errno.ENOENT, "No such file", "a\nb"), 1, "error: a\\nb: No such file\n"),
    ],
    ids=repr,
)
def test_an_error_is_one_line_with_its_status(
    error: BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(raising(error)) == status
    printed = capsys.readouterr()
    assert said in printed.err and "Traceback" not in printed.err and not printed.out


def test_a_bug_is_saved_and_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert guarded(raising(KeyError("missing")), ["launch", "x.yaml"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    (report,) = tmp_path.iterdir()
    assert "this is a bug of hexsearch" in line and str(report) in line
    text = report.read_text()
    assert "KeyError: 'missing'" in text and "command: hexsearch launch x.yaml" in text


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "run_search.py", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "COLUMNS": "100", **environment},
        cwd=ROOT,
    )


def test_a_narrow_encoding_gets_replacements_and_no_traceback() -> None:
    for environment in (
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ):
        done = run("games", "show", "#5,a1b2", **environment)
        assert done.returncode == 0 and "Traceback" not in done.stderr
        assert done.stdout.isascii()


def test_a_full_device_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, ROOT / "run_search.py", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "error: No space left on device; free some disk space, or write elsewhere\n"
    )


@pytest.mark.parametrize("program", [[str(ROOT / "run_search.py")], ["-m", "hexsearch"]])
def test_ctrl_c_while_modules_are_imported_is_no_traceback(
    program: list[str], tmp_path: Path
) -> None:
    (tmp_path / "argparse.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run(
        [sys.executable, *program, "--version"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
