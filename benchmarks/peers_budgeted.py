"""Peers that ask for a configuration at a budget, and are told its loss there.

Each gets the rungs 1152, 3456, 10368 and 31104 as budgets, a factor of 3, and a worker as soon as
one is free. A configuration that it asks for again at a higher budget continues from where it
stands; if it asks for a lower one, the training begins anew, as it would with the package. Each
opens brackets of successive halving one after another. After 120 configurations it opens no new
one; the last is filled, so that there may be a few more than 120, in the peer's favour.

- `Bohb`: HpBandSter's model and brackets with the defaults of its `BOHB`, without its network. As
  there, a new bracket begins when the others wait for results.
- `Smac`: SMAC3's multi-fidelity facade (Hyperband with a random forest) with its defaults.
- `Dehb`: DEHB with its defaults. After four brackets it evaluates new configurations at every
  rung instead of promoting, which is how it was published.
- `PriorBand`: NePS's PriorBand with its defaults, on Hyperband. No prior is given, since none of
  the others gets one: it draws uniformly or near the best so far.
"""

from __future__ import annotations

import itertools
import logging
import random
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from search_peers import FACTOR, FIRST, RUNGS, TRIALS, Asked

from hexsearch.search.space import Dimension

WHOLE = RUNGS[-1]


def config_space(dimensions: Sequence[Dimension], seed: int) -> Any:
    """The dimensions as a `ConfigurationSpace`; a choice is named by its place."""
    import ConfigSpace

    space = ConfigSpace.ConfigurationSpace(seed=seed)
    for each in dimensions:
        if each.kind == "choice":
            labels = [str(place) for place in range(len(each.choices))]
            made = ConfigSpace.CategoricalHyperparameter(each.name, labels)
        elif each.kind == "float":
            made = ConfigSpace.UniformFloatHyperparameter(
                each.name, each.low, each.high, log=each.log
            )
        else:  # the place of a step, if it is not 1
            ends = (int(each.low), int(each.high)) if each.step == 1 else (0, int(each.count) - 1)
            made = ConfigSpace.UniformIntegerHyperparameter(each.name, *ends, log=each.log)
        space.add(made)
    return space


