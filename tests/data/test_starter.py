"""The games and the network that come with the package, and that the main job stands on them."""

from __future__ import annotations

import gzip
from pathlib import Path

import torch

from hexsearch.analysis.loading import load_network
from hexsearch.config.files.load import read_study
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.data.collection.importing import STARTER_GAMES, import_games, starter_files
from hexsearch.data.dataset import Dataset
from hexsearch.data.split import split_games
from hexsearch.play.game_loop import Start, play_games
from hexsearch.play.network_players import PolicyPlayer
from hexsearch.play.player import ShortestPathPlayer
from hexsearch.search.shipped import shipped_spaces
from hexsearch.training.checkpoint import find_checkpoint
from hexsearch.training.trial import Trial

NETWORK = Path("starter.pt")


def test_the_starter_games_are_many_clean_and_all_different() -> None:
    archive, report = import_games([STARTER_GAMES], 13)
    assert report.read >= 4_000
    assert report.refused == []
    assert len(set(archive.hashes.tolist())) == len(archive)
    assert bool(archive.finished.all())
    assert len(split_games(archive, "validation", 0.1, 0.1, "hexsearch")) > 300
    assert archive.search_values is not None


def test_the_starter_file_is_small_and_says_how_it_was_made() -> None:
    (path,) = starter_files()
    assert path.stat().st_size < 2_000_000
    with gzip.open(path, "rt") as file:
        assert next(file).startswith("# hexsearch games generate --network")


def test_the_starter_network_is_small_and_beats_one_ply_of_shortest_paths() -> None:
    assert find_checkpoint(NETWORK).stat().st_size < 1_000_000
    torch.set_num_threads(1)
    player = PolicyPlayer("starter", load_network(NETWORK).predictor)
    starts = [Start((cell,), colour, (0, cell)) for cell in (0, 40, 84, 130) for colour in (0, 1)]
    games, _ = play_games((player, ShortestPathPlayer()), starts, 13)
    assert sum(game.winner == 0 for game in games) >= 7


def test_the_main_job_begins_with_the_starter_network() -> None:
    config = build(StudyConfig, read_study(shipped_spaces()["quick"]), "quick")
    archive, _ = import_games([STARTER_GAMES], 13)
    trial = Trial.of(config.trial, Dataset(archive, config.data), 64, 0)
    shipped = load_network(NETWORK)
    for name, tensor in trial.network.trunk.state_dict().items():
        assert torch.equal(tensor, shipped.state["network"][f"trunk.{name}"]), name
    # Games are split by a hash, so that of equal splits none was trained on and is judged by.
    assert shipped.data.split == config.data.split
