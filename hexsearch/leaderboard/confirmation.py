"""Result of a confirmation: a study's winners with fresh seeds on the test games."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hexsearch.leaderboard.paired_losses import paired_losses
from hexsearch.leaderboard.rows import Entry, last_reports, make_entry, mean
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.ledger.place import Place
from hexsearch.statistics.intervals import interval
from hexsearch.statistics.ranking import Versus, versus
from hexsearch.statistics.variance import mean_variance, seed_variance


@dataclass(frozen=True)
class ConfirmedRow:
    """One variant that was trained again with fresh seeds and evaluated on test games.

    Attributes:
        kind: `winner` of the search, or `baseline`.
        search_loss: its mean value loss in the search, on validation games, when it was chosen;
            None for a baseline that the search did not choose.
        expected_value_loss: the same with an allowance for selection.
        validation_loss: value loss of the fresh seeds on the same validation games.
        test_loss: value loss on the test games.
        test_low, test_high: its 95% interval over games and seeds.
        optimism: test_loss minus search_loss.
        to_winner: test_loss minus that of the first winner, paired by game and seed.
        to_winner_low, to_winner_high: its 95% interval. It needs no allowance for selection,
            since the winner was chosen without these games.
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
    """The confirmation of a study.

    Attributes:
        rows: winners in the order of the search, then baselines; empty before the first has ended.
        games: number of test games that they were evaluated on.
        done, planned: number of completed and of planned runs.
        looks: number of times that winners were chosen. With more than one, the test games are no
            longer independent of the choice.
    """

    rows: tuple[ConfirmedRow, ...]
    games: int
    done: int
    planned: int
    looks: int


def read_confirmation(history: StudyHistory, folder: StudyFolder) -> Confirmation | None:
    """The present state of a study's confirmation; None if it has not begun."""
    if not history.chosen:
        return None
    history = history.only({"confirm"})
    groups: dict[str, list[TrialHistory]] = {}
    for trial in history.trials.values():
        groups.setdefault(trial.variant, []).append(trial)
    ended = [make_entry(trials) for trials in groups.values()]
    entries = [entry for entry in ended if entry.row.completed]
    done = sum(trial.status == "completed" for trial in history.trials.values())
    rows, games = _rows(entries, folder, history) if entries else ((), 0)
    return Confirmation(rows, games, done, len(history.trials), len(history.chosen))


def _rows(
    entries: Sequence[Entry], folder: StudyFolder, history: StudyHistory
) -> tuple[tuple[ConfirmedRow, ...], int]:
    compared, paired = paired_losses(entries, None, folder, None, most=len(history.trials))
    if paired is None:
        return (), 0
    seed = seed_variance(paired)
    low, high = interval(paired.means, *mean_variance(paired, seed))
    against = versus(paired, seed, 0)
    places = {place.variant: place for chosen in history.chosen for place in chosen.places}
    rows = tuple(
        _row(entry, places, float(max(0.0, low[i])), float(high[i]), against, i)
        for i, entry in enumerate(compared)
    )
    return rows, paired.table.counts.size


def _row(
    entry: Entry,
    places: dict[str, Place],
    low: float,
    high: float,
    against: Versus,
    index: int,
) -> ConfirmedRow:
    first = entry.runs[0]
    place = places.get(first.variant)
    search_loss = None if place is None else place.value_loss
    assert entry.row.value_loss is not None and entry.row.accuracy is not None
    return ConfirmedRow(
        name=entry.row.name,
        kind=first.origin,
        seeds=len(entry.runs),
        search_loss=search_loss,
        expected_value_loss=None if place is None else place.expected_value_loss,
        validation_loss=mean(report.validation_loss for report in last_reports(entry.runs)) or 0.0,
        test_loss=entry.row.value_loss,
        test_low=low,
        test_high=high,
        optimism=None if search_loss is None else entry.row.value_loss - search_loss,
        to_winner=float(against.difference[index]),
        to_winner_low=float(against.low[index]),
        to_winner_high=float(against.high[index]),
        accuracy=entry.row.accuracy,
    )
