"""Peers of `search_quality.py` from packages that hexsearch does not depend on.

Install them into an environment of their own that sees the packages of hexsearch's (a `.pth` file
with the path of its `site-packages`): `pip install --no-deps -r benchmarks/peers.txt`. Some ask for
older versions of common packages, and run with the present ones nevertheless.

A package that is absent is left out, with the reason. What each peer is given stands in
`peers_synetune.py`, `peers_budgeted.py` and `peers_ray.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from peers_budgeted import Bohb, Dehb, PriorBand, Smac
from peers_ray import RayBrackets
from peers_synetune import SyneTune
from search_peers import Searcher

from hexsearch.search.space import Dimension

Maker = Callable[[int, Sequence[Dimension], Path], Searcher]  # seed, dimensions, empty folder
NEEDED = {
    "syne promotion": ("syne_tune.optimizer.baselines",),
    "syne stopping": ("syne_tune.optimizer.baselines",),
    "mobster": ("syne_tune.optimizer.baselines", "autograd"),
    "hypertune": ("syne_tune.optimizer.baselines", "autograd"),
    "bohb": ("hpbandster.optimizers.config_generators.bohb",),
    "smac": ("smac",),
    "dehb": ("dehb",),
    "priorband": ("neps",),
    "ray bohb": ("hpbandster.optimizers.config_generators.bohb",),
}
COMPARED = ", compared"  # of a peer that names its best where three configurations have been
PACKAGED: dict[str, Maker] = {
    "syne promotion": lambda seed, dimensions, _: SyneTune(seed, dimensions, "syne promotion"),
    "syne stopping": lambda seed, dimensions, _: SyneTune(seed, dimensions, "syne stopping"),
    "mobster": lambda seed, dimensions, _: SyneTune(seed, dimensions, "mobster"),
    "hypertune": lambda seed, dimensions, _: SyneTune(seed, dimensions, "hypertune"),
    "bohb": lambda seed, dimensions, _: Bohb(seed, dimensions),
    "smac": Smac,
    "dehb": Dehb,
    "priorband": lambda seed, dimensions, _: PriorBand(seed, dimensions),
    "ray bohb": lambda seed, dimensions, _: RayBrackets(seed, dimensions, "ray bohb"),
    "ray hyperband": lambda seed, dimensions, _: RayBrackets(seed, dimensions, "ray hyperband"),
}


def missing(name: str) -> str | None:
    """Why a peer cannot be run here; None if it can."""
    for module in NEEDED.get(name.removesuffix(COMPARED), ()):
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"{name} is left out: {error}"
    return None
