from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.analysis.predictor import Predictor
from hexsearch.cli.main import main
from hexsearch.config.data import DataConfig
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.errors import GamesError
from hexsearch.play import selfplay
from hexsearch.play.game_file import GameFile
from hexsearch.play.guided.search import SearchResult, SearchSettings
from hexsearch.play.network_players import SearchPlayer
from hexsearch.play.selfplay import BLOCK, NetworkGamesConfig, generate_network_games
from hexsearch.training.checkpoint import save_checkpoint
from tests.data.games import random_games
from tests.training.trials import make


@pytest.fixture
def config(checkpoint: Path) -> NetworkGamesConfig:
    return NetworkGamesConfig(network=checkpoint, nodes=4, seed=3, root_values=True)


def test_games_are_whole_verified_and_all_different(
    config: NetworkGamesConfig, tmp_path: Path
) -> None:
    path = tmp_path / "new.trmph"
    assert generate_network_games(path, config, 100) == 100
    archive, report = import_games([path], 5)
    assert len(archive) == 100 and not report.refused and bool(archive.finished.all())
    assert len(set(archive.hashes.tolist())) == 100
    header, *lines = path.read_text().splitlines()
    assert header.startswith("# hexsearch games generate --network model.pt --nodes 4")
    assert "--seed 3" in header
    for index, line in enumerate(lines):
        values = line.split(" search_values=")[1].split(",")
        assert len(values) == len(archive.game(index).moves)
        # The opening was drawn, so nothing was asked about it; the last move wins for sure or not.
        assert values[0] == "-" and all(0 <= int(value) <= 100 for value in values[3:])


def test_an_interrupted_run_makes_the_games_of_a_whole_one(
    config: NetworkGamesConfig, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.trmph", tmp_path / "cut.trmph"
    generate_network_games(whole, config, BLOCK + 20)
    generate_network_games(cut, config, 30)
    with open(cut, "a") as file:
        file.write("#5,a1b")  # a crash in the middle of a line
    generate_network_games(cut, config, BLOCK + 20, workers=2)
    assert cut.read_text() == whole.read_text()
    with pytest.raises(GamesError, match="other settings"):
        generate_network_games(cut, replace(config, nodes=5), 200)


def test_a_file_goes_on_with_what_people_have_written_between_its_games(tmp_path: Path) -> None:
    path, header = tmp_path / "new.trmph", "# settings"
    games = random_games(3, size=5)
    file = GameFile(path, header)
    for number, game in enumerate(games[:2]):
        assert file.add(replace(game, line=number))
    first, *lines = path.read_text().splitlines()
    path.write_text("\n".join([first, "", "# mine", lines[0], "\x0c", lines[1], "\n"]))
    file = GameFile(path, header)
    assert file.held == 2 and file.next_number == 2
    assert file.add(replace(games[2], line=2)) and GameFile(path, header).held == 3
    path.write_text(f"{header}\n{lines[0].partition(' # ')[0]} # {'9' * 5000}\n")
    with pytest.raises(GamesError, match="line 2: has no number"):
        GameFile(path, header)


def test_openings_and_first_plies_vary_and_the_rest_follows_the_search(
    config: NetworkGamesConfig, tmp_path: Path
) -> None:
    still = replace(config, opening_plies=0, temperature=0.0)
    seen: list[int] = []
    generate_network_games(tmp_path / "still.trmph", still, 1, on_game=seen.append)
    assert seen[-1] == 1
    path = tmp_path / "noisy.trmph"
    generate_network_games(path, replace(config, opening_plies=0), 40)
    firsts = {archive_move for archive_move in first_moves(path)}
    assert len(firsts) > 3


def test_a_convolutional_network_plays_on_a_larger_board_and_goes_on_learning_there(
    dataset: Dataset, tmp_path: Path
) -> None:
    anywhere: dict[str, Any] = {
        "trunk": {"preset": "tiny", "strides": [1, 1], "features": 16},
        "value_head": "16->1",
        "policy_head": "convolution",
    }
    first = make(dataset, max_positions=64, **anywhere)
    first.train_to(64)
    path, games = tmp_path / "model.pt", tmp_path / "new.trmph"
    save_checkpoint(path, {"state": first.state()})
    generate_network_games(
        games, NetworkGamesConfig(network=path, size=6, nodes=3, decided_nodes=2), 100
    )
    archive, _ = import_games([games], 6)
    assert len(archive) == 100
    after = make(Dataset(archive, DataConfig(board_size=6)), max_positions=64, **anywhere)
    after.start_from(first.answering.state_dict())
    for own, begun in zip(after.network.parameters(), first.network.parameters(), strict=True):
        assert torch.equal(own, begun)
    after.train_to(64)


def test_decided_games_are_finished_with_fewer_evaluations(
    config: NetworkGamesConfig, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfplay, "_DECIDED", 0.4)  # the fixture's network is sure of little
    asked: list[int] = []
    player = SearchPlayer("p", predictor, SearchSettings(nodes=8))
    whole = SearchPlayer.search

    def counting(self: SearchPlayer, *args: Any) -> SearchResult:
        asked.append(self.settings.nodes)
        return whole(self, *args)

    monkeypatch.setattr(SearchPlayer, "search", counting)
    selfplay.play_block(player, replace(config, nodes=8, decided_nodes=2), 0)
    assert set(asked) == {8, 2} and asked[0] == 8


def first_moves(path: Path) -> list[int]:
    archive, _ = import_games([path], 5)
    return [archive.game(index).moves[0] for index in range(len(archive))]


def test_the_command_makes_games_and_names_what_is_wrong(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.trmph"
    command = ["games", "generate", str(path), "--network", str(checkpoint), "--nodes", "4"]
    assert main([*command, "--games", "10"]) == 0
    assert "holds 10 games" in " ".join(capsys.readouterr().err.split())
    other = [*command, "--size", "7"]
    other[2] = str(tmp_path / "seven.trmph")
    assert main(other) == 2
    assert "plays on 5x5 alone" in capsys.readouterr().err
    assert main([*command, "--opening-plies", "9"]) == 2
    assert main([*command, "--temperature", "-1"]) == 2
    assert np.all([1 <= len(line.split()) for line in path.read_text().splitlines()])
