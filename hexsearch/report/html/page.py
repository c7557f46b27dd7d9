"""`report.html`: one page about a study, which works offline."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from hexsearch.leaderboard.rows import Row
from hexsearch.leaderboard.sentences import leaderboard_sentences
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.own_files import require_not_of_study
from hexsearch.report.html.answer import answer_sentences, cost_sentence
from hexsearch.report.html.answers import Answers, answers_of
from hexsearch.report.html.board_table import ROWS, leaderboard_table
from hexsearch.report.html.curves import Curves, learning_curves
from hexsearch.report.html.games import GameLengths, game_lengths, games_part
from hexsearch.report.html.health import Health, health_of
from hexsearch.report.html.intervals import LeaderIntervals, Slices, intervals_of, slices_of
from hexsearch.report.html.markup import bullets, chart, paragraph, section
from hexsearch.report.html.phases import (
    comparison_part,
    confirmation_part,
    match_part,
    pruning_part,
    repeat_part,
)
from hexsearch.report.html.settings import Settings, settings_of
from hexsearch.report.html.study import Study, read_study
from hexsearch.training.atomic import write_atomically

PAGE = "report.html"
_LEADERS = 6  # rows whose calibration, stages and health are shown


@dataclass(frozen=True)
class Charts:
    """The data of the page's charts."""

    intervals: LeaderIntervals
    curves: Curves
    settings: Settings
    slices: Slices
    answers: Answers
    health: list[Health]
    games: GameLengths | None

    def to_json(self) -> str:
        """The data for a script element, without the boards, which are a part of the HTML."""
        document = asdict(self)
        del document["answers"]["boards"]
        text = json.dumps(_short(document), separators=(",", ":"), allow_nan=False)
        return text.replace("<", "\\u003c")  # it could end the element or name a part


def write_report(folder: StudyFolder, output: Path | None = None) -> Path:
    """Write the page of a study in any state, and return its path.

    Raises:
        LedgerError: no study, or a damaged ledger.
        ConfigError: `output` is a file of a study.
        CheckpointError: the file cannot be written.
    """
    path = folder.path / PAGE if output is None else output
    if output is not None:
        require_not_of_study(output)
    write_atomically(path, render_page(page_parts(read_study(folder))).encode())
    return path


@dataclass(frozen=True)
class PageParts:
    """The parts of a study's page. The dashboard sends them separately.

    Attributes:
        header, sections: HTML.
        data: JSON with the data of the charts.
    """

    title: str
    header: str
    sections: str
    data: str


def page_parts(study: Study) -> PageParts:
    """The page of a study in its present state."""
    leaders = [row for row in study.board.rows if row.rank is not None][:_LEADERS]
    charts = Charts(
        intervals=intervals_of(study.board),
        curves=learning_curves(study),
        settings=settings_of(study),
        slices=slices_of(study.board, leaders),
        answers=answers_of(study, leaders),
        health=health_of(study, leaders),
        games=game_lengths(study),
    )
    return PageParts(
        title=f"{study.folder.name}: {study.question}",
        header=_header(study),
        sections=_sections(study, charts, leaders),
        data=charts.to_json(),
    )


def render_page(parts: PageParts, live: str = "", script: str = "") -> str:
    """The whole page as text.

    Args:
        live: HTML at the top of the page.
        script: script that keeps it up to date.
    """
    texts = {
        "title": escape(parts.title),
        "style": asset("report.css"),
        "live": live,
        "header": parts.header,
        "sections": parts.sections,
        "data": parts.data,
        "library": asset("echarts.min.js"),
        "script": asset("charts.js") + asset("report.js") + script,
    }
    page = asset("template.html")
    for name, text in texts.items():
        page = page.replace(f"<!-- {name} -->", text, 1)
    return page


def _header(study: Study) -> str:
    ending = study.board.state + (", without a result" if study.history.all_failed else "")
    return (
        f"<h1>{escape(study.question)}</h1>"
        + "".join(paragraph(sentence, "answer") for sentence in answer_sentences(study))
        + paragraph(cost_sentence(study))
        + paragraph(f"{study.folder.name}: {ending}", f"state {study.board.state}")
        + bullets([f"warning: {warning}" for warning in study.board.warnings])
    )


def _sections(study: Study, charts: Charts, leaders: list[Row]) -> str:
    return "".join(
        [
            section("leaderboard", "Leaderboard", *_leaderboard(study, charts.intervals)),
            section("curves", "Learning curves", *_curves(charts.curves, study.board.state)),
            section("settings", "What each setting does", *_settings(charts.settings)),
            section(
                "errors",
                "Where they err, and how well they are calibrated",
                chart("stages") + chart("to_end") if leaders else "",
                chart("reliability", 440) if charts.answers.calibrations else "",
                paragraph(charts.answers.note, "note") if leaders else "",
            ),
            section(
                "boards",
                "Boards with predictions",
                f'<div class="boards scroll">{charts.answers.boards}</div>'
                if charts.answers.boards
                else "",
            ),
            section(
                "health",
                "Gradients and activations over time",
                _controls("health-trial") + chart("gradients") + chart("updates") + chart("dead")
                if charts.health
                else "",
            ),
            section("comparison", "Heads on shared trunks", comparison_part(study)),
            section("pruning", "Pruning check", pruning_part(study)),
            section("confirmation", "Confirmation", confirmation_part(study)),
            section("match", "Match", match_part(study)),
            section("games", "Games", games_part(study)),
            section("repeat", "How to repeat it", repeat_part(study)),
        ]
    )


def _leaderboard(study: Study, intervals: LeaderIntervals) -> list[str]:
    board = study.board
    note = "Click a heading to sort and a row to open it."
    if intervals.rows:
        note += " Rows of one shade cannot be told apart."
    hidden = len(board.rows) - ROWS
    if hidden > 0:
        note += f" {hidden:,} more rows are not shown; see leaderboard --format csv."
    height = 90 + 22 * (len(intervals.rows) + len(intervals.baselines))
    has_table = bool(board.rows or board.baselines)
    return [
        bullets(leaderboard_sentences(board)),
        chart("intervals", height) if intervals.rows else "",
        leaderboard_table(board, study.folder) if has_table else "",
        paragraph(note, "note") if has_table else "",
    ]


def _curves(curves: Curves, state: str) -> list[str]:
    if not any(curve.positions for curve in curves.curves):
        return [paragraph(f"No trial has reported{' yet' if state == 'running' else ''}.")]
    note = paragraph(curves.note, "note") if curves.note else ""
    return [_controls("curve-part", "curve-axis"), chart("curves", 480), note]


def _settings(settings: Settings) -> list[str]:
    if not settings.points:
        return []
    return [
        paragraph(f"{settings.note[:1].upper()}{settings.note[1:]}.", "note"),
        _controls("setting-part"),
        chart("importance", 80 + 34 * len(settings.settings))
        if settings.importances.get("overall")
        else paragraph("Fewer than eight trials: importance cannot be estimated."),
        '<div class="grid" id="setting-grid"></div>',
        chart("parallel", 420),
    ]


def _controls(*names: str) -> str:
    """Selection fields, whose options the script adds."""
    fields = "".join(f'<label><select id="{name}"></select></label>' for name in names)
    return f'<div class="controls">{fields}</div>'


@cache
def asset(name: str) -> str:
    """The text of a file that pages include."""
    return (files("hexsearch.report.html") / "assets" / name).read_text(encoding="utf-8")


def _short(value: Any) -> Any:
    """The same value with floats of six digits, and None for nan, at every depth."""
    if isinstance(value, dict):
        return {key: _short(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if abs(value) < 1e308 else None
    return value
