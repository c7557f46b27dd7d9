"""The phase `compare`: trains all value heads of a finite space on shared trunks.

A trial is a head with a seed. The heads of one seed share a trunk and are one job of a worker. The
seeds are independent.
"""

from __future__ import annotations

import math

from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError
from hexsearch.ledger.events import Compared
from hexsearch.ledger.history import StudyHistory
from hexsearch.search.reruns import LeaderSummary, PlannedRun
from hexsearch.search.space import SearchSpace, Values
from hexsearch.search.warm_start import place_of

_SECTIONS = ("value_head", "readout")  # sections in which heads on one trunk may differ


def heads_of(space: SearchSpace) -> SearchSpace:
    """The part of a space that is about the value head and its read-out.

    Raises:
        ConfigError: there is no such part, or it is infinite, or it depends on a setting that a
            comparison fixes.
    """
    compared = [
        dimension for dimension in space.dimensions if dimension.name.partition(".")[0] in _SECTIONS
    ]
    names = {dimension.name for dimension in compared}
    problems = []
    if not compared:
        problems.append(
            "search: there is no dimension value_head or readout; a comparison needs value heads"
        )
    for dimension in compared:
        if dimension.count == math.inf:
            problems.append(
                f"search.{dimension.name}: a comparison trains every head of the space, but a "
                "float has infinitely many values; write a choice"
            )
        problems += [
            f"search.{dimension.name}: depends on {parent}, which a comparison cannot search; "
            f"fix it with --set {parent}=..."
            for parent, _ in dimension.when
            if parent not in names
        ]
    if problems:
        raise ConfigError(problems)
    return SearchSpace(space.default, tuple(compared))


def compared_heads(space: SearchSpace) -> list[tuple[Values, TrialConfig]]:
    """Every distinct head of a space, as its values and its whole trial."""
    heads = heads_of(space)
    return [(values, heads.resolve(values)) for values in heads.variants().values()]


def comparison_config(config: StudyConfig) -> StudyConfig:
    """A study's configuration with only the phase `compare`, and only the dimensions of heads."""
    kept = {
        name: dimension
        for name, dimension in config.search.items()
        if name.partition(".")[0] in _SECTIONS
    }
    changed = {"search": kept, "enqueue": [], "phases": ("compare",)}
    return config.model_copy(update=changed)


def comparison_runs(config: StudyConfig, space: SearchSpace) -> list[PlannedRun]:
    """Runs of every head with every seed, in the order of seeds."""
    heads = compared_heads(space)
    return [
        PlannedRun.of(trial, values, replicate, "compare")
        for replicate in range(config.compare.seeds)
        for values, trial in heads
    ]


def comparison_outcome(
    config: StudyConfig, space: SearchSpace, history: StudyHistory, summary: LeaderSummary
) -> Compared:
    """The best heads, which the search tries first, after its enqueued configurations.

    No head is excluded from the search: the ranking on a common trunk says little about heads
    that train their own trunk (docs/lab-log.md, 2026-11-24).

    Args:
        history, summary: history and summary of the comparison alone.
    """
    first = summary.places[: config.compare.enqueue]
    enqueued = [_values_of(place.variant, history, space) for place in first]
    return Compared(enqueued=enqueued, sentence=_sentence(summary, len(enqueued)))


def _values_of(variant: str, history: StudyHistory, space: SearchSpace) -> Values:
    """A head of the comparison as a configuration of the search, with defaults otherwise."""
    trial = next(trial for trial in history.trials.values() if trial.variant == variant)
    found = place_of(trial, space)
    return trial.values if isinstance(found, str) else found


def _sentence(summary: LeaderSummary, enqueued: int) -> str:
    names = [place.name for place in summary.places]
    if not names:
        return "comparison: no head was trained to the end"
    tied = (
        f"{summary.tied} of {len(names)} heads are tied for the first place"
        if summary.tied > 1
        else f"{names[0]} is the best of {len(names)} heads on the common trunk"
    )
    return f"comparison: {tied}; the search begins with {', '.join(names[:enqueued]) or 'none'}"
