"""Measures trials on one GPU of the connected Ray, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from hexsearch.backend.placement.measured_trial import MeasuredTrial, Sample
from hexsearch.errors import ConfigError
from hexsearch.search.placement import Footprint, Measurement, tried_numbers

_PATIENCE_S = 300.0  # for processes that import torch, and for networks that are compiled
_SECONDS = 3.0  # of training for each number of trials
_SHARE = 0.01  # what a process of a measurement takes of the card that the measurement holds


class Card(Protocol):
    """One GPU on which trials can be started and trained side by side."""

    def first(self) -> Footprint:
        """Start the first trial, and return its memory while it is alone."""

    def add(self, trials: int) -> int:
        """Start further trials. Returns how many could be started."""

    def rate(self, trials: int) -> float:
        """Positions/s of so many trials together, while the others wait."""


def measure(card: Card, most: Callable[[Footprint], int]) -> Measurement:
    """Memory of one trial, and the rates of 1, 2, 4, ... trials.

    Args:
        most: the most trials for a footprint.
    """
    footprint = card.first()
    started = 1 + card.add(most(footprint) - 1)
    return Measurement({number: card.rate(number) for number in tried_numbers(started)}, footprint)


class RayCard:
    """A whole GPU of one node, held by a placement group. Trials are actors in it."""

    def __init__(self, group: PlacementGroup, sample: Sample) -> None:
        self._sample = ray.put(sample)
        self._actor = ray.remote(MeasuredTrial).options(
            num_cpus=0,
            num_gpus=_SHARE,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group),
        )
        self._trials: list[Any] = []

    def first(self) -> Footprint:
        """Start the first trial, and return its memory while it is alone.

        Raises:
            ConfigError: it cannot be trained, even alone; says why.
        """
        self._trials = [self._actor.remote(self._sample)]
        try:
            found: Footprint = ray.get(self._trials[0].footprint.remote(), timeout=_PATIENCE_S)
        except RayError as error:
            why = str(error).strip().splitlines()[-1]
            raise ConfigError(
                "run.gpus_per_trial: auto: the largest trial of the space cannot be measured on a "
                f"GPU: {why}; lower batch_size or set micro_batch, or write a number of GPUs"
            ) from error
        return found

    def add(self, trials: int) -> int:
        """Start further trials. Returns how many could be started."""
        further = [self._actor.remote(self._sample) for _ in range(trials)]
        ready = [actor.footprint.remote() for actor in further]
        before = len(self._trials)
        for actor, each in zip(further, ready, strict=True):
            try:
                ray.get(each, timeout=_PATIENCE_S)
            except RayError:  # the card or the machine has too little memory for one more
                ray.kill(actor)
            else:
                self._trials.append(actor)
        return len(self._trials) - before

    def rate(self, trials: int) -> float:
        """Positions/s of so many trials together, while the others wait; 0 if one fails."""
        rates = [actor.rate.remote(_SECONDS) for actor in self._trials[:trials]]
        try:
            return float(sum(ray.get(rates, timeout=_PATIENCE_S)))
        except RayError:
            return 0.0

    def close(self) -> None:
        """End all processes, which frees the card."""
        for actor in self._trials:
            ray.kill(actor)


@contextmanager
def one_card(sample: Sample) -> Iterator[RayCard]:
    """A whole GPU of the connected Ray, freed at the end.

    Raises:
        ConfigError: other programs of the cluster hold all GPUs.
    """
    group = placement_group([{"GPU": 1}])
    try:
        try:
            ray.get(group.ready(), timeout=_PATIENCE_S)
        except GetTimeoutError as error:
            raise ConfigError(
                f"run.gpus_per_trial: auto: no GPU of the cluster became free within "
                f"{_PATIENCE_S:g} s; wait for one, or write a number of GPUs"
            ) from error
        card = RayCard(group, sample)
        try:
            yield card
        finally:
            card.close()
    finally:
        remove_placement_group(group)
