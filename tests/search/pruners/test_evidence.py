"""Pausing by evidence, tested through the engine with curves that are formulas."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from hexsearch.config.study import StudyConfig
from hexsearch.ledger.events import Decided, Promoted, Reported
from hexsearch.ledger.history import TrialHistory
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.forecasting.forecast import Forecast
from hexsearch.search.pruners.evidence import EvidencePruner
from hexsearch.search.space_parsing import build_space
from tests.search.simulation import make_engine, next_trial, report, run_serially, study_config

SCHEDULER = {"name": "evidence", "grace_period": 64, "max_t": 1728, "reduction_factor": 3}


def config(trials: int = 16, searcher: str = "forecast") -> StudyConfig:
    return study_config(
        scheduler=SCHEDULER, searcher={"name": searcher}, run={"trials": trials, "seed": 1}
    )


def telling(trial: TrialHistory, positions: int) -> ReportSummary:
    """The first value says who ends well: all curves fall alike."""
    rate = float(trial.values["optimiser.learning_rate"])
    return report(positions, 0.15 + abs(np.log10(rate / 0.01)) / 20 + 1.0 / positions)


def silent(trial: TrialHistory, positions: int) -> ReportSummary:
    """Only the end says anything; before, values are noise."""
    rng = np.random.default_rng([trial.number, positions])
    end = 0.15 + 0.05 * float(np.random.default_rng(trial.number).random())
    return report(positions, end if positions == 1728 else 0.24 + 0.0002 * float(rng.normal()))


def test_where_rungs_tell_much_most_trials_are_paused_and_the_best_ends(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", config(16, "random"))
    run_serially(engine, telling)
    trials = list(engine.history.trials.values())
    ends = {t.trial: telling(t, 1728).value_loss for t in trials}
    best = min(ends, key=lambda name: ends[name])
    assert engine.history.trials[best].status == "completed"
    assert sum(t.status == "paused" for t in trials) >= 8


def test_where_rungs_tell_nothing_fewer_trials_are_left_there(tmp_path: Path) -> None:
    paused = {}
    for name, curves in (("telling", telling), ("silent", silent)):
        engine = make_engine(tmp_path / f"{name}.jsonl", config(16, "random"))
        run_serially(engine, curves)
        statuses = [t.status for t in engine.history.trials.values()]
        paused[name] = statuses.count("paused")
    assert paused["silent"] < paused["telling"]


def test_each_decision_says_how_far_from_the_cut_off_and_how_sure_that_is(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", config())
    run_serially(engine, telling)
    reasons = [
        event.reason
        for event in engine.ledger
        if isinstance(event, Decided) and event.rung is not None
    ]
    assert all(reasons)
    assert any(" ± " in reason and "the cut-off" in reason for reason in reasons)


def test_a_paused_trial_goes_on_from_its_last_report_once_it_promises_most(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", config(16, "random"))
    run_serially(engine, telling)
    events = list(engine.ledger)
    promoted = {event.trial for event in events if isinstance(event, Promoted)}
    assert promoted
    for name in promoted:
        seen = [
            event.report.positions_seen
            for event in events
            if isinstance(event, Reported) and event.trial == name
        ]
        assert seen == sorted(set(seen))  # nothing was trained or recorded twice


@pytest.mark.parametrize("searcher", ["forecast", "random", "tpe"])
def test_cut_after_any_record_the_search_goes_on_as_if_never_stopped(
    tmp_path: Path, searcher: str
) -> None:
    whole = make_engine(tmp_path / "whole.jsonl", config(10, searcher))
    run_serially(whole, telling)
    expected = {t.trial: (t.values, t.status) for t in whole.history.trials.values()}
    whole.ledger.close()
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(2, len(lines), 17):
        path = tmp_path / f"cut{cut}.jsonl"
        path.write_bytes(b"".join(lines[:cut]))
        engine = make_engine(path, config(10, searcher))
        run_serially(engine, telling)
        found = {t.trial: (t.values, t.status) for t in engine.history.trials.values()}
        assert found == expected, cut
        engine.ledger.close()


def test_until_a_trial_has_ended_the_best_third_of_a_rung_goes_on(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", config(16, "random"))
    run_serially(engine, telling)
    early = list(takewhile(lambda e: getattr(e, "decision", "") != "complete", engine.ledger))
    decided = [e for e in early if isinstance(e, Decided) and e.rung is not None]
    assert {event.decision for event in decided} == {"continue", "pause"}
    assert any(shows(event) for event in decided)
    counts = {64: 0.0, 192: 0.0, 576: 0.0}
    for event in decided:
        assert event.rung is not None and event.rank is not None
        level = (64, 192, 576).index(event.rung)
        if not shows(event):
            best = int((counts[event.rung] + 1.0 + 1e-9) // 3)
            assert (event.decision == "continue") == (event.rank <= best)
        counts[event.rung] += 3.0**-level if int(event.trial[1:]) % 5 == 4 else 1.0


def shows(event: Decided) -> bool:
    return "to show what rungs say" in event.reason


def test_one_trial_of_five_goes_on_to_the_last_rung_until_a_trial_has_ended(
    tmp_path: Path,
) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", config(40, "random"))
    run_serially(engine, telling)
    decided = [event for event in engine.ledger if isinstance(event, Decided)]
    ended = next(n for n, event in enumerate(decided) if event.decision == "complete")
    early = [event for event in decided[:ended] if event.rung is not None]
    fifths = [event for event in early if int(event.trial[1:]) % 5 == 4]
    assert fifths and {event.decision for event in fifths if event.rung != 576} == {"continue"}
    assert {event.rung for event in early if shows(event)} == {64, 192}
    assert all(int(event.trial[1:]) % 5 == 4 for event in early if shows(event))
    later = [event for event in decided[ended:] if int(event.trial[1:]) % 5 == 4]
    assert later and not any(shows(event) for event in later)
    assert "pause" in {event.decision for event in later}


def crossing(trial: TrialHistory, positions: int) -> ReportSummary:
    """Whoever is ahead at the first two rungs is behind at the end."""
    rate = float(trial.values["optimiser.learning_rate"])
    height = 1.0 - abs(np.log10(rate / 0.01)) / 2
    return report(positions, 0.2 - 0.01 * height * np.log(positions / 400.0) ** 3)


def test_where_curves_cross_the_first_trial_that_ends_is_a_good_one(tmp_path: Path) -> None:
    places = []
    for seed in range(1, 9):
        given = study_config(
            scheduler=SCHEDULER, searcher={"name": "random"}, run={"trials": 60, "seed": seed}
        )
        engine = make_engine(tmp_path / f"{seed}.jsonl", given)
        run_serially(engine, crossing)
        trials = list(engine.history.trials.values())
        ends = sorted(crossing(trial, 1728).value_loss for trial in trials)
        completed = [
            e for e in engine.ledger if isinstance(e, Decided) and e.decision == "complete"
        ]
        places.append(ends.index(completed[0].value_loss) / len(ends))
    assert np.mean(places) < 0.4


def test_the_error_of_what_is_expected_holds_that_of_both_rungs(tmp_path: Path) -> None:
    def paired(first: str, second: str, positions: int) -> tuple[float, float]:
        return (0.03, 0.004) if positions == 192 else (0.01, 0.003)

    engine = make_engine(tmp_path / "ledger.jsonl", config(60, "random"), paired=paired)
    run_serially(engine, crossing)
    pruner = engine.decisions._pruner
    assert isinstance(pruner, EvidencePruner)
    trends = pruner._forecast.trends
    assert trends.trend.slope > 0.0
    multiple = trends.trend.multiple(1)
    difference, error = pruner._apart(192, (0.0, 0), (0.0, 1))
    assert difference == pytest.approx(0.03 + multiple * 0.02)
    assert error == pytest.approx(np.hypot((1 + multiple) * 0.004, multiple * 0.003))


@pytest.mark.parametrize("error, expected", [(0.5, "continue"), (0.0, "pause")])
def test_who_is_behind_by_less_than_the_error_of_the_difference_goes_on_at_first(
    tmp_path: Path, error: float, expected: str
) -> None:
    asked = []

    def paired(first: str, second: str, positions: int) -> tuple[float, float]:
        asked.append((first, second, positions))
        return 0.1, error

    engine = make_engine(tmp_path / "ledger.jsonl", config(), paired=paired)
    for loss in (0.1, 0.2, 0.3, 0.4):
        trial = next_trial(engine)
        assert isinstance(trial, TrialHistory)
        engine.start(trial.trial)
        engine.hear(trial.trial, {trial.trial: report(64, loss)})
        engine.release(trial.trial)
    *_, last = [event for event in engine.ledger if isinstance(event, Decided)]
    assert last.decision == expected
    assert last.reason == f"0.1000 ± {error:.4f} behind the cut-off"
    assert asked[-1] == (last.trial, "t0000", 64)


@pytest.mark.parametrize("start, expected", [(0.25, "continue"), (0.23, "pause")])
def test_until_a_trial_has_ended_who_answers_half_at_two_rungs_like_the_cut_off_goes_on(
    tmp_path: Path, start: float, expected: str
) -> None:
    def level(trial: TrialHistory, positions: int) -> ReportSummary:
        return report(positions, start + 0.0001 * trial.number)

    engine = make_engine(tmp_path / "ledger.jsonl", config())
    run_serially(engine, level)
    decided = [event for event in engine.ledger if isinstance(event, Decided)]
    first = next(event for event in decided if event.rung == 192)
    assert first.decision == expected  # alone at its second rung
    assert first.reason.startswith("it and the cut-off" if expected == "continue" else "too few")
    # One rung says little, and the first trial that has ended knows more.
    told = [place for place, event in enumerate(decided) if "answered about 50%" in event.reason]
    ended = next(place for place, event in enumerate(decided) if event.decision == "complete")
    assert all(decided[place].rung != 64 and place < ended for place in told)


def test_workers_that_start_together_start_with_different_configurations(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", config(), slots=lambda: 8)
    started = [next_trial(engine) for _ in range(8)]
    variants = {trial.variant for trial in started if isinstance(trial, TrialHistory)}
    assert len(variants) == 8


def test_a_trial_that_cannot_end_in_time_gives_way_to_a_paused_one_that_can(
    tmp_path: Path,
) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", config(16, "random"))
    pruner = engine.decisions._pruner
    for _ in range(6):
        trial = next_trial(engine)
        assert isinstance(trial, TrialHistory)
        engine.start(trial.trial)
        for point in (64, 192):
            if engine.hear(trial.trial, {trial.trial: telling(trial, point)}) == "stop":
                break
        engine.release(trial.trial)
    assert pruner.choose_paused(may_propose=True, left=0.99) is not None


def test_a_forecast_that_is_asked_late_is_that_which_was_asked_at_once(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "ledger.jsonl", config(40, "random"))
    run_serially(engine, crossing)
    pruner, space = engine.decisions._pruner, build_space(config())
    assert isinstance(pruner, EvidencePruner)
    levels = pruner._forecast.levels
    assert pruner._forecast.trends.version > 1
    asked, late = Forecast(space, levels), Forecast(space, levels)
    seen = 0
    for event in engine.ledger:
        asked.apply(event)
        late.apply(event)
        if asked.top:
            expected = asked.fit.means
            if asked.trends.version % 3 == 0:  # not after each event
                seen += 1
                assert late.fit.means.tolist() == expected.tolist()
    assert seen and late.fit.means.tolist() == asked.fit.means.tolist()
