"""New games by self-play: OpenSpiel's MCTS with random rollouts, after a random opening.

Game number i depends on (seed, i) and the settings alone, so any number of workers makes the
same games, and an interrupted run goes on where the file ends. A file holds whole games only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from hexsearch.errors import GamesError, HexsearchError
from hexsearch.game.board import BLUE, RED
from hexsearch.game.formats.trmph import format_trmph, read_trmph
from hexsearch.game.record import Game, Refusal
from hexsearch.game.symmetry import canonical_moves


@dataclass(frozen=True, kw_only=True)
class SelfplayConfig:
    """How games are made. Equal settings and seed give equal games."""

    size: int = 13
    playouts: int = 400  # MCTS simulations for each move
    opening_plies: int = 3  # the first 1 to this many moves are drawn uniformly
    # Exploration. At 400 playouts and 169 moves OpenSpiel's default of 2 spreads the search so
    # thinly that 0.5 won 15 of 16 games against it.
    uct_c: float = 0.5
    seed: int = 0

    def header(self) -> str:
        """The line that says how the games of a file were made."""
        return (
            f"# hexsearch games generate --size {self.size} --playouts {self.playouts} "
            f"--opening-plies {self.opening_plies} --uct-c {self.uct_c:g} --seed {self.seed}"
        )


def play_game(config: SelfplayConfig, index: int) -> Game:
    """Game number `index` of a configuration, played to a completed connection.

    Raises:
        HexsearchError: OpenSpiel is not installed.
    """
    pyspiel = _import_pyspiel()
    spiel = pyspiel.load_game(f"hex(board_size={config.size})")
    rng = np.random.default_rng([config.seed, index])
    evaluator_seed, bot_seed = (int(seed) for seed in rng.integers(2**31, size=2))
    opening = int(rng.integers(1, config.opening_plies + 1)) if config.opening_plies else 0
    bot = pyspiel.MCTSBot(
        spiel,
        pyspiel.RandomRolloutEvaluator(1, evaluator_seed),
        config.uct_c,
        config.playouts,
        256,  # MB of search tree; 400 playouts need less than one
        True,  # solve: back up proven wins, which ends decided games quickly
        bot_seed,
        False,
    )
    state = spiel.new_initial_state()
    moves: list[int] = []
    while not state.is_terminal():
        if len(moves) < opening:
            cell = int(rng.choice(state.legal_actions()))
        else:
            cell = int(bot.step(state))
        state.apply_action(cell)
        moves.append(cell)
    # OpenSpiel's first player connects top to bottom, as our Blue does.
    winner = BLUE if state.returns()[0] > 0 else RED
    return Game(config.size, tuple(moves), winner, True, "<self-play>", index)


def generate_games(
    path: Path,
    config: SelfplayConfig,
    games: int,
    workers: int = 1,
    on_game: Callable[[int], None] = lambda held: None,
) -> int:
    """Play games and append them to a TRMPH file until it holds `games` of them.

    Duplicates up to symmetry are left out, and the comment of each line keeps its number.

    Returns:
        How many games the file holds now.
    Raises:
        GamesError: the file was made with other settings, is damaged, or is a compressed one.
    """
    if path.suffix in {".gz", ".zip"}:
        raise GamesError(
            f"{path}: games are appended to plain text; name it {path.with_suffix('')}"
        )
    held, next_index, seen = _resume_point(path, config)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(path, config.header() + "\n")
    on_game(held)
    stream = _play_in_order(config, next_index, workers)
    while held < games:
        game = next(stream)
        key = canonical_moves(np.asarray(game.moves), game.size)
        if key in seen:
            continue
        seen.add(key)
        _append(path, f"{format_trmph(game)} # {game.line}\n")
        held += 1
        on_game(held)
    stream.close()
    return held


def _play_in_order(config: SelfplayConfig, first: int, workers: int) -> Generator[Game, None, None]:
    """Games by rising number, without end; the workers play a few ahead."""
    if workers <= 1:
        for index in count(first):
            yield play_game(config, index)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        ahead = 2 * workers
        pending = [pool.submit(play_game, config, first + offset) for offset in range(ahead)]
        try:
            for index in count(first + ahead):
                yield pending.pop(0).result()
                pending.append(pool.submit(play_game, config, index))
        finally:
            for future in pending:
                future.cancel()


def _resume_point(path: Path, config: SelfplayConfig) -> tuple[int, int, set[bytes]]:
    """Games held, the next game number, and the canonical forms seen so far."""
    if not path.exists():
        return 0, 0, set()
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != config.header():
        found = lines[0] if lines else "an empty file"
        raise GamesError(
            f"{path}: was made with other settings ({found}); this run is {config.header()!r}. "
            "Name another file, or use the same settings."
        )
    seen, last = set(), -1
    for record, line in zip(read_trmph(lines, str(path)), lines[1:], strict=True):
        if isinstance(record, Refusal):
            raise GamesError(f"{record}. Delete the line to go on from there.")
        seen.add(canonical_moves(np.asarray(record.moves), record.size))
        last = int(line.rsplit(" # ", 1)[1])
    return len(seen), last + 1, seen


def _append(path: Path, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _import_pyspiel() -> Any:
    try:
        import pyspiel
    except ImportError as error:
        raise HexsearchError(
            "games generate needs OpenSpiel: pip install -e '.[selfplay]'"
        ) from error
    return pyspiel
