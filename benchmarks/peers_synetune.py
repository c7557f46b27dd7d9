"""Syne Tune's asynchronous schedulers in a replay of `search_quality.py`.

Version 0.13, since later ones have no promotion, MOBSTER or HyperTune any more. One unit of its
resource is 1,152 positions, so that its rungs are 1, 3, 9 and 27. Options that are not named here
have their defaults: MOBSTER a joint Gaussian process over settings and rungs, HyperTune
independent ones and a sampled bracket. Only reports at rungs are passed on (`searcher_data` is
`rungs`). The events are those of Syne Tune's own `Tuner`: a paused or stopped trial is removed,
a failed one is an error. After 120 trials the searcher proposes nothing, as one whose space is
exhausted, and only promotions follow.

From 30 observations on, the parameters of the Gaussian process are fitted at each fifth proposal
only, the way that Syne Tune documents for a fit that takes long. With a fit at each proposal a
replay takes two to three times as long.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from search_peers import FACTOR, FIRST, RUNGS, TRIALS, Asked

from hexsearch.search.space import Dimension

WHOLE = RUNGS[-1]
FITS = {"opt_skip_init_length": 30, "opt_skip_period": 5}


def _space(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """The dimensions in Syne Tune's terms; a choice is named by its place."""
    from syne_tune import config_space

    made: dict[str, Any] = {}
    for each in dimensions:
        if each.kind == "choice":
            made[each.name] = config_space.choice([str(n) for n in range(len(each.choices))])
        elif each.kind == "float":
            draw = config_space.loguniform if each.log else config_space.uniform
            made[each.name] = draw(each.low, each.high)
        elif each.step > 1:  # an end beyond the last step would be reached
            last = range(int(each.low), int(each.high) + 1, each.step)
            made[each.name] = config_space.finrange(last[0], last[-1], len(last), cast_int=True)
        else:
            whole = config_space.lograndint if each.log else config_space.randint
            made[each.name] = whole(int(each.low), int(each.high))
    return made


class SyneTune:
    """One of Syne Tune's schedulers that stop, or pause and promote, at rungs."""

    def __init__(self, seed: int, dimensions: Sequence[Dimension], kind: str) -> None:
        from syne_tune.backend.trial_status import Trial
        from syne_tune.optimizer.baselines import ASHA, MOBSTER, HyperTune

        logging.getLogger("syne_tune").setLevel(logging.ERROR)
        self._trial, self._dimensions = Trial, dimensions
        made = {"mobster": MOBSTER, "hypertune": HyperTune}.get(kind, ASHA)
        self.scheduler = made(
            {**_space(dimensions), "epochs": WHOLE // FIRST},
            metric="loss",
            resource_attr="epoch",
            max_resource_attr="epochs",
            grace_period=1,
            reduction_factor=FACTOR,
            brackets=len(RUNGS) if kind == "hypertune" else 1,
            type="stopping" if kind == "syne stopping" else "promotion",
            mode="min",
            random_seed=seed,
            search_options={
                "debug_log": False,
                **(FITS if kind in ("mobster", "hypertune") else {}),
            },
        )
        self.live: dict[str, Any] = {}
        self.seen: dict[str, int] = {}

    def ask(self) -> Asked | None:
        number = len(self.live)
        if number == TRIALS:
            self.scheduler.searcher.get_config = lambda **_: None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            suggestion = self.scheduler.suggest(number)
        if suggestion is None:
            return None
        if suggestion.spawn_new_trial_id:
            name = str(number)
            self.live[name] = self._trial(number, suggestion.config, datetime.now())
            self.scheduler.on_trial_add(self.live[name])
            self.seen[name] = 0
        else:
            name = str(suggestion.checkpoint_trial_id)
            if suggestion.config is not None:
                self.live[name].config = suggestion.config
        config = self.live[name].config
        values = {
            each.name: each.choices[int(config[each.name])]
            if each.kind == "choice"
            else config[each.name]
            for each in self._dimensions
        }
        return name, values, self.seen[name]

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        trial = self.live[name]
        if positions in RUNGS:
            self.seen[name] = positions
            result = {"loss": loss, "epoch": positions // FIRST}
            if self.scheduler.on_trial_result(trial, result) != "CONTINUE":
                self.scheduler.on_trial_remove(trial)
                return True
        if last:  # it has failed
            self.scheduler.on_trial_error(trial)
        return last
