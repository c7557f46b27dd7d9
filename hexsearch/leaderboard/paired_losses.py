"""Reads the per-game losses of several rows on the same games from their trials' folders."""

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
    """The first rows of a level, in order, and the paired losses of their runs.

    Args:
        leader: leader of a higher level. It comes first, with its losses at this level.
        most: number of runs after which no further row is read.
    Returns:
        The rows that are compared, without rows whose losses are missing, and the losses. These
        are None if there are too few to compare.
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
        complete = [one for one in stored if one is not None]
        if len(complete) < len(stored):  # the mean over fewer seeds would be a different figure
            if entry is leader:
                return [], None
            continue
        compared.append(entry)
        losses += complete
        names += [entry.row.trial_ids[0]] * len(complete)
        replicates += [trial.replicate for trial in entry.runs]
    table = game_table(losses, stage)
    return compared, None if table is None else PairedRuns.of(table, names, replicates)


def by_variant(paired: PairedRuns, compared: Sequence[Entry]) -> PairedRuns:
    """The same runs, grouped by variant also if the rows are trials."""
    variants = [trial.variant for entry in compared for trial in entry.runs]
    return PairedRuns.of(paired.table, variants, paired.replicate.tolist())
