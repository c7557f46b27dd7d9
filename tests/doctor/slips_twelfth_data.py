"""Slips of search values, of drawn positions and of files of games of the twelfth set.

See `slips_twelfth_scripts` for how the set was written and for what counts as named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.archive import GameArchive
from hexsearch.data.order import keyed_bits
from hexsearch.data.position_set import PositionSet
from hexsearch.game.board import RED
from hexsearch.game.record import Game
from tests.doctor.games_files import GamesFile
from tests.doctor.slips import ABSOLUTE, Patch, Slip, nothing
from tests.doctor.slips_ninth_games import line_of

_SEARCHED = {"curriculum": {"name": "all", "search_value": 0.8}}
_LOST = 0.3  # share of the visits that are virtual losses
_DRAWS = 41  # key of the plies that are drawn
_LEFT = 4  # plies that a resigned game lacks


def _chances(archive: GameArchive) -> NDArray[np.float64]:
    """Red's chance before each move, by a search that is surer towards the end of a game."""
    games, lengths = np.arange(len(archive)), archive.lengths
    game = np.repeat(games, lengths)
    share = (np.arange(len(game)) - archive.offsets[game].astype(np.int64)) / lengths[game]
    sure = np.random.default_rng(5).normal(0.1 + 0.8 * share, 0.15).clip(-0.3, 0.95)
    chances: NDArray[np.float64] = 0.5 + 0.5 * np.where(archive.winners[game] == RED, sure, -sure)
    return chances


def _in_percent(archive: GameArchive, chances: NDArray[np.float64]) -> GameArchive:
    return replace(archive, search_values=np.rint(100 * chances).astype(np.uint8))


def with_growing_certainty(archive: GameArchive) -> GameArchive:
    """Search values as they should be."""
    return _in_percent(archive, _chances(archive))


def _with_virtual_losses(archive: GameArchive) -> GameArchive:
    """Means over visits of which some are losses of the side to move that nobody took back."""
    game = np.repeat(np.arange(len(archive)), archive.lengths)
    reds = (np.arange(len(game)) - archive.offsets[game].astype(np.int64)) % 2 == 1
    chances = (1 - _LOST) * _chances(archive)
    return _in_percent(archive, np.where(reds, chances, chances + _LOST))


def _cut_to_the_length(patch: Patch) -> None:
    """A ply is drawn up to the longest game's end, and cut to the length of its own game."""
    sound = PositionSet.draw

    def draw(self: Any, seed: int, cursor: int, size: int) -> Any:
        games, _ = sound(self, seed, cursor, size)
        ends = dict(zip(self.games.tolist(), (self.first + self.counts - 1).tolist(), strict=True))
        last = np.array([ends[game] for game in games.tolist()])
        drawn = keyed_bits(seed, _DRAWS, np.arange(cursor, cursor + size))
        longest = np.uint64(max(ends.values()) + 1)
        return games, np.minimum((drawn % longest).astype(np.int64), last)

    patch.setattr(PositionSet, "draw", draw)


SLIPS: dict[str, Slip] = {
    "virtual losses left in the search values": Slip(
        nothing,
        "virtual|search.*(mover|side to move|mov(es|ing) next|whose turn|too low|too high|against|f"
        "avou?r|pessimis|optimis|parity|both colours|one colour|bias|colour.*(turn|move))|(mover|si"
        "de to move|whose turn|colour.*(turn|move)|pessimis|bias).*search",
        {**ABSOLUTE, **_SEARCHED},
        games=_with_virtual_losses,
        cause="Virtual losses of a parallel search were not taken back, so search values are too "
        "low for the side to move.",
        report="mokemokechicken/reversi-alpha-zero#35 and #17; Zeta36/chess-alpha-zero#33",
    ),
    "plies drawn up to the longest game and cut": Slip(
        _cut_to_the_length,
        "(last|final|finish|end|late|terminal).*(too often|more often|share|as often|"
        "over.?repres|twice|half|repeat|frequen|most|many|again)|(too often|more often|share|"
        "over.?repres|repeat|frequen|most|many|half).*(last|final|finish|end|late|terminal)|"
        "longest|clamp|\\bcut\\b|distribution of plies|plies.*(distribut|uneven|unequal|drawn)",
        cause="Plies are drawn up to the end of the longest game and cut to the length of the "
        "game, so finished boards are drawn far too often.",
        report="from memory: randint(0, max_length) with min or clip when positions are sampled",
    ),
}


