"""Every command, snippet and search space in the documents.

Blocks of `bash` are run as they are, with settings added where training would take long. Blocks of
`sh` are for machines that a test does not have.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hexsearch.cli.main import build_whole_parser
from hexsearch.config.files.load import read_study
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.data.collection.sources import starter_files
from hexsearch.game.formats.trmph import format_trmph
from scripts.settings_reference import PAGE, reference
from tests.data.games import random_games

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# What makes a command end in seconds without changing what it is.
_TINY = "--set trunk=tiny --set batch_size=16 --set data.validation_games=4"
_SHORT = "--set scheduler.max_t=96 --set scheduler.grace_period=32 --set scheduler.report_every=32"
_SMALLER = {
    "launch": f"{_TINY} {_SHORT} --set run.trials=2 --set run.gpus_per_trial=0 --no-doctor",
    "compare": f"{_TINY} {_SHORT} --no-doctor",
    "train": f"{_TINY} {_SHORT}",
}


def blocks(language: str) -> list[tuple[str, str]]:
    """Page and text of each block of a language."""
    return [
        (path.name, found[2])
        for path in PAGES
        for found in _BLOCK.finditer(path.read_text(encoding="utf-8"))
        if found[1] == language
    ]


COMMANDS = [
    (page, line) for page, text in blocks("bash") for line in text.splitlines() if line.strip()
]
# Snippets that stand for themselves; the others go on from each other.
STORIES = ("python.md", "README.md")
DEFINITIONS = [(page, text) for page, text in blocks("python") if page not in STORIES]


def words(command: str) -> tuple[dict[str, str], list[str]]:
    """Variables before a command, and what stands after `hexsearch`."""
    parts = shlex.split(command, comments=True)
    variables = {}
    while "=" in parts[0]:
        name, _, value = parts.pop(0).partition("=")
        variables[name] = value
    assert parts[0] == "hexsearch", command
    return variables, parts[1:]


def python(folder: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with this repository importable."""
    places = [str(folder / path), str(ROOT)] if path else [str(ROOT)]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        timeout=600,
    )


def run(folder: Path, command: str) -> None:
    """Run a command of a document, and compare its exit status with the one that it tells."""
    variables, arguments = words(command)
    is_as_it_stands = "train.yaml" in command or {"--learnability", "--dry-run"} & set(arguments)
    smaller = "" if is_as_it_stands else _SMALLER.get(arguments[0], "")
    if "quick" in arguments:  # its trunk is that of the network that comes along
        smaller = smaller.replace("--set trunk=tiny", "")
    done = python(
        folder,
        "-m",
        "hexsearch",
        *arguments,
        *smaller.split(),
        path=variables.get("PYTHONPATH", ""),
    )
    expected = 1 if "# exit status 1" in command or "--learnability" in arguments else 0
    assert done.returncode == expected, f"{command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr


def test_every_command_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    parser = build_whole_parser("hexsearch")
    assert len(COMMANDS) > 30
    for _, command in COMMANDS:
        parser.parse_args(words(command)[1])


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_every_search_space_loads(page: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")
    build(StudyConfig, read_study(path), f"{page}: ")


@pytest.mark.parametrize(("page", "text"), DEFINITIONS)
def test_every_snippet_that_defines_something_runs(page: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "snippet.py").write_text(text, encoding="utf-8")
    done = python(tmp_path, "snippet.py")
    assert done.returncode == 0, f"{page}\n{done.stderr}"


def test_the_settings_page_is_that_of_this_version() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "scripts/docs writes it anew"


def test_the_readme_is_read_in_four_minutes() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 140


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the documents suppose it: shipped files, games, plug-ins, and a study."""
    folder = tmp_path_factory.mktemp("workplace")
    for name in ("search_spaces", "examples"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("my_games", "small_games"):
        (folder / name).mkdir()
    club = gzip.decompress(starter_files()[0].read_bytes()).decode().splitlines()[:150]
    (folder / "my_games" / "club.trmph").write_text("\n".join(club) + "\n")
    small = [format_trmph(game) for game in random_games(60, size=5)]
    (folder / "small_games" / "small.trmph").write_text("\n".join(small) + "\n")
    for name, language in (("my_heads.py", "python"), ("max.yaml", "yaml")):
        (text,) = (text for page, text in blocks(language) if page == "own-networks.md")
        (folder / name).write_text(text, encoding="utf-8")
    run(folder, "hexsearch launch smoke --games my_games/ --name mine --set scheduler.name=none")
    run(folder, "hexsearch export results/mine")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({page for page, _ in COMMANDS}))
def test_every_command_of_a_page_runs(page: str, workplace: Path) -> None:
    for number, (_, command) in enumerate(one for one in COMMANDS if one[0] == page):
        # Pages use the same names for studies and files of their own.
        own = f"{Path(page).stem}-{number}"
        run(workplace, re.sub(r"--name (\w+)", rf"--name \1-{own}", command))
    for made in ("mine.yaml", "all.games", "all.trmph", "new.trmph", "taught.trmph"):
        (workplace / made).unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", STORIES)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: str, workplace: Path) -> None:
    story = "\n".join(text for name, text in blocks("python") if name == page)
    (workplace / "story.py").write_text(story, encoding="utf-8")
    done = python(workplace, "story.py")
    assert done.returncode == 0, f"{page}\n{done.stderr}"
