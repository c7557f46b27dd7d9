from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hexsearch as hs
from hexsearch.cli.main import main
from hexsearch.config.data import DataConfig
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.errors import ConfigError
from hexsearch.play.match import MatchSettings, play_match
from hexsearch.play.openings import balanced_first_moves, opening
from hexsearch.play.results import OpeningResult
from hexsearch.play.selfplay import NetworkGamesConfig, generate_network_games
from hexsearch.play.spec import PlayerSpec, parse_player
from hexsearch.play.standings import standings
from hexsearch.training.checkpoint import save_checkpoint
from tests.training.trials import make

RANDOM = PlayerSpec(name="random", kind="random")
PATHS = PlayerSpec(name="shortest-path", kind="shortest-path")
DEFAULTS = PlayerSpec(name="", kind="network", nodes=8)
SETTINGS = MatchSettings(size=5, openings=20)


def moves(results: list[OpeningResult]) -> list[object]:
    return [(r.a, r.b, r.opening, [(g.moves, g.winner) for g in r.games]) for r in results]


@pytest.fixture
def players(checkpoint: Path) -> list[PlayerSpec]:
    return [
        parse_player(f"{checkpoint}@search", DEFAULTS),
        parse_player(f"{checkpoint}@value", DEFAULTS),
        RANDOM,
    ]


def test_each_opening_is_played_by_every_pair_with_both_colours(
    players: list[PlayerSpec],
) -> None:
    results = play_match(players, SETTINGS)
    assert [(r.a, r.b) for r in results] == [(0, 1)] * 20 + [(0, 2)] * 20 + [(1, 2)] * 20
    for result in results:
        start = opening(5, result.opening, 0)
        assert [game.blue for game in result.games] == [0, 1]
        assert all(game.moves[: len(start)] == start for game in result.games)
        assert sum(result.moves) > 0 and min(result.seconds) > 0


def test_games_do_not_depend_on_the_number_of_processes(players: list[PlayerSpec]) -> None:
    assert moves(play_match(players, SETTINGS)) == moves(play_match(players, SETTINGS, workers=2))


def test_a_match_goes_on_where_it_was_cut_off(players: list[PlayerSpec], tmp_path: Path) -> None:
    path = tmp_path / "match.jsonl"
    whole = play_match(players, SETTINGS, tmp_path / "whole.jsonl")
    play_match(players, replace(SETTINGS, openings=16), path)
    with open(path, "a") as file:
        file.write('{"a": 0, "b": 1, "open')  # as a crash leaves it
    shown: list[tuple[int, int]] = []
    again = play_match(players, SETTINGS, path, on_result=lambda *seen: shown.append(seen))
    assert shown[0] == (48, 60) and shown[-1] == (60, 60)
    assert moves(again) == moves(whole)
    assert len(path.read_text().splitlines()) == 61
    shown.clear()
    play_match(players, SETTINGS, path, on_result=lambda *seen: shown.append(seen))
    assert shown == [(60, 60)]


def test_a_file_of_another_match_is_refused(players: list[PlayerSpec], tmp_path: Path) -> None:
    path = tmp_path / "match.jsonl"
    play_match([RANDOM, PATHS], replace(SETTINGS, openings=1), path)
    with pytest.raises(ConfigError, match="differs in players"):
        play_match(players, SETTINGS, path)
    with pytest.raises(ConfigError, match="differs in seed"):
        play_match([RANDOM, PATHS], replace(SETTINGS, seed=4), path)
    path.write_text("no match\n")
    with pytest.raises(ConfigError, match="is not a file of a match"):
        play_match([RANDOM, PATHS], SETTINGS, path)


