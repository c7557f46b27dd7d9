"""Peers of the search benchmark, as far as they need no package that hexsearch lacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from curve_sets import curve_set
from peers_budgeted import Budgeted, values_of
from peers_ray import RayBrackets
from search_packages import NEEDED, PACKAGED, missing
from search_peers import TRIALS, Asked, Clock
from search_quality import SEARCHERS
from search_replay import budgets_of, replay

from hexsearch.search.space import Dimension


class Listed(Budgeted):
    """Proposes what a list says, and keeps what it is told."""

    def __init__(self, proposals: list[tuple[str, int]]) -> None:
        super().__init__(0, ())
        self.proposals, self.told = proposals, list[tuple[str, int, float | None]]()

    def _next(self) -> tuple[str, Mapping[str, Any], Any, float] | None:
        name, budget = self.proposals.pop(0)
        return name, {}, name, budget + 0.4

    def _tell(self, handle: Any, budget: int, loss: float | None) -> None:
        self.told.append((handle, budget, loss))


def test_a_configuration_goes_on_to_a_higher_budget_from_where_it_stands() -> None:
    peer = Listed([("a", 1_152), ("a", 10_368), ("a", 3_456)])
    assert peer.ask() == ("a", {}, 0)
    assert peer.report("a", 1_152, 0.2, False)
    assert peer.ask() == ("a", {}, 1_152)
    assert not peer.report("a", 5_184, 0.3, False)
    assert peer.report("a", 10_368, 0.1, False)
    assert peer.told == [("a", 1_152, 0.2), ("a", 10_368, 0.1)]
    assert peer.ask() == ("a", {}, 0)  # less than it has seen is another training


def test_a_training_that_breaks_off_is_told_as_a_failure_and_begins_anew() -> None:
    peer = Listed([("a", 10_368), ("a", 31_104)])
    peer.ask()
    assert peer.report("a", 5_184, 0.3, True)
    assert peer.told == [("a", 10_368, None)]
    assert peer.ask() == ("a", {}, 0)


def test_a_configuration_that_is_asked_for_twice_at_once_is_trained_twice() -> None:
    peer = Listed([("a", 1_152), ("a", 1_152)])
    first, second = peer.ask(), peer.ask()
    assert first is not None
    assert second is not None
    assert first[0] != second[0]
    assert peer.report(second[0], 1_152, 0.2, False)
    assert peer.report(first[0], 1_152, 0.3, False)
    assert peer.told == [("a", 1_152, 0.2), ("a", 1_152, 0.3)]


def test_places_of_choices_and_steps_become_values() -> None:
    dimensions = (
        Dimension("head", "choice", ("wide", "deep")),
        Dimension("rate", "float", low=0.001, high=0.1, log=True),
        Dimension("depth", "int", low=2, high=10, step=4),
        Dimension("width", "int", low=8, high=64),
    )
    given = {"head": "1", "rate": 0.1000001, "depth": 2, "width": 9}
    assert values_of(dimensions, given) == {"head": "deep", "rate": 0.1, "depth": 10, "width": 9}


def test_rays_hyperband_pauses_trials_and_goes_on_with_them_from_there() -> None:
    pytest.importorskip("ray.tune")
    curves, starts, stands = curve_set("recorded", 0), list[int](), dict[str, int]()

    class Watched(RayBrackets):
        def ask(self) -> Asked | None:
            asked = super().ask()
            if asked is not None:
                starts.append(asked[2])
                assert stands.get(asked[0], 0) == asked[2]
            return asked

        def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
            stands[name] = positions
            return super().report(name, positions, loss, last)

    peer = Watched(0, curves.dimensions, "ray hyperband")
    replay(peer, curves, 4, budgets_of(curves, 4), Clock())
    assert {1_152, 3_456, 10_368} <= set(starts)
    assert TRIALS / 2 < starts.count(0) <= TRIALS


def test_each_peer_of_a_package_is_a_searcher_of_the_benchmark() -> None:
    assert set(PACKAGED) <= set(SEARCHERS)
    assert set(NEEDED) <= set(PACKAGED)
    assert missing("random") is None
    assert (Path(__file__).parents[2] / "benchmarks" / "peers.txt").is_file()
