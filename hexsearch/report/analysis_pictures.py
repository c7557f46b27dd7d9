"""Pictures of an analysis as SVG: reliability, stages, a game's course, boards with answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.value_analyzer import Analysis
from hexsearch.game.board import BLUE, Stones
from hexsearch.report.drawing import (
    ACCENT,
    BLUE_INK,
    FAINT,
    GRID,
    INK,
    PAPER,
    RED_INK,
    Axes,
    Drawing,
    Point,
)
from hexsearch.training.metrics import SliceMetrics

_Z_95 = 1.959964
_SLICE_TITLES = {"0-5": "0-5 plies to go", "6-15": "6-15", "16-30": "16-30", ">30": "over 30"}
_BASELINE_COLOURS = (FAINT, "#b7791f")  # repeated if there are more baselines


@dataclass(frozen=True)
class BoardAnswer:
    """One position with the network's answer.

    Attributes:
        policy: [N*N] move probabilities; all 0 if nobody is to move.
        played: the cell that was played next, or None.
    """

    title: str
    stones: Stones
    win_prob_red: float
    policy: NDArray[np.float64]
    played: int | None = None


def draw_reliability(analysis: Analysis) -> str:
    """Reliability diagram: how often Red won for each answer, and how often it was given."""
    picture = Drawing(460, 560)
    picture.text((56, 30), "Does 70% mean 70%?", 17, bold=True)
    error = analysis.metrics.overall.calibration_error
    picture.text(
        (56, 50), f"calibration error {error:.3f}; bars are 95% intervals by game", 12, FAINT
    )
    axes = Axes(picture, 56, 72, 360, 300, (0, 1), (0, 1))
    fifths = (0, 0.2, 0.4, 0.6, 0.8, 1)
    axes.ticks(fifths, fifths, "{:.0%}", "{:.0%}")
    picture.line(axes.at(0, 0), axes.at(1, 1), FAINT, 1.2, "5 4")
    filled = [part for part in analysis.reliability if part.positions]
    most = max(part.positions for part in filled)
    for part in filled:
        if not math.isnan(part.standard_error):
            half = _Z_95 * part.standard_error
            low, high = max(0.0, part.red_won - half), min(1.0, part.red_won + half)
            picture.line(axes.at(part.answer, low), axes.at(part.answer, high), ACCENT, 2)
        radius = 3 + 6 * math.sqrt(part.positions / most)
        picture.dot(axes.at(part.answer, part.red_won), radius, ACCENT, PAPER)
    picture.text((56, 66), "Red won", 11, FAINT)
    below = Axes(picture, 56, 424, 360, 84, (0, 1), (0, max(analysis.histogram)))
    bars = len(analysis.histogram)
    for number, count in enumerate(analysis.histogram):
        corner = below.at(number / bars, count)
        foot = below.at(number / bars, 0)
        share = (number + 0.5) / bars
        colour = RED_INK if share > 0.7 else BLUE_INK if share < 0.3 else FAINT
        picture.box((corner[0] + 1, corner[1]), 360 / bars - 2, foot[1] - corner[1], colour)
    below.ticks(fifths, (), "{:.0%}")
    picture.text((56, 416), "how often each answer is given", 11, FAINT)
    picture.text((236, 544), "predicted probability that Red wins", 12, FAINT, "middle")
    return picture.to_svg()


def draw_stages(analysis: Analysis) -> str:
    """Value loss of each slice with its interval, and of the baselines."""
    metrics = analysis.metrics
    groups: list[tuple[str, str, SliceMetrics]] = [("overall", "all positions", metrics.overall)]
    groups += [("stages", name, part) for name, part in metrics.stages.items()]
    groups += [("to_end", name, part) for name, part in metrics.to_end.items()]
    step, top = 34, 96
    picture = Drawing(640, top + step * len(groups) + 24)
    picture.text((30, 32), "Where in the game is it right?", 17, bold=True)
    picture.text((30, 52), "value loss: Brier score, lower is better; 0.25 is guessing", 12, FAINT)
    axes = Axes(picture, 170, top - 14, 380, step * len(groups), (0, 0.3), (0, 1))
    axes.ticks((0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3), (), "{:.2f}")
    _legend(picture, (170, 72), list(analysis.baselines))
    for number, (cut, name, part) in enumerate(groups):
        y = top + step * number + 4.0
        if number and groups[number - 1][0] != cut:
            picture.line((30, y - step / 2), (610, y - step / 2), GRID)
        title = _SLICE_TITLES.get(name, name)
        picture.text((158, y + 4), title, 13, INK, "end", bold=cut == "overall")
        for colour, baseline in zip(
            cycle(_BASELINE_COLOURS), analysis.baselines.values(), strict=False
        ):
            level = baseline.overall if cut == "overall" else getattr(baseline, cut)[name]
            x = axes.at(min(level.value_loss, 0.3), 0)[0]
            picture.line((x, y - 9), (x, y + 9), colour, 3)
        if not math.isnan(part.value_loss_se):
            half = _Z_95 * part.value_loss_se
            low = axes.at(max(0.0, part.value_loss - half), 0)[0]
            high = axes.at(min(0.3, part.value_loss + half), 0)[0]
            picture.line((low, y), (high, y), ACCENT, 2)
        picture.dot((axes.at(min(part.value_loss, 0.3), 0)[0], y), 5.5, ACCENT, PAPER)
        picture.text((566, y + 4), f"{part.accuracy:.1%}", 12, FAINT)
    picture.text((566, 72), "accuracy", 11, FAINT)
    return picture.to_svg()


def draw_course(analysis: Analysis, games: int = 4) -> str:
    """The predicted probability of the actual winner, towards the end of the game."""
    evaluation = analysis.evaluation
    chance = np.where(evaluation.red_won == 1, evaluation.win_prob_red, 1 - evaluation.win_prob_red)
    to_end = evaluation.to_end
    longest = int(np.quantile(to_end, 0.98)) or 1
    picture = Drawing(640, 400)
    picture.text((60, 32), "When does it know?", 17, bold=True)
    note = "predicted probability of the actual winner: mean, middle 80%, and single games"
    picture.text((60, 52), note, 12, FAINT)
    axes = Axes(picture, 60, 76, 540, 264, (longest, 0), (0, 1))
    axes.ticks(
        range(0, longest + 1, 10 if longest >= 20 else 2), (0, 0.25, 0.5, 0.75, 1), y_as="{:.0%}"
    )
    rows = [chance[to_end == left] for left in range(longest, -1, -1)]
    plies = [left for left, row in zip(range(longest, -1, -1), rows, strict=True) if len(row)]
    rows = [row for row in rows if len(row)]
    low = [axes.at(x, float(np.quantile(row, 0.1))) for x, row in zip(plies, rows, strict=True)]
    high = [axes.at(x, float(np.quantile(row, 0.9))) for x, row in zip(plies, rows, strict=True)]
    picture.area([*low, *reversed(high)], ACCENT, 0.14)
    for game in np.unique(evaluation.game)[:games]:
        of_game = (evaluation.game == game) & (to_end <= longest)
        order = np.argsort(-to_end[of_game])
        line = zip(to_end[of_game][order], chance[of_game][order], strict=True)
        picture.path([axes.at(float(x), float(y)) for x, y in line], FAINT, 1, 0.7)
    picture.line(axes.at(longest, 0.5), axes.at(0, 0.5), INK, 1, "4 4")
    picture.path(
        [axes.at(x, float(row.mean())) for x, row in zip(plies, rows, strict=True)], ACCENT, 3
    )
    picture.text((330, 380), "plies to the end of the game", 12, FAINT, "middle")
    return picture.to_svg()


def draw_boards(answers: Sequence[BoardAnswer], columns: int = 3) -> str:
    """Boards with stones, the likeliest moves shaded, and the win probability as a bar."""
    size = answers[0].stones.shape[0]
    radius = 150 / size
    wide = math.sqrt(3) * radius * (1.5 * size + 1.5)
    tall = 1.5 * radius * (size + 2) + 74
    rows = -(-len(answers) // columns)
    used = min(columns, len(answers))
    picture = Drawing(used * wide + 40, rows * tall + 76)
    picture.text((24, 32), "What it sees", 17, bold=True)
    note = "green: its likeliest moves; ring: the move that was played"
    picture.text((24, 52), note, 12, FAINT)
    for number, answer in enumerate(answers):
        down, across = divmod(number, columns)
        _board(picture, answer, (24 + across * wide, 80 + down * tall), radius)
    return picture.to_svg()


def draw_first_moves(counts: NDArray[np.int64]) -> str:
    """A board [N, N] on which the cells of common first moves are dark."""
    size = len(counts)
    radius = 110 / size
    half = math.sqrt(3) / 2 * radius
    picture = Drawing(half * (3 * size - 1) + 12, 1.5 * radius * (size + 0.5) + 12)
    _cells(picture, (half + 4, radius + 4), radius, counts / max(1, int(counts.max())))
    return picture.to_svg()


def _board(picture: Drawing, answer: BoardAnswer, corner: Point, radius: float) -> None:
    size = answer.stones.shape[0]
    half = math.sqrt(3) / 2 * radius
    picture.text((corner[0], corner[1] + 10), answer.title, 13, bold=True)
    length = half * (3 * size - 1)
    top = corner[1] + 20
    red = answer.win_prob_red * length
    picture.box((corner[0], top), length - red, 7, BLUE_INK)
    picture.box((corner[0] + length - red, top), red, 7, RED_INK)
    picture.text((corner[0], top + 21), f"Blue {1 - answer.win_prob_red:.0%}", 11, BLUE_INK)
    picture.text(
        (corner[0] + length, top + 21), f"Red {answer.win_prob_red:.0%}", 11, RED_INK, "end"
    )
    shares = answer.policy / max(float(answer.policy.max()), 1e-9)
    first = (corner[0] + half + 4, top + 36 + radius)
    centres = _cells(picture, first, radius, shares.reshape(size, size))
    for cell, stone in enumerate(answer.stones.reshape(-1).tolist()):
        if stone:
            picture.dot(centres[cell], radius * 0.66, BLUE_INK if stone == BLUE else RED_INK)
    if answer.played is not None:
        picture.dot(centres[answer.played], radius * 0.5, "none", INK)


def _cells(
    picture: Drawing, first: Point, radius: float, shares: NDArray[np.float64]
) -> list[Point]:
    """An empty board with its edges, cells shaded by their shares of the largest.

    Args:
        first: centre of the cell a1.
    Returns:
        The centres of the cells.
    """
    size, half = len(shares), math.sqrt(3) / 2 * radius

    def centre(row: int, column: int) -> Point:
        return first[0] + half * (2 * column + row), first[1] + 1.5 * radius * row

    _edges(picture, centre, size, radius)
    centres = [centre(*divmod(cell, size)) for cell in range(size * size)]
    for at, share in zip(centres, shares.reshape(-1).tolist(), strict=True):
        corners = [_corner(at, radius, number) for number in range(6)]
        picture.area(corners, "#f5f7fa", edge="#cbd2d9")
        if share > 0.02:
            picture.area(corners, ACCENT, 0.75 * share)
    return centres


def _edges(picture: Drawing, centre: Callable[[int, int], Point], size: int, radius: float) -> None:
    """The four edges: Blue's at the top and bottom, Red's at the left and right."""
    for index in range(size):
        for row, column, corners, colour in (
            (0, index, (4, 5, 0), BLUE_INK),
            (size - 1, index, (1, 2, 3), BLUE_INK),
            (index, 0, (2, 3, 4), RED_INK),
            (index, size - 1, (5, 0, 1), RED_INK),
        ):
            at = centre(row, column)
            picture.path([_corner(at, radius, number) for number in corners], colour, 3.5)


def _corner(at: Point, radius: float, number: int) -> Point:
    """A corner of a pointed hexagon; 0 is the upper right one, then clockwise."""
    angle = math.radians(60 * number - 30)
    return at[0] + radius * math.cos(angle), at[1] + radius * math.sin(angle)


def _legend(picture: Drawing, at: Point, baselines: Sequence[str]) -> None:
    x, y = at
    picture.dot((x + 5, y - 4), 5, ACCENT)
    picture.text((x + 15, y), "network", 11, INK)
    x += 78
    for colour, name in zip(cycle(_BASELINE_COLOURS), baselines, strict=False):
        picture.line((x + 4, y - 10), (x + 4, y + 2), colour, 3)
        picture.text((x + 12, y), name, 11, INK)
        x += 30 + 6.2 * len(name)
