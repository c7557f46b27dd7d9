"""Position sets, curricula and their order."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.config.data import StagesConfig
from hexsearch.config.section import build
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.positions import (
    all_positions,
    curriculum_positions,
    stage_of,
    without_replacement,
)
from hexsearch.data.weights import stage_weights
from hexsearch.errors import ConfigError, GamesError
from hexsearch.game.record import Game
from tests.data.games import random_games


@pytest.fixture(scope="module")
def archive() -> GameArchive:
    games = random_games(60, 7)
    stopped = [Game(7, g.moves[:-4], g.winner, False, g.source, g.line) for g in games[:5]]
    return build_archive(games + stopped)


def curriculum(raw: object) -> CurriculumConfig:
    return build(CurriculumConfig, raw, "curriculum")


def one_pass(archive: GameArchive, raw: object, seed: int = 3) -> list[tuple[int, int]]:
    positions = curriculum_positions(archive, np.arange(len(archive)), curriculum(raw))
    games, plies = positions.draw(seed, 0, len(positions))
    return list(zip(games.tolist(), plies.tolist(), strict=True))


def test_a_pass_over_all_shows_every_position_of_every_game_once(archive: GameArchive) -> None:
    shown = one_pass(archive, "all")
    lengths = archive.lengths.tolist()
    wanted = {(game, ply) for game, length in enumerate(lengths) for ply in range(length + 1)}
    assert len(shown) == len(wanted)
    assert set(shown) == wanted


@pytest.mark.parametrize(
    ("name", "back"), [("final", {0}), ("penultimate", {1}), ("penultimate_and_final", {0, 1})]
)
def test_positions_near_the_end_come_from_finished_games_only(
    archive: GameArchive, name: str, back: set[int]
) -> None:
    shown = one_pass(archive, name)
    lengths = archive.lengths
    assert {int(lengths[game]) - ply for game, ply in shown} == back
    assert {game for game, _ in shown} == set(range(60))
    assert len(shown) == 60 * len(back)


@pytest.mark.parametrize("k", [1, 6, 20, 361])
def test_last_k_shows_the_winner_and_the_loser_to_move_equally_often(
    archive: GameArchive, k: int
) -> None:
    positions = curriculum_positions(archive, np.arange(60), curriculum({"name": "last_k", "k": k}))
    assert len(positions) == 60
    games, plies = positions.draw(1, 0, 60_000)
    back = archive.lengths[games] - plies
    assert back.min() == 0
    unfinished = back[back > 0]
    assert np.mean(unfinished % 2 == 1) == pytest.approx(0.5, abs=0.01)
    assert not np.array_equal(
        plies[:60][np.argsort(games[:60])], plies[60:120][np.argsort(games[60:120])]
    )


def test_stage_and_ply_bounds_hold_together(archive: GameArchive) -> None:
    stages = StagesConfig()
    shown = one_pass(archive, {"stages": ["middle", "late"], "first_ply": 8, "last_ply": 20})
    plies = np.array([ply for _, ply in shown])
    assert (plies.min(), plies.max()) == (8, 20)
    assert (stage_of(plies, 7, stages) >= 1).all()
    late = one_pass(archive, {"stages": ["late"]})
    assert min(ply for _, ply in late) == 12  # 12 of 49 cells are just over 24%
    with pytest.raises(GamesError, match="none of the 65 training games"):
        one_pass(archive, {"first_ply": 60})


def test_a_cap_shows_so_many_distinct_positions_of_each_game_anew_in_each_pass(
    archive: GameArchive,
) -> None:
    positions = curriculum_positions(archive, np.arange(65), curriculum({"positions_per_game": 5}))
    assert len(positions) == 65 * 5
    games, plies = positions.draw(9, 0, 3 * len(positions))
    passes = [
        set(zip(*(a[i * 325 : (i + 1) * 325].tolist() for a in (games, plies)), strict=True))
        for i in range(3)
    ]
    for shown in passes:
        assert len(shown) == 325
        assert set(Counter(game for game, _ in shown).values()) == {5}
    assert len(passes[0] & passes[1]) < 200


def test_a_cap_favours_no_ply() -> None:
    archive = build_archive(random_games(1, 5, seed=4))
    plies = int(archive.lengths[0]) + 1
    positions = curriculum_positions(archive, np.arange(1), curriculum({"positions_per_game": 3}))
    _, drawn = positions.draw(0, 0, 3000 * plies)
    counts = np.bincount(drawn, minlength=plies)
    np.testing.assert_allclose(counts, 3000, atol=6 * np.sqrt(3000))


def test_a_mixture_keeps_its_shares_in_any_stretch_of_the_stream(archive: GameArchive) -> None:
    config = curriculum(
        {
            "name": "mixture",
            "parts": [
                {"name": "final", "share": 1},
                {"name": "all", "last_ply": 3, "share": 2},
                {"name": "penultimate", "share": 1},
            ],
        }
    )
    positions = curriculum_positions(archive, np.arange(60), config)
    for cursor in (0, 12_345):
        games, plies = positions.draw(5, cursor, 400)
        back = archive.lengths[games] - plies
        assert abs(np.sum(back == 0) - 100) <= 1
        assert abs(np.sum(back == 1) - 100) <= 1
        assert abs(np.sum(plies <= 3) - 200) <= 1


def test_a_progressive_curriculum_changes_phase_by_positions_seen_and_keeps_mixing_all(
    archive: GameArchive,
) -> None:
    config = curriculum(
        {
            "name": "progressive",
            "mix_all": 0.25,
            "phases": [{"name": "final", "until": 1000}, {"name": "last_k", "k": 4}],
        }
    )
    positions = curriculum_positions(archive, np.arange(60), config)
    games, plies = positions.draw(5, 0, 3000)
    back = archive.lengths[games] - plies
    early_share = np.mean(back[:1000] == 0)
    assert 0.75 <= early_share < 0.80
    assert np.mean(back[1000:] <= 4) == pytest.approx(0.75 + 0.25 * 5 / 30, abs=0.03)
    straddling = positions.draw(5, 990, 20)
    np.testing.assert_array_equal(straddling[1], plies[990:1010])


RULES = [
    {"name": "all"},
    {"name": "last_k", "k": 7},
    {"positions_per_game": 4, "stages": ["middle"]},
    {"name": "mixture", "parts": [{"name": "final"}, {"name": "last_k", "share": 3.3}]},
    {"name": "progressive", "phases": [{"name": "final", "until": 100}, {"name": "all"}]},
]


@pytest.mark.parametrize("raw", RULES)
@given(cuts=st.lists(st.integers(0, 600), min_size=1, max_size=6), start=st.integers(0, 10**6))
@settings(max_examples=15)
def test_the_stream_does_not_depend_on_where_it_is_cut(
    archive: GameArchive, raw: object, cuts: list[int], start: int
) -> None:
    positions = curriculum_positions(archive, np.arange(65), curriculum(raw))
    whole = positions.draw(11, start, 600)
    edges = [0, *sorted(cuts), 600]
    for low, high in pairwise(edges):
        part = positions.draw(11, start + low, high - low)
        np.testing.assert_array_equal(part[0], whole[0][low:high])
        np.testing.assert_array_equal(part[1], whole[1][low:high])


@given(size=st.integers(1, 5000), seed=st.integers(0, 2**32), number=st.integers(0, 50))
@settings(max_examples=50)
def test_every_pass_of_the_walk_is_a_permutation(size: int, seed: int, number: int) -> None:
    walk = without_replacement(size, seed, number * size, size)
    assert sorted(walk.tolist()) == list(range(size))


def test_passes_and_seeds_have_orders_of_their_own() -> None:
    first = without_replacement(1000, 0, 0, 1000)
    assert not np.array_equal(first, without_replacement(1000, 0, 1000, 1000))
    assert not np.array_equal(first, without_replacement(1000, 1, 0, 1000))
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.1


@pytest.mark.parametrize("raw", RULES)
def test_stage_weights_average_to_one_over_what_is_shown(
    archive: GameArchive, raw: dict[str, object]
) -> None:
    config = curriculum({**raw, "stage_weights": {"early": 0.2, "late": 3.0}})
    positions = curriculum_positions(archive, np.arange(60), config)
    stages = StagesConfig()
    phases = positions.phases or (positions.phase_at(0),)
    ends = [*[phase.start for phase in phases[1:]], 60_000]
    for phase, end in zip(phases, ends, strict=True):
        weights = stage_weights(phase, config.stage_weights, 7, stages)
        assert weights[2] == pytest.approx(15 * weights[0], rel=1e-4)
        _, plies = positions.draw(2, phase.start, end - phase.start)
        shown = weights[stage_of(plies, 7, stages)]
        assert shown.mean() == pytest.approx(1.0, abs=0.03)


def test_positions_before_a_set_up_are_never_shown() -> None:
    game = random_games(1, 7)[0]
    archive = build_archive([Game(7, game.moves, game.winner, True, "setup", 1, setup=6)])
    _, plies = all_positions(archive, np.arange(1)).draw(0, 0, 200)
    assert plies.min() == 6
    last = curriculum_positions(archive, np.arange(1), curriculum({"name": "last_k", "k": 100}))
    assert last.draw(0, 0, 500)[1].min() >= 6


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ({"stages": ["midle"]}, "did you mean 'middle'"),
        ({"stages": ["early", "late"]}, "do not adjoin"),
        ({"first_ply": 9, "last_ply": 3}, "less than first_ply"),
        ({"name": "mixture"}, "parts belongs to curriculum mixture"),
        ({"phases": [{"name": "all"}]}, "phases belongs to curriculum progressive"),
        ({"name": "progressive", "phases": [{"until": 5}]}, "the last has none"),
        (
            {"name": "progressive", "phases": [{"until": 5}, {"until": 5}, {}]},
            "must rise",
        ),
        ({"name": "mixture", "parts": [{}], "first_ply": 3}, "bounds belong into parts"),
        ({"stage_weights": {"late": -1.0}}, "must not be negative"),
        ({"stage_weights": {"end": 1.0}}, "unknown stage 'end'"),
        ({"stage_weights": {"early": 0, "middle": 0, "late": 0}}, "nothing would be learned"),
        ({"positions_per_game": 0}, "must be 1 or more"),
    ],
)
def test_faults_of_a_curriculum_are_named(raw: object, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        curriculum(raw)


def test_a_position_set_costs_a_few_bytes_a_game_however_long_the_games(
    archive: GameArchive,
) -> None:
    for raw in ("all", {"name": "last_k"}, {"positions_per_game": 3}):
        positions = curriculum_positions(archive, np.arange(60), curriculum(raw))
        cost = positions.games.nbytes + positions.first.nbytes + positions.counts.nbytes
        cost += positions.ends.nbytes
        if positions.slots is not None:
            cost += positions.slots.nbytes
        assert cost <= 20 * 60
