"""A searcher of Optuna's that is made again from what a ledger holds proposes the same."""

from __future__ import annotations

import pytest

from hexsearch.config.scheduler import SearcherConfig
from hexsearch.search.searchers.base import Outcome
from hexsearch.search.searchers.tpe import TpeSearcher
from hexsearch.search.space import Values
from tests.search.spaces import CONDITIONAL, space


@pytest.mark.parametrize("seed", range(6))
def test_running_trials_with_inactive_dimensions_count_the_same_after_a_resume(seed: int) -> None:
    given, config = space(CONDITIONAL), SearcherConfig(name="tpe", startup_trials=4)
    live = TpeSearcher(given, config, seed)
    proposals: list[Values] = []
    for number in range(20):
        folded = TpeSearcher(given, config, seed)
        for earlier, values in enumerate(proposals):
            folded.add(str(earlier), earlier, values, proposed=True)
            if earlier < 10:
                folded.tell(str(earlier), ended(earlier, values))
        expected = folded.propose(number)
        values = live.propose(number)
        assert values == expected, number
        live.add(str(number), number, values, proposed=True)
        if number < 10:  # the others keep running
            live.tell(str(number), ended(number, values))
        proposals.append(values)


def ended(number: int, values: Values) -> Outcome:
    loss = 0.2 - 0.05 * (values["curriculum"] == "all") + 0.001 * number
    return Outcome("COMPLETE", (loss,), 1000, loss)
