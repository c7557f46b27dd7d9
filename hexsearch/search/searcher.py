"""What to try next: Optuna, as a fold over the ledger. The only module that imports optuna.

The study in memory holds exactly what the ledger says, so a proposal is a function of the
records and the seed, before and after a resume.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from hexsearch.config.study import SearcherConfig
from hexsearch.search.ledger import Record
from hexsearch.search.space import Dimension, SearchSpace, Values, label_of

_STATES = {
    "COMPLETE": TrialState.COMPLETE,
    "PRUNED": TrialState.PRUNED,
    "FAIL": TrialState.FAIL,
}


class OptunaProposer:
    """Proposes dimension values and is told what became of them.

    Args:
        seed: proposal number n draws from a generator seeded by (seed, n): a sampler made anew
            after a resume would otherwise repeat its first draws.
    """

    def __init__(self, space: SearchSpace, config: SearcherConfig, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._config, self._seed = space, config, seed
        self._distributions = {d.name: _distribution(d) for d in space.dimensions}
        self._study = optuna.create_study(direction="minimize")
        self._storage_ids: dict[str, int] = {}  # our trial -> Optuna's
        self._numbers: dict[str, int] = {}
        self._steps: dict[str, list[tuple[int, float]]] = {}

    def propose(self, number: int) -> tuple[Values, str]:
        """Values of the active dimensions for trial `number`, and where they come from."""
        if number < len(self._space.enqueued):
            return self._complete(self._space.enqueued[number]), "enqueued"
        with warnings.catch_warnings():
            # multivariate, group and constant_liar are still marked experimental (optuna 5.0).
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = self._sampler(number)
            trial = self._study.ask()
            values: Values = {}
            for dimension in self._space.dimensions:
                if dimension.is_active(values):
                    values[dimension.name] = _suggest(trial, dimension)
        # The trial asked for is what `apply` would add for the record; it stands in its place.
        return values, self._config.name

    def apply(self, record: Record) -> None:
        """Take one record into account."""
        event = record["event"]
        if event == "suggested":
            self._add(record["trial"], record["number"], record["values"])
        elif event == "reported":
            report = record["report"]
            self._steps[record["trial"]].append((report["positions_seen"], report["value_loss"]))
        elif event == "told":
            self._tell(record["trial"], record["state"])

    def _add(self, name: str, number: int, values: Mapping[str, Any]) -> None:
        trials = self._study.get_trials(deepcopy=False)
        if number == len(trials):
            params = {
                dimension.name: _to_optuna(dimension, values[dimension.name])
                for dimension in self._space.dimensions
                if dimension.name in values
            }
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=TrialState.RUNNING,
                    params=params,
                    distributions={key: self._distributions[key] for key in params},
                )
            )
            trials = self._study.get_trials(deepcopy=False)
        self._storage_ids[name] = trials[number]._trial_id
        self._numbers[name] = number
        self._steps[name] = []

    def _tell(self, name: str, state: str) -> None:
        steps = self._steps.pop(name)
        if state == "PRUNED":
            # TPE ranks pruned trials by how far they came, then by their value there.
            trial = optuna.trial.Trial(self._study, self._storage_ids[name])
            for step, value in steps:
                trial.report(value, step)
        final = steps[-1][1] if state == "COMPLETE" else None
        self._study.tell(self._numbers[name], final, state=_STATES[state])

    def _complete(self, values: Values) -> Values:
        """An enqueued configuration with its missing dimensions at the first or lowest value."""
        complete: Values = {}
        for dimension in self._space.dimensions:
            if dimension.name in values:
                complete[dimension.name] = values[dimension.name]
            elif dimension.is_active(complete):
                complete[dimension.name] = dimension.values()[0]
        return complete

    def _sampler(self, number: int) -> BaseSampler:
        seed = derive_seed(self._seed, "propose", number)
        if self._config.name == "random":
            return RandomSampler(seed=seed)
        return TPESampler(
            n_startup_trials=self._config.startup_trials,
            multivariate=True,
            group=True,  # models each branch of a conditional space jointly
            constant_liar=True,
            seed=seed,
        )


def derive_seed(seed: int, purpose: str, number: int) -> int:
    """32 bits that depend on all three."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.kind == "choice":
        return CategoricalDistribution(dimension.labels)
    if dimension.kind == "int":
        return IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.log, step=dimension.step
        )
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
    if dimension.kind == "choice":
        label = trial.suggest_categorical(dimension.name, dimension.labels)
        return dimension.choices[dimension.labels.index(label)]
    if dimension.kind == "int":
        return trial.suggest_int(
            dimension.name,
            int(dimension.low),
            int(dimension.high),
            log=dimension.log,
            step=dimension.step,
        )
    return trial.suggest_float(dimension.name, dimension.low, dimension.high, log=dimension.log)


def _to_optuna(dimension: Dimension, value: Any) -> Any:
    return label_of(value) if dimension.kind == "choice" else value
