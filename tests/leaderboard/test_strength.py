from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hexsearch.errors import LedgerError
from hexsearch.leaderboard.rows import Row
from hexsearch.leaderboard.strength import (
    PlayedMatch,
    Strength,
    match_sentences,
    read_match,
    with_strength,
)
from hexsearch.training.atomic import write_atomically

PLAYERS = tuple(
    Strength(f"t{n:04}", f"head {n}", 0.2 + 0.01 * n, 50.0 - 20.0 * n, -10.0, 90.0, 60, 0.5, 1.5)
    for n in range(6)
)
MATCH = PlayedMatch(PLAYERS, 30)


def row(*trials: str) -> Row:
    return Row("head", "512->1", "completed", "", trials, 1, 1, 0, 0, 1000)


def test_a_match_is_read_as_it_was_stored(tmp_path: Path) -> None:
    import json

    path = tmp_path / "match.json"
    assert read_match(path) is None
    write_atomically(path, json.dumps(MATCH.to_json()).encode())
    assert read_match(path) == MATCH
    path.write_text("{}")
    with pytest.raises(LedgerError, match="is damaged"):
        read_match(path)


def test_rows_get_the_elo_of_the_trial_of_theirs_that_played() -> None:
    filled = with_strength([row("t0009", "t0002"), row("t0008")], MATCH)
    assert (filled[0].elo, filled[0].milliseconds_per_move) == (10.0, 1.5)
    assert filled[0].strength_per_millisecond == pytest.approx(10 ** (10 / 400) / 1.5)
    assert filled[1].elo is None
    assert with_strength([row("t0002")], None)[0].elo is None


def test_sentences_say_whether_value_loss_told() -> None:
    agreeing = " ".join(match_sentences(MATCH))
    assert "head 0 plays strongest, +50 Elo" in agreeing
    assert "value losses predicts strength: rank correlation of low value loss with Elo 1.00" in (
        agreeing
    )
    turned = [replace(player, elo=-player.elo) for player in PLAYERS]
    assert "the opposite" in match_sentences(PlayedMatch(tuple(turned), 30))[1]
    shuffled = [replace(p, elo=e) for p, e in zip(PLAYERS, (3, -2, 1, -3, 2, -1), strict=True)]
    assert "does not show" in match_sentences(PlayedMatch(tuple(shuffled), 30))[1]
    assert "too few" in match_sentences(PlayedMatch(PLAYERS[:3], 30))[1]
