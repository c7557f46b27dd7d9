"""`games audit`, `convert`, `generate` and `show` from the command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from hexsearch.cli.files.games_commands import register
from hexsearch.data.archive import build_archive, open_archive
from hexsearch.data.collection.importing import import_games
from hexsearch.errors import ConfigError, GamesError
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.game.record import Game
from hexsearch.game.symmetry import HALF_TURN, symmetry_cells
from tests.data.games import SHARED_GAMES, random_games

GAMES = random_games(60, 7, seed=6)


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers(required=True))
    args = parser.parse_args(["games", *map(str, arguments)])
    status: int = args.run(args)
    return status


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    """60 games, an exact and a turned duplicate, a contradictory pair, and two bad lines."""
    turned = symmetry_cells(7)[HALF_TURN]
    copy = Game(7, tuple(int(turned[c]) for c in GAMES[1].moves), GAMES[1].winner, True, "", 1)
    stopped = format_trmph(Game(7, GAMES[2].moves[:-2], 1, False, "", 1)).split()[0]
    lines = [format_trmph(game) for game in GAMES]
    lines += [lines[0], format_trmph(copy), f"{stopped} b", f"{stopped} r"]
    lines += ["#7,a1a9 b", "no game"]
    path = tmp_path / "dirty.trmph"
    path.write_text("\n".join(lines) + "\n")
    return path


def audited(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert run("audit", *arguments, "--format", "json") == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_an_audit_counts_what_was_planted(dirty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = audited(capsys, dirty)
    assert found["read"] == 64
    assert [entry["line"] for entry in found["refused"]] == [65, 66]
    assert {entry["file"] for entry in found["refused"]} == {str(dirty)}
    assert found["sizes"] == {"7": 64}
    assert sum(found["winners"].values()) == 64
    assert found["unverified"] == 2
    assert found["duplicates"] == 2  # the planted one, and the pair that disagrees on the winner
    assert found["symmetric_duplicates"] == 1
    pair = found["contradictory_duplicates"]
    assert [[entry["line"] for entry in both] for both in pair] == [[63, 64]]
    assert sum(found["lengths"]["counts"]) == 64
    assert sum(map(sum, found["first_moves"])) == 64
    positions = found["stages"]
    counted = sum(positions[name]["positions"] for name in ("early", "middle", "late"))
    assert counted == found["positions"]
    assert positions["final"]["positions"] == 62
    assert [row["name"] for row in found["baselines"]] == ["prior", "shortest-path table"]
    prior, table = found["baselines"]
    assert table["value_loss"] < prior["value_loss"] < 0.27
    assert table["stages"]["final"]["accuracy"] == 1.0
    flags = {leak["curriculum"]: leak["flagged"] for leak in found["leaks"]}
    assert not flags["all"] and not flags["last_k"]
    assert flags["penultimate"] and flags["penultimate_and_final"]


def test_the_table_says_the_decision_and_each_reason(
    dirty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("audit", dirty) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "64 games read" in text and "2 refused" in text
    assert "the first mover connects top to bottom" in text and "with left to right" in text
    assert "off a 7x7 board" in text
    assert "LEAK" not in text and "ok: curriculum all" in text
    assert "would tell winners without the board: penultimate, penultimate_and_final" in text
    assert "verdict: look at what is said above (2 of 66 refused" in text


def test_a_leak_is_called_one_where_its_curriculum_is_chosen(
    dirty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("audit", dirty, "--curriculum", "penultimate") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "LEAK: curriculum penultimate:" in text
    assert "curriculum penultimate leaks the winner" in text


def test_strict_makes_a_refused_game_fatal(dirty: Path) -> None:
    with pytest.raises(GamesError) as caught:
        run("audit", dirty, "--strict")
    assert len(caught.value.problems) == 2
    with pytest.raises(GamesError):
        run("convert", dirty, "--strict", "--output", dirty.parent / "a.games")
    assert not (dirty.parent / "a.games").exists()


@pytest.mark.parametrize("name", ["a.games", "a.trmph", "a.trmph.gz", "a.sgf", "b.sgf.gz"])
def test_conversion_keeps_every_game(
    dirty: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = dirty.parent / name
    assert run("convert", dirty, "--output", output) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "64 games read" in captured.err and "2 refused" in captured.err
    before, _ = import_games([dirty], 7)
    after, report = import_games([output], 7)
    assert after.content_hash == before.content_hash
    assert not report.refused
    with pytest.raises(GamesError, match="--force"):
        run("convert", dirty, "--output", output)
    assert run("convert", dirty, "--output", output, "--force") == 0


def test_conversion_leaves_out_copies_and_games_without_a_connection(
    dirty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = dirty.parent / "clean.games"
    assert run("convert", dirty, "--finished", "--distinct", "--output", output) == 0
    assert "64 games read" in capsys.readouterr().err
    whole, (kept, report) = import_games([dirty], 7)[0], import_games([output], 7)
    wanted = {int(h) for h, done in zip(whole.hashes, whole.finished, strict=True) if done}
    assert kept.finished.all() and not report.refused
    assert sorted(map(int, kept.hashes)) == sorted(wanted)
    assert len(kept) < whole.finished.sum() < len(whole)


def test_conversion_refuses_what_a_format_cannot_hold(dirty: Path) -> None:
    with pytest.raises(GamesError, match="cannot state its winner"):
        run("convert", dirty, "--output", dirty.parent / "a.dat")
    with pytest.raises(GamesError, match="does not tell the format"):
        run("convert", dirty, "--output", dirty.parent / "a.xyz")
    assert [path.name for path in dirty.parent.iterdir()] == ["dirty.trmph"]


def test_an_archive_can_be_audited(dirty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = dirty.parent / "a.games"
    run("convert", dirty, "--output", output)
    capsys.readouterr()
    assert len(open_archive(output)) == 64
    assert audited(capsys, output)["read"] == 64


def test_a_position_is_drawn_and_told_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "#3,a1b2a2b1a3") == 0
    text = capsys.readouterr().out
    assert "blue has won" in text and "[B]" in text
    assert run("show", "#3,a1b2", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == ["B..", ".R.", "..."]
    assert (found["to_move"], found["winner"], found["moves"]) == ("blue", None, ["a1", "b2"])


def test_a_game_of_a_file_is_drawn_at_any_ply(
    dirty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", dirty, "--game", 3, "--ply", 4) == 0
    text = capsys.readouterr().out
    board = text.partition(str(dirty.parent))[0]  # a path may hold these letters, too
    assert board.count("R") == board.count("B") == 2
    assert "dirty.trmph line 3: ply 4" in text
    with pytest.raises(GamesError, match="is too large"):
        run("show", dirty, "--ply", 99)
    with pytest.raises(GamesError, match="holds 64 usable games, not 65"):
        run("show", dirty, "--game", 65)
    with pytest.raises(GamesError, match="off a 3x3 board"):
        run("show", "#3,a9")


def test_nothing_usable_is_an_error_with_every_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.trmph"
    path.write_text("#7,a1a9 b\n#7,a1a1a2a2 b\n")
    with pytest.raises(GamesError) as caught:
        run("audit", path)
    assert len(caught.value.problems) == 3


def test_generated_games_resume_and_do_not_depend_on_where_they_were_cut(tmp_path: Path) -> None:
    pytest.importorskip("pyspiel")
    options = ("--size", 4, "--playouts", 8, "--seed", 3)
    assert run("generate", tmp_path / "whole", "--games", 6, *options) == 0
    assert run("generate", tmp_path / "cut", "--games", 2, *options) == 0
    assert run("generate", tmp_path / "cut", "--games", 6, "--workers", 2, *options) == 0
    assert (tmp_path / "whole").read_text() == (tmp_path / "cut").read_text()
    archive, report = import_games([tmp_path / "whole"], 4)
    assert len(archive) == 6 and archive.finished.all() and not report.refused
    assert build_archive([archive.game(i) for i in range(6)]).content_hash == archive.content_hash
    with pytest.raises(GamesError, match="other settings"):
        run("generate", tmp_path / "cut", "--games", 7, "--size", 4, "--playouts", 9)
    with pytest.raises(ConfigError, match="--opening-plies"):
        run("generate", tmp_path / "x", "--size", 4, "--opening-plies", 40)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED_GAMES.exists(), reason="the shared games are not here")
def test_the_figures_of_the_13x13_engine_games(capsys: pytest.CaptureFixture[str]) -> None:
    found = audited(capsys, SHARED_GAMES / "wolve-13x13.trmph")
    assert (found["read"], found["refused"], found["unverified"]) == (8985, [], 0)
    assert found["fingerprint_ply"] == 6
    table = found["baselines"][1]
    assert table["accuracy"] == pytest.approx(0.69, abs=0.01)
    assert table["value_loss"] == pytest.approx(0.18, abs=0.005)
    assert table["to_end"]["6-15"]["accuracy"] == pytest.approx(0.95, abs=0.03)
    assert "top to bottom" in found["decisions"][0]
    flagged = [leak["curriculum"] for leak in found["leaks"] if leak["flagged"]]
    assert flagged == ["penultimate", "penultimate_and_final", "final"]
