"""Imports game files into an archive: detects formats, replays games, refuses faulty ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from hexsearch.data.archive import ArchiveBuilder, GameArchive, open_archive
from hexsearch.data.archive_header import is_archive
from hexsearch.data.collection.import_report import ImportReport
from hexsearch.data.collection.sources import (
    STARTER_GAMES,
    Source,
    find_sources,
    open_texts,
    starter_files,
)
from hexsearch.errors import GamesError
from hexsearch.game.formats.detect import FORMATS, Format, detect_format, infer_size
from hexsearch.game.reading import (
    choose_reading,
    readings_of_single_games,
    settle,
    written_only,
)
from hexsearch.game.record import Game, Refusal, WrittenGame, verify_games
from hexsearch.progress import at_intervals

__all__ = [
    "STARTER_GAMES",
    "ImportReport",
    "import_games",
    "read_games",
    "starter_files",
]

_CHUNK = 4096  # games replayed together
_HEAD, _HEAD_LENGTH = 512, 1 << 20  # lines and characters that tell format and board size


def import_games(
    paths: Sequence[str | Path],
    board_size: int,
    *,
    strict: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[GameArchive, ImportReport]:
    """All usable games of one board size from files and folders.

    Args:
        paths: files in any known format (plain, `.gz`, `.zip`), archives, folders of these,
            `-` for standard input, or `starter` for the games of the package.
        board_size: games of other sizes are refused. It is also the board size of files that
            state none.
        strict: a refused game is an error.
        say: called with a line of progress every few seconds.
    Raises:
        GamesError: a path is missing or holds no games, no game is left, or a game was refused
            with `strict`.
    """
    report = ImportReport(watch=at_intervals(say))
    if len(paths) == 1 and Path(paths[0]).is_file() and is_archive(Path(paths[0])):
        archive = open_archive(Path(paths[0]))
        _require_size(archive, board_size, str(paths[0]))
        report.files.append(str(paths[0]))
        report.read = len(archive)
        return archive, report
    builder = ArchiveBuilder()
    for games, refused in read_games(paths, report, board_size):
        wrong = [game for game in games if game.size != board_size]
        other = f"but the study's is {board_size}"
        report.refuse(
            refused + [Refusal(g.source, g.line, f"board size {g.size}, {other}") for g in wrong]
        )
        kept = [game for game in games if game.size == board_size] if wrong else games
        report.read += len(kept)
        builder.add(kept)
    if strict:
        refuse_dirt(report)
    if not report.read:
        where = ", ".join(str(path) for path in paths)
        reasons = [*map(str, report.refused), *report.skipped]
        first = f" First refusal: {reasons[0]}" if reasons else ""
        raise GamesError(f"{where}: no usable {board_size}x{board_size} game.{first}")
    return builder.build(), report


def refuse_dirt(report: ImportReport) -> None:
    """Raise an error if games were refused.

    Raises:
        GamesError: at least one game was refused; lists every refused game.
    """
    if report.refused:
        raise GamesError([str(refusal) for refusal in report.refused])


def read_games(
    paths: Sequence[str | Path], report: ImportReport, board_size: int | None = None
) -> Iterator[tuple[list[Game], list[Refusal]]]:
    """Verified games and refusals, in chunks, in the order of the files.

    Args:
        report: the files, decisions and skipped files are added to it. The caller counts games.
        board_size: board size of files that do not state it; None infers it from their games.
    Raises:
        GamesError: a path does not exist, cannot be read, or holds no known format.
    """
    single: list[_SingleGame] = []  # texts that are read but not yet replayed
    sources = find_sources(paths)
    for done, source in enumerate(sources):
        report.watch(done, len(sources))
        # A pipe can be read only once, so only regular files are examined here.
        if source.path is not None and source.path.is_file() and is_archive(source.path):
            yield from _replayed(single, report)
            report.files.append(source.name)
            archive = open_archive(source.path)
            for start in range(0, len(archive), _CHUNK):
                stop = min(start + _CHUNK, len(archive))
                yield [archive.game(index) for index in range(start, stop)], []
            continue
        yield from _read_texts(source, report, board_size, single)
    yield from _replayed(single, report)


@dataclass(frozen=True)
class _SingleGame:
    """A text with one game at most, and its refusals."""

    name: str
    format: str
    written: list[WrittenGame]
    refused: list[Refusal]


def _read_texts(
    source: Source, report: ImportReport, board_size: int | None, single: list[_SingleGame]
) -> Iterator[tuple[list[Game], list[Refusal]]]:
    for text in open_texts(source):
        head = _head(text.lines)
        format_ = None if text.fault else detect_format(head)
        if format_ is None:
            known = ", ".join(format_.name for format_ in FORMATS)
            fault = text.fault or f"{text.name}: no games in a known format ({known})"
            if text.asked_for:
                raise GamesError(fault)
            report.skipped.append(fault)
            continue
        report.files.append(text.name)
        size = board_size
        if not format_.sized and size is None:
            size = infer_size(format_, head)
        entries = format_.read(chain(head, text.lines), text.name, size)
        first = list(islice(entries, _CHUNK))
        written = written_only(first)
        if len(written) <= 1 and len(first) < _CHUNK:
            refused = [entry for entry in first if isinstance(entry, Refusal)]
            single.append(_SingleGame(text.name, format_.name, written, refused))
            if len(single) >= _CHUNK:
                yield from _replayed(single, report)
            continue
        yield from _replayed(single, report)
        yield from _read_text(format_, first, entries, text.name, report)


def _replayed(
    single: list[_SingleGame], report: ImportReport
) -> Iterator[tuple[list[Game], list[Refusal]]]:
    """Replay the waiting texts together, since one by one would take milliseconds for each."""
    texts = [(text.name, text.format, text.written[0]) for text in single if text.written]
    decisions = readings_of_single_games(texts)
    report.decisions += decisions
    settled = [
        settle(record, decision.reading)
        for (_, _, record), decision in zip(texts, decisions, strict=True)
    ]
    games, contradictions = verify_games(settled)
    refused = [refusal for text in single for refusal in text.refused] + contradictions
    order = {text.name: place for place, text in enumerate(single)}
    single.clear()
    if games or refused:
        yield (
            sorted(games, key=lambda game: order[game.source]),
            sorted(refused, key=lambda refusal: (order[refusal.file], refusal.line)),
        )


def _head(lines: Iterator[str]) -> list[str]:
    """The first lines of a text, limited in number and in length."""
    head, length = [], 0
    for line in lines:
        head.append(line)
        length += len(line)
        if len(head) >= _HEAD or length >= _HEAD_LENGTH:
            break
    return head


def _read_text(
    format_: Format,
    first: list[WrittenGame | Refusal],
    entries: Iterator[WrittenGame | Refusal],
    name: str,
    report: ImportReport,
) -> Iterator[tuple[list[Game], list[Refusal]]]:
    decision = choose_reading(written_only(first), name, format_.name)
    report.decisions.append(decision)
    chunk = first
    while chunk:
        settled = [settle(record, decision.reading) for record in written_only(chunk)]
        games, contradictions = verify_games(settled)
        refused = [entry for entry in chunk if isinstance(entry, Refusal)]
        yield games, sorted(refused + contradictions, key=lambda refusal: refusal.line)
        chunk = list(islice(entries, _CHUNK))


def _require_size(archive: GameArchive, board_size: int, where: str) -> None:
    sizes = sorted({int(size) for size in archive.sizes})
    if sizes != [board_size]:
        board_names = ", ".join(f"{size}x{size}" for size in sizes)
        raise GamesError(
            f"{where}: holds {board_names} games, but the study's are {board_size}x{board_size}; "
            f"set data.board_size"
        )
