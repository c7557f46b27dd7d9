"""Files of games as somebody's exporter wrote them, and what the command `doctor` says of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from hexsearch.cli.main import main
from hexsearch.data.archive import GameArchive
from hexsearch.data.collection.importing import import_games
from hexsearch.doctor.findings import Finding
from hexsearch.errors import GamesError
from hexsearch.game.record import Game
from tests.doctor.conftest import SIZE
from tests.doctor.slips import Named

_SPACE = f"""# Question: which learning rate?
question: Which learning rate?
data: {{board_size: {SIZE}}}
trial: {{trunk: tiny, batch_size: 64}}
search: {{optimiser.learning_rate: {{float: [1.0e-3, 1.0e-2], log: true}}}}
run: {{trials: 4}}
"""


@dataclass(frozen=True)
class GamesFile(Named):
    """Texts of files, by name, as an exporter wrote them; the other attributes as in Slip."""

    written: Callable[[Sequence[Game]], Mapping[str, str]]
    named_by: str = ""
    cause: str = ""
    report: str = ""

    def write(self, archive: GameArchive, folder: Path) -> None:
        """Write the games of an archive into a folder."""
        games = [archive.game(index) for index in range(len(archive))]
        for name, text in self.written(games).items():
            (folder / name).write_text(text, encoding="utf-8")


def imported(file: GamesFile, archive: GameArchive) -> GameArchive | None:
    """The games that are read from the files, or None if there is no usable one."""
    with TemporaryDirectory() as made:
        file.write(archive, Path(made))
        try:
            return import_games([made], SIZE)[0]
        except GamesError:
            return None


def findings_on_file(file: GamesFile, archive: GameArchive) -> list[Finding]:
    """Errors and warnings of the command; checks that train run only if the others find nothing.

    Games that the command refuses altogether are one error, with the message as its cause.
    """
    with TemporaryDirectory() as made:
        space, folder = Path(made) / "space.yaml", Path(made) / "games"
        space.write_text(_SPACE, encoding="utf-8")
        folder.mkdir()
        file.write(archive, folder)
        command = ["doctor", str(space), "--games", str(folder), "--format", "json"]
        return _findings([*command, "--quick"]) or _findings(command)


def _findings(command: list[str]) -> list[Finding]:
    printed, refused = StringIO(), StringIO()
    with redirect_stdout(printed), redirect_stderr(refused):
        status = main(command)
    if not printed.getvalue():
        assert status != 0, command
        return [Finding.error("games", "", refused.getvalue(), "")]
    found = [Finding(**finding) for finding in json.loads(printed.getvalue())["findings"]]
    return [finding for finding in found if finding.severity != "info"]
