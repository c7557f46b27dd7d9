"""Peers of `search_quality.py` from packages that hexsearch does not depend on.

Syne Tune 0.13 (later versions have no promotion, MOBSTER or HyperTune any more), HpBandSter's
BOHB and SMAC3. Install them into an environment of their own, since Syne Tune 0.13 wants an old
numpy and runs with a new one nevertheless: `pip install hpbandster ConfigSpace smac autograd` and
`pip install --no-deps syne-tune==0.13.0`. A package that is absent is left out, with the reason.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import warnings
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from search_peers import FACTOR, FIRST, TRIALS, Asked

WHOLE = 31_104
RUNGS = (1_152, 3_456, 10_368, 31_104)
NEEDED = {
    "syne promotion": "syne_tune.optimizer.baselines",
    "mobster": "autograd",
    "hypertune": "autograd",
    "bohb": "hpbandster.optimizers.config_generators.bohb",
    "smac": "smac",
}


def missing(name: str) -> str | None:
    """Why a peer cannot be run here; None if it can."""
    module = NEEDED.get(name)
    if module is None:
        return None
    try:
        importlib.import_module(module)
    except ImportError as error:
        return f"{name} is left out: {error}"
    return None


class SyneTune:
    """Syne Tune's asynchronous schedulers in their promotion form; a report at each rung."""

    def __init__(self, seed: int, choices: dict[str, list[Any]], kind: str) -> None:
        from syne_tune.backend.trial_status import Trial
        from syne_tune.config_space import choice
        from syne_tune.optimizer.baselines import ASHA, MOBSTER, HyperTune

        logging.disable(logging.INFO)
        self._trial, self._choices = Trial, choices
        self._suggested = 0
        self.live: dict[str, Any] = {}
        space = {name: choice([str(place) for place in range(len(values))])
                 for name, values in choices.items()}  # fmt: skip
        made = {"syne promotion": ASHA, "mobster": MOBSTER, "hypertune": HyperTune}[kind]
        options: dict[str, Any] = {"search_options": {"debug_log": False}}
        if kind == "hypertune":
            options["brackets"] = 4
        self.scheduler = made(
            {**space, "epochs": WHOLE // FIRST},
            metric="loss",
            resource_attr="epoch",
            max_resource_attr="epochs",
            grace_period=1,
            reduction_factor=FACTOR,
            type="promotion",
            mode="min",
            random_seed=seed,
            **options,
        )
        self.seen: dict[str, int] = {}

    def ask(self) -> Asked | None:
        number = self._suggested
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            suggestion = self.scheduler.suggest(number)
        if suggestion is None:
            return None
        if suggestion.spawn_new_trial_id:
            self._suggested += 1
            if number >= TRIALS:  # it has no way to ask for promotions only
                return None
            name = str(number)
            self.live[name] = self._trial(number, suggestion.config, datetime.now())
            self.scheduler.on_trial_add(self.live[name])
            self.seen[name] = 0
        else:
            name = str(suggestion.checkpoint_trial_id)
        values = {n: v[int(self.live[name].config[n])] for n, v in self._choices.items()}
        return name, values, self.seen[name]

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        trial = self.live[name]
        if positions in RUNGS:
            self.seen[name] = positions
            result = {"loss": loss, "epoch": positions // FIRST}
            decision = self.scheduler.on_trial_result(trial, result)
            if positions == WHOLE:
                self.scheduler.on_trial_complete(trial, result)
            return bool(last or decision != "CONTINUE")
        if last:  # it has failed
            self.scheduler.on_trial_error(trial)
        return last


class Bohb:
    """HpBandSter's BOHB: its brackets of successive halving and its model, without its network."""

    def __init__(self, seed: int, choices: dict[str, list[Any]]) -> None:
        import ConfigSpace
        from hpbandster.optimizers.config_generators.bohb import BOHB

        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore", DeprecationWarning)
        np.random.seed(seed)
        self._choices = choices
        space = ConfigSpace.ConfigurationSpace(seed=seed)
        for name, values in choices.items():
            labels = [str(place) for place in range(len(values))]
            space.add(ConfigSpace.CategoricalHyperparameter(name, labels))
        self.model = BOHB(space)
        self.budgets = [float(rung) for rung in RUNGS]
        self.iterations: list[Any] = []
        self.live: dict[str, tuple[Any, Any, dict[str, Any], float]] = {}
        self.started = 0

    def ask(self) -> Asked | None:
        run = None
        for bracket in self.iterations:
            run = bracket.get_next_run()
            if run is not None:
                break
        else:
            if self.started >= TRIALS:
                return None
            self.iterations.append(bracket := self._bracket(len(self.iterations)))
            run = bracket.get_next_run()
        identity, config, budget = run
        name = "-".join(map(str, identity))
        seen = self.live[name][3] if name in self.live else 0.0
        self.live[name] = (bracket, identity, config, budget)
        values = {n: v[int(config[n])] for n, v in self._choices.items()}
        return name, values, int(seen)

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        bracket, identity, config, budget = self.live[name]
        if positions < budget and not last:
            return False
        kwargs = {"config": config, "budget": budget}
        job = SimpleNamespace(id=identity, kwargs=kwargs, timestamps={}, exception=None,
                              result={"loss": loss if positions >= budget else 1.0})  # fmt: skip
        bracket.register_result(job)
        with contextlib.suppress(np.linalg.LinAlgError):
            self._learn(job)
        return True

    def _learn(self, job: Any) -> None:
        # `new_result` of the base class only warns of what has raised.
        self.model.new_result(job)

    def _bracket(self, number: int) -> Any:
        from hpbandster.optimizers.iterations import SuccessiveHalving

        most = len(self.budgets)
        rungs = most - 1 - number % most
        first = int(np.floor(most / (rungs + 1)) * FACTOR**rungs)
        counts = [max(int(first * FACTOR**-place), 1) for place in range(rungs + 1)]
        self.started += first
        return SuccessiveHalving(number, counts, self.budgets[-rungs - 1 :], self.model.get_config)


class Smac:
    """SMAC3's multi-fidelity facade: Hyperband with a random forest, by ask and tell."""

    def __init__(self, seed: int, choices: dict[str, list[Any]], folder: Path) -> None:
        import ConfigSpace
        import smac

        self._smac, self._choices = smac, choices
        space = ConfigSpace.ConfigurationSpace(seed=seed)
        for name, values in choices.items():
            labels = [str(place) for place in range(len(values))]
            space.add(ConfigSpace.Categorical(name, labels))
        scenario = smac.Scenario(
            space, deterministic=True, n_trials=4 * TRIALS, min_budget=FIRST, max_budget=WHOLE,
            seed=seed, output_directory=folder, n_workers=1,
        )  # fmt: skip
        facade = smac.MultiFidelityFacade
        self.optimiser = facade(
            scenario,
            lambda config, seed=0, budget=0: 0.0,
            intensifier=facade.get_intensifier(scenario, eta=FACTOR),
            overwrite=True,
            logging_level=40,
        )
        self.live: dict[str, Any] = {}
        self.seen: dict[str, int] = {}

    def ask(self) -> Asked | None:
        try:
            info = self.optimiser.ask()
        except StopIteration:
            return None
        places = dict(info.config)
        name = "-".join(str(places[n]) for n in self._choices)
        if name not in self.seen and len(self.seen) >= TRIALS:
            return None
        self.live[name] = info
        values = {n: v[int(places[n])] for n, v in self._choices.items()}
        return name, values, self.seen.setdefault(name, 0)

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        info = self.live[name]
        if positions < info.budget - 1 and not last:
            return False
        self.seen[name] = positions
        broke = last and positions < info.budget - 1
        value = self._smac.runhistory.dataclasses.TrialValue(cost=1.0 if broke else loss)
        self.optimiser.tell(info, value, save=False)
        return True
