"""Game files to an archive: detect, read, replay, refuse with a reason, store what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from hexsearch.data.archive import ArchiveBuilder, GameArchive, is_archive, open_archive
from hexsearch.data.collection.sources import (
    STARTER_GAMES,
    Source,
    find_sources,
    open_texts,
    starter_files,
)
from hexsearch.errors import GamesError
from hexsearch.game.formats.detect import FORMATS, Format, detect_format, infer_size
from hexsearch.game.reading import Decision, choose_reading, settle, written_only
from hexsearch.game.record import Game, Refusal, WrittenGame, verify_games

__all__ = ["STARTER_GAMES", "ImportReport", "import_games", "read_games", "starter_files"]

_CHUNK = 4096  # games replayed together
_HEAD, _HEAD_LENGTH = 512, 1 << 20  # lines and characters that decide the format and the board


@dataclass
class ImportReport:
    """What became of every game that the files hold.

    Attributes:
        files: read, in order.
        read: games kept.
        refused: games left out, each with its reason.
        skipped: files found in a folder that hold no games, each with the reason.
        decisions: how each text was read; archives need none.
    """

    files: list[str] = field(default_factory=list)
    read: int = 0
    refused: list[Refusal] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def summary(self) -> str:
        """One line for the console."""
        text = f"{self.read:,} games read from {len(self.files)} file(s)"
        if self.refused:
            text += f", {len(self.refused):,} refused (first: {self.refused[0]})"
        if self.skipped:
            text += f"; {len(self.skipped):,} other files skipped"
        return text

    def decision_lines(self) -> list[str]:
        """What was decided on edges and swaps, one line for each way of reading."""
        groups: dict[tuple[str, bool, bool, frozenset[str]], list[Decision]] = {}
        for decision in self.decisions:
            reading = decision.reading
            key = (
                decision.format,
                reading.left_right,
                reading.red_first,
                frozenset(decision.swaps),
            )
            groups.setdefault(key, []).append(decision)
        lines = []
        for group in groups.values():
            swaps: Counter[str] = Counter()
            for decision in group:
                swaps.update(decision.swaps)
            total = Decision(
                source="",
                format=group[0].format,
                reading=group[0].reading,
                agree=sum(decision.agree for decision in group),
                disagree=sum(decision.disagree for decision in group),
                otherwise_agree=sum(decision.otherwise_agree for decision in group),
                swaps=dict(swaps),
                played_out=_sum3([decision.played_out for decision in group]),
                assumed=tuple(sorted({size for each in group for size in each.assumed})),
            )
            where = group[0].source if len(group) == 1 else f"{len(group)} files"
            lines.append(f"{where}: {total}")
        return lines


def import_games(
    paths: Sequence[str | Path], board_size: int, *, strict: bool = False
) -> tuple[GameArchive, ImportReport]:
    """All usable games of one board size from files and folders.

    Args:
        paths: files in any known format (plain, `.gz`, `.zip`), archives, folders of these,
            `-` for standard input, or `starter`.
        board_size: games of other sizes are refused; also the board of files that state none.
        strict: a refused game is an error.
    Raises:
        GamesError: a path is missing or holds no games, no game is left, or one was refused
            under `strict`.
    """
    report = ImportReport()
    if len(paths) == 1 and Path(paths[0]).is_file() and is_archive(Path(paths[0])):
        archive = open_archive(Path(paths[0]))
        _require_size(archive, board_size, str(paths[0]))
        report.files.append(str(paths[0]))
        report.read = len(archive)
        return archive, report
    builder = ArchiveBuilder()
    for games, refused in read_games(paths, report, board_size):
        wrong = [game for game in games if game.size != board_size]
        report.refused += refused + [
            Refusal(game.source, game.line, f"board size {game.size}, this study is {board_size}")
            for game in wrong
        ]
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
    """Make refused games fatal.

    Raises:
        GamesError: lists every refused game.
    """
    if report.refused:
        raise GamesError([str(refusal) for refusal in report.refused])


def read_games(
    paths: Sequence[str | Path], report: ImportReport, board_size: int | None = None
) -> Iterator[tuple[list[Game], list[Refusal]]]:
    """Verified games and refusals, a chunk at a time, in the order of the files.

    Args:
        report: gets the files, decisions and skipped files; counting the games is the caller's.
        board_size: of files that do not state one; None infers it from their games.
    Raises:
        GamesError: a path does not exist, cannot be read, or holds no known format.
    """
    for source in find_sources(paths):
        # A pipe can be read only once, so it is never looked into beforehand.
        if source.path is not None and source.path.is_file() and is_archive(source.path):
            report.files.append(source.name)
            archive = open_archive(source.path)
            for start in range(0, len(archive), _CHUNK):
                stop = min(start + _CHUNK, len(archive))
                yield [archive.game(index) for index in range(start, stop)], []
            continue
        yield from _read_texts(source, report, board_size)


def _read_texts(
    source: Source, report: ImportReport, board_size: int | None
) -> Iterator[tuple[list[Game], list[Refusal]]]:
    for text in open_texts(source):
        head = _head(text.lines)
        format_ = detect_format(head)
        if text.fault or format_ is None:
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
        yield from _read_text(format_, chain(head, text.lines), text.name, size, report)


def _head(lines: Iterator[str]) -> list[str]:
    """The lines that decide, bounded in number and in length."""
    head, length = [], 0
    for line in lines:
        head.append(line)
        length += len(line)
        if len(head) >= _HEAD or length >= _HEAD_LENGTH:
            break
    return head


def _read_text(
    format_: Format, lines: Iterable[str], name: str, size: int | None, report: ImportReport
) -> Iterator[tuple[list[Game], list[Refusal]]]:
    entries = format_.read(lines, name, size)
    decision = None
    while chunk := list(islice(entries, _CHUNK)):
        written = written_only(chunk)
        if decision is None:
            decision = choose_reading(written, name, format_.name)
            report.decisions.append(decision)
        reading = decision.reading
        settled: list[WrittenGame] = [settle(record, reading) for record in written]
        games, contradictions = verify_games(settled)
        refused = [entry for entry in chunk if isinstance(entry, Refusal)]
        yield games, sorted(refused + contradictions, key=lambda refusal: refusal.line)


def _sum3(counts: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    first, second, third = zip(*counts, strict=True)
    return sum(first), sum(second), sum(third)


def _require_size(archive: GameArchive, board_size: int, where: str) -> None:
    sizes = sorted({int(size) for size in archive.sizes})
    if sizes != [board_size]:
        found = ", ".join(f"{size}x{size}" for size in sizes)
        raise GamesError(
            f"{where}: holds {found} games, this study is {board_size}x{board_size}; "
            f"set data.board_size"
        )
