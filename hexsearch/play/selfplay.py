"""Games that a network plays against itself, with a search for every move.

Games are played in blocks, side by side. A block depends on (seed, its number) and the settings
alone, so any number of processes makes the same games, and an interrupted run goes on where the
file ends.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from hexsearch.analysis.loading import load_network
from hexsearch.game.board import BLUE, RED
from hexsearch.game.record import Game
from hexsearch.play.game_batch import GameBatch, connected, mover_colour
from hexsearch.play.game_file import GameFile
from hexsearch.play.guided.search import SearchSettings
from hexsearch.play.network_players import SearchPlayer
from hexsearch.play.spec import content_hash

BLOCK = 128  # games side by side: with fewer the network waits for the tree
_AHEAD = 1  # blocks that are begun for each process before they are needed


@dataclass(frozen=True, kw_only=True)
class NetworkGamesConfig:
    """How games are made. Equal settings and seed give equal games.

    Attributes:
        network: checkpoint. nodes: evaluations for each move. considered: moves of the policy that
            a search looks at; a policy that has learnt nothing needs many.
        opening_plies: the first 1 to this many moves are drawn uniformly.
        temperature: scale of the Gumbel noise on the root's logits; 0 plays what looks best.
        temperature_plies: from this ply on there is no noise.
        root_values: note what the search thought of each position that it was asked about.
    """

    network: Path
    nodes: int = 64
    considered: int = 16
    opening_plies: int = 3
    temperature: float = 1.0
    temperature_plies: int = 20
    seed: int = 0
    root_values: bool = False

    def header(self) -> str:
        """The line that says how the games of a file were made; the network by its content."""
        return (
            f"# hexsearch games generate --network {self.network.name} --nodes {self.nodes} "
            f"--considered {self.considered} "
            f"--opening-plies {self.opening_plies} --temperature {self.temperature:g} "
            f"--temperature-plies {self.temperature_plies} --seed {self.seed}"
            f"{' --root-values' if self.root_values else ''} "
            f"(network {content_hash(self.network)})"
        )


@dataclass(frozen=True)
class GeneratedGame:
    """A game, and the win probability of Red at each ply, nan where no search was made."""

    game: Game
    win_prob_red: np.ndarray

    @property
    def note(self) -> str:
        """The values in percent, a dash where there is none, for the comment of a line."""
        shown = ["-" if np.isnan(v) else f"{100 * v:.0f}" for v in self.win_prob_red]
        return f"values {','.join(shown)}"


def generate_network_games(
    path: Path,
    config: NetworkGamesConfig,
    games: int,
    workers: int = 1,
    on_game: Callable[[int], None] = lambda held: None,
) -> int:
    """Play games and append them to a TRMPH file until it holds `games` of them.

    Returns:
        How many games the file holds now.
    Raises:
        GamesError: see GameFile.
        CheckpointError: the network cannot be loaded.
    """
    file = GameFile(path, config.header())
    on_game(file.held)
    if file.held >= games:
        return file.held
    first = file.next_number
    stream = _blocks(config, first // BLOCK, workers)
    try:
        for block in stream:
            for generated in block:
                if generated.game.line < first:
                    continue
                if file.add(generated.game, generated.note if config.root_values else ""):
                    on_game(file.held)
                if file.held >= games:
                    return file.held
    finally:
        stream.close()
    raise AssertionError("blocks never end")


def _blocks(
    config: NetworkGamesConfig, first: int, workers: int
) -> Generator[list[GeneratedGame], None, None]:
    if workers <= 1:
        player = _player(config)
        for number in count(first):
            yield play_block(player, config, number)
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_in_worker)
    ahead = workers + _AHEAD
    pending = [pool.submit(_block_in_worker, config, first + place) for place in range(ahead)]
    try:
        for number in count(first + ahead):
            yield pending.pop(0).result()
            pending.append(pool.submit(_block_in_worker, config, number))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _block_in_worker(config: NetworkGamesConfig, number: int) -> list[GeneratedGame]:
    return play_block(_player(config), config, number)


def _player(config: NetworkGamesConfig) -> SearchPlayer:
    return SearchPlayer(
        config.network.name,
        load_network(config.network).predictor,
        SearchSettings(nodes=config.nodes, considered=config.considered),
        noise=config.temperature,
        noisy_plies=config.temperature_plies,
    )


def play_block(
    player: SearchPlayer, config: NetworkGamesConfig, number: int
) -> list[GeneratedGame]:
    """The games of one block, each to a completed connection."""
    size = player.size
    seeds = [(config.seed, number * BLOCK + place) for place in range(BLOCK)]
    batch = GameBatch.of([_opening(config, seed, size) for seed in seeds], size)
    values = np.full((BLOCK, size * size), np.nan)
    winners = np.zeros(BLOCK, dtype=np.int64)
    while len(active := np.flatnonzero(winners == 0)):
        here = batch.take(active)
        result = player.search(here, [seeds[int(row)] for row in active])
        red = here.red_to_move
        values[active, here.plies] = np.where(red, result.win_prob, 1.0 - result.win_prob)
        batch.moves[active, here.plies] = result.cells
        batch.plies[active] += 1
        colours = mover_colour(here.plies)
        won = connected(batch.take(active).stones, colours, size)
        winners[active[won]] = colours[won]
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
    generator = np.random.default_rng([*seed, 0, 1])  # apart from those of the moves
    plies = int(generator.integers(1, config.opening_plies + 1))
    return tuple(generator.choice(size * size, size=plies, replace=False).tolist())
