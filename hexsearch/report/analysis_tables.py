"""Analyses and predictions as rich tables that fit the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hexsearch.analysis.bootstrap import Interval
from hexsearch.analysis.comparison import Against
from hexsearch.analysis.learnability import LearnabilityStep
from hexsearch.analysis.value_analyzer import Analysis
from hexsearch.game.board import BLUE, RED, Stones
from hexsearch.training.metrics import SliceMetrics

_WIDE_FROM = 120  # columns of a terminal from which all figures are shown
_BLOCKS = " ▁▂▃▄▅▆▇█"
_SHADES = {BLUE: "bold blue", RED: "bold red"}


@dataclass(frozen=True)
class Prediction:
    """The prediction for one position.

    Attributes:
        to_move: BLUE, RED, or None on a finished board.
        best_moves: (cell name, probability), likeliest first.
    """

    position: str
    stones: Stones
    to_move: int | None
    win_prob_red: float
    best_moves: tuple[tuple[str, float], ...]


def render_analysis(
    analysis: Analysis, checkpoint: str, width: int, against: Against | None = None
) -> RenderableType:
    """All figures of an analysis as tables."""
    overall = analysis.metrics.overall
    return Group(
        Text(f"{checkpoint}: {overall.positions:,} positions of {overall.games:,} held-out games"),
        _slices(analysis, width >= _WIDE_FROM),
        *([] if against is None else [_comparison(against)]),
        _known(analysis, width >= _WIDE_FROM),
        *(Text(line, style="dim") for line in _notes(analysis)),
    )


def _slices(analysis: Analysis, wide: bool) -> Table:
    table = _table("win probability, by part of the game")
    table.add_column("positions")
    titles = ["n", "loss", "±", "table", "acc", "±", "auc"]
    if wide:
        titles += ["±", "strict", "sure", "right then", "log loss", "calib.", "±", "bias"]
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    baseline = analysis.baselines.get("shortest-path table")
    metrics = analysis.metrics
    groups: list[tuple[str, dict[str, SliceMetrics], dict[str, SliceMetrics] | None, str]] = [
        (
            "overall",
            {"all": metrics.overall},
            {"all": baseline.overall} if baseline else None,
            "{}",
        ),
        ("stages", metrics.stages, baseline.stages if baseline else None, "{}"),
        ("to_end", metrics.to_end, baseline.to_end if baseline else None, "{} plies to go"),
        ("to_move", metrics.to_move, baseline.to_move if baseline else None, "{} to move"),
    ]
    for cut, parts, baselines, title in groups:
        table.add_section()
        for name, part in parts.items():
            level = baselines[name].value_loss if baselines else None
            cells = _slice_cells(part, analysis.intervals[cut][name], level, wide)
            style = "" if level is None or part.value_loss <= level else "yellow"
            table.add_row(Text(title.format(name)), *(Text(cell, style=style) for cell in cells))
    return table


def _slice_cells(
    part: SliceMetrics, intervals: dict[str, Interval], baseline: float | None, wide: bool
) -> list[str]:
    def half(name: str) -> float:
        low, high = intervals.get(name, (math.nan, math.nan))
        return (high - low) / 2

    cells = [
        f"{part.positions:,}",
        _loss(part.value_loss),
        _loss(half("value_loss")),
        "" if baseline is None else _loss(baseline),
        _share(part.accuracy),
        "" if math.isnan(half("accuracy")) else f"{100 * half('accuracy'):.1f}",
        _loss(part.auc, 3),
    ]
    if wide:
        cells += [
            _loss(half("auc"), 3),
            _share(part.strict_accuracy),
            _share(part.confident_share),
            _share(part.confident_accuracy),
            f"{part.log_loss:.3f}",
            _loss(part.calibration_error, 3),
            _loss(half("calibration_error"), 3),
            f"{part.bias:+.3f}",
        ]
    return cells


def _comparison(against: Against) -> Table:
    looks = f" ({against.looks})" if against.looks else ""
    table = _table(f"value loss, compared with {against.checkpoint}{looks}")
    table.add_column("positions")
    for title in ("this", "other", "difference", "95% interval, paired by game"):
        table.add_column(title, justify="right")
    titles = {"to_end": "{} plies to go", "to_move": "{} to move"}
    for cut, parts in against.differences.items():
        table.add_section()
        for name, found in parts.items():
            interval = f"{found.low:+.4f} to {found.high:+.4f}" if found.low == found.low else ""
            cells = [_loss(found.value_loss), _loss(found.other), f"{found.difference:+.4f}"]
            table.add_row(titles.get(cut, "{}").format(name), *cells, interval)
    return table


def _known(analysis: Analysis, wide: bool) -> Table:
    table = _table("positions whose winner is certain")
    for title in ("family", "right", "of", "winner's prob."):
        table.add_column(title, justify="left" if title == "family" else "right")
    if wide:
        table.add_column("")
    for family, score in analysis.known.items():
        style = "" if score.accuracy >= 0.95 else "yellow" if score.accuracy >= 0.6 else "red"
        cells = [_share(score.accuracy), str(score.count), _share(score.winner_prob)]
        bar = ["━" * round(24 * score.accuracy)] if wide else []
        table.add_row(family.replace("_", " "), *(Text(cell, style=style) for cell in cells + bar))
    return table


def _notes(analysis: Analysis) -> list[str]:
    seen = analysis.consistency
    peak = max(analysis.histogram)
    bars = "".join(_BLOCKS[-(-8 * count // peak)] for count in analysis.histogram)
    return [
        f"answers from 0 to 1: |{bars}|",
        f"a half turn changes an answer by {seen.half_turn:.3f}, a reflection by "
        f"{seen.reflection:.3f}; an added stone changes its colour's win probability by "
        f"{seen.stone_gain:+.3f} on average, and lowers it by more than 0.01 in "
        f"{1 - seen.monotone:.1%} of the cases",
        "loss: Brier score of win_prob_red; ±: half of a 95% interval over resampled games; table: "
        "the shortest-path table, a baseline; yellow: the baseline is better",
    ]


def render_predictions(predictions: Sequence[Prediction], width: int) -> RenderableType:
    """Each position as a board, with its win probability and its best moves."""
    blocks: list[RenderableType] = []
    for prediction in predictions:
        beside = Table.grid(padding=(0, 3, 0, 0))
        beside.add_row(draw_board(prediction.stones, prediction.best_moves), _words(prediction))
        blocks += [Text(prediction.position, style="dim", overflow="fold"), beside, Text("")]
    return Group(*blocks)


def render_learnability(steps: Sequence[LearnabilityStep], verdict: str) -> RenderableType:
    """Every step with its pass mark, and the step at which learning fails."""
    table = _table("from the easiest positions to all of them")
    table.add_column("step", no_wrap=True)
    for title in ("evaluated on", "right", "mark", "majority", "table", "value loss"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("")
    for step in steps:
        cells = [
            f"{step.judged_on:,}",
            _share(step.accuracy),
            _share(step.mark),
            _share(step.majority),
            _share(step.table),
            _loss(step.value_loss),
        ]
        word = Text("passed", style="green") if step.passed else Text("failed", style="bold red")
        table.add_row(step.name, *cells, word)
    problems = [Text(f"{step.name}: {step.problem}") for step in steps if step.problem]
    note = "mark: accuracy to pass, halfway from the majority to the shortest-path table"
    return Group(table, *problems, Text(verdict, style="bold"), Text(note, style="dim"))


def draw_board(stones: Stones, best_moves: Sequence[tuple[str, float]] = ()) -> Text:
    """A board as a parallelogram. B and R are stones; 1, 2, 3 are the best moves."""
    size = stones.shape[0]
    marks = {name: str(rank) for rank, (name, _) in enumerate(best_moves[:9], start=1)}
    letters = [chr(ord("a") + column) for column in range(size)]
    text = Text("    " + " ".join(letters) + "\n", style="", no_wrap=True)
    for row in range(size):
        text.append(" " * row)
        text.append(f"{row + 1:>2} ", style="dim")
        text.append("\\", style="red")
        for column, letter in enumerate(letters):
            stone = int(stones[row, column])
            mark = marks.get(f"{letter}{row + 1}")
            edge = "blue" if row in (0, size - 1) else "dim"
            if stone:
                text.append("B" if stone == BLUE else "R", style=_SHADES[stone])
            elif mark:
                text.append(mark, style="bold green")
            else:
                text.append("·", style=edge)
            text.append(" " if column < size - 1 else "")
        text.append("\\\n", style="red")
    return text


def _words(prediction: Prediction) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    mover = {BLUE: "Blue", RED: "Red"}.get(prediction.to_move or 0, "nobody: the game is over")
    table.add_row("to move", Text(mover))
    table.add_row("Red wins", Text(_share(prediction.win_prob_red), style="red"))
    table.add_row("Blue wins", Text(_share(1 - prediction.win_prob_red), style="blue"))
    length = 24
    red = round(length * prediction.win_prob_red)
    bar = Text("█" * (length - red), style="blue")
    table.add_row("", bar.append("▒" * red, style="red"))
    for rank, (name, chance) in enumerate(prediction.best_moves, start=1):
        table.add_row(f"{rank}. {name}", Text(_share(chance), style="green"))
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _loss(value: float, digits: int = 4) -> str:
    return "" if value != value else f"{value:.{digits}f}".removeprefix("0")


def _share(value: float) -> str:
    return "" if value != value else f"{value:.1%}"
