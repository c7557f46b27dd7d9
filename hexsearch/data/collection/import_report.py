"""Report of an import: games read and refused, files skipped, readings chosen, and progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hexsearch.game.reading import Decision
from hexsearch.game.record import Refusal
from hexsearch.progress import Watch

_KEPT = 2_000  # refused games that are kept


@dataclass
class ImportReport:
    """Report of an import.

    Attributes:
        files: names of the files and texts that were read, in order.
        read: number of games kept.
        refused: games left out, each with its reason.
        skipped: files of a folder that hold no games, each with the reason.
        decisions: the reading chosen for each text; archives have none.
        watch: called before each file with the number of files done and of all files.
    """

    files: list[str] = field(default_factory=list)
    read: int = 0
    refused: list[Refusal] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    watch: Watch = lambda done, total: None

    def refuse(self, refused: list[Refusal]) -> None:
        """Add refusals. The games of the first _KEPT are kept, so that their cause can be found."""
        room = max(_KEPT - len(self.refused), 0)
        self.refused += refused[:room] + [replace(each, game=None) for each in refused[room:]]

    def summary(self) -> str:
        """One line for the console."""
        text = f"{self.read:,} games read from {len(self.files)} file(s)"
        if self.refused:
            text += f", {len(self.refused):,} refused (first: {self.refused[0]})"
        if self.skipped:
            text += f"; {len(self.skipped):,} other files skipped"
        return text

    def decision_lines(self) -> list[str]:
        """The decisions on edges and swaps, one line for each reading."""
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


def _sum3(counts: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    first, second, third = zip(*counts, strict=True)
    return sum(first), sum(second), sum(third)
