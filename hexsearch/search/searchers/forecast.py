"""Proposes the most promising configuration by the forecast, or a random one."""

from __future__ import annotations

from hexsearch.search.searchers.base import Searcher
from hexsearch.search.space import Values


class ForecastSearcher(Searcher):
    """Proposes the candidate with the highest promise, given the values at all rungs."""

    can_redraw = False  # it excludes tried configurations itself
    lists = False

    def propose(self, number: int, attempt: int = 0) -> Values:
        """The most promising of random configurations and of neighbours of the best ones."""
        assert self.outlook is not None
        return dict(self.outlook.candidate()[0])
