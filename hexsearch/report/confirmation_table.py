"""The confirmation of a study as a table: scores of the search and of the confirmation."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from hexsearch.leaderboard.confirmation import Confirmation, ConfirmedRow

TITLES = ("variant", "search", "fresh seeds", "test", "difference", "to the winner")


def confirmation_table(confirmation: Confirmation) -> Table:
    """The confirmation as a rich table."""
    table = Table(
        title=f"confirmation: fresh seeds on {confirmation.games:,} test games",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for title in TITLES:
        table.add_column(title, justify="left" if title == "variant" else "right")
    for row in confirmation.rows:
        table.add_row(*(Text(cell) for cell in confirmed_cells(row)))
    return table


def confirmation_markdown(confirmation: Confirmation) -> list[str]:
    """The confirmation as lines of Markdown."""
    ruler = ["---" if title == "variant" else "---:" for title in TITLES]
    lines = [TITLES, ruler, *(confirmed_cells(row) for row in confirmation.rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def confirmed_cells(row: ConfirmedRow) -> list[str]:
    """The cells of one variant, in the order of TITLES."""
    half = (row.test_high - row.test_low) / 2
    behind = (row.to_winner_high - row.to_winner_low) / 2
    is_first = row.to_winner == row.to_winner_low == row.to_winner_high == 0.0
    return [
        f"{row.name} (baseline)" if row.kind == "baseline" else row.name,
        "" if row.search_loss is None else f"{row.search_loss:.4f}",
        f"{row.validation_loss:.4f}",
        f"{row.test_loss:.4f}±{half:.4f}",
        "" if row.optimism is None else f"{row.optimism:+.4f}",
        "" if is_first else f"{row.to_winner:+.4f}±{behind:.4f}",
    ]
