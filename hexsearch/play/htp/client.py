"""An external engine with the Hex Text Protocol, as a player."""

from __future__ import annotations

import os
import selectors
import shlex
import subprocess
import time
from contextlib import suppress

import numpy as np

from hexsearch.errors import ConfigError
from hexsearch.game.board import cell_name, parse_cell
from hexsearch.play.game_batch import GameBatch, Indices
from hexsearch.play.player import PlayerError, Seeds

_COLOURS = ("black", "white")  # HTP's names of our Blue and Red: black connects top to bottom
_GRACE_S = 2.0  # time in which an engine may quit by itself
_MOST_REPLY = 1 << 20  # bytes; an engine that writes more has failed


class HtpConnection:
    """One running engine process.

    Raises:
        ConfigError: the command cannot be started.
    """

    def __init__(self, command: str, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._pending = b""
        try:
            self._process = subprocess.Popen(
                shlex.split(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        except (OSError, ValueError, IndexError) as error:
            raise ConfigError(f"--engine '{command}': cannot be started: {error}") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)

    def ask(self, command: str) -> str:
        """The text of a reply to one command.

        Raises:
            PlayerError: the engine refuses it, has ended, is silent for too long, or answers
                something that is no reply.
        """
        try:
            self._input.write(f"{command}\n".encode())
            self._input.flush()
        except OSError as error:
            raise PlayerError(f"crashed: {self._ending()} before '{command}'") from error
        reply = self._read_reply(command)
        if reply.startswith("?"):
            raise PlayerError(f"refused '{command}': {reply[1:].strip() or 'no reason given'}")
        if not reply.startswith("="):
            raise PlayerError(f"answered nonsense to '{command}': {reply[:60]!r}")
        return reply[1:].strip()

    def _read_reply(self, command: str) -> str:
        """Everything up to an empty line."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            text = self._pending.replace(b"\r", b"").lstrip(b"\n")
            if b"\n\n" in text:
                reply, self._pending = text.split(b"\n\n", 1)
                return reply.decode("utf-8", "replace")
            seconds_left = deadline - time.monotonic()
            if seconds_left <= 0 or not self._selector.select(seconds_left):
                raise PlayerError(f"gave no answer to '{command}' in {self._timeout_s:g} s")
            received = os.read(self._output.fileno(), 65_536)
            if not received:
                raise PlayerError(f"crashed: {self._ending()} at '{command}'")
            self._pending += received
            if len(self._pending) > _MOST_REPLY:
                raise PlayerError(f"answered nonsense to '{command}': over {_MOST_REPLY:,} bytes")

    def _ending(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        code = self._process.returncode
        return "its output ended" if code is None else f"it ended with status {code}"

    def close(self) -> None:
        """Send `quit`, and end the engine if it does not quit."""
        with suppress(OSError):
            self._input.write(b"quit\n")
            self._input.flush()
        self._end(_GRACE_S)

    def kill(self) -> None:
        """End the engine at once."""
        self._end(0.0)

    def _end(self, grace_s: float) -> None:
        with suppress(OSError):
            self._input.close()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        self._output.close()


class HtpPlayer:
    """Gets moves from an engine. One process plays one game after the other.

    An engine that fails is ended and loses the games of the batch. It is started again for the
    next batch.
    """

    size: None = None

    def __init__(self, name: str, command: str, timeout_s: float) -> None:
        self.name = name
        self._command = command
        self._timeout_s = timeout_s
        self._connection: HtpConnection | None = None
        self._followed: tuple[int, ...] | None = None
        self._followed_size = 0

    def choose(self, batch: GameBatch, seeds: Seeds) -> Indices:
        """The engine's answers to genmove.

        Raises:
            PlayerError: see HtpConnection.ask; also for an illegal move, and for resigning.
            ConfigError: the command cannot be started.
        """
        try:
            cells = [self._move(batch.game(row), batch.size) for row in range(len(batch))]
        except PlayerError:
            self._drop()
            raise
        return np.array(cells, dtype=np.int64)

    def _move(self, game: tuple[int, ...], size: int) -> int:
        connection = self._follow(game, size)
        colour = _COLOURS[len(game) % 2]
        text = connection.ask(f"genmove {colour}").lower()
        if text == "resign":
            raise PlayerError("resigned")
        try:
            cell = parse_cell(text, size)
        except ValueError as error:
            raise PlayerError(f"played an illegal move: {error}") from error
        if cell in game:
            raise PlayerError(f"played an illegal move: '{text}' is taken")
        self._followed = (*game, cell)
        return cell

    def _follow(self, game: tuple[int, ...], size: int) -> HtpConnection:
        """Bring the engine's board to a game; what it already knows is not sent again."""
        if self._connection is None:
            self._connection, self._followed = HtpConnection(self._command, self._timeout_s), None
        known = self._followed
        if known is None or size != self._followed_size or game[: len(known)] != known:
            self._connection.ask(f"boardsize {size}")
            self._connection.ask("clear_board")
            known = ()
        for ply in range(len(known), len(game)):
            name = cell_name(game[ply], size)
            self._connection.ask(f"play {_COLOURS[ply % 2]} {name}")
        self._followed, self._followed_size = game, size
        return self._connection

    def win_prob(self, batch: GameBatch) -> None:
        """None: the engine is used for moves only."""

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.kill()
        self._connection = self._followed = None

    def close(self) -> None:
        """End the engine."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._followed = None
