"""Games that OpenSpiel's MCTS with random rollouts plays against itself, after a random opening.

Game number i depends only on the seed, i and the settings. So any number of workers makes the same
games, and an interrupted run continues at the end of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hexsearch.game.board import BLUE, RED
from hexsearch.game.record import Game
from hexsearch.play.game_file import fill_game_file, made_in_order
from hexsearch.play.spiel_player import import_pyspiel


@dataclass(frozen=True, kw_only=True)
class SelfplayConfig:
    """Settings of the games. Equal settings and seed give equal games."""

    size: int = 13
    playouts: int = 400  # MCTS simulations for each move
    opening_plies: int = 3  # the first 1 to this many moves are drawn uniformly
    # Weight of exploration. With 400 playouts and 169 moves, 0.5 won 15 of 16 games against
    # OpenSpiel's default of 2.
    uct_c: float = 0.5
    seed: int = 0

    def header(self) -> str:
        """The first line of a file: all settings."""
        return (
            f"# hexsearch games generate --size {self.size} --playouts {self.playouts} "
            f"--opening-plies {self.opening_plies} --uct-c {self.uct_c:g} --seed {self.seed}"
        )


def play_game(config: SelfplayConfig, index: int) -> Game:
    """Game number `index` of a configuration, played to a connection.

    Raises:
        HexsearchError: OpenSpiel is not installed.
    """
    pyspiel = import_pyspiel()
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
        True,  # solve: back up proven wins, so that decided games end quickly
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

    Returns:
        The number of games in the file.
    Raises:
        GamesError: see GameFile.
    """

    def games_from(first: int) -> Generator[tuple[Game, str], None, None]:
        for game in made_in_order(partial(play_game, config), first, workers, 2 * workers):
            yield game, ""

    return fill_game_file(path, config.header(), games, games_from, on_game)
