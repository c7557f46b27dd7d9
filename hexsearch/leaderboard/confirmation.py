"""What became of a study's winners with fresh seeds on games that nobody had looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from hexsearch.leaderboard.game_panels import evidence_panel
from hexsearch.leaderboard.rows import Entry, make_entry, mean_of
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.statistics.intervals import interval
from hexsearch.statistics.ranking import Versus, versus
from hexsearch.statistics.variance import mean_variance, seed_variance


@dataclass(frozen=True)
class ConfirmedRow:
    """One variant, trained anew with seeds of its own and judged on test games.

    Attributes:
        kind: `winner` of the search, or `baseline`.
        search_loss: mean that the search had seen of it, on validation games, when it was chosen;
            expected_value_loss: with the luck of having been picked allowed for; None for a
            baseline that the search did not choose.
        validation_loss: of the fresh seeds on the same validation games.
        test_loss: on the test games; low, high: its 95% interval over games and seeds.
        optimism: test_loss less search_loss.
        to_winner: test_loss less that of the first winner, paired by game and seed; low, high:
            its 95% interval, plain, for that winner was named before these games were seen.
    """

    name: str
    kind: str
    seeds: int
    search_loss: float | None
    expected_value_loss: float | None
    validation_loss: float
    test_loss: float
    test_low: float
    test_high: float
    optimism: float | None
    to_winner: float
    to_winner_low: float
    to_winner_high: float
    accuracy: float


@dataclass(frozen=True)
class Confirmation:
    """The end of a study.

    Attributes:
        rows: winners in the order of the search, then baselines; empty while none has ended.
        games: test games that they were judged on. done, planned: runs.
        looks: how often winners were chosen; after the first the test games are less of a test.
    """

    rows: tuple[ConfirmedRow, ...]
    games: int
    done: int
    planned: int
    looks: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, and the same in words."""
        return {**asdict(self), "words": confirmation_sentences(self)}


def read_confirmation(history: StudyHistory, folder: StudyFolder) -> Confirmation | None:
    """The confirmation of a study, as far as it has come; None if it has not begun."""
    if not history.chosen:
        return None
    history = history.only({"confirm"})
    groups: dict[str, list[TrialHistory]] = {}
    for trial in history.trials.values():
        groups.setdefault(trial.variant, []).append(trial)
    ended = [make_entry(trials, None) for trials in groups.values()]
    entries = [entry for entry in ended if entry.row.completed]
    done = sum(trial.status == "completed" for trial in history.trials.values())
    rows, games = _rows(entries, folder, history) if entries else ((), 0)
    return Confirmation(rows, games, done, len(history.trials), len(history.chosen))


def _rows(
    entries: Sequence[Entry], folder: StudyFolder, history: StudyHistory
) -> tuple[tuple[ConfirmedRow, ...], int]:
    compared, panel = evidence_panel(entries, None, folder, None, room=len(history.trials))
    if panel is None:
        return (), 0
    seed = seed_variance(panel)
    low, high = interval(panel.means, *mean_variance(panel, seed))
    against = versus(panel, seed, 0)
    places = {place["variant"]: place for chosen in history.chosen for place in chosen.places}
    rows = tuple(
        _row(entry, places, float(max(0.0, low[i])), float(high[i]), against, i)
        for i, entry in enumerate(compared)
    )
    return rows, panel.table.counts.size


def _row(
    entry: Entry,
    places: dict[str, dict[str, Any]],
    low: float,
    high: float,
    against: Versus,
    index: int,
) -> ConfirmedRow:
    first = entry.runs[0]
    place = places.get(first.variant)
    searched = None if place is None else float(place["value_loss"])
    assert entry.row.value_loss is not None and entry.row.accuracy is not None
    return ConfirmedRow(
        name=entry.row.name,
        kind=first.origin,
        seeds=len(entry.runs),
        search_loss=searched,
        expected_value_loss=None if place is None else float(place["expected"]),
        validation_loss=mean_of(entry.runs, "validation_loss") or 0.0,
        test_loss=entry.row.value_loss,
        test_low=low,
        test_high=high,
        optimism=None if searched is None else entry.row.value_loss - searched,
        to_winner=float(against.difference[index]),
        to_winner_low=float(against.low[index]),
        to_winner_high=float(against.high[index]),
        accuracy=entry.row.accuracy,
    )


def confirmation_sentences(found: Confirmation) -> list[str]:
    """What was confirmed, in words, most important first."""
    if not found.rows:
        return [f"confirmation: {found.done} of {found.planned} trainings have ended"]
    winner, *others = found.rows
    said = [_of_winner(winner, found)]
    said += [_of_other(row, winner) for row in others]
    if found.done < found.planned:
        said.append(f"{found.done} of {found.planned} trainings of the confirmation have ended")
    if found.looks > 1:
        said.append(
            f"winners were chosen {found.looks} times: the test games are less of a test each time"
        )
    return said


def _of_winner(winner: ConfirmedRow, found: Confirmation) -> str:
    seeds = "1 fresh seed" if winner.seeds == 1 else f"{winner.seeds} fresh seeds"
    said = (
        f"confirmed: {winner.name} at {winner.test_loss:.4f} ({winner.test_low:.4f} to "
        f"{winner.test_high:.4f}) on {found.games:,} test games, {seeds}"
    )
    if winner.search_loss is None or winner.optimism is None:
        return said
    fresh = winner.validation_loss - winner.search_loss
    return (
        f"{said}; the search had said {winner.search_loss:.4f}: {winner.optimism:+.4f}, of which "
        f"{fresh:+.4f} for fresh seeds on the same games and "
        f"{winner.test_loss - winner.validation_loss:+.4f} for other games"
    )


def _of_other(row: ConfirmedRow, winner: ConfirmedRow) -> str:
    name = f"the baseline {row.name}" if row.kind == "baseline" else row.name
    bounds = f"{row.to_winner_low:+.4f} to {row.to_winner_high:+.4f}"
    if row.to_winner_low > 0:
        return f"{name} is worse than it by {row.to_winner:.4f} ({bounds})"
    if row.to_winner_high < 0:
        return f"{name} is better than it by {-row.to_winner:.4f} ({bounds})"
    return f"{name} cannot be told from it: {row.to_winner:+.4f} ({bounds})"


def confirmation_table(found: Confirmation) -> Table:
    """Search score, confirmed score and difference of each."""
    table = Table(
        title=f"confirmation: fresh seeds on {found.games:,} test games",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for title in _TITLES:
        table.add_column(title, justify="left" if title == "variant" else "right")
    for row in found.rows:
        table.add_row(*(Text(cell) for cell in _cells(row)))
    return table


def confirmation_markdown(found: Confirmation) -> list[str]:
    """The same as lines of Markdown."""
    ruler = ["---" if title == "variant" else "---:" for title in _TITLES]
    cells = [_TITLES, ruler, *(_cells(row) for row in found.rows)]
    return ["| " + " | ".join(line) + " |" for line in cells]


_TITLES = ("variant", "search", "fresh seeds", "test", "difference", "to the winner")


def _cells(row: ConfirmedRow) -> list[str]:
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
