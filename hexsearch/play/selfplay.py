"""Games that a network plays against itself, with a tree search for every move.

The games of a block are played side by side. A block depends only on the seed, its number and the
settings. So any number of processes makes the same games, and an interrupted run continues at the
end of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from hexsearch.analysis.loading import load_network
from hexsearch.game.board import BLUE, RED
from hexsearch.game.record import Game
from hexsearch.game.search_values import values_note
from hexsearch.play.game_batch import GameBatch, connected, mover_colour
from hexsearch.play.game_file import fill_game_file, made_in_order
from hexsearch.play.guided.search import SearchSettings
from hexsearch.play.network_players import SearchPlayer
from hexsearch.play.spec import content_hash

BLOCK = 128  # games side by side; with fewer games the network would wait for the trees
_DECIDED = 0.02  # a win probability within this distance of 0 or 1 counts as decided
_AHEAD = 1  # blocks that are begun early, in addition to one for each process


@dataclass(frozen=True, kw_only=True)
class NetworkGamesConfig:
    """Settings of the games. Equal settings and seed give equal games.

    Attributes:
        network: the checkpoint.
        size: board size; None is the network's own.
        nodes: evaluations for each move.
        decided_nodes: evaluations for each move after the search was nearly sure of the winner;
            None takes `nodes`.
        considered: number of the policy's likeliest moves that a search examines. A policy that
            has learnt nothing needs many.
        opening_plies: the first 1 to this many moves are drawn uniformly.
        temperature: scale of the Gumbel noise on the root's logits; with 0 the best move is played.
        temperature_plies: number of plies with noise.
        bfloat16: compute in bfloat16, which is faster on processors that support it.
        root_values: store the search's value of each position that was searched.
    """

    network: Path
    size: int | None = None
    nodes: int = 64
    decided_nodes: int | None = None
    considered: int = 16
    opening_plies: int = 3
    temperature: float = 1.0
    temperature_plies: int = 20
    seed: int = 0
    bfloat16: bool = False
    root_values: bool = False

    def header(self) -> str:
        """The first line of a file: all settings, with a hash of the network's content."""
        return (
            f"# hexsearch games generate --network {self.network.name} "
            f"{f'--size {self.size} ' if self.size else ''}--nodes {self.nodes} "
            f"{f'--decided-nodes {self.decided_nodes} ' if self.decided_nodes else ''}"
            f"--considered {self.considered} "
            f"--opening-plies {self.opening_plies} --temperature {self.temperature:g} "
            f"--temperature-plies {self.temperature_plies} --seed {self.seed}"
            f"{' --bfloat16' if self.bfloat16 else ''}"
            f"{' --root-values' if self.root_values else ''} "
            f"(network {content_hash(self.network)})"
        )


@dataclass(frozen=True)
class GeneratedGame:
    """A game, and the win probability of Red at each ply; nan if there was no search."""

    game: Game
    win_prob_red: np.ndarray

    @property
    def note(self) -> str:
        """The values as text, for the comment of a line.

        A search takes the best of many noisy values, so its value is too high for the side to
        move. The mean with the value at the next ply, or with the result, has nearly no such bias.
        """
        result = float(self.game.winner == RED)
        later = np.append(self.win_prob_red[1:], result)
        return values_note(0.5 * (self.win_prob_red + later))


def generate_network_games(
    path: Path,
    config: NetworkGamesConfig,
    games: int,
    workers: int = 1,
    on_game: Callable[[int], None] = lambda held: None,
) -> int:
    """Play games and append them to a TRMPH file until it holds `games` of them.

    Returns:
        The number of games in the file.
    Raises:
        GamesError: see GameFile.
        CheckpointError: the network cannot be loaded.
    """

    def games_from(first: int) -> Generator[tuple[Game, str], None, None]:
        if workers > 1:
            make = partial(_block_in_worker, config)
        else:
            make = partial(play_block, _player(config), config)
        for block in made_in_order(make, first // BLOCK, workers, workers + _AHEAD):
            for generated in block:
                if generated.game.line >= first:
                    yield generated.game, generated.note if config.root_values else ""

    return fill_game_file(path, config.header(), games, games_from, on_game)


def _block_in_worker(config: NetworkGamesConfig, number: int) -> list[GeneratedGame]:
    return play_block(_player(config), config, number)


def _player(config: NetworkGamesConfig) -> SearchPlayer:
    predictor = load_network(config.network, board_size=config.size).predictor
    return SearchPlayer(
        config.network.name,
        replace(predictor, bfloat16=config.bfloat16),
        SearchSettings(nodes=config.nodes, considered=config.considered),
        noise=config.temperature,
        noisy_plies=config.temperature_plies,
    )


def play_block(
    player: SearchPlayer, config: NetworkGamesConfig, number: int
) -> list[GeneratedGame]:
    """The games of one block, each played to a connection."""
    size = player.size
    seeds = [(config.seed, number * BLOCK + place) for place in range(BLOCK)]
    batch = GameBatch.of([_opening(config, seed, size) for seed in seeds], size)
    values = np.full((BLOCK, size * size), np.nan)
    winners = np.zeros(BLOCK, dtype=np.int64)
    decided = np.zeros(BLOCK, dtype=bool)
    fast = replace(
        player, settings=replace(player.settings, nodes=config.decided_nodes or config.nodes)
    )
    while (open_games := winners == 0).any():
        now_decided = decided.copy()
        for mover, among in ((player, ~now_decided), (fast, now_decided)):
            rows = np.flatnonzero(open_games & among)
            if not len(rows):
                continue
            here = batch.take(rows)
            result = mover.search(here, [seeds[int(row)] for row in rows])
            red = here.red_to_move
            values[rows, here.plies] = np.where(red, result.win_prob, 1.0 - result.win_prob)
            batch.moves[rows, here.plies] = result.cells
            batch.plies[rows] += 1
            colours = mover_colour(here.plies)
            won = connected(batch.take(rows).stones, colours, size)
            winners[rows[won]] = colours[won]
            if config.decided_nodes:
                decided[rows] = np.abs(result.win_prob - 0.5) > 0.5 - _DECIDED
    return [
        GeneratedGame(
            Game(
                size,
                batch.game(row),
                BLUE if winners[row] == BLUE else RED,
                True,
                "<self-play>",
                number * BLOCK + row,
            ),
            values[row, : batch.plies[row]],
        )
        for row in range(BLOCK)
    ]


def _opening(config: NetworkGamesConfig, seed: tuple[int, int], size: int) -> tuple[int, ...]:
    if not config.opening_plies:
        return ()
    generator = np.random.default_rng([*seed, 0, 1])  # independent of the moves' generators
    plies = int(generator.integers(1, config.opening_plies + 1))
    return tuple(generator.choice(size * size, size=plies, replace=False).tolist())
