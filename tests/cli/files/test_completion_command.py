from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hexsearch.cli.commands import COMMANDS
from hexsearch.cli.main import main

# Calls the function that bash's `complete` names, as pressing the tabulator does.
_PRESS_TAB = """
source "$1"
COMP_WORDS=({words}); COMP_CWORD={place}; COMP_LINE="${{COMP_WORDS[*]}}"; COMP_POINT=${{#COMP_LINE}}
"$(complete -p hexsearch | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        capture = pytest.MonkeyPatch()
        with capture.context() as patch, (folder / shell).open("w") as file:
            patch.setattr("sys.stdout", file)
            assert main(["completion", shell]) == 0
    return folder


def offered(script: Path, *words: str) -> set[str]:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash on this machine")
    text = _PRESS_TAB.format(words=" ".join(f"'{word}'" for word in words), place=len(words) - 1)
    done = subprocess.run(
        [bash, "-c", text, "bash", str(script)], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_bash_offers_the_commands(scripts: Path) -> None:
    assert set(COMMANDS) <= offered(scripts / "bash", "hexsearch", "")
    assert offered(scripts / "bash", "hexsearch", "lau") == {"launch"}


def test_bash_offers_options_and_their_values(scripts: Path) -> None:
    assert "--time-budget" in offered(scripts / "bash", "hexsearch", "launch", "--t")
    formats = offered(scripts / "bash", "hexsearch", "leaderboard", "--format", "")
    assert {"table", "markdown", "csv", "json"} <= formats


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_of_its_shell(shell: str, scripts: Path) -> None:
    if shutil.which(shell) is None:
        assert "hexsearch" in (scripts / shell).read_text()
        pytest.skip(f"no {shell} on this machine")
    assert subprocess.run([shell, "-n", str(scripts / shell)]).returncode == 0
