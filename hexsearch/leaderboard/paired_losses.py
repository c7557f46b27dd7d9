"""Per-game losses of several rows on the same games, read from their trials' folders."""

from __future__ import annotations

from collections.abc import Sequence

from hexsearch.leaderboard.rows import Entry
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import read_game_losses
from hexsearch.statistics.intervals import game_table
from hexsearch.statistics.variance import PairedRuns
from hexsearch.training.metrics import GameLosses


def paired_losses(
    level: Sequence[Entry],
    leader: Entry | None,
    folder: StudyFolder,
    stage: str | None,
    most: int,
) -> tuple[list[Entry], PairedRuns | None]:
    """The first rows of a level as runs side by side, in their order.

    Args:
        leader: of a higher level, to come first with what it was at this one.
        most: runs to read; the row that reaches it is still read whole.
    Returns:
        The rows that are compared, without those whose losses are missing; and the losses, None
        if there are too few to compare.
    """
    positions = level[0].row.positions_seen
    losses: list[GameLosses] = []
    names: list[str] = []
    replicates: list[int] = []
    compared: list[Entry] = []
    for entry in [leader, *level] if leader else level:
        if len(losses) >= most:
            break
        stored = [read_game_losses(folder.trial(trial.trial), positions) for trial in entry.runs]
        found = [one for one in stored if one is not None]
        if len(found) < len(stored):  # a mean over fewer seeds would be another figure
            if entry is leader:
                return [], None
            continue
        compared.append(entry)
        losses += found
        names += [entry.row.trial_ids[0]] * len(found)
        replicates += [trial.replicate for trial in entry.runs]
    table = game_table(losses, stage)
    return compared, None if table is None else PairedRuns.of(table, names, replicates)


def by_variant(paired: PairedRuns, compared: Sequence[Entry]) -> PairedRuns:
    """The same runs grouped by variant, where the rows are trials."""
    variants = [trial.variant for entry in compared for trial in entry.runs]
    return PairedRuns.of(paired.table, variants, paired.replicate.tolist())
