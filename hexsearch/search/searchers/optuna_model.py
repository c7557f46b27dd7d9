"""Optuna's samplers, with a study in memory that is built from the ledger.

A proposal depends on the records and the seed alone, so it is the same after a resume.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from hexsearch.config.scheduler import SearcherConfig
from hexsearch.search.searchers.base import Outcome, Searcher
from hexsearch.search.seeds import derive_seed
from hexsearch.search.space import Dimension, SearchSpace, Values, label_of

STATES = {
    "COMPLETE": TrialState.COMPLETE,
    "PRUNED": TrialState.PRUNED,
    "FAIL": TrialState.FAIL,
}
# The time of a proposal is proportional to the number of trials in the model. Above this number
# the model keeps only the best trials (TPE's good group has 25 at most) and the newest ones.
_THIN_AT, _THIN_TO, _BEST = 1500, 1000, 50

_DRAWN = "tpe:relative_params"  # Optuna's name, in the attributes of a running trial


class OptunaSearcher(Searcher):
    """Proposes by one of Optuna's samplers, which a subclass defines."""

    learns = True

    def __init__(self, space: SearchSpace, config: SearcherConfig, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        super().__init__(space, config, seed)
        self._distributions = distributions_of(space)
        self._study = self._empty_study()
        self._ids: dict[str, int] = {}  # our trial -> Optuna's id, of running trials
        self._values: dict[str, Values] = {}
        self._asked: tuple[int, Values, int] | None = None  # number, values, id of the last ask

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """The sampler for one proposal."""

    @property
    def trials(self) -> list[FrozenTrial]:
        """The trials of the model, in order."""
        return self._study.get_trials(deepcopy=False)

    def propose(self, number: int, attempt: int = 0) -> Values:
        """Values that a new sampler draws, given the present study."""
        if attempt and self._asked is not None:
            self._study._storage.set_trial_state_values(self._asked[2], TrialState.FAIL)
        with warnings.catch_warnings():
            # multivariate, group and constant_liar are still marked experimental (optuna 5.0).
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            seed = derive_seed(self.seed, f"propose/{attempt}" if attempt else "propose", number)
            self._study.sampler = self.sampler(seed)
            trial = self._study.ask()
            values: Values = {}
            for dimension in self.space.dimensions:
                if dimension.is_active(values):
                    values[dimension.name] = _suggest(trial, dimension)
        self._forget_drawn(trial._trial_id)
        self._asked = (number, values, trial._trial_id)
        return values

    def _forget_drawn(self, trial_id: int) -> None:
        """Remove what TPE keeps of its draw beside the values.

        It holds dimensions that turned out to be inactive. A study that is made again from a ledger
        does not have these, and would propose something else.
        """
        storage = self._study._storage
        for key in storage.get_trial(trial_id).system_attrs:
            if key.startswith(_DRAWN):
                storage.set_trial_system_attr(trial_id, key, "")

    def add(self, name: str, number: int, values: Values, proposed: bool) -> None:
        """Add a running trial."""
        if proposed and self._asked is None and not self.can_redraw:
            self.propose(number)
        self._values[name] = values
        asked, self._asked = self._asked, None
        if asked is not None and asked[:2] == (number, values):
            self._ids[name] = asked[2]
        else:
            if asked is not None:  # the proposed values were not used
                self._study._storage.set_trial_state_values(asked[2], TrialState.FAIL)
            running = self._frozen(values, TrialState.RUNNING, Outcome("FAIL"))
            self._ids[name] = self._insert(running)
        if len(self.trials) >= _THIN_AT and self.can_redraw:
            self._thin()

    def tell(self, name: str, outcome: Outcome) -> None:
        """A trial has ended."""
        if name not in self._ids:  # it was paused, and was told as pruned then
            if outcome.state == "COMPLETE":
                self._insert(self._frozen(self._values[name], TrialState.COMPLETE, outcome))
            return
        storage, trial_id = self._study._storage, self._ids.pop(name)
        if outcome.state == "PRUNED" and outcome.step is not None and self._single:
            # TPE ranks pruned trials by their positions seen, then by their value there.
            storage.set_trial_intermediate_value(trial_id, outcome.step, outcome.value or 0.0)
        values = outcome.objectives if outcome.state == "COMPLETE" else None
        storage.set_trial_state_values(trial_id, STATES[outcome.state], values)

    def learn(self, values: Values, outcome: Outcome) -> None:
        """Learn from a trial of another study."""
        self._insert(self._frozen(values, STATES[outcome.state], outcome))

    @property
    def _single(self) -> bool:
        return len(self.config.objectives) == 1

    def _frozen(self, values: Values, state: TrialState, outcome: Outcome) -> FrozenTrial:
        steps = {}
        if state == TrialState.PRUNED and outcome.step is not None and self._single:
            steps = {outcome.step: outcome.value or 0.0}
        params = to_optuna(self.space, values)
        return create_trial(
            state=state,
            values=outcome.objectives if state == TrialState.COMPLETE else None,
            params=params,
            distributions={key: self._distributions[key] for key in params},
            intermediate_values=steps,
        )

    def _insert(self, trial: FrozenTrial) -> int:
        return self._study._storage.create_new_trial(self._study._study_id, trial)

    def _thin(self) -> None:
        """Rebuild the study from its running, its best and its newest trials."""
        trials = self.trials
        ended = [trial for trial in trials if trial.state.is_finished()]
        best = {trial.number for trial in sorted(ended, key=_standing)[:_BEST]}
        newest = {trial.number for trial in ended[-(_THIN_TO - _BEST) :]}
        names = {trial_id: name for name, trial_id in self._ids.items()}
        self._study = self._empty_study()
        for trial in trials:
            if not trial.state.is_finished() or trial.number in best | newest:
                trial_id = self._insert(trial)
                if trial._trial_id in names:
                    self._ids[names[trial._trial_id]] = trial_id

    def _empty_study(self) -> optuna.Study:
        return optuna.create_study(directions=["minimize"] * len(self.config.objectives))


def distributions_of(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Optuna's distribution for each dimension."""
    return {dimension.name: _distribution(dimension) for dimension in space.dimensions}


def to_optuna(space: SearchSpace, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values in the form that Optuna can store: choices become their labels."""
    return {
        d.name: label_of(values[d.name]) if d.kind == "choice" else values[d.name]
        for d in space.dimensions
        if d.name in values
    }


def _standing(trial: FrozenTrial) -> tuple[int, float, float]:
    """TPE's order: completed trials by value, then pruned ones by positions seen and value."""
    if trial.state == TrialState.COMPLETE:
        return (0, trial.values[0], 0.0)
    if trial.intermediate_values:
        step, value = max(trial.intermediate_values.items())
        return (1, -float(step), value)
    return (2, 0.0, 0.0)


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
