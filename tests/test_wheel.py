"""The wheel that is built from this repository, unpacked outside of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    source = tmp_path_factory.mktemp("source") / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build, str(folder)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(unpacked: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hexsearch", *arguments],
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_it_holds_every_search_space_the_schema_the_starter_games_and_their_network(
    unpacked: Path,
) -> None:
    spaces = {path.name: path.read_bytes() for path in (ROOT / "search_spaces").iterdir()}
    packed = unpacked / "hexsearch" / "search_spaces"
    assert {path.name: path.read_bytes() for path in packed.iterdir()} == spaces
    assert list((unpacked / "hexsearch" / "data" / "starter").glob("*.trmph.gz"))
    assert (unpacked / "hexsearch" / "data" / "starter" / "starter.pt").exists()
    assert (unpacked / "hexsearch" / "py.typed").exists()
    assets = unpacked / "hexsearch" / "report" / "html" / "assets"
    assert {"template.html", "echarts.min.js", "echarts-LICENSE.txt", "echarts-NOTICE.txt"} <= {
        path.name for path in assets.iterdir()
    }


def test_it_runs_a_shipped_space_in_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    done = run(unpacked, tmp_path, "launch", "smoke", "--format", "json")
    assert done.returncode == 0, done.stderr
    board = json.loads(done.stdout)
    assert board["state"] == "finished" and board["rows"]
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    (study,) = (tmp_path / "results").iterdir()
    assert study.name.startswith("smoke-")


def test_without_arguments_it_would_run_the_main_job(unpacked: Path, tmp_path: Path) -> None:
    code = "from hexsearch.cli.main import MAIN_JOB; print(*MAIN_JOB)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [
        "launch",
        str(unpacked / "hexsearch" / "search_spaces" / "quick.yaml"),
    ]


def test_help_names_the_command_that_was_typed(unpacked: Path, tmp_path: Path) -> None:
    assert "usage: python -m hexsearch" in run(unpacked, tmp_path, "--help").stdout
