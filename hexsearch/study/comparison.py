"""The phase `compare`: all value heads of a finite space on shared trunks, seed by seed.

A trial is a head with a seed. The heads of one seed share a trunk and are one job for a worker;
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

_SECTIONS = ("value_head", "readout")  # of a trial, that heads on one trunk may differ in


def heads_of(space: SearchSpace) -> SearchSpace:
    """What of a space is about the value head and its read-out.

    Raises:
        ConfigError: nothing is, or it is not finite, or hangs on what a comparison fixes.
    """
    compared = [
        dimension for dimension in space.dimensions if dimension.name.partition(".")[0] in _SECTIONS
    ]
    names = {dimension.name for dimension in compared}
    problems = []
    if not compared:
        problems.append(
            "search: no dimension value_head or readout; a comparison compares value heads"
        )
    for dimension in compared:
        if dimension.count == math.inf:
            problems.append(
                f"search.{dimension.name}: a comparison trains every head of the space, and a "
                "float has no end of them; write a choice"
            )
        problems += [
            f"search.{dimension.name}: depends on {parent}, which a comparison does not search; "
            f"fix it with --set {parent}=..."
            for parent, _ in dimension.when
            if parent not in names
        ]
    if problems:
        raise ConfigError(problems)
    return SearchSpace(space.default, tuple(compared))


def compared_heads(space: SearchSpace) -> list[tuple[Values, TrialConfig]]:
    """Every distinct head of a space: its values and its whole trial."""
    heads = heads_of(space)
    return [(values, heads.resolve(values)) for values in heads.variants().values()]


def comparison_config(config: StudyConfig) -> StudyConfig:
    """A study's configuration with only its heads to search and nothing to do but compare them."""
    kept = {
        name: dimension
        for name, dimension in config.search.items()
        if name.partition(".")[0] in _SECTIONS
    }
    changed = {"search": kept, "enqueue": [], "phases": ("compare",)}
    return config.model_copy(update=changed)


def comparison_runs(config: StudyConfig, space: SearchSpace) -> list[PlannedRun]:
    """Every head with every seed, seed by seed."""
    heads = compared_heads(space)
    return [
        PlannedRun.of(trial, values, replicate, "compare")
        for replicate in range(config.compare.seeds)
        for values, trial in heads
    ]


def comparison_outcome(
    config: StudyConfig, space: SearchSpace, history: StudyHistory, summary: LeaderSummary
) -> Compared:
    """The best heads, which the search begins with after what is enqueued.

    No head is dropped: how heads read a common trunk says little of how they train one of their
    own (docs/lab-log.md, 2026-11-24).

    Args:
        history, summary: of the comparison alone.
    """
    first = summary.places[: config.compare.enqueue]
    enqueued = [_values_of(place.variant, history, space) for place in first]
    return Compared(enqueued=enqueued, sentence=_sentence(summary, len(enqueued)))


def _values_of(variant: str, history: StudyHistory, space: SearchSpace) -> Values:
    """A head of the comparison as a configuration of the search, all else at its default."""
    trial = next(trial for trial in history.trials.values() if trial.variant == variant)
    found = place_of(trial, space)
    return trial.values if isinstance(found, str) else found


def _sentence(summary: LeaderSummary, enqueued: int) -> str:
    names = [place.name for place in summary.places]
    if not names:
        return "comparison: no head was trained to the end"
    tied = (
        f"{summary.tied} of {len(names)} heads cannot be told apart"
        if summary.tied > 1
        else f"{names[0]} reads the common trunk best of {len(names)} heads"
    )
    return f"comparison: {tied}; the search begins with {', '.join(names[:enqueued]) or 'none'}"
