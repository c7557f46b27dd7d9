from __future__ import annotations

import json

import numpy as np
import pytest

from hexsearch.analysis.ensemble import Ensemble, choose_ensembles
from hexsearch.report.ensemble import ensemble_json, evaluate_ensembles, findings, render_ensembles
from hexsearch.report.terminal import Console
from hexsearch.training.metrics import Evaluation

GAMES, PLIES = 300, 20


def judged(seed: int, noises: list[float]) -> list[Evaluation]:
    """Networks on the same games, each with mistakes of its own on every position."""
    rng = np.random.default_rng(seed)
    game = np.repeat(np.arange(GAMES), PLIES)
    won = (rng.random(GAMES) < 0.5).astype(float)[game]
    hard = 0.2 * rng.standard_normal(GAMES)[game]  # for all alike
    return [
        Evaluation(
            win_prob_red=np.clip(
                0.5 + 0.4 * (won - 0.5) + hard + noise * rng.standard_normal(len(game)), 0.0, 1.0
            ),
            red_won=won,
            stage=np.ones(len(game), dtype=np.int8),
            to_end=PLIES - np.arange(len(game)) % PLIES,
            final=np.zeros(len(game), dtype=bool),
            game=game,
            ply=np.arange(len(game)) % PLIES,
        )
        for noise in noises
    ]


NOISES = [0.2, 0.2, 0.2, 0.2]
NAMES = ["t0000", "t0003", "t0004", "t0007"]


def test_a_gain_is_found_on_games_that_had_no_part_in_the_choice() -> None:
    validation, test = judged(0, NOISES), judged(1, NOISES)
    ensembles = choose_ensembles(validation, ("average", "greedy"))
    rows = evaluate_ensembles(ensembles, NAMES, validation, test)
    assert [row.name for row in rows] == ["best single", "average", "greedy"]
    assert rows[0].difference == rows[0].difference_low == rows[0].difference_high == 0.0
    for row in rows[1:]:
        assert row.difference_low < row.difference < row.difference_high < 0.0
        assert row.low < row.test.value_loss < row.high
        expected = row.test.value_loss - rows[0].test.value_loss
        assert row.difference == pytest.approx(expected, abs=1e-6)
        # Pairing: hard games are hard for the single network too.
        assert row.difference_high - row.difference_low < 0.5 * (row.high - row.low)
    assert all("is better than the best single network" in line for line in findings(rows))
    assert sum(rows[1].weights.values()) == pytest.approx(1.0)


def test_what_is_worse_and_what_is_the_same_is_said_to_be() -> None:
    validation = judged(0, [0.1, 0.6])
    single = Ensemble("best single", np.array([1.0, 0.0]))
    others = [Ensemble("other", np.array([0.0, 1.0])), Ensemble("same", np.array([1.0, 0.0]))]
    worse, same = findings(
        evaluate_ensembles([single, *others], NAMES[:2], validation, judged(1, [0.1, 0.6]))
    )
    assert worse.startswith("other is worse") and same.startswith("same is tied")


@pytest.mark.slow
def test_intervals_of_the_gain_hold_the_truth_as_often_as_they_say() -> None:
    pair = [Ensemble("best single", np.array([1.0, 0.0])), Ensemble("both", np.full(2, 0.5))]
    rows = [
        evaluate_ensembles(pair, NAMES[:2], few, few)[1]
        for few in (judged(s, [0.2, 0.2]) for s in range(200))
    ]
    truth = np.mean([row.difference for row in rows])
    held = np.mean([row.difference_low <= truth <= row.difference_high for row in rows])
    assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200)


@pytest.mark.parametrize("columns", [80, 160])
def test_the_table_fits_the_terminal(columns: int) -> None:
    test = judged(1, NOISES)
    rows = evaluate_ensembles(choose_ensembles(test, ("average", "greedy")), NAMES, test, test)
    console = Console(width=columns)
    with console.capture() as shown:
        console.print(render_ensembles("a study", rows, columns))
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= columns
    assert "…" not in shown.get()
    assert "evaluated once on 300 test games" in shown.get().replace("\n", " ")


def test_the_json_is_plain() -> None:
    test = judged(1, NOISES)
    rows = evaluate_ensembles(choose_ensembles(test, ("greedy",)), NAMES, test, test)
    document = json.loads(json.dumps(ensemble_json("a study", rows), allow_nan=False))
    assert document["split"] == "test"
    assert document["rows"][1]["weights"].keys() <= set(NAMES)
    assert document["rows"][0]["test"]["games"] == GAMES
