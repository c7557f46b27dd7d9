"""What to try next, as a fold over the ledger: enqueued, then enumerated or modelled."""

from __future__ import annotations

import math
from dataclasses import replace

from hexsearch.config.scheduler import SearcherConfig
from hexsearch.ledger.events import Compared, Event, Reported, Suggested, Told, WarmStarted
from hexsearch.ledger.report import ReportSummary
from hexsearch.search.enumeration import Enumeration
from hexsearch.search.forecasting.outlook import Outlook
from hexsearch.search.searchers import SEARCHERS
from hexsearch.search.searchers.base import Outcome
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import SearchSpace, Values, variant_key


class Proposer:
    """Proposes dimension values and is told what became of them.

    A finite space whose distinct configurations are no more than the trials of the study is
    enumerated, in an order drawn from the seed; what trials are left are modelled, and become
    further seeds. A grid goes round its points for ever. Where a model proposes, only what has
    completed comes up again, as a further seed: what was pruned lost already, and what is still
    running will tell as much as its twin.

    Args:
        trials: how many the study is to have; an extended study has more.
    """

    def __init__(
        self,
        space: SearchSpace,
        config: SearcherConfig,
        seed: int,
        trials: int,
        outlook: Outlook | None = None,
    ) -> None:
        self._space, self._config = space, config
        self._searcher = SEARCHERS[config.name](space, config, seed)
        self._searcher.outlook = outlook
        self._last_report: dict[str, ReportSummary] = {}
        self._variants: dict[str, str] = {}  # trial -> its variant
        self._outside: set[str] = set()  # trials that are none of this space
        self._tried: set[str] = set()  # variants that are not worth another trial yet
        self._refuses = math.isfinite(space.count) and self._searcher.can_redraw
        self._enumeration: Enumeration | None = None
        if self._searcher.lists and space.count <= max(trials, MAX_LISTED):
            variants = space.variants()
            if len(variants) <= trials:
                self._enumeration = Enumeration(variants, derive_seed(seed, "enumerate", 0))

    def propose(self, number: int) -> tuple[Values, str]:
        """Values of the active dimensions for trial `number`, and where they come from."""
        if number < len(self._space.enqueued):
            return self._complete(self._space.enqueued[number]), "enqueued"
        if self._enumeration is not None:
            values = self._enumeration.next()
            if values is not None:
                return values, "enumerated"
        return self._ask(number), self._config.name

    def apply(self, event: Event) -> None:
        """Take one event into account."""
        if isinstance(event, (Suggested, WarmStarted)) and self._space.faults_of(event.values):
            # Of a ledger that a hand has touched: no searcher takes it.
            self._outside.add(event.trial if isinstance(event, Suggested) else "")
        elif isinstance(event, Suggested):
            proposed = event.origin == self._config.name
            self._searcher.add(event.trial, event.number, event.values, proposed)
            if self._enumeration is not None:
                self._enumeration.count(event.variant)
            self._variants[event.trial] = event.variant
            self._tried.add(event.variant)
        elif isinstance(event, Reported):
            self._last_report[event.trial] = event.report
        elif isinstance(event, Told) and event.trial not in self._outside:
            report = self._last_report.pop(event.trial, None)
            self._searcher.tell(event.trial, self._outcome(event.state, report))
            variant = self._variants[event.trial]
            if event.state == "COMPLETE":
                self._tried.discard(variant)
        elif isinstance(event, WarmStarted):
            self._searcher.learn(event.values, self._outcome(event.state, event.report))
        elif isinstance(event, Compared):
            enqueued = (*self._space.enqueued, *event.enqueued)
            self._space = replace(self._space, enqueued=enqueued)

    def _ask(self, number: int) -> Values:
        values = self._searcher.propose(number)
        for attempt in range(1, _REDRAWS + 1 if self._refuses else 1):
            if variant_key(self._space.resolve(values)) not in self._tried:
                break
            values = self._searcher.propose(number, attempt)
        return values

    def _outcome(self, state: str, report: ReportSummary | None) -> Outcome:
        if report is None:
            return Outcome(state if state == "FAIL" else "PRUNED")
        objectives = objectives_of(self._config, report)
        if state == "COMPLETE" and not objectives:
            state = "PRUNED"
        return Outcome(state, objectives, report.positions_seen, report.value_loss)

    def _complete(self, values: Values) -> Values:
        """An enqueued configuration with its missing dimensions at the first or lowest value."""
        complete: Values = {}
        for dimension in self._space.dimensions:
            if dimension.name in values:
                complete[dimension.name] = values[dimension.name]
            elif dimension.is_active(complete):
                complete[dimension.name] = dimension.values()[0]
        return complete


def objectives_of(config: SearcherConfig, report: ReportSummary) -> tuple[float, ...]:
    """What a completed trial reached in each objective; empty if it did not measure one."""
    figures = [getattr(report, name) for name in config.objectives]
    return () if None in figures else tuple(float(f) for f in figures if f is not None)


_REDRAWS = 8  # then everything may have been tried
MAX_LISTED = 2_000  # combinations that are resolved one by one, to find equal ones
