"""Reads the per-game losses of several rows on the same games from their trials' folders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hexsearch.errors import LedgerError
from hexsearch.leaderboard.rows import Entry
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import read_game_losses
from hexsearch.statistics.intervals import GameTable, game_table, game_variance
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
    table = common_table(losses, folder, stage)
    return compared, None if table is None else PairedRuns.of(table, names, replicates)


def common_table(
    losses: Sequence[GameLosses], folder: StudyFolder, stage: str | None = None
) -> GameTable | None:
    """A table of the losses of runs of one study; None for fewer than two common games.

    Raises:
        LedgerError: they are about different positions, so a file comes from elsewhere.
    """
    try:
        return game_table(losses, stage)
    except ValueError as error:
        raise LedgerError(
            f"{folder.path}: the losses by game of its trials (trials/*/games-*.npz) are about "
            "different positions, so some of them come from another study; restore them from a "
            "copy, or delete those that do not belong here"
        ) from error


def paired_difference(
    folder: StudyFolder, first: str, second: str, positions: int
) -> tuple[float, float] | None:
    """By how much a trial's value loss is above another's on the same games, and how sure it is.

    Returns:
        The difference and its standard error over games; None where losses are missing.
    """
    stored = [read_game_losses(folder.trial(name), positions) for name in (first, second)]
    losses = [one for one in stored if one is not None]
    try:
        table = game_table(losses) if len(losses) == len(stored) else None
    except ValueError:  # of other positions: a file from elsewhere
        return None
    if table is None:
        return None
    apart = table.influence[0] - table.influence[1]
    return float(table.means[0] - table.means[1]), float(np.sqrt(game_variance(apart)))


def by_variant(paired: PairedRuns, compared: Sequence[Entry]) -> PairedRuns:
    """The same runs, grouped by variant also if the rows are trials."""
    variants = [trial.variant for entry in compared for trial in entry.runs]
    return PairedRuns.of(paired.table, variants, paired.replicate.tolist())
