"""Trials of other studies, as events for the ledger of a new study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hexsearch.config.section import build, quoted
from hexsearch.config.study import StudyConfig
from hexsearch.errors import ConfigError
from hexsearch.ledger.events import Event, WarmStarted
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import ENDED, SEARCHED, StudyHistory, TrialHistory
from hexsearch.ledger.ledger import events_in
from hexsearch.search.forecasting.forecast import Forecast
from hexsearch.search.schedules import PhaseSchedules
from hexsearch.search.searchers import SEARCHERS
from hexsearch.search.space import Dimension, SearchSpace, Values
from hexsearch.search.space_parsing import build_space


def warm_start(source: StudyFolder, space: SearchSpace) -> tuple[list[WarmStarted], list[str]]:
    """Trials of another study that belong to this space, and messages about them.

    The value of a dimension is taken from the trial's whole configuration, so settings that were
    fixed there may be searched here. If other settings are fixed differently, the trials are still
    used, and a message says so.

    Returns:
        The events, and lines of text.
    Raises:
        LedgerError: there is no study.
        ConfigError: none of its trials belongs to this space.
    """
    history = StudyHistory.read(source.ledger).only(SEARCHED)
    ended = [trial for trial in history.trials.values() if trial.status in ENDED and trial.curve]
    try:
        theirs, unreadable = build(StudyConfig, history.study.config, ""), None
        expected = expected_finals(theirs, build_space(theirs), events_in(source.ledger))
    except ConfigError as error:
        expected, unreadable = {}, error.problems[0]
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
        mean, variance = expected.get(trial.trial, (None, 0.0))
        taken.append(
            WarmStarted(
                source=source.name,
                source_trial=trial.trial,
                values=values,
                state=trial.told_as,
                report=trial.last_report,
                expected=mean,
                variance=variance,
            )
        )
    reasons = "; ".join(f"{count} because {reason}" for reason, count in misfits.most_common(5))
    if not taken:
        raise ConfigError(
            f"--warm-start {source.path}: none of its {len(ended)} ended trials fits this space"
            + (f": {reasons}" if reasons else "")
        )
    lines = [f"warm start: {len(taken)} of {len(ended)} ended trials of {source.name} are used"]
    if unreadable is not None:
        lines.append(f"warm start: what {source.name} predicts is not known: {unreadable}")
    if misfits:
        lines.append(f"warm start: left out {reasons}")
    if differing:
        lines.append(
            f"warm start: {source.name} has other fixed values of {', '.join(sorted(differing))}; "
            "its results may not be comparable"
        )
    return taken, lines


def warm_starts(
    sources: Sequence[StudyFolder], space: SearchSpace, searcher: str, say: Callable[[str], None]
) -> list[WarmStarted]:
    """Trials of all these studies that belong to the space.

    Args:
        searcher: its name; it is said if it learns nothing from them.
        say: called with lines about what is used.
    Raises:
        LedgerError, ConfigError: as `warm_start` does.
    """
    learned: list[WarmStarted] = []
    for source in {source.path.resolve(): source for source in sources}.values():
        taken, lines = warm_start(source, space)
        if any(event.source == source.name for event in learned):  # folders of one name
            taken = [replace(event, source=str(source.path)) for event in taken]
        learned += taken
        for line in lines:
            say(line)
    if learned and (ignored := ignored_by(searcher, learned)) is not None:
        say(ignored)
    return learned


def expected_finals(
    config: StudyConfig, space: SearchSpace, events: Iterable[Event]
) -> dict[str, tuple[float, float]]:
    """Mean and variance of each trial's final value, as its own study predicts it, standardised.

    Empty if no trial has come far enough for a prediction.
    """
    levels = PhaseSchedules.of(config, space).rungs.levels
    forecast = Forecast(space, levels, least=levels[-1] / config.scheduler.reduction_factor**2)
    for event in events:
        forecast.apply(event)
    if not forecast.top:
        return {}
    fit = forecast.fit
    names = [forecast.entries[number].name for number in fit.numbers]
    figures = zip(fit.means.tolist(), fit.variances.tolist(), strict=True)
    return dict(zip(names, figures, strict=True))


def ignored_by(searcher: str, learned: Sequence[WarmStarted]) -> str | None:
    """A line of text if a searcher learns nothing from these trials of other studies."""
    if searcher == "forecast":
        if any(event.expected is not None for event in learned):
            return None
        why = "since no three of these trials have passed a ninth of their training"
    elif SEARCHERS[searcher].learns:
        return None
    else:
        why = "whatever they hold"
    return (
        f"warning: the searcher {searcher} learns nothing from --warm-start, {why}; to use these "
        "trials, add --set searcher.name=tpe"
    )


def place_of(trial: TrialHistory, space: SearchSpace) -> Values | str:
    """The values of a trial in a space, or the reason why it does not belong there."""
    config = flat(trial.config)
    values: Values = {}
    for dimension in space.dimensions:
        name = dimension.name
        if not dimension.is_active(values):
            continue
        if dimension.kind != "choice":
            values[name] = config.get(name)
            continue
        choice = _choice(dimension, config, values, space)
        if choice is None:
            given = trial.values.get(name, config.get(name, "another value"))
            fault = dimension.fault_of(given) or f"{quoted(given)} stands for other settings there"
            return f"{name}: {fault}"
        values[name] = choice[0]
    return next((f"{n}: {f}" for n, f in space.faults_of(values, whole=True).items()), values)


def _choice(
    dimension: Dimension, config: Mapping[str, Any], values: Values, space: SearchSpace
) -> tuple[Any] | None:
    """The choice that stands for a trial's settings."""
    for choice in dimension.choices:
        part = {**values, dimension.name: choice}
        wanted = _below(flat(space.resolve(part).model_dump(mode="json")), dimension.name)
        # Parts of a whole section may be separate dimensions.
        own = {d.name for d in space.dimensions if d.name != dimension.name}
        if all(config.get(key) == value for key, value in wanted.items() if key not in own):
            return (choice,)
    return None


def _below(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k == name or k.startswith(name + ".")}


def flat(raw: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Values of nested mappings by dotted path."""
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{path}{key}.")
        else:
            found[f"{path}{key}"] = value
    return found
