"""A grid: every point once, then every point again as a further seed."""

from __future__ import annotations

from hexsearch.config.scheduler import SearcherConfig
from hexsearch.search.enumeration import Enumeration
from hexsearch.search.searchers.base import Searcher
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import SearchSpace, Values, variant_key


class GridSearcher(Searcher):
    """Repeats its points endlessly, in an order drawn from the seed."""

    can_redraw = False
    lists = False

    def __init__(self, space: SearchSpace, config: SearcherConfig, seed: int) -> None:
        super().__init__(space, config, seed)
        order = derive_seed(seed, "enumerate", 0)
        self._points = Enumeration.of(space.grid(config.grid_points), order, endless=True)

    def propose(self, number: int, attempt: int = 0) -> Values:
        """The first point of those that were suggested least often."""
        values = self._points.next()
        assert values is not None  # it is endless
        return values

    def add(self, name: str, number: int, values: Values, proposed: bool) -> None:
        """Count a point, also if it was enqueued."""
        self._points.count(variant_key(self.space.resolve(values)))
