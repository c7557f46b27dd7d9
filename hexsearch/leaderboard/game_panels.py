"""Per-game losses of rows side by side, as statistics take them."""

from __future__ import annotations

from collections.abc import Sequence

from hexsearch.leaderboard.rows import Entry
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import read_game_losses
from hexsearch.statistics.intervals import game_table
from hexsearch.statistics.variance import Panel
from hexsearch.training.metrics import GameLosses


def evidence_panel(
    level: Sequence[Entry],
    leader: Entry | None,
    folder: StudyFolder,
    stage: str | None,
    room: int,
) -> tuple[list[Entry], Panel | None]:
    """The first rows of a level as runs side by side, in their order.

    Args:
        leader: of a higher level, to come first with what it was at this one.
        room: how many runs to take, more or less.
    Returns:
        Also the rows that are compared; rows of which evidence is missing are not.
    """
    positions = level[0].row.positions_seen
    losses: list[GameLosses] = []
    names: list[str] = []
    replicates: list[int] = []
    compared: list[Entry] = []
    for entry in [leader, *level] if leader else level:
        if len(losses) >= room:
            break
        found = [
            evidence
            for trial in entry.runs
            if (evidence := read_game_losses(folder.trial(trial.trial), positions))
        ]
        if len(found) < len(entry.runs):  # a mean over fewer seeds would be another figure
            if entry is leader:
                return [], None
            continue
        compared.append(entry)
        losses += found
        names += [entry.row.trial_ids[0]] * len(found)
        replicates += [trial.replicate for trial in entry.runs]
    table = game_table(losses, stage)
    return compared, None if table is None else Panel.of(table, names, replicates)


def by_variant(panel: Panel, compared: Sequence[Entry]) -> Panel:
    """The same runs grouped by variant, where the rows are trials."""
    variants = [trial.variant for entry in compared for trial in entry.runs]
    return Panel.of(panel.table, variants, panel.replicate.tolist())
