"""Result of the phase `match`: the playing strength of a study's networks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from hexsearch.errors import LedgerError
from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.kinds import checked
from hexsearch.statistics.rank_correlation import RankCorrelation, rank_correlation
from hexsearch.training.atomic import read_whole


@dataclass(frozen=True)
class Strength:
    """One network that played.

    Attributes:
        trial: trial whose checkpoint it is.
        value_loss: value loss of that trial at its end.
        elo: its Elo; the mean of all players is 0.
        elo_low, elo_high: its 95% interval.
        milliseconds_per_move: time for one of its moves, with many games in parallel.
    """

    trial: str
    name: str
    value_loss: float
    elo: float
    elo_low: float
    elo_high: float
    games: int
    score: float
    milliseconds_per_move: float


@dataclass(frozen=True)
class PlayedMatch:
    """A whole match of a study. Every pair of players played each of `openings` twice."""

    players: tuple[Strength, ...]
    openings: int

    @property
    def correlation(self) -> RankCorrelation | None:
        """Rank correlation of low value loss with Elo over the players; 1 is equal order."""
        return rank_correlation(
            [-player.value_loss for player in self.players],
            [player.elo for player in self.players],
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are stored."""
        return {"openings": self.openings, "players": [vars(player) for player in self.players]}


def read_match(path: Path) -> PlayedMatch | None:
    """The match of a study; None if no match has been played to its end.

    Raises:
        LedgerError: the file is damaged.
    """
    if not path.exists():
        return None
    names = [field.name for field in fields(Strength)]
    try:
        document = json.loads(read_whole(path))
        players = [
            checked(Strength(**{name: row[name] for name in names})) for row in document["players"]
        ]
        if not players:
            raise ValueError("it has no players")
        return PlayedMatch(tuple(players), int(document["openings"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LedgerError(
            f"{path}: is damaged ({error}); delete it and resume the study to play again"
        ) from error


def with_strength(rows: Sequence[Row], match: PlayedMatch | None) -> tuple[Row, ...]:
    """Rows with the Elo of their trial that played."""
    if match is None:
        return tuple(rows)
    played = {player.trial: player for player in match.players}

    def filled(row: Row) -> Row:
        player = next((played[trial] for trial in row.trial_ids if trial in played), None)
        if player is None:
            return row
        return replace(
            row,
            elo=player.elo,
            elo_low=player.elo_low,
            elo_high=player.elo_high,
            milliseconds_per_move=player.milliseconds_per_move,
        )

    return tuple(map(filled, rows))


def match_sentences(match: PlayedMatch) -> list[str]:
    """Sentences on the strongest network, and on whether value loss predicts strength."""
    best = max(match.players, key=lambda player: player.elo)
    lines = [
        f"match: {best.name} plays strongest, {best.elo:+.0f} Elo ({best.elo_low:+.0f} to "
        f"{best.elo_high:+.0f}) over {len(match.players)} networks and {match.openings} openings"
    ]
    correlation = match.correlation
    if correlation is None:
        return [*lines, "too few networks played to say whether value loss predicts strength"]
    verdict = (
        "the order of value losses predicts strength"
        if correlation.low > 0
        else "the order of value losses predicts the opposite of strength"
        if correlation.high < 0
        else "the match does not show whether value loss predicts strength"
    )
    return [
        *lines,
        f"{verdict}: rank correlation of low value loss with Elo {correlation.rho:.2f} "
        f"({correlation.low:.2f} to {correlation.high:.2f}, {correlation.count} networks)",
    ]