def _as_they_arrived(games: Sequence[Game]) -> Mapping[str, str]:
    """In two games of three a move reached the log before the one that it answered."""
    rng, lines = np.random.default_rng(11), []
    for number, game in enumerate(games):
        moves = list(game.moves)
        if number % 3:
            ply = int(rng.integers(0, len(moves) - 1))
            moves[ply : ply + 2] = moves[ply + 1], moves[ply]
        lines.append(line_of(moves, game.winner, game.size))
    return {"games.trmph": "".join(lines)}


def _red_begins(games: Sequence[Game]) -> Mapping[str, str]:
    """In every second game Red moved first, which lines without colours do not say.

    Board, winner and colours of such a game are the mirror image of one that Blue began.
    """
    lines = []
    for number, game in enumerate(games):
        moves, winner = list(game.moves), game.winner
        if number % 2 == 1:
            moves = [cell % game.size * game.size + cell // game.size for cell in moves]
            winner = -winner
        lines.append(line_of(moves, winner, game.size))
    return {"games.trmph": "".join(lines)}


def _resignation_as_a_cell(games: Sequence[Game]) -> Mapping[str, str]:
    """Every second game is given up some plies before its end, which is written as its last cell.

    The action for a resignation has no cell; the exporter's table gives it the first free one.
    """
    lines = []
    for number, game in enumerate(games):
        moves = list(game.moves)
        if number % 2 == 1:
            moves = moves[: max(2, len(moves) - _LEFT)]
            loser_moves = (len(moves) % 2 == 0) == (game.winner == RED)
            moves = moves if loser_moves else moves[:-1]
            moves.append(next(cell for cell in range(game.size**2) if cell not in moves))
        lines.append(line_of(moves, game.winner, game.size))
    return {"games.trmph": "".join(lines)}


GAMES: dict[str, GamesFile] = {
    "moves logged in the order of their arrival": GamesFile(
        _as_they_arrived,
        "order of (the )?(moves|stones)|(moves|stones|plies).*(order|exchang|swap|transpos|permut)|"
        "(exchang|swap|transpos|permut)ed.*(moves|stones|plies)|(adjacent|neighbouring|consecutive|"
        "successive) (moves|plies|stones)|colou?rs? of (two|some|single|a few) (moves|stones)|(two|"
        "some|single|a few) (moves|stones).*(wrong|other) colou?r",
        "In two of three games two moves that follow each other are exchanged in the record, so "
        "that both stones have the wrong colour.",
        "from memory: logs that two clients write without a lock or a number of the move",
    ),
    "games that Red began": GamesFile(
        _red_begins,
        "(who|which (colour|player|side)|red|blue|other (colour|player|side)|second (colour|"
        "player)).{0,25}(beg[au]n|begins|first|start)|(first|begin|start).{0,25}(red|colour|"
        "player)|colours?.*(exchang|swap|wrong|invert|other)|(exchang|swap|wrong|invert|"
        "other).*colours?",
        "Red began every second game, but lines hold no colours and are read as if Blue had begun, "
        "so that all stones of these games have the wrong colour.",
        "from memory: self-play in which the players begin in turn, and records without colours",
    ),
    "resignation written as a cell": GamesFile(
        _resignation_as_a_cell,
        "resign|given up|gives up|give up|(marker|code|number|placeholder|sentinel|token).*(move|"
        "cell|end)|(last|final) (move|cell|stone).*(same|often|always|a1|first|corner|not a move|"
        "top|row)|(a1|first cell|corner|same cell|top).*(last|end|final)|not a (real )?move",
        "In every second game a resignation is written as a move, so the last stone, on the first "
        "free cell, was never placed.",
        "from memory: action N*N for pass and resignation, taken modulo the number of cells",
    ),
}
