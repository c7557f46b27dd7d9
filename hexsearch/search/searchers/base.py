"""Base class of searchers, with one method that proposes values."""

from __future__ import annotations

from dataclasses import dataclass

from hexsearch.config.scheduler import SearcherConfig
from hexsearch.search.forecasting.outlook import Outlook
from hexsearch.search.space import SearchSpace, Values


@dataclass(frozen=True)
class Outcome:
    """The end of a trial, for a searcher.

    Attributes:
        state: COMPLETE, PRUNED or FAIL.
        objectives: objectives of a COMPLETE trial, which are minimised.
        step, value: positions seen and value loss at the last report; None without a report.
    """

    state: str
    objectives: tuple[float, ...] = ()
    step: int | None = None
    value: float | None = None


class Searcher:
    """Proposes dimension values. It is a fold: equal records give equal proposals.

    A new searcher is a subclass with `propose`, and an entry in `SEARCHERS`.

    Args:
        seed: seed of the study. Proposal `number` uses a generator that is seeded by both.
            Otherwise a generator would repeat its first draws after a resume.
    """

    # Whether values may be refused. A searcher that counts its own proposals must not allow this.
    can_redraw = True
    # Whether a space with no more configurations than trials is enumerated.
    lists = True
    learns = False  # whether `learn` makes a difference
    outlook: Outlook | None = None  # for searchers that use one

    def __init__(self, space: SearchSpace, config: SearcherConfig, seed: int) -> None:
        self.space, self.config, self.seed = space, config, seed

    def propose(self, number: int, attempt: int = 0) -> Values:
        """Values of the active dimensions for trial `number`.

        Args:
            attempt: number of values that were refused for this trial; each attempt draws again.
        """
        raise NotImplementedError

    def add(self, name: str, number: int, values: Values, proposed: bool) -> None:
        """A trial was suggested.

        Args:
            proposed: whether the values come from `propose`, now or in an earlier session.
        """

    def tell(self, name: str, outcome: Outcome) -> None:
        """A trial has ended."""

    def learn(self, values: Values, outcome: Outcome) -> None:
        """Learn from a trial of another study."""
