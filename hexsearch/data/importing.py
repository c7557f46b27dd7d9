"""Game files to an archive: read, replay, refuse with a reason, store what is left."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path

from hexsearch.data.archive import ArchiveBuilder, GameArchive, is_archive, open_archive
from hexsearch.errors import GamesError
from hexsearch.game.formats.trmph import read_trmph
from hexsearch.game.record import Game, Refusal, WrittenGame, verify_games

_CHUNK = 4096  # games replayed together
STARTER_GAMES = "starter"  # names the games that come with the package


@dataclass
class ImportReport:
    """What became of every game that the files hold."""

    files: list[str] = field(default_factory=list)
    read: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def summary(self) -> str:
        """One line for the console."""
        text = f"{self.read:,} games read from {len(self.files)} file(s)"
        if self.refused:
            text += f", {len(self.refused):,} refused (first: {self.refused[0]})"
        return text


def import_games(paths: Sequence[str | Path], board_size: int) -> tuple[GameArchive, ImportReport]:
    """All usable games of one board size from files and folders.

    Args:
        paths: TRMPH files (plain or `.gz`), archives, folders of either, or `starter`.
    Raises:
        GamesError: a path is missing, or no game is left.
    """
    report = ImportReport()
    if len(paths) == 1 and Path(paths[0]).is_file() and is_archive(Path(paths[0])):
        archive = open_archive(Path(paths[0]))
        _require_size(archive, board_size, str(paths[0]))
        report.files.append(str(paths[0]))
        report.read = len(archive)
        return archive, report
    builder = ArchiveBuilder()
    for games, refused in read_games(paths, report):
        wrong = [game for game in games if game.size != board_size]
        report.refused += refused + [
            Refusal(game.source, game.line, f"board size {game.size}, this study is {board_size}")
            for game in wrong
        ]
        kept = [game for game in games if game.size == board_size]
        report.read += len(kept)
        builder.add(kept)
    if not report.read:
        where = ", ".join(str(path) for path in paths)
        first = f" First refusal: {report.refused[0]}" if report.refused else ""
        raise GamesError(f"{where}: no usable {board_size}x{board_size} game.{first}")
    return builder.build(), report


def read_games(
    paths: Sequence[str | Path], report: ImportReport
) -> Iterator[tuple[list[Game], list[Refusal]]]:
    """Verified games and refusals, a chunk at a time, in the order of the files.

    Raises:
        GamesError: a path does not exist or cannot be read.
    """
    for path in game_files(paths):
        report.files.append(str(path))
        if is_archive(path):
            archive = open_archive(path)
            for start in range(0, len(archive), _CHUNK):
                stop = min(start + _CHUNK, len(archive))
                yield [archive.game(index) for index in range(start, stop)], []
            continue
        entries = read_trmph(_lines(path), str(path))
        while chunk := list(islice(entries, _CHUNK)):
            refused = [entry for entry in chunk if isinstance(entry, Refusal)]
            written = [entry for entry in chunk if isinstance(entry, WrittenGame)]
            games, contradictions = verify_games(written)
            yield games, sorted(refused + contradictions, key=lambda refusal: refusal.line)


def game_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files behind paths: folders are walked in name order, `starter` is the package's own.

    Raises:
        GamesError: lists every path that leads to no file.
    """
    found: list[Path] = []
    problems = []
    for path in paths:
        if str(path) == STARTER_GAMES:
            found += starter_files()
        elif Path(path).is_dir():
            inside = sorted(file for file in Path(path).rglob("*") if file.is_file())
            if not inside:
                problems.append(f"{path}: the folder holds no file")
            found += inside
        elif Path(path).is_file():
            found.append(Path(path))
        else:
            problems.append(f"{path}: no such file or folder")
    if problems:
        raise GamesError(problems)
    return found


def starter_files() -> list[Path]:
    """The compressed TRMPH files that come with the package."""
    with as_file(files("hexsearch.data") / "starter") as folder:
        return sorted(folder.glob("*.trmph.gz"))


def _lines(path: Path) -> Iterator[str]:
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
                yield from file
        else:
            with open(path, encoding="utf-8", errors="replace") as file:
                yield from file
    except (OSError, EOFError) as error:
        raise GamesError(f"{path}: cannot be read: {error}") from error


def _require_size(archive: GameArchive, board_size: int, where: str) -> None:
    sizes = sorted({int(size) for size in archive.sizes})
    if sizes != [board_size]:
        found = ", ".join(f"{size}x{size}" for size in sizes)
        raise GamesError(
            f"{where}: holds {found} games, this study is {board_size}x{board_size}; "
            f"set data.board_size"
        )
