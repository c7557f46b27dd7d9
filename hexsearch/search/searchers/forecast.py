"""Proposes what promises most by the forecast, and a stated share of random draws."""

from __future__ import annotations

from hexsearch.search.searchers.base import Searcher
from hexsearch.search.space import Values


class ForecastSearcher(Searcher):
    """The candidate whose promise is highest, given the values at all rungs."""

    can_redraw = False  # it leaves out by itself what was tried
    lists = False

    def propose(self, number: int, attempt: int = 0) -> Values:
        """Of random configurations and of neighbours of the best, what promises most."""
        assert self.outlook is not None
        return dict(self.outlook.candidate()[0])
