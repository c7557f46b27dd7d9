"""Two players play many games in parallel, from openings to a connection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hexsearch.game.board import BLUE, RED
from hexsearch.play.game_batch import GameBatch, Indices, connected, mover_colour
from hexsearch.play.player import Player, PlayerError


@dataclass(frozen=True)
class Start:
    """The start of a game.

    Attributes:
        opening: given first moves.
        blue: index of the player with Blue, 0 or 1.
        seed: seed of the game.
    """

    opening: tuple[int, ...]
    blue: int
    seed: tuple[int, ...]


@dataclass(frozen=True)
class PlayedGame:
    """A game and its result.

    Attributes:
        blue: index of the player with Blue at the end.
        swapped: whether the players exchanged colours.
        winner: index of the player who won.
        fault: why the other player forfeited the game, or an empty text.
    """

    moves: tuple[int, ...]
    blue: int
    winner: int
    swapped: bool = False
    fault: str | None = None


@dataclass
class Pace:
    """Number of moves that a player has chosen, and the seconds for them."""

    moves: int = 0
    seconds: float = 0.0

    def add(self, moves: int, seconds: float) -> None:
        """Add moves and seconds."""
        self.moves += moves
        self.seconds += seconds

    @property
    def milliseconds(self) -> float:
        """Mean time of a move. Games that are played in parallel share the time."""
        return 1000.0 * self.seconds / self.moves if self.moves else 0.0


@dataclass
class _Table:
    """Games in progress. Rows are kept; `active` marks games that are not finished."""

    size: int
    moves: Indices
    plies: Indices
    blue: Indices
    winner: Indices
    swapped: np.ndarray
    faults: dict[int, str] = field(default_factory=dict)

    def batch(self, rows: Indices) -> GameBatch:
        return GameBatch(self.size, self.moves[rows], self.plies[rows])

    def movers(self, rows: Indices) -> Indices:
        """[len(rows)] index of the player to move."""
        return np.where(self.plies[rows] % 2 == 0, self.blue[rows], 1 - self.blue[rows])


def play_games(
    players: tuple[Player, Player], starts: Sequence[Start], size: int, swap: bool = False
) -> tuple[list[PlayedGame], tuple[Pace, Pace]]:
    """Play all games to their ends, and return them in the given order.

    Args:
        swap: after an opening of one move, the second player may take over the first side.
    Returns:
        The games, and the speed of each player.
    """
    first = GameBatch.of([start.opening for start in starts], size)
    table = _Table(
        size,
        first.moves,
        first.plies,
        np.array([start.blue for start in starts], dtype=np.int64),
        np.full(len(starts), -1, dtype=np.int64),
        np.zeros(len(starts), dtype=bool),
    )
    paces = (Pace(), Pace())
    if swap:
        _offer_swaps(table, players)
    while len(active := np.flatnonzero(table.winner < 0)):
        movers = table.movers(active)
        for index, player in enumerate(players):
            rows = active[movers == index]
            if len(rows):
                _move(table, player, index, rows, starts, paces[index])
    games = [
        PlayedGame(
            table.batch(np.array([row])).game(0),
            int(table.blue[row]),
            int(table.winner[row]),
            bool(table.swapped[row]),
            table.faults.get(row),
        )
        for row in range(len(starts))
    ]
    return games, paces


def _move(
    table: _Table, player: Player, index: int, rows: Indices, starts: Sequence[Start], pace: Pace
) -> None:
    """One move of a player in each of the games `rows`. A player who fails loses these games."""
    batch = table.batch(rows)
    began = time.perf_counter()
    try:
        cells = player.choose(batch, [starts[row].seed for row in rows])
    except PlayerError as error:
        table.winner[rows] = 1 - index
        table.faults.update(dict.fromkeys(rows.tolist(), f"{player.name} {error}"))
        return
    finally:
        pace.add(len(rows), time.perf_counter() - began)
    colours = mover_colour(batch.plies)
    stones = batch.stones
    games = np.arange(len(rows))
    assert not stones[games, cells].any(), f"{player.name} plays on a taken cell"
    stones[games, cells] = colours
    table.moves[rows, batch.plies] = cells
    table.plies[rows] += 1
    table.winner[rows[connected(stones, colours, table.size)]] = index


def _offer_swaps(table: _Table, players: tuple[Player, Player]) -> None:
    """Players who can estimate win probabilities take over a first move that is strong."""
    offered = np.flatnonzero(table.plies == 1)
    movers = table.movers(offered)
    for index, player in enumerate(players):
        rows = offered[movers == index]
        if not len(rows):
            continue
        own = player.win_prob(table.batch(rows))
        if own is not None:
            taken = rows[own < 0.5]
            table.blue[taken] = index
            table.swapped[taken] = True


def winning_colour(game: PlayedGame) -> int:
    """BLUE or RED."""
    return BLUE if game.winner == game.blue else RED
