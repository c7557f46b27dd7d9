"""Slips of exporters: files of games that are given to the doctor by `--games`.

See `slips_ninth_scripts` for how the ninth set was written and for what counts as named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hexsearch.game.board import BLUE, RED, cell_name
from hexsearch.game.record import Game
from tests.doctor.games_files import GamesFile

Texts = Mapping[str, str]
_WRONG_WINNERS = "winner|result|contradict|refused|label|disagree|do not fit|replay"


def names_of(moves: Iterable[int], size: int) -> str:
    """Cells as a TRMPH line has them."""
    return "".join(cell_name(cell, size) for cell in moves)


def line_of(moves: Iterable[int], winner: int, size: int) -> str:
    """One game as TRMPH."""
    return f"#{size},{names_of(moves, size)} {'b' if winner == BLUE else 'r'}\n"


def transposed(cell: int, size: int) -> int:
    """The cell with row and column exchanged."""
    return cell % size * size + cell // size


def _columns_mirrored(games: Sequence[Game]) -> Texts:
    lines = []
    for game in games:
        moves = [cell + game.size - 1 - 2 * (cell % game.size) for cell in game.moves]
        lines.append(line_of(moves, game.winner, game.size))
    return {"games.trmph": "".join(lines)}


def _resigner_as_winner(games: Sequence[Game]) -> Texts:
    """SGF; every second game is given up, and the exporter names the colour that resigned."""
    texts = []
    for number, game in enumerate(games):
        given_up = number % 2 == 1
        moves = game.moves[: round(0.7 * len(game.moves))] if given_up else game.moves
        named = -game.winner if given_up else game.winner
        result = f"{'B' if named == BLUE else 'W'}+{'Resign' if given_up else '1'}"
        stones = "".join(
            f";{'BW'[ply % 2]}[{cell_name(cell, game.size)}]" for ply, cell in enumerate(moves)
        )
        texts.append(f"(;FF[4]GM[11]SZ[{game.size}]RE[{result}]{stones})\n")
    return {"games.sgf": "".join(texts)}


def _swap_lost(games: Sequence[Game]) -> Texts:
    """In every second game the second player swaps pieces; the exporter leaves the swap out.

    After a swap of pieces the first stone is Red's, at the mirrored cell, and Blue moves next.
    """
    lines = []
    for number, game in enumerate(games):
        moves, winner = game.moves, game.winner
        if number % 2 == 1:
            later = [transposed(cell, game.size) for cell in moves[1:]]
            moves, winner = (moves[0], *later), -winner
        lines.append(line_of(moves, winner, game.size))
    return {"games.trmph": "".join(lines)}


def _two_games_in_a_line(games: Sequence[Game]) -> Texts:
    lines, rest = [], iter(games)
    for number, game in enumerate(rest):
        following = next(rest, None) if number % 3 == 0 else None
        moves = game.moves if following is None else (*game.moves, *following.moves)
        winner = game.winner if following is None else following.winner
        lines.append(line_of(moves, winner, game.size))
    return {"games.trmph": "".join(lines)}


def _each_twice(games: Sequence[Game]) -> Texts:
    """Both engines write each game, which ends by resignation, with the result `won`, as `b`."""
    first = [line_of(game.moves[:-3], game.winner, game.size) for game in games]
    second = [line_of(game.moves[:-3], -game.winner, game.size) for game in games]
    return {"engine1.trmph": "".join(first), "engine2.trmph": "".join(second)}


def _half_transposed(games: Sequence[Game]) -> Texts:
    half = len(games) // 2
    first = [line_of(game.moves, game.winner, game.size) for game in games[:half]]
    second = [
        line_of((transposed(cell, game.size) for cell in game.moves), game.winner, game.size)
        for game in games[half:]
    ]
    return {
        "all.trmph": "".join(line for pair in zip(first, second, strict=False) for line in pair)
    }


def _last_move_lost(games: Sequence[Game]) -> Texts:
    lines = []
    for game in games:
        last_mover = BLUE if len(game.moves[:-1]) % 2 == 1 else RED
        lines.append(line_of(game.moves[:-1], last_mover, game.size))
    return {"games.trmph": "".join(lines)}


def _won_games_of_one(games: Sequence[Game]) -> Texts:
    lines = [line_of(g.moves, g.winner, g.size) for g in games if g.winner == RED]
    return {"my_wins.trmph": "".join(lines)}


GAMES: dict[str, GamesFile] = {
    "columns mirrored": GamesFile(
        _columns_mirrored,
        f"mirror|flip|column|orient|coordinat|neighbour|{_WRONG_WINNERS}",
        "The exporter mirrored the columns (a is the last one), so that other cells touch and "
        "the winners do not fit the boards.",
        "Zeta36/chess-alpha-zero#94, done in Hex",
    ),
    "winner of a resignation is who resigned": GamesFile(
        _resigner_as_winner,
        "resign|given up|unfinished|(stated|written) winner|winner.*(wrong|not fit|board|loser)",
        "In games that were given up, the side that resigned is written as the winner.",
        "leela-zero/leela-zero#338",
    ),
    "swap left out": GamesFile(
        _swap_lost,
        f"swap|colours? (are )?exchanged|first (move|stone)|alternat|{_WRONG_WINNERS}|unfinished",
        "In half of the games the swap was left out, so all later stones have the wrong colour.",
        "forum, from memory: swap-pieces in LittleGolem's SGF",
    ),
    "two games in a line": GamesFile(
        _two_games_in_a_line,
        "occupied|twice|two games|taken|already|refused|illegal|after the (end|game)|concat|joined"
        "|goes on",
        "In a part of the lines the moves of the next game follow those of the first, since a "
        "line break is missing.",
        "forum, from memory: concatenated files without a line break at the end",
    ),
    "every game twice with opposite results": GamesFile(
        _each_twice,
        "twice|duplicat|cop(y|ies)|same (game|moves|position)|opposite|contradict|both (winners|"
        "results|sides)|repeated|conflict",
        "Every game is there twice, once with each winner, since both engines wrote it as won.",
        "Remi-Coulom/gogui#9; the form from memory",
    ),
    "half of the games transposed": GamesFile(
        _half_transposed,
        f"transpos|row|column|orient|mixed|edges|reading|swapped coord|{_WRONG_WINNERS}",
        "Every second game has row and column exchanged, so its winner connects the wrong edges.",
        "forum, from memory: two exporters with (row, column) and (column, row)",
    ),
    "winning move left out": GamesFile(
        _last_move_lost,
        "last move|unfinished|cut|truncat|inver|loser|wrong (side|winner|colour)|opposite"
        "|winner.*(not fit|wrong|other)|missing move|one move",
        "The winning move is left out, and the side that made the last written move is named as "
        "the winner, which is always the loser.",
        "LeelaChessZero/lc0#1046 and Narsil/alphagozero#4, in a file",
    ),
    "only the games that one colour won": GamesFile(
        _won_games_of_one,
        "one colour|always|only.*(Red|Blue|won|winner)|all (the )?games|imbalanc|unbalanced|share"
        "|every game|same winner|constant|Red wins|100 ?%",
        "The file holds only games that Red won, so the result is the same everywhere.",
        "forum, from memory: export of one's won games",
    ),
}
