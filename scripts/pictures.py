"""Draws docs/images/live.svg or leaderboard.svg from a study: `pictures.py STUDY`.

The live view is drawn while the study runs, the leaderboard after its end.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console, RenderableType

from hexsearch.leaderboard.leaderboard import read_leaderboard
from hexsearch.ledger.folder import StudyFolder
from hexsearch.report.dashboard.watched import WatchedStudy
from hexsearch.report.live_view import Shown, live_view
from hexsearch.report.table import render

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_WIDTH = 112  # columns
_DECISIONS = 3  # that the live view shows


def draw(study: Path) -> None:
    """The picture that the state of the study asks for."""
    folder = StudyFolder(study)
    look = WatchedStudy(folder).look()
    if look.state == "running":
        _, config = folder.read_description()
        last = tuple(reversed(look.decisions[:_DECISIONS]))
        shown = Shown(look.history, look.progress, config.scheduler.max_t, last)
        view = live_view(shown, look.history.seconds, _WIDTH)
        _save("live.svg", view, f"hexsearch launch quick --name {folder.name}")
    else:
        board = render(read_leaderboard(folder), _WIDTH)
        _save("leaderboard.svg", board, f"hexsearch leaderboard results/{folder.name}")


def _save(name: str, content: RenderableType, title: str) -> None:
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(content)
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / name).write_text(console.export_svg(title=title), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
