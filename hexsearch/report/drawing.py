"""SVG shapes and the axes of a chart, as text and without dependencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

INK, FAINT, GRID, PAPER = "#1f2933", "#7b8794", "#e4e7eb", "#ffffff"
BLUE_INK, RED_INK, ACCENT = "#2563b8", "#c8372d", "#0f766e"
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"

Point = tuple[float, float]


@dataclass
class Drawing:
    """Shapes in pixels, y downwards."""

    width: float
    height: float
    _shapes: list[str] = field(default_factory=list)

    def line(
        self, a: Point, b: Point, colour: str = INK, width: float = 1.0, dash: str = ""
    ) -> None:
        """A straight line; `dash` as SVG's stroke-dasharray."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._shapes.append(
            f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" '
            f'stroke="{colour}" stroke-width="{width:g}" stroke-linecap="round"{dashed}/>'
        )

    def path(
        self, points: Sequence[Point], colour: str, width: float = 1.5, opacity: float = 1
    ) -> None:
        """A line through points."""
        self._shapes.append(
            f'<polyline points="{_points(points)}" fill="none" stroke="{colour}" '
            f'stroke-width="{width:g}" stroke-linejoin="round" stroke-opacity="{opacity:g}"/>'
        )

    def area(
        self, points: Sequence[Point], fill: str, opacity: float = 1.0, edge: str = "none"
    ) -> None:
        """A filled polygon."""
        self._shapes.append(
            f'<polygon points="{_points(points)}" fill="{fill}" fill-opacity="{opacity:.3g}" '
            f'stroke="{edge}" stroke-width="0.8"/>'
        )

    def box(self, corner: Point, width: float, height: float, fill: str) -> None:
        """A filled rectangle from its upper left corner."""
        self._shapes.append(
            f'<rect x="{corner[0]:.1f}" y="{corner[1]:.1f}" width="{max(width, 0):.1f}" '
            f'height="{max(height, 0):.1f}" fill="{fill}"/>'
        )

    def dot(self, centre: Point, radius: float, fill: str, edge: str = "none") -> None:
        """A filled circle."""
        self._shapes.append(
            f'<circle cx="{centre[0]:.1f}" cy="{centre[1]:.1f}" r="{radius:.1f}" fill="{fill}" '
            f'stroke="{edge}"/>'
        )

    def text(
        self,
        at: Point,
        words: str,
        size: float = 12,
        colour: str = INK,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """Text on a base line; `anchor` is start, middle or end."""
        weight = ' font-weight="600"' if bold else ""
        self._shapes.append(
            f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" font-size="{size:g}" fill="{colour}" '
            f'text-anchor="{anchor}"{weight}>{escape(words)}</text>'
        )

    def to_svg(self) -> str:
        """The whole picture on a white background."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" font-family="{_FONT}">\n'
            f'<rect width="100%" height="100%" fill="{PAPER}"/>\n'
            + "\n".join(self._shapes)
            + "\n</svg>\n"
        )


@dataclass(frozen=True)
class Axes:
    """A rectangle of a drawing with a scale on each side."""

    drawing: Drawing
    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]  # values at the left and right end; the left one may be larger
    y: tuple[float, float]  # values at the bottom and the top

    def at(self, x: float, y: float) -> Point:
        """Pixels of a point in values."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + across * self.width, self.top + (1 - up) * self.height

    def ticks(
        self,
        x: Sequence[float] = (),
        y: Sequence[float] = (),
        x_as: str = "{:g}",
        y_as: str = "{:g}",
    ) -> None:
        """Grid lines with their values."""
        for value in y:
            a, b = self.at(self.x[0], value), self.at(self.x[1], value)
            self.drawing.line(a, b, GRID)
            self.drawing.text((a[0] - 8, a[1] + 4), y_as.format(value), 11, FAINT, "end")
        for value in x:
            a, b = self.at(value, self.y[0]), self.at(value, self.y[1])
            self.drawing.line(a, b, GRID)
            self.drawing.text((a[0], a[1] + 16), x_as.format(value), 11, FAINT, "middle")


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
