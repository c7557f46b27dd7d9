"""What other studies have learned, as events for the ledger of a new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hexsearch.errors import ConfigError
from hexsearch.ledger.events import WarmStarted
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import ENDED, SEARCHED, StudyHistory, TrialHistory
from hexsearch.search.space import Dimension, SearchSpace, Values


def warm_start(source: StudyFolder, space: SearchSpace) -> tuple[list[WarmStarted], list[str]]:
    """Trials of another study that this space holds, and what is to be said about them.

    A dimension takes its value from the trial's whole configuration, so what was fixed there may
    be searched here. Settings that are fixed differently are said; such trials are still taken.

    Returns:
        events, and lines for a person.
    Raises:
        LedgerError: there is no study.
        ConfigError: nothing of it fits.
    """
    history = StudyHistory.read(source.ledger).only(SEARCHED)
    ended = [trial for trial in history.trials.values() if trial.status in ENDED and trial.curve]
    taken: list[WarmStarted] = []
    misfits: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    for trial in ended:
        assert trial.last_report is not None, "a curve comes from reports"
        values = place_of(trial, space)
        if isinstance(values, str):
            misfits[values] += 1
            continue
        here, there = flat(space.resolve(values).model_dump(mode="json")), flat(trial.config)
        differing.update(key for key in here if here[key] != there.get(key))
        taken.append(
            WarmStarted(
                source=source.name,
                source_trial=trial.trial,
                values=values,
                state=trial.told_as,
                report=trial.last_report,
            )
        )
    reasons = "; ".join(f"{count} because {reason}" for reason, count in misfits.most_common(5))
    if not taken:
        raise ConfigError(
            f"--warm-start {source.path}: none of its {len(ended)} ended trials fits this space"
            + (f": {reasons}" if reasons else "")
        )
    lines = [f"warm start: {len(taken)} of {len(ended)} ended trials of {source.name} taken"]
    if misfits:
        lines.append(f"warm start: left out {reasons}")
    if differing:
        lines.append(
            f"warm start: {source.name} was fixed differently in {', '.join(sorted(differing))}; "
            "its figures are a hint here, no more"
        )
    return taken, lines


def place_of(trial: TrialHistory, space: SearchSpace) -> Values | str:
    """A trial's place in a space, or why it has none."""
    config = flat(trial.config)
    values: Values = {}
    for dimension in space.dimensions:
        if not dimension.is_active(values):
            continue
        found = _value(dimension, config, values, space)
        if found is None:
            given = trial.values.get(dimension.name, config.get(dimension.name, "another value"))
            fault = dimension.fault_of(given) or f"{given!r} stands for other settings there"
            return f"{dimension.name}: {fault}"
        values[dimension.name] = found[0]
    return values


def _value(
    dimension: Dimension, config: Mapping[str, Any], values: Values, space: SearchSpace
) -> tuple[Any] | None:
    if dimension.kind == "choice":
        for choice in dimension.choices:
            part = {**values, dimension.name: choice}
            wanted = _below(flat(space.resolve(part).model_dump(mode="json")), dimension.name)
            # A whole section may have parts that are dimensions of their own.
            own = {d.name for d in space.dimensions if d.name != dimension.name}
            if all(config.get(key) == value for key, value in wanted.items() if key not in own):
                return (choice,)
        return None
    value = config.get(dimension.name)
    return (value,) if dimension.fault_of(value) is None else None


def _below(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k == name or k.startswith(name + ".")}


def flat(raw: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested mappings by dotted path."""
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{path}{key}.")
        else:
            found[f"{path}{key}"] = value
    return found
