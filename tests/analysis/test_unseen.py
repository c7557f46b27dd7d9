"""All games that training has not seen are evaluated, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hexsearch.analysis.unseen import archive_beside, unseen_by_both, unseen_games
from hexsearch.cli.main import main
from hexsearch.config.data import DataConfig
from hexsearch.data.archive import build_archive, write_archive
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.errors import GamesError
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.game.record import Game
from hexsearch.game.symmetry import HALF_TURN, symmetry_cells
from tests.data.games import random_games

DATA = DataConfig(board_size=5)
TRAINED = build_archive(random_games(200, 5, seed=1))
OTHERS = random_games(40, 5, seed=99)


def turned(game: Game) -> Game:
    cells = symmetry_cells(5)[HALF_TURN].tolist()
    moves = tuple(cells[cell] for cell in game.moves)
    return Game(5, moves, game.winner, game.finished, "turned", 1)


def test_every_game_of_another_engine_is_judged() -> None:
    found = unseen_games(build_archive(OTHERS), DATA, TRAINED.hashes)
    assert found.judged.tolist() == list(range(40))
    assert str(found) == "40 games are evaluated"


def test_games_of_the_training_archive_stay_out_turned_copies_included() -> None:
    dataset = Dataset(TRAINED, DATA)
    train, test = dataset.games("train"), dataset.games("test")
    copies = [turned(TRAINED.game(int(index))) for index in (*train[:5], *test[:3])]
    kept = TRAINED.game(int(dataset.games("validation")[0]))
    found = unseen_games(build_archive([*copies, kept, *OTHERS]), DATA, TRAINED.hashes)
    assert found.trained_on.tolist() == [0, 1, 2, 3, 4]
    assert found.for_confirmation.tolist() == [5, 6, 7]
    assert len(found.judged) == 41
    assert "5 are left out because the network was trained on them; 3 are test games" in str(found)


def test_the_training_archive_itself_is_judged_on_its_validation_games() -> None:
    found = unseen_games(TRAINED, DATA, TRAINED.hashes)
    np.testing.assert_array_equal(found.judged, Dataset(TRAINED, DATA).games("validation"))
    guess = unseen_games(TRAINED, DATA, None)
    np.testing.assert_array_equal(found.judged, guess.judged)
    assert "may have been" in str(guess)


def test_two_networks_are_judged_on_games_that_neither_has_seen() -> None:
    other = build_archive(OTHERS)
    both = build_archive([*(TRAINED.game(index) for index in range(len(TRAINED))), *OTHERS])
    first = unseen_games(both, DATA, TRAINED.hashes)
    second = unseen_games(both, DATA, other.hashes)
    found = unseen_by_both(first, second)
    assert len(first.judged) > len(found.judged) < len(second.judged)
    assert not set(found.judged) & {*first.trained_on, *second.trained_on}
    parts = (found.judged, found.trained_on, found.for_confirmation)
    assert sorted(np.concatenate(parts)) == list(range(len(both)))


def test_nothing_left_to_judge_is_an_error() -> None:
    index = int(Dataset(TRAINED, DATA).games("train")[0])
    with pytest.raises(GamesError, match="no game is left to evaluate"):
        unseen_games(build_archive([TRAINED.game(index)]), DATA, TRAINED.hashes)


def test_a_studys_own_games_are_found_above_its_checkpoints(tmp_path: Path) -> None:
    write_archive(tmp_path / "games.archive", TRAINED)
    checkpoint = tmp_path / "trials" / "t0001" / "checkpoint.pt"
    found = archive_beside(checkpoint, TRAINED.content_hash)
    assert found is not None and len(found) == 200
    assert archive_beside(checkpoint, "of other games") is None


def test_analyze_says_how_many_games_it_judged_and_why_not_the_others(
    checkpoint: Path, games_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study"
    write_archive(study / "games.archive", import_games([games_file], 5)[0])
    copy = study / "trials" / "t0001" / "checkpoint.pt"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(checkpoint.read_bytes())
    path = tmp_path / "others.trmph"
    path.write_text("\n".join(format_trmph(game) for game in OTHERS))
    assert main(["analyze", str(copy), "--games", str(path), "--format", "json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["games"] == 40 and found["left_out"] == {"trained_on": 0, "for_confirmation": 0}
    assert "40 games are evaluated" in printed.err
