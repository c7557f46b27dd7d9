"""What every searcher has in common: one class, one method that proposes values."""

from __future__ import annotations

from dataclasses import dataclass

from hexsearch.config.scheduler import SearcherConfig
from hexsearch.search.forecasting.outlook import Outlook
from hexsearch.search.space import SearchSpace, Values


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, as a searcher wants to know it.

    Attributes:
        state: COMPLETE, PRUNED or FAIL.
        objectives: of a COMPLETE trial, all to be minimised.
        step, value: positions seen and value loss at the last report; None if there was none.
    """

    state: str
    objectives: tuple[float, ...] = ()
    step: int | None = None
    value: float | None = None


class Searcher:
    """Proposes dimension values. It is a fold: equal records give equal proposals.

    A new searcher is a subclass with `propose`, named in `SEARCHERS`.

    Args:
        seed: of the study. Proposal `number` draws from a generator seeded by both: a generator
            made anew after a resume would otherwise repeat its first draws.
    """

    # Whether values may be refused; those who count their own proposals would lose count.
    can_redraw = True
    # Whether a space with no more configurations than trials is gone through in a drawn order.
    lists = True
    outlook: Outlook | None = None  # for those that use one

    def __init__(self, space: SearchSpace, config: SearcherConfig, seed: int) -> None:
        self.space, self.config, self.seed = space, config, seed

    def propose(self, number: int, attempt: int = 0) -> Values:
        """Values of the active dimensions for trial `number`.

        Args:
            attempt: counts the values that were refused for this trial; each draws anew.
        """
        raise NotImplementedError

    def add(self, name: str, number: int, values: Values, proposed: bool) -> None:
        """A trial was suggested.

        Args:
            proposed: whether `propose` made the values, here or in an earlier session.
        """

    def tell(self, name: str, outcome: Outcome) -> None:
        """A trial has ended."""

    def learn(self, values: Values, outcome: Outcome) -> None:
        """Take in a trial of another study."""
