"""Replaces `auto` in the resources of a study by numbers, which it measures if it must."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import ray

from hexsearch.backend.placement.card import Card, measure, one_card
from hexsearch.backend.placement.measured_trial import Sample
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.archive import GameArchive
from hexsearch.search.placement import (
    Machine,
    describe,
    fewest_at_full_rate,
    most_trials,
    with_share,
    without_measuring,
)
from hexsearch.search.space import SearchSpace

_SEEN = 2_000  # configurations among which the largest is looked for


def placed(
    config: StudyConfig, space: SearchSpace, archive: GameArchive, say: Callable[[str], None]
) -> tuple[StudyConfig, dict[str, Any]]:
    """The study with numbers instead of `auto`, for the machines of the connected Ray.

    Args:
        say: called with lines on what is measured and what follows from it.
    Returns:
        Also the measurement for the ledger; empty if nothing was measured.
    Raises:
        ConfigError: the largest trial of the space cannot be trained on a GPU.
    """
    machines = living_machines()
    run = without_measuring(config.run, machines)
    if run is not None:
        if config.run.gpus_per_trial == "auto":  # on this machine it was replaced before
            say(
                "placement: the cluster has no GPU now, so trials train on its CPUs; if nodes with "
                "GPUs will join, stop and set run.gpus_per_trial"
            )
        return config.model_copy(update={"run": run}), {}
    say("placement: measuring on one GPU how many trials share it, which takes about a minute")
    largest = largest_trial(config, space)
    sample = Sample(largest.model_dump(), config.data.model_dump(), archive)
    with one_card(sample) as card:
        return measured(config, machines, card, say)


def measured(
    config: StudyConfig, machines: list[Machine], card: Card, say: Callable[[str], None]
) -> tuple[StudyConfig, dict[str, Any]]:
    """The study with the numbers that follow from a measurement on a card, and the measurement."""
    measurement = measure(card, lambda footprint: most_trials(config, machines, footprint))
    run = with_share(config.run, machines, fewest_at_full_rate(measurement.rates))
    say(describe(run, machines, measurement))
    return config.model_copy(update={"run": run}), measurement.to_json()


def largest_trial(config: StudyConfig, space: SearchSpace) -> TrialConfig:
    """The trial of the space that needs most memory, among the first ones of a large space."""
    trials = [space.resolve(values) for values in islice(space.configurations(), _SEEN)]
    return max(trials, key=lambda trial: trial.estimated_bytes(config.data.board_size))


def living_machines() -> list[Machine]:
    """The nodes of the connected Ray, with what it may use of them."""
    return [
        Machine(
            cpus=int(node["Resources"].get("CPU", 0)),
            gpus=int(node["Resources"].get("GPU", 0)),
            memory=float(node["Resources"].get("memory", float("inf"))),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
