"""Proposes configurations: first enqueued ones, then enumerated or modelled ones."""

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
    """Proposes dimension values, and is told how their trials ended.

    A finite space with no more distinct configurations than trials is enumerated in an order drawn
    from the seed. Further trials are proposed by the model, and are further seeds. A grid repeats
    its points endlessly. A model proposes a configuration again only after it has completed, as a
    further seed: a pruned configuration has lost already, and a running one is not decided.

    Args:
        trials: number of trials of the study; an extended study has more.
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
        self._outside: set[str] = set()  # trials that are not in this space
        self._tried: set[str] = set()  # variants that must not be proposed again yet
        self._refuses = math.isfinite(space.count) and self._searcher.can_redraw
        self._enumeration: Enumeration | None = None
        if self._searcher.lists and space.count <= max(trials, MAX_LISTED):
            variants = space.variants()
            if len(variants) <= trials:
                self._enumeration = Enumeration(variants, derive_seed(seed, "enumerate", 0))

    def propose(self, number: int) -> tuple[Values, str]:
        """Values of the active dimensions for trial `number`, and their origin."""
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
            # The ledger was edited: no searcher can use this trial.
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
            fitting = [values for values in event.enqueued if not self._space.faults_of(values)]
            self._space = replace(self._space, enqueued=(*self._space.enqueued, *fitting))

    def _ask(self, number: int) -> Values:
        values = self._searcher.propose(number)
        for attempt in range(1, _REDRAWS + 1 if self._refuses else 1):
            if variant_key(self._space.resolve(values)) not in self._tried:
                break
            values = self._searcher.propose(number, attempt)
        faults = self._space.faults_of(values, whole=True)
        assert not faults, f"{self._config.name} proposes what is not in its space: {faults}"
        return values

    def _outcome(self, state: str, report: ReportSummary | None) -> Outcome:
        if report is None:
            return Outcome(state if state == "FAIL" else "PRUNED")
        objectives = objectives_of(self._config, report)
        if state == "COMPLETE" and not objectives:
            state = "PRUNED"
        return Outcome(state, objectives, report.positions_seen, report.value_loss)

    def _complete(self, values: Values) -> Values:
        """An enqueued configuration, with the first or lowest value for missing dimensions."""
        complete: Values = {}
        for dimension in self._space.dimensions:
            if dimension.name in values:
                complete[dimension.name] = values[dimension.name]
            elif dimension.is_active(complete):
                complete[dimension.name] = dimension.values()[0]
        return complete


def objectives_of(config: SearcherConfig, report: ReportSummary) -> tuple[float, ...]:
    """Objectives of a completed trial; empty if one was not measured."""
    figures = [getattr(report, name) for name in config.objectives]
    return () if None in figures else tuple(float(f) for f in figures if f is not None)


_REDRAWS = 8  # proposals after which a repeated configuration is accepted
MAX_LISTED = 2_000  # combinations up to which equal configurations are searched for