def test_two_copies_of_a_network_come_out_tied(checkpoint: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pt"
    copy.write_bytes(checkpoint.read_bytes())
    specs = [parse_player(str(path), DEFAULTS) for path in (checkpoint, copy)]
    found = standings([spec.name for spec in specs], play_match(specs, SETTINGS))
    assert [player.score for player in found.players] == [0.5, 0.5]
    assert found.players[1].tied_with_leader
    assert found.players[1].openings_to_separate is None
    assert found.pairs[0].low < 0.5 < found.pairs[0].high


@pytest.mark.slow
def test_a_network_with_four_times_the_search_beats_itself(checkpoint: Path) -> None:
    specs = [parse_player(f"{checkpoint}@search:{nodes}", DEFAULTS) for nodes in (4, 16)]
    results = play_match(specs, MatchSettings(size=5, openings=60, seed=1))
    found = standings(["4", "16"], results)
    assert found.players[0].name == "16"
    assert not found.players[1].tied_with_leader


def test_openings_are_different_and_do_not_depend_on_their_number() -> None:
    for size in (3, 5, 13):
        singles = balanced_first_moves(size)
        assert len(set(singles)) == len(singles)
        openings = [opening(size, index, 7) for index in range(60 if size == 13 else 10)]
        assert len(set(openings)) == len(openings)
        assert all(len(set(moves)) == len(moves) for moves in openings)


@pytest.mark.parametrize(
    ("text", "style", "nodes", "milliseconds", "candidates"),
    [
        ("", "search", 8, None, 6),
        ("@policy", "policy", 8, None, 6),
        ("@value:9", "value", 8, None, 9),
        ("@search:100", "search", 100, None, 6),
        ("@search:100ms", "search", 8, 100.0, 6),
    ],
)
def test_a_player_says_how_it_plays(
    checkpoint: Path,
    text: str,
    style: str,
    nodes: int,
    milliseconds: float | None,
    candidates: int,
) -> None:
    spec = parse_player(f"{checkpoint}{text}", DEFAULTS)
    assert (spec.style, spec.nodes, spec.milliseconds, spec.candidates) == (
        style,
        nodes,
        milliseconds,
        candidates,
    )


@pytest.mark.parametrize("text", ["nobody", "mcts:0", "mcts:", "{}@search:0", "{}@value:3ms"])
def test_a_player_that_there_is_not_is_refused(checkpoint: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="player"):
        parse_player(text.format(checkpoint), DEFAULTS)


def test_the_command_prints_the_promised_json_and_nothing_else(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tmp_path / "openings.txt"
    given.write_text("# two\n#5,a2\n#5,b3c4\n")
    command = ["match", f"{checkpoint}@policy", "random", "--openings-file", str(given)]
    assert main([*command, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"name", "elo", "elo_low", "elo_high", "games", "score"} <= set(document["players"][0])
    assert {"milliseconds_per_move", "tied_with_leader"} <= set(document["players"][0])
    assert {"a", "b", "games", "score", "low", "high"} <= set(document["pairs"][0])
    assert document["pairs"][0]["games"] == 4
    assert main(command) == 0
    assert "95% interval" in capsys.readouterr().out


def test_faulty_players_are_all_named(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["match", "nobody", "mcts:0", str(checkpoint)]) == 2
    assert capsys.readouterr().err.count("error:") == 2
    assert main(["match", "random"]) == 2
    assert "needs two players" in capsys.readouterr().err
    assert main(["match", "random", "random"]) == 2
    assert "named twice" in capsys.readouterr().err
    assert main(["match", str(checkpoint), "random", "--size", "7"]) == 2
    assert "plays on 5x5 alone" in capsys.readouterr().err
    for size in ("2", "200"):
        with pytest.raises(SystemExit, match="2"):
            main(["match", "random", "shortest-path", "--size", size])
        assert "board sizes from 3 to 19" in capsys.readouterr().err
    for many in (f"mcts:{10**30}", f"{checkpoint}@search:{10**30}", f"{checkpoint}@value:1e3"):
        assert main(["match", "random", many]) == 2
        assert "no such file; a player is" in capsys.readouterr().err
    for option in (
        f"--nodes={10**30}",
        "--seed=-1",
        "--timeout=nan",
        "--timeout=inf",
        "--timeout=0",
        "--timeout=1e30",
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["match", "random", "shortest-path", option])
        assert option[:6] in capsys.readouterr().err
    with pytest.raises(ConfigError, match="board sizes from 3 to 19"):
        hs.match("random", "shortest-path", size=200)


def test_networks_that_know_other_boards_share_the_requested_one(
    checkpoint: Path,
    dataset: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    anywhere: dict[str, Any] = {
        "trunk": {"preset": "tiny", "strides": [1, 1], "features": 16},
        "value_head": "16->1",
        "policy_head": "convolution",
    }
    path, games = tmp_path / "model.pt", tmp_path / "six.trmph"
    save_checkpoint(path, {"state": make(dataset, max_positions=64, **anywhere).state()})
    generate_network_games(games, NetworkGamesConfig(network=path, size=6, nodes=2), 100)
    archive, _ = import_games([games], 6)
    six = Dataset(archive, DataConfig(board_size=6))
    other = tmp_path / "other.pt"
    save_checkpoint(other, {"state": make(six, max_positions=64, **anywhere).state()})
    command = ["match", str(path), str(other), "--player", "policy", "--openings", "1"]
    assert main(command) == 2
    assert "must share a board" in capsys.readouterr().err
    assert main([*command, "--size", "7"]) == 0
    assert main(["match", str(checkpoint), str(other), "--size", "6", "--openings", "1"]) == 2
    assert "plays on 5x5 alone" in capsys.readouterr().err
