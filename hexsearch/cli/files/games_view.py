"""Boards, histograms and audits, for a terminal or as JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from hexsearch.data.collection.audit import Audit
from hexsearch.game.board import BLUE, COLOUR_NAMES, RED, Stones
from hexsearch.report.terminal import Console

_BARS = " ▁▂▃▄▅▆▇█"
_MOST_REFUSALS = 20  # refusals that are printed; the JSON has all
_SHADES = ("grey35", "sky_blue3", "green3", "yellow3", "orange1", "red1")


def draw_board(stones: Stones, last: int | None = None) -> Text:
    """A slanted board [N, N] with Blue's edges at the top and bottom, and Red's at the sides.

    Args:
        last: cell of the last move, which is drawn in brackets.
    """
    size = len(stones)
    letters = "   " + " ".join(chr(ord("a") + column) for column in range(size)) + "\n"
    text = Text(no_wrap=True)
    text.append(letters, style="blue")
    marks = {BLUE: ("B", "bold blue"), RED: ("R", "bold red"), 0: ("·", "dim")}
    for row in range(size):
        text.append(" " * row + f"{row + 1:>2}", style="red")
        for column in range(size):
            mark, style = marks[int(stones[row, column])]
            cell = row * size + column
            text.append("[" if cell == last else "]" if cell - 1 == last and column else " ")
            text.append(mark, style=style)
        text.append("]" if last == row * size + size - 1 else " ")
        text.append(f"{row + 1}\n", style="red")
    text.append(" " * size + letters, style="blue")
    return text


def draw_heat(counts: NDArray[np.int64]) -> Text:
    """A slanted board of counts, in percent of the largest count."""
    size, top = len(counts), max(1, int(counts.max()))
    text = Text(no_wrap=True)
    text.append("    " + "  ".join(chr(ord("a") + column) for column in range(size)) + "\n")
    for row in range(size):
        text.append(" " * row + f"{row + 1:>2}")
        for column in range(size):
            share = int(counts[row, column]) / top
            shade = _SHADES[min(int(share * len(_SHADES)), len(_SHADES) - 1)]
            shown = f"{min(99, round(100 * share)):>3}" if counts[row, column] else "  ·"
            text.append(shown, style=shade)
        text.append("\n")
    return text


def sparkline(counts: Sequence[int] | NDArray[np.int64], width: int = 60) -> str:
    """Counts as a line of bars. If there are more than `width`, neighbours are added up."""
    values = np.asarray(counts, dtype=np.float64)
    if not len(values):
        return ""
    group = -(-len(values) // width)
    padded = np.pad(values, (0, -len(values) % group))
    sums = padded.reshape(-1, group).sum(axis=1)
    levels = np.ceil(sums / max(1.0, sums.max()) * (len(_BARS) - 1)).astype(int)
    return "".join(_BARS[level] for level in levels)


def audit_json(audit: Audit) -> dict[str, Any]:
    """The audit as plain values for JSON."""
    positions = sum(audit.to_end.values())
    lengths = audit.lengths
    return {
        "files": audit.report.files,
        "read": audit.report.read,
        "refused": [
            {"file": refusal.file, "line": refusal.line, "reason": refusal.reason}
            for refusal in audit.report.refused
        ],
        "skipped": audit.report.skipped,
        "decisions": audit.report.decision_lines(),
        "sizes": {str(size): count for size, count in audit.sizes.items()},
        "winners": audit.winners,
        "unverified": audit.unverified,
        "duplicates": audit.duplicates.exact,
        "symmetric_duplicates": audit.duplicates.symmetric,
        "contradictory_duplicates": [
            [{"file": file, "line": line} for file, line in pair]
            for pair in audit.duplicates.contradictory
        ],
        "fingerprint_ply": audit.fingerprint_ply,
        "unique_by_ply": audit.unique.tolist(),
        "lengths": {
            "mean": float(np.average(np.arange(len(lengths)), weights=lengths)),
            "counts": lengths.tolist(),
        },
        "first_moves": audit.first_moves.tolist(),
        "board_size": audit.size,
        "positions": positions,
        "stages": {
            name: {"positions": count, "share": count / positions}
            for name, count in audit.stages.items()
        },
        "to_end": {
            name: {"positions": count, "share": count / positions}
            for name, count in audit.to_end.items()
        },
        "baselines": audit.baselines,
        "search": audit.search,
        "leaks": [
            {
                "curriculum": leak.curriculum,
                "cue": leak.cue,
                "accuracy": leak.accuracy,
                "prior_accuracy": leak.prior_accuracy,
                "positions": leak.positions,
                "flagged": leak.flagged,
            }
            for leak in audit.leaks
        ],
    }


def print_audit(audit: Audit, console: Console, curriculum: str = "all") -> None:
    """Print the audit as tables and small pictures, and a verdict.

    Args:
        curriculum: curriculum whose leak matters.
    """
    report, games = audit.report, audit.report.read
    refused = f", {len(report.refused):,} refused, from {len(report.files)} file(s)"
    console.print(Text.assemble((f"{games:,} games read", "bold"), refused))
    for line in [*report.decision_lines(), *report.skipped]:
        console.print(f"  {line}", soft_wrap=True)
    _print_refusals(audit, console)
    sizes = ", ".join(f"{count:,} on {side}x{side}" for side, count in audit.sizes.items())
    shares = ", ".join(f"{n} {count / games:.1%}" for n, count in audit.winners.items())
    console.print(f"boards: {sizes}; winners: {shares}; {audit.unverified:,} winners unverified")
    doubles = audit.duplicates
    console.print(
        f"duplicates: {doubles.exact:,} exact, {doubles.symmetric:,} more mirrored or turned, "
        f"{len(doubles.contradictory):,} contradictory"
    )
    for earlier, later in doubles.contradictory[:_MOST_REFUSALS]:
        console.print(f"  {later[0]} line {later[1]} contradicts {earlier[0]} line {earlier[1]}")
    size = audit.size
    console.print(Text(f"\nOn {size}x{size}", style="bold"))
    plies = np.arange(len(audit.lengths))
    mean = np.average(plies, weights=audit.lengths)
    shortest = int(np.flatnonzero(audit.lengths)[0])
    console.print(
        f"moves in a game: {shortest} {sparkline(audit.lengths[shortest:])} {plies[-1]}, "
        f"mean {mean:.1f}"
    )
    found = audit.fingerprint_ply
    curve = ", ".join(f"{share:.1%}" for share in audit.unique[:8])
    console.print(
        f"fingerprint ply: {found if found else 'none'} (games told apart after 1, 2, ... moves: "
        f"{curve}); split by game, never by position"
    )
    console.print("first moves, in percent of the commonest:")
    console.print(draw_heat(audit.first_moves))
    console.print(_positions_table(audit))
    if audit.search is not None:
        console.print(_search_sentence(audit.search), soft_wrap=True)
    for line in [*_leak_lines(audit, curriculum), _verdict(audit, curriculum)]:
        console.print(line, soft_wrap=True)


def _leak_lines(audit: Audit, curriculum: str) -> list[str]:
    """The leak of one curriculum, and names of the others with a leak."""
    if not audit.leaks:
        return ["there are too few games to fit baselines or to test for leaks"]
    lines = [
        f"{'LEAK' if leak.flagged else 'ok'}: {leak}"
        for leak in audit.leaks
        if leak.curriculum == curriculum
    ]
    others = [leak for leak in audit.leaks if leak.flagged and leak.curriculum != curriculum]
    if others:
        names = ", ".join(leak.curriculum for leak in others)
        lines.append(
            f"curricula that are not chosen here, and would tell winners without the board: {names}"
            " (--curriculum NAME shows how)"
        )
    return lines


def _verdict(audit: Audit, curriculum: str) -> str:
    """One line on whether the games can be used."""
    report = audit.report
    problems = []
    if report.refused:
        problems.append(f"{len(report.refused):,} of {report.read + len(report.refused):,} refused")
    if audit.duplicates.contradictory:
        problems.append(f"{len(audit.duplicates.contradictory):,} contradict another game")
    if not audit.leaks:
        problems.append("too few games")
    if any(leak.flagged and leak.curriculum == curriculum for leak in audit.leaks):
        problems.append(f"curriculum {curriculum} leaks the winner")
    usable = f"{audit.sizes[audit.size]:,} games on {audit.size}x{audit.size} can be used"
    if not problems:
        return f"verdict: ok, {usable}"
    return f"verdict: look at what is said above ({'; '.join(problems)}); {usable}"


def _print_refusals(audit: Audit, console: Console) -> None:
    refused = audit.report.refused
    if not refused:
        return
    reasons: dict[str, int] = {}
    for refusal in refused:
        reasons[_kind(refusal.reason)] = reasons.get(_kind(refusal.reason), 0) + 1
    table = Table("refused", "reason", title="Refused games by reason")
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
        table.add_row(f"{count:,}", Text(reason))
    console.print(table)
    for refusal in refused[:_MOST_REFUSALS]:
        console.print(f"  {refusal}", soft_wrap=True)
    if len(refused) > _MOST_REFUSALS:
        console.print(f"  ... and {len(refused) - _MOST_REFUSALS:,} more; --format json has all")


def _kind(reason: str) -> str:
    """A reason without the parts that differ between games."""
    quotes_left_out = re.sub(r"'[^']*'", "...", reason)
    words = [
        "..." if any(letter.isdigit() for letter in word) else word
        for word in quotes_left_out.split()
    ]
    return " ".join(words)


def _positions_table(audit: Audit) -> Table:
    total = sum(audit.to_end.values())
    table = Table("positions", "count", "share", title="Positions, and the baselines on them")
    for baseline in audit.baselines:
        table.add_column(f"{baseline['name']}: accuracy")
        table.add_column("Brier")
    groups = (("stages", audit.stages), ("to_end", audit.to_end))
    for key, counts in groups:
        for name, count in counts.items():
            row = [
                name if key == "stages" else f"{name} to go",
                f"{count:,}",
                f"{count / total:.1%}",
            ]
            for baseline in audit.baselines:
                cell = baseline[key][name]
                known = cell["positions"] > 0
                row.append(f"{cell['accuracy']:.1%}" if known else "")
                row.append(f"{cell['value_loss']:.3f}" if known else "")
            table.add_row(*row)
        table.add_section()
    overall = ["all, by game", f"{total:,}", "100.0%"]
    for baseline in audit.baselines:
        overall += [f"{baseline['accuracy']:.1%}", f"{baseline['value_loss']:.3f}"]
    table.add_row(*overall)
    return table


def _search_sentence(search: dict[str, Any]) -> str:
    stages = ", ".join(
        f"{name} {part['value_loss']:.3f}"
        for name, part in search["stages"].items()
        if part["positions"]
    )
    return (
        f"the search that made these games valued {search['positions']:,} positions: it lay "
        f"{search['difference']:.3f} from the result on average, its value loss is "
        f"{search['value_loss']:.3f} ({stages}), and it named the winner in "
        f"{search['accuracy']:.1%}"
    )


def position_json(stones: Stones, moves: Sequence[str], to_move: int, won: int) -> dict[str, Any]:
    """A position as `games show` prints it."""
    return {
        "size": len(stones),
        "moves": list(moves),
        "to_move": None if won else COLOUR_NAMES[to_move],
        "winner": COLOUR_NAMES[won] if won else None,
        "rows": ["".join(".RB"[int(cell)] for cell in row) for row in stones],
    }
