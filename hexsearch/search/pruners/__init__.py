"""Pruning rules by their names in `scheduler.name`.

To add a rule, write a module, add a line here, and add its name in `hexsearch/config/scheduler.py`.
"""

from __future__ import annotations

from hexsearch.search.pruners.asha import AshaPruner
from hexsearch.search.pruners.base import Pruner
from hexsearch.search.pruners.evidence import EvidencePruner
from hexsearch.search.pruners.hyperband import HyperbandPruner
from hexsearch.search.pruners.median import MedianPruner
from hexsearch.search.pruners.none import NoPruner

PRUNERS: dict[str, type[Pruner]] = {
    "asha": AshaPruner,
    "evidence": EvidencePruner,
    "hyperband": HyperbandPruner,
    "median": MedianPruner,
    "none": NoPruner,
}
