"""A network that answers the Hex Text Protocol (HTP), which HexGui and other engines use.

Source: the protocol of HexGui and benzene, which follows GTP version 2 (Farneback, 2002).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from hexsearch import __version__
from hexsearch.game.board import BLUE, MAX_SIZE, MIN_SIZE, RED
from hexsearch.play.game_batch import GameBatch
from hexsearch.play.htp.board import HTP_NAMES, HtpBoard
from hexsearch.play.network_players import (
    PolicyPlayer,
    PredictorEvaluation,
    SearchPlayer,
    ValuePlayer,
)

_COLOURS = {"black": BLUE, "b": BLUE, "white": RED, "w": RED}
_ANALYSES = (
    "string/Win probability/hexsearch-win_probability",
    "pspairs/Policy/hexsearch-policy",
    "var/Principal variation/hexsearch-principal_variation",
)
_SHOWN = 20  # moves of the policy that get a label on the board
_LEAST_MOVES_LEFT = 8  # the remaining time is divided by this number of moves or more
_SWAP_BELOW = 0.5  # swap if the own win probability after the first move is below this

NetworkPlayer = PolicyPlayer | ValuePlayer | SearchPlayer


@dataclass
class HtpSession:
    """Answers commands one after the other.

    Attributes:
        swap: whether a strong first move is answered by `swap-pieces`.
        resign_below: win probability below which `genmove` answers `resign`; 0: never.
        over: whether `quit` was received.
    """

    player: NetworkPlayer
    swap: bool = False
    resign_below: float = 0.0
    over: bool = False
    _board: HtpBoard = field(init=False)
    _clock: dict[int, float] = field(default_factory=dict)
    _line: str = ""

    def __post_init__(self) -> None:
        self._board = HtpBoard(self.player.size)

    def serve(self, lines: Iterable[str]) -> Iterator[str]:
        """The replies until `quit` or the end of the input. An empty line ends each of them."""
        for line in lines:
            reply = self.reply(line)
            if reply is not None:
                yield reply
            if self.over:
                return

    def reply(self, line: str) -> str | None:
        """The reply to one line; None for a blank one or a comment."""
        text = re.sub(r"[^\x20-\x7e\t]", "", line.split("#", 1)[0]).strip()
        if not text:
            return None
        match = re.match(r"(\d*)\s*(.*)", text)
        assert match is not None
        number, words = match[1], match[2].split()
        try:
            if not words:
                raise ValueError("no command after the number")
            status, answer = "=", self._run(words[0], words[1:])
        except ValueError as error:
            status, answer = "?", str(error)
        return f"{status}{number} {answer}".rstrip() + "\n\n"

    def _run(self, command: str, arguments: list[str]) -> str:
        commands = self._commands()
        if command not in commands:
            raise ValueError(f"unknown command '{command}'")
        expected, function = commands[command]
        if len(arguments) < len(expected):
            raise ValueError(f"{command}: expected {' '.join(expected)}")
        return function(arguments)

    def _commands(self) -> dict[str, tuple[tuple[str, ...], Callable[[list[str]], str]]]:
        """All commands with their arguments and functions."""
        return {
            "name": ((), lambda _: "hexsearch"),
            "version": ((), lambda _: __version__),
            "protocol_version": ((), lambda _: "2"),
            "known_command": (("COMMAND",), self._known),
            "list_commands": ((), lambda _: "\n".join(self._commands())),
            "boardsize": (("SIZE",), self._boardsize),
            "clear_board": ((), self._clear),
            "play": (("COLOUR", "MOVE"), self._play),
            "genmove": (("COLOUR",), self._genmove),
            "undo": ((), self._undo),
            "showboard": ((), lambda _: "\n" + self._board.draw()),
            "final_score": ((), self._score),
            "time_left": (("COLOUR", "SECONDS"), self._time_left),
            "hexgui-analyze_commands": ((), lambda _: "\n".join(_ANALYSES)),
            "hexsearch-win_probability": ((), self._win_probability),
            "hexsearch-policy": ((), self._policy),
            "hexsearch-principal_variation": ((), self._principal_variation),
            "quit": ((), self._quit),
        }

    def _known(self, arguments: list[str]) -> str:
        return "true" if arguments[0] in self._commands() else "false"

    def _boardsize(self, arguments: list[str]) -> str:
        sizes = {_number(text, int) for text in arguments[:2]}
        if len(sizes) > 1 or not MIN_SIZE <= min(sizes) <= MAX_SIZE:
            raise ValueError("boards are square, from 3 to 19")
        if sizes != {self.player.size}:
            raise ValueError(f"this network plays on {self.player.size}x{self.player.size} only")
        return self._clear([])

    def _clear(self, arguments: list[str]) -> str:
        self._board.clear(self.player.size)
        self._clock.clear()
        return ""

    def _play(self, arguments: list[str]) -> str:
        self._board.play(arguments[1].lower(), _colour(arguments[0]))
        return ""

    def _undo(self, arguments: list[str]) -> str:
        self._board.undo()
        return ""

    def _score(self, arguments: list[str]) -> str:
        """The winner's letter, or the error `cannot score` for an open game, as in benzene."""
        won = self._board.winner
        if not won:
            raise ValueError("cannot score: nobody has connected")
        return f"{HTP_NAMES[won][0].upper()}+"

    def _time_left(self, arguments: list[str]) -> str:
        self._clock[_colour(arguments[0])] = float(_number(arguments[1], float))
        return ""

    def _quit(self, arguments: list[str]) -> str:
        self.over = True
        return ""

    def _genmove(self, arguments: list[str]) -> str:
        colour = _colour(arguments[0])
        batch, reflected = self._batch(colour)
        first_answer = len(self._board.history) == 1 and self._board.history[0][1] == -colour
        if self.swap and first_answer and self.player.win_prob(batch)[0] < _SWAP_BELOW:
            move = "swap-pieces"
        else:
            cell, win_prob = self._choose(batch, colour)
            if win_prob < self.resign_below:
                return "resign"
            move = self._board.outward(cell, reflected)
        self._board.play(move, colour)
        return move

    def _choose(self, batch: GameBatch, colour: int) -> tuple[int, float]:
        """The chosen cell in the batch's only game, and the player's own win probability."""
        if not isinstance(self.player, SearchPlayer):
            cells = self.player.choose(batch, [(0,)])
            return int(cells[0]), float(self.player.win_prob(batch)[0])
        limit = None
        if colour in self._clock:
            free = batch.size**2 - int(batch.plies[0])
            limit = 1000.0 * self._clock[colour] / max(_LEAST_MOVES_LEFT, free / 4)
            if self.player.settings.milliseconds is not None:
                limit = min(limit, self.player.settings.milliseconds)
        result = self.player.search(batch, [(0,)], limit)
        return int(result.cells[0]), float(result.win_prob[0])

    def _batch(self, colour: int) -> tuple[GameBatch, bool]:
        """The position with `colour` to move, and whether it is reflected for the network."""
        if won := self._board.winner:
            raise ValueError(f"{HTP_NAMES[won]} has connected: the game is over")
        moves, reflected = self._board.moves_for(colour)
        return GameBatch.of([moves], self.player.size), reflected

    def _win_probability(self, arguments: list[str]) -> str:
        colour = self._board.to_move
        batch, _ = self._batch(colour)
        own = float(self.player.win_prob(batch)[0])
        black = own if colour == BLUE else 1.0 - own
        return f"black {black:.3f} white {1.0 - black:.3f}"

    def _policy(self, arguments: list[str]) -> str:
        batch, reflected = self._batch(self._board.to_move)
        policy = PredictorEvaluation(self.player.predictor)(batch).policy[0]
        best = (-policy).argsort(kind="stable")[:_SHOWN]
        pairs = [
            f"{self._board.outward(int(cell), reflected)} {policy[cell]:.3f}"
            for cell in best
            if policy[cell] > 0
        ]
        return " ".join(pairs)

    def _principal_variation(self, arguments: list[str]) -> str:
        colour = self._board.to_move
        batch, reflected = self._batch(colour)
        if isinstance(self.player, SearchPlayer):
            result = self.player.search(batch, [(0,)])
            line = result.trees.principal_variation(0, int(result.cells[0]))
        else:
            line = (int(self.player.choose(batch, [(0,)])[0]),)
        names = []
        for cell in line:
            names.append(f"{HTP_NAMES[colour]} {self._board.outward(cell, reflected)}")
            colour = -colour
        return " ".join(names)


def _colour(text: str) -> int:
    colour = _COLOURS.get(text.lower())
    if colour is None:
        raise ValueError(f"'{text}' is not a colour; write black or white")
    return colour


def _number(text: str, kind: type[int] | type[float]) -> float:
    try:
        number = kind(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is not a number") from error
    if not 0 <= number < float("inf"):
        raise ValueError(f"'{text}' is out of range")
    return number
