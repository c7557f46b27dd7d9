"""Searchers by their `searcher.name`; a new one is a file, a line here,
and its name in `hexsearch/config/scheduler.py`.
"""

from __future__ import annotations

from hexsearch.search.searchers.base import Searcher
from hexsearch.search.searchers.cmaes import CmaEsSearcher
from hexsearch.search.searchers.forecast import ForecastSearcher
from hexsearch.search.searchers.gp import GpSearcher
from hexsearch.search.searchers.grid import GridSearcher
from hexsearch.search.searchers.nsga2 import Nsga2Searcher
from hexsearch.search.searchers.random_draws import RandomSearcher
from hexsearch.search.searchers.tpe import TpeSearcher

SEARCHERS: dict[str, type[Searcher]] = {
    "cmaes": CmaEsSearcher,
    "forecast": ForecastSearcher,
    "gp": GpSearcher,
    "grid": GridSearcher,
    "nsga2": Nsga2Searcher,
    "random": RandomSearcher,
    "tpe": TpeSearcher,
}