def values_of(dimensions: Sequence[Dimension], config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a peer's configuration stands for."""
    values: dict[str, Any] = {}
    for each in dimensions:
        given = config[each.name]
        if each.kind == "choice":
            values[each.name] = each.choices[int(given)]
        elif each.kind == "float":
            values[each.name] = min(max(float(given), each.low), each.high)
        else:
            values[each.name] = int(given if each.step == 1 else each.low + each.step * given)
    return values


class Budgeted:
    """Keeps what each configuration has seen and is to be trained to.

    A subclass proposes with `_next` and learns with `_tell`, where a loss of None is a failure.
    """

    def __init__(self, seed: int, dimensions: Sequence[Dimension]) -> None:
        random.seed(seed)  # some peers draw from the global generators
        np.random.seed(seed)
        self.dimensions = dimensions
        self.jobs: dict[str, tuple[str, Any, int]] = {}  # running: name, handle, positions to see
        self.seen: dict[str, int] = {}
        self.asked = 0

    def _next(self) -> tuple[str, Mapping[str, Any], Any, float] | None:
        """Name of the configuration, its settings, the peer's handle, and the budget."""
        raise NotImplementedError

    def _tell(self, handle: Any, budget: int, loss: float | None) -> None:
        raise NotImplementedError

    def ask(self) -> Asked | None:
        proposed = self._next()
        if proposed is None:
            return None
        name, config, handle, budget = proposed
        target = min(RUNGS, key=lambda rung: abs(rung - budget))
        seen = self.seen.setdefault(name, 0)
        self.asked += 1
        job = name if name not in self.jobs else f"{name} at {target} once more ({self.asked})"
        self.jobs[job] = (name, handle, target)
        return job, values_of(self.dimensions, config), seen if seen < target else 0

    def report(self, name: str, positions: int, loss: float, last: bool) -> bool:
        configuration, handle, target = self.jobs[name]
        if positions < target and not last:
            return False
        del self.jobs[name]
        failed = positions < target
        self.seen[configuration] = 0 if failed else max(positions, self.seen[configuration])
        self._tell(handle, target, None if failed else loss)
        return True


class Bohb(Budgeted):
    def __init__(self, seed: int, dimensions: Sequence[Dimension]) -> None:
        from hpbandster.optimizers.config_generators.bohb import BOHB

        super().__init__(seed, dimensions)
        logging.getLogger("hpbandster").setLevel(logging.CRITICAL)
        warnings.simplefilter("ignore", DeprecationWarning)
        self.model = BOHB(config_space(dimensions, seed))
        self.brackets: list[Any] = []
        self.started = 0

    def _next(self) -> tuple[str, Mapping[str, Any], Any, float] | None:
        for bracket in self.brackets:
            if (run := bracket.get_next_run()) is not None:
                break
        else:
            if self.started >= TRIALS:
                return None
            self.brackets.append(bracket := self._bracket(len(self.brackets)))
            run = bracket.get_next_run()
        identity, config, budget = run
        return "-".join(map(str, identity)), config, (bracket, identity, config, budget), budget

    def _bracket(self, number: int) -> Any:
        """`BOHB.get_next_iteration` of HpBandSter, which needs a running network."""
        from hpbandster.optimizers.iterations import SuccessiveHalving

        most = len(RUNGS)
        rungs = most - 1 - number % most
        first = int(np.floor(most / (rungs + 1)) * FACTOR**rungs)
        counts = [max(int(first * FACTOR**-place), 1) for place in range(rungs + 1)]
        self.started += first
        budgets = [float(rung) for rung in RUNGS[-rungs - 1 :]]
        return SuccessiveHalving(number, counts, budgets, self.model.get_config)

    def _tell(self, handle: Any, budget: int, loss: float | None) -> None:
        bracket, identity, config, asked = handle
        job = SimpleNamespace(
            id=identity, kwargs={"config": config, "budget": asked}, timestamps={},
            exception=None if loss is not None else "the training failed",
            result=None if loss is None else {"loss": loss},
        )  # fmt: skip
        bracket.register_result(job)
        self.model.new_result(job)


class Smac(Budgeted):
    def __init__(self, seed: int, dimensions: Sequence[Dimension], folder: Path) -> None:
        import smac

        super().__init__(seed, dimensions)
        self._value, self._status = smac.runhistory.TrialValue, smac.runhistory.StatusType
        scenario = smac.Scenario(
            config_space(dimensions, seed), deterministic=True, n_trials=4 * TRIALS,
            min_budget=FIRST, max_budget=WHOLE, seed=seed, output_directory=folder,
        )  # fmt: skip
        facade = smac.MultiFidelityFacade
        model = facade.get_model(scenario)
        model._rf_opts["n_jobs"] = 1  # the same trees, without waiting for threads
        self.optimiser = facade(
            scenario,
            lambda config, seed=0, budget=0: 0.0,
            intensifier=facade.get_intensifier(scenario, eta=FACTOR),
            model=model,
            config_selector=facade.get_config_selector(scenario, retries=1_000),
            overwrite=True,
            logging_level=40,
        )
        self.names: dict[Any, str] = {}

    def _next(self) -> tuple[str, Mapping[str, Any], Any, float] | None:
        if len(self.names) >= TRIALS:  # the generator ends when it finds no configurations
            self.optimiser.intensifier._config_generator = iter(())
            self.optimiser.optimizer._trial_generator = iter(self.optimiser.intensifier)
        try:
            info = self.optimiser.ask()
        except StopIteration:
            return None
        name = self.names.setdefault(info.config, str(len(self.names)))
        return name, info.config, info, info.budget

    def _tell(self, handle: Any, budget: int, loss: float | None) -> None:
        status = self._status.SUCCESS if loss is not None else self._status.CRASHED
        value = self._value(cost=1.0 if loss is None else loss, status=status)
        self.optimiser.tell(handle, value, save=False)


class Dehb(Budgeted):
    def __init__(self, seed: int, dimensions: Sequence[Dimension], folder: Path) -> None:
        from dehb import DEHB

        super().__init__(seed, dimensions)
        self.optimiser = DEHB(
            cs=config_space(dimensions, seed), min_fidelity=FIRST, max_fidelity=WHOLE, eta=FACTOR,
            seed=seed, n_workers=1, save_freq=None, output_path=folder, log_level="ERROR",
        )  # fmt: skip

    def _next(self) -> tuple[str, Mapping[str, Any], Any, float] | None:
        if len(self.seen) >= TRIALS:
            return None
        job = self.optimiser.ask()
        return str(job["config_id"]), job["config"], job, job["fidelity"]

    def _tell(self, handle: Any, budget: int, loss: float | None) -> None:
        self.optimiser.tell(handle, {"fitness": 1.0 if loss is None else loss, "cost": 1.0})


class PriorBand(Budgeted):
    def __init__(self, seed: int, dimensions: Sequence[Dimension]) -> None:
        import neps
        import torch
        from neps.optimizers.utils.brackets import calculate_hb_bracket_layouts

        super().__init__(seed, dimensions)
        logging.getLogger("neps").setLevel(logging.ERROR)
        torch.manual_seed(seed)
        self.asker = neps.AskAndTell(neps.algorithms.priorband(_neps_space(dimensions), eta=FACTOR))
        _, brackets = calculate_hb_bracket_layouts((FIRST, WHOLE), FACTOR)
        sizes = itertools.accumulate(max(each.values()) for each in itertools.cycle(brackets))
        self.most = next(size for size in sizes if size >= TRIALS)

    def _next(self) -> tuple[str, Mapping[str, Any], Any, float] | None:
        trial = self.asker.ask()
        name, _, _ = trial.metadata.id.partition("_rung_")
        if name not in self.seen and len(self.seen) >= self.most:
            del self.asker.trials[trial.metadata.id]  # it knows of a proposal from here only
            return None
        return name, trial.config, trial, trial.config["positions"]

    def _tell(self, handle: Any, budget: int, loss: float | None) -> None:
        failed = RuntimeError("the training failed")
        self.asker.tell(handle.metadata.id, failed if loss is None else float(loss))


def _neps_space(dimensions: Sequence[Dimension]) -> Any:
    from neps.space import HPOCategorical, HPOFloat, HPOInteger, SearchSpace

    made: dict[str, Any] = {"positions": HPOInteger(FIRST, WHOLE, is_fidelity=True)}
    for each in dimensions:
        if each.kind == "choice":
            made[each.name] = HPOCategorical([str(place) for place in range(len(each.choices))])
        elif each.kind == "float":
            made[each.name] = HPOFloat(each.low, each.high, log=each.log)
        else:
            ends = (int(each.low), int(each.high)) if each.step == 1 else (0, int(each.count) - 1)
            made[each.name] = HPOInteger(*ends, log=each.log)
    return SearchSpace(made)
