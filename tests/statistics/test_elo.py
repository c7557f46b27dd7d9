from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from hexsearch.statistics.elo import ELO_OF_LOGIT, Scores, rate, score_interval


def draw(
    rng: np.random.Generator, strength: list[float], openings: int, opening_effect: float
) -> Scores:
    """A round robin in which each opening favours one colour by a random amount."""
    meetings = []
    for number in range(openings):
        favour = opening_effect * rng.normal()
        for a, b in combinations(range(len(strength)), 2):
            gap = strength[a] - strength[b]
            chances = 1.0 / (1.0 + np.exp(-np.array([gap + favour, gap - favour])))
            meetings.append((a, b, number, int((rng.random(2) < chances).sum())))
    return Scores.of(meetings)


def test_ratings_of_many_games_are_the_strengths_they_were_drawn_from() -> None:
    strength = [0.6, 0.1, -0.7]
    ratings = rate(draw(np.random.default_rng(0), strength, 4000, 0.0), 3)
    np.testing.assert_allclose(ratings.elo, ELO_OF_LOGIT * np.array(strength), atol=8)
    assert ratings.elo.sum() == pytest.approx(0.0)


def test_a_score_of_three_quarters_is_191_elo() -> None:
    scores = Scores.of([(0, 1, number, 1 + number % 2) for number in range(4000)])
    gap, low, high = rate(scores, 2).difference(0, 1)
    assert gap == pytest.approx(400 * np.log10(3), abs=1)
    assert low < gap < high and high - low < 20


def test_players_who_always_split_an_opening_are_tied_closely() -> None:
    ratings = rate(Scores.of([(0, 1, number, 1) for number in range(29)]), 2)
    gap, low, high = ratings.difference(0, 1)
    assert gap == pytest.approx(0.0, abs=1e-6)
    assert -60 < low < 0 < high < 60
    assert ratings.openings_to_separate(0, 1, 29) is None


def test_a_player_who_won_everything_has_a_finite_rating_with_a_wide_interval() -> None:
    _, low, high = rate(Scores.of([(0, 1, number, 2) for number in range(10)]), 2).difference(0, 1)
    assert 100 < low < high < 2000


def test_more_openings_are_asked_for_the_closer_two_players_are() -> None:
    def needed(wins: int) -> int | None:
        scores = [(0, 1, number, 2 if number < wins else 0) for number in range(20)]
        return rate(Scores.of(scores), 2).openings_to_separate(0, 1, 20)

    assert needed(20) == 0
    many, fewer = needed(11), needed(13)
    assert many is not None and fewer is not None and many > fewer > 0


def test_the_number_of_openings_asked_for_is_about_right() -> None:
    one = [2, 2, 1, 0, 2, 1, 0, 2, 1, 1]
    scores = Scores.of([(0, 1, number, score) for number, score in enumerate(one)])
    more = rate(scores, 2).openings_to_separate(0, 1, 10)
    assert more is not None and more > 0
    copies = -(-(10 + more) // 10)
    enough = Scores.of([(0, 1, number, one[number % 10]) for number in range(10 * copies)])
    assert not rate(enough, 2).tied(0, 1)


def test_players_that_never_met_are_not_compared() -> None:
    with pytest.raises(ValueError, match="never played"):
        rate(Scores.of([(0, 1, 0, 1), (2, 3, 0, 1)]), 4)


def test_a_score_lies_in_its_interval() -> None:
    for scores in ([2.0] * 8, [0.0] * 8, [1.0] * 8, [2.0, 1.0, 0.0, 2.0]):
        mean, low, high = score_interval(scores)
        assert 0.0 <= low <= mean <= high <= 1.0 and high > low


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strength", "openings", "opening_effect"),
    [
        ([0.5, -0.5], 30, 0.0),
        ([0.0, 0.0], 60, 1.5),
        ([0.5, 0.25, 0.0, -0.25, -0.5], 30, 1.0),
        ([0.75, 0.25, -0.25, -0.75], 60, 1.5),
        ([1.5, -1.5], 60, 1.0),
    ],
)
def test_intervals_hold_the_truth_in_93_to_97_percent_of_simulated_matches(
    strength: list[float], openings: int, opening_effect: float
) -> None:
    rng = np.random.default_rng(5)
    players = len(strength)
    # What endlessly many openings would say; their effects pull ratings together.
    truth = rate(draw(rng, strength, 20_000, opening_effect), players).elo
    held, counted = 0, 0
    for _ in range(1500):
        ratings = rate(draw(rng, strength, openings, opening_effect), players)
        for a, b in combinations(range(players), 2):
            _, low, high = ratings.difference(a, b)
            held += low <= truth[a] - truth[b] <= high
            counted += 1
        low_all, high_all = ratings.intervals()
        held += int(((low_all <= truth) & (truth <= high_all)).sum())
        counted += players
    assert 0.93 <= held / counted <= 0.97
