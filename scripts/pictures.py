"""Draws docs/images/live.svg and leaderboard.svg from a finished study: `pictures.py STUDY`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console, RenderableType

from hexsearch.leaderboard.leaderboard import read_leaderboard
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import read_events
from hexsearch.report.live_view import Shown, live_view
from hexsearch.report.table import render

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_WIDTH = 112  # columns
_SHOWN = 0.4  # of the events, when the live view is drawn


def draw(study: Path) -> None:
    """Both pictures of one study."""
    folder = StudyFolder(study)
    _, config = folder.read_description()
    events = read_events(folder.ledger)
    history = StudyHistory.of(events[: round(_SHOWN * len(events))])
    shown = Shown(history, max_positions=config.scheduler.max_t)
    view = live_view(shown, history.seconds, _WIDTH)
    _save("live.svg", view, f"hexsearch launch {folder.name}")
    board = read_leaderboard(folder)
    _save("leaderboard.svg", render(board, _WIDTH), f"hexsearch leaderboard results/{folder.name}")


def _save(name: str, content: RenderableType, title: str) -> None:
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(content)
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / name).write_text(console.export_svg(title=title), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
