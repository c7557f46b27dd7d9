"""Small pieces of HTML. All text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def paragraph(text: str, kind: str = "") -> str:
    """One paragraph."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def bullets(lines: Sequence[str]) -> str:
    """A list; empty without lines."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def chart(name: str, height: int = 380) -> str:
    """The element in which a script draws a chart."""
    return (
        f'<div class="chart" id="chart-{name}" data-chart="{name}" style="height:{height}px"></div>'
    )


def definition(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and values, in two columns."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{items}</dl>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table whose first column is text."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{titles}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def section(name: str, title: str, *parts: str) -> str:
    """A section of the page; an empty text without content."""
    inner = "".join(parts)
    return f'<section id="{name}"><h2>{escape(title)}</h2>{inner}</section>' if inner else ""


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
