"""A diagnosis as text, shortened to one screen or complete."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hexsearch.doctor.findings import Diagnosis, Finding
from hexsearch.report.terminal import Console

_SEVERITIES = {
    "error": ("bold red", "✗"),
    "warning": ("yellow", "!"),
    "info": ("cyan", "i"),
}
_SCREEN = 24  # lines of a small terminal
_BELOW = 4  # lines for the text after the findings and for the prompt
_WIDEST = 112


def render_diagnosis(diagnosis: Diagnosis, width: int, verbose: bool = False) -> RenderableType:
    """Counts, then findings, worst first: fault, evidence, lines and remedy.

    Args:
        verbose: show all findings, the checks that were done, and why others were left out.
            Otherwise show the findings that fit on a screen of 24 lines, at least one.
    """
    counts = Counter[str](finding.severity for finding in diagnosis.findings)
    named = ", ".join(f"{counts[name]} {name}(s)" for name in _SEVERITIES if counts[name])
    seconds = sum(diagnosis.seconds.values())
    head = Text(diagnosis.label, style="bold")
    head.append(
        f": {len(diagnosis.checks)} checks in {seconds:.0f} s: {named or 'nothing found'}",
        style="not bold",
    )
    blocks: list[RenderableType] = [head]
    lines, hidden = _height(head, width), 0
    for finding in diagnosis.findings:
        block = _block(finding, width)
        height = _height(block, width)
        if not verbose and len(blocks) > 1 and lines + height > _SCREEN - _BELOW:
            hidden += 1
            continue
        blocks.append(block)
        lines += height
    if not verbose:
        return Group(*blocks, *_rest(diagnosis, hidden))
    blocks.append(Text("\ndone: " + ", ".join(diagnosis.checks), style="dim"))
    reasons: dict[str, list[str]] = {}
    for check, reason in diagnosis.left_out.items():
        reasons.setdefault(reason, []).append(check)
    blocks += [
        Text(f"left out ({reason}): {', '.join(checks)}", style="dim")
        for reason, checks in reasons.items()
    ]
    return Group(*blocks)


def _rest(diagnosis: Diagnosis, hidden: int) -> list[RenderableType]:
    parts = [f"{hidden} more finding(s)"] if hidden else []
    if diagnosis.left_out:
        parts.append(f"{len(diagnosis.left_out)} checks left out")
    return [Text(f"{' and '.join(parts)}: see --verbose", style="dim")] if parts else []


def _block(finding: Finding, width: int) -> RenderableType:
    style, mark = _SEVERITIES[finding.severity]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim", min_width=8)
    table.add_column(overflow="fold", max_width=min(width - 12, _WIDEST))
    table.add_row("wrong", Text(_sentence(finding.cause), style="bold"))
    table.add_row("evidence", Text(_sentence(finding.evidence)))
    if finding.where:
        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in finding.where]
        table.add_row("where", Group(*lines))
    table.add_row("remedy", Text(_sentence(finding.remedy)))
    return Group(Text(f"\n{mark} {finding.severity}: {finding.check}", style=style), table)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _height(block: RenderableType, width: int) -> int:
    console = Console(width=width, color_system=None)
    return len(console.render_lines(block, pad=False))
