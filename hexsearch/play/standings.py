"""The result of a match: ratings with intervals, scores of pairs, speed, forfeits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hexsearch.play.results import OpeningResult
from hexsearch.statistics.elo import Scores, rate, score_interval


@dataclass(frozen=True)
class Standing:
    """The result of one player.

    Attributes:
        elo: rating; the mean over all players is 0. elo_low, elo_high: its 95% interval.
        score: share of its games that it won.
        milliseconds_per_move: mean time of its moves. Games that run side by side share the time.
        tied_with_leader: whether the interval of the difference to the leader contains 0.
        faults: number of forfeited games by reason.
        openings_to_separate: number of further openings that would separate it from the leader,
            if both play on in the same way; 0 if they are separated already, None if there is no
            sign of a difference.
    """

    name: str
    elo: float
    elo_low: float
    elo_high: float
    games: int
    score: float
    milliseconds_per_move: float
    tied_with_leader: bool
    faults: dict[str, int]
    openings_to_separate: int | None


@dataclass(frozen=True)
class PairScore:
    """Two players against each other.

    Attributes:
        score: share of the games that a won. low, high: its 95% interval.
    """

    a: str
    b: str
    games: int
    score: float
    low: float
    high: float
    openings_to_separate: int | None


@dataclass(frozen=True)
class Standings:
    """All players, the strongest first, and all pairs that played each other."""

    players: tuple[Standing, ...]
    pairs: tuple[PairScore, ...]

    def to_json(self) -> dict[str, Any]:
        """As `match --format json` prints it."""
        return asdict(self)


def standings(names: Sequence[str], results: Sequence[OpeningResult]) -> Standings:
    """Rate the players of a round robin in which all pairs have played one opening or more."""
    scores = Scores.of([(r.a, r.b, r.opening, float(r.score)) for r in results])
    ratings = rate(scores, len(names))
    low, high = ratings.intervals()
    order = sorted(range(len(names)), key=lambda player: -ratings.elo[player])
    leader, openings = order[0], len({result.opening for result in results})

    def standing(player: int) -> Standing:
        own = [(result, 0) for result in results if result.a == player]
        own += [(result, 1) for result in results if result.b == player]
        games = 2 * len(own)
        won = sum(game.winner == side for result, side in own for game in result.games)
        moves = sum(result.moves[side] for result, side in own)
        seconds = sum(result.seconds[side] for result, side in own)
        # The text begins with the name of the player that forfeits, as in "engine crashed: ...".
        faults = Counter(
            game.fault
            for result, side in own
            for game in result.games
            if game.fault is not None and game.winner != side
        )
        return Standing(
            name=names[player],
            elo=float(ratings.elo[player]),
            elo_low=float(low[player]),
            elo_high=float(high[player]),
            games=games,
            score=won / games,
            milliseconds_per_move=1000.0 * seconds / moves if moves else 0.0,
            tied_with_leader=player == leader or ratings.tied(player, leader),
            faults=dict(faults.most_common()),
            openings_to_separate=(
                None if player == leader else ratings.openings_to_separate(player, leader, openings)
            ),
        )

    pairs = []
    for a, b in sorted({(result.a, result.b) for result in results}):
        met = [float(result.score) for result in results if (result.a, result.b) == (a, b)]
        mean, bottom, top = score_interval(met)
        more = ratings.openings_to_separate(a, b, openings)
        pairs.append(PairScore(names[a], names[b], 2 * len(met), mean, bottom, top, more))
    return Standings(tuple(standing(player) for player in order), tuple(pairs))
