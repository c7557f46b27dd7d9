"""The Hex Text Protocol from both sides: our engine, and engines against which we play."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hexsearch.analysis.predictor import Predictor
from hexsearch.errors import ConfigError
from hexsearch.game.board import cell_name, parse_cell, stones_after, winner
from hexsearch.play.game_batch import GameBatch
from hexsearch.play.game_loop import Start, play_games
from hexsearch.play.guided.search import SearchSettings
from hexsearch.play.htp.client import HtpPlayer
from hexsearch.play.htp.session import HtpSession
from hexsearch.play.match import MatchSettings, play_match
from hexsearch.play.network_players import SearchPlayer, ValuePlayer
from hexsearch.play.player import RandomPlayer
from hexsearch.play.spec import PlayerSpec
from hexsearch.play.standings import standings

ROOT = Path(__file__).parents[2]
FAKE = Path(__file__).with_name("fake_engine.py")


def fake(manner: str, timeout_s: float = 20.0) -> HtpPlayer:
    return HtpPlayer(manner, f"{sys.executable} {FAKE} {manner}", timeout_s)


@pytest.fixture
def session(predictor: Predictor) -> HtpSession:
    return HtpSession(SearchPlayer("search", predictor, SearchSettings(nodes=16)))


def ask(session: HtpSession, line: str) -> str:
    reply = session.reply(line)
    assert reply is not None and reply.endswith("\n\n")
    return reply.strip()


def test_every_command_that_is_listed_is_known_and_answers(session: HtpSession) -> None:
    listed = ask(session, "list_commands").removeprefix("= ").split("\n")
    wanted = (
        "name version protocol_version known_command list_commands boardsize clear_board play "
        "genmove undo showboard final_score time_left quit hexgui-analyze_commands"
    )
    assert set(wanted.split()) <= set(listed)
    for command in listed:
        assert ask(session, f"known_command {command}") == "= true"
    assert ask(session, "known_command dance") == "= false"
    for command in ("name", "version", "protocol_version", "showboard", "boardsize 5", "undo"):
        assert ask(session, f"3 {command}").startswith(("=3", "?3 no move to take back"))


def test_a_game_against_itself_ends_with_a_score(session: HtpSession) -> None:
    moves: list[int] = []
    while ask(session, "final_score").startswith("?"):
        colour = ("black", "white")[len(moves) % 2]
        moves.append(parse_cell(ask(session, f"genmove {colour}").removeprefix("= "), 5))
    won = "B+" if winner(stones_after(moves, 5)) == -1 else "W+"
    assert ask(session, "final_score") == f"= {won}"
    assert "the game is over" in ask(session, "genmove black")
    ask(session, "undo")
    assert ask(session, "final_score").startswith("?")


@pytest.mark.parametrize(
    "line",
    ["dance", "play black", "play black z9", "play green a1", "boardsize 11", "boardsize five",
     "boardsize 5 6", "boardsize", "genmove", "genmove up", "undo", "time_left black soon",
     "time_left black nan", "play white swap-pieces", "17", "known_command", "final_score"],
)  # fmt: skip
def test_malformed_input_is_answered_with_a_reason(session: HtpSession, line: str) -> None:
    reply = ask(session, line)
    assert reply.startswith("?") and len(reply) > 5


def test_a_first_stone_that_is_swapped_is_reflected_and_changes_its_owner(
    session: HtpSession,
) -> None:
    ask(session, "play black c1")
    assert ask(session, "play white swap-pieces") == "="
    board = ask(session, "showboard").split("\n")
    assert board[4].split() == ["3", "W", ".", ".", ".", "."]
    assert sum(row.count("B") for row in board[2:]) == 0
    # The network is shown the game as it was before, with Red to answer, and reflects its move.
    moved = ask(session, "genmove black").removeprefix("= ")
    asked = GameBatch.of([(parse_cell("c1", 5),)], 5)
    cell = int(session.player.choose(asked, [(0,)])[0])
    row, column = divmod(cell, 5)
    assert moved == cell_name(column * 5 + row, 5)
    ask(session, "undo")
    ask(session, "undo")
    assert "B" in "".join(ask(session, "showboard").split("\n")[2:])


def test_a_strong_first_move_is_swapped_if_that_is_wanted(predictor: Predictor) -> None:
    batch = GameBatch.of([(parse_cell("c3", 5),)], 5)
    player = ValuePlayer("value", predictor)
    loses = float(player.win_prob(batch)[0]) < 0.5
    session = HtpSession(player, swap=True)
    ask(session, "play black c3")
    assert (ask(session, "genmove white") == "= swap-pieces") == loses
    assert loses, "the middle of a 5x5 board should look strong to any trained network"


def test_a_lost_game_is_resigned_if_that_is_wanted(predictor: Predictor) -> None:
    player = SearchPlayer("search", predictor, SearchSettings(nodes=200))
    for limit, resigned in ((0.0, False), (0.6, True)):
        session = HtpSession(player, resign_below=limit)
        for row in range(1, 5):
            ask(session, f"play black c{row}")
            if row < 4:
                ask(session, f"play white e{row}")
        board = ask(session, "showboard")
        # Black connects at c5 or b5, whatever White does.
        assert (ask(session, "genmove white") == "= resign") == resigned
        assert (ask(session, "showboard") == board) == resigned


def test_little_time_left_means_little_search(session: HtpSession) -> None:
    ask(session, "play black c3")
    ask(session, "time_left white 0 0")
    assert ask(session, "genmove white").startswith("= ")


def test_analysis_names_moves_that_are_free(session: HtpSession) -> None:
    ask(session, "play black c3")
    pairs = ask(session, "hexsearch-policy").split()[1:]
    assert "c3" not in pairs[0::2] and 0.7 < sum(map(float, pairs[1::2])) < 1.01
    words = ask(session, "hexsearch-win_probability").split()[1:]
    assert words[0] == "black" and float(words[1]) + float(words[3]) == pytest.approx(1.0)
    line = ask(session, "hexsearch-principal_variation").split()[1:]
    assert line[0::2][:2] == ["white", "black"][: len(line) // 2]


def test_two_engine_processes_play_a_whole_game(checkpoint: Path) -> None:
    command = f"{sys.executable} {ROOT / 'run_search.py'} engine {checkpoint} --nodes 8"
    players = (HtpPlayer("one", command, 120.0), HtpPlayer("two", f"{command} --swap", 120.0))
    try:
        (game,), _ = play_games(players, [Start((0,), 0, (0,))], 5)
    finally:
        for player in players:
            player.close()
    assert game.fault is None
    assert winner(stones_after(list(game.moves), 5)) != 0


def test_the_engine_answers_a_script_and_ends(checkpoint: Path) -> None:
    script = b"boardsize 5\ngenmove black\n\xff\xfe junk\nplay white a1\n9 quit\nname\n"
    done = subprocess.run(
        [sys.executable, ROOT / "run_search.py", "engine", checkpoint, "--player", "policy"],
        input=script,
        capture_output=True,
        timeout=120,
    )
    replies = done.stdout.decode().strip().split("\n\n")
    assert done.returncode == 0 and done.stderr == b""
    assert replies[0] == "=" and replies[1].startswith("= ")
    assert replies[2].startswith("?") and replies[-1] == "=9"


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("crash", "crashed: it ended with status 3 at 'genmove"),
        ("nonsense", "answered nonsense to 'genmove"),
        ("taken", "played an illegal move: 'a1' is taken"),
        ("refuse", "refused 'genmove"),
        ("resign", "resigned"),
        ("flood", "answered nonsense to 'genmove"),
    ],
)
def test_an_engine_that_fails_forfeits_and_the_reason_is_kept(manner: str, reason: str) -> None:
    player = fake(manner)
    (game,), _ = play_games((player, RandomPlayer()), [Start((0,), 1, (0,))], 5)
    player.close()
    assert game.winner == 1 and game.fault is not None and reason in game.fault


def test_an_engine_that_hangs_forfeits_after_its_time() -> None:
    player = fake("hang", timeout_s=1.0)
    (game,), paces = play_games((RandomPlayer(), player), [Start((0,), 0, (0,))], 5)
    player.close()
    assert game.winner == 0 and "no answer to 'genmove white' in 1 s" in str(game.fault)
    assert paces[1].seconds < 15


def test_forfeits_of_a_match_are_counted_by_reason() -> None:
    specs = [
        PlayerSpec(
            name=manner, kind="engine", command=f"{sys.executable} {FAKE} {manner}", timeout_s=20.0
        )
        for manner in ("well", "crash")
    ]
    found = standings(["well", "crash"], play_match(specs, MatchSettings(size=5, openings=2)))
    assert found.players[0].name == "well" and found.players[0].faults == {}
    assert sum(found.players[1].faults.values()) == 4


def test_an_engine_that_is_not_there_is_a_wrong_option() -> None:
    with pytest.raises(ConfigError, match="cannot be started"):
        HtpPlayer("none", "/no/such/engine", 1.0).choose(GameBatch.of([()], 5), [(0,)])
