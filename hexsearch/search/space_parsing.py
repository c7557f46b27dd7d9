"""Makes a typed space from the search section of a study, and reports all its faults together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from hexsearch.config.dimension import DimensionConfig
from hexsearch.config.files.load import blame_settings, path_of, read_study, sound_parts
from hexsearch.config.files.yaml_text import parse_yaml
from hexsearch.config.section import build, quoted, suggest
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import default_settings
from hexsearch.errors import ConfigError
from hexsearch.search.space import Dimension, SearchSpace, Values, label_of, position_unit

_MAX_GRID = 20_000
_MAX_CHECKED = 5_000  # configurations tried out when a study is loaded


def build_space(config: StudyConfig, where: str = "", whole: bool = True) -> SearchSpace:
    """The typed space of a study.

    Args:
        whole: False if sections with faults have their defaults, so that combinations with these
            sections mean nothing.
    Raises:
        ConfigError: the section has faults; lists all of them: unknown settings, values that a
            setting does not allow, parents that do not exist, combinations without a network.
    """
    problems: list[str] = []  # dimensions without a fault are checked further
    dimensions: dict[str, Dimension] = {}
    for name, raw in config.search.items():
        fault = _unknown_setting(name)
        if fault:
            problems.append(f"{where}search.{name}: {fault}")
        else:
            dimensions[name] = _dimension(name, raw)
    for name in list(dimensions):
        faults = _when(dimensions[name], dimensions)
        problems += [f"{where}search.{name}.when.{fault}" for fault in faults]
        if faults:
            del dimensions[name]
    while orphans := [d.name for d in dimensions.values() if not _has_parents(d, dimensions)]:
        for name in orphans:  # they depend on a faulty dimension, which is reported already
            del dimensions[name]
    try:
        ordered = _parents_first(dimensions, where)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from error
    space = SearchSpace(config.trial, ordered, tuple(config.enqueue))
    problems += _value_faults(space, where)
    problems += _batch_size_faults(space, config, where)
    problems += _searcher_faults(space, config, where)
    if whole and not problems:
        # With a faulty dimension, enqueued values and combinations would give the same faults.
        problems = _enqueue_faults(space, where) or _combination_faults(space, where)
    if problems:
        raise ConfigError(problems)
    return space


def _has_parents(dimension: Dimension, dimensions: Mapping[str, Dimension]) -> bool:
    return all(parent in dimensions for parent, _ in dimension.when)


def load_space(
    path: Path, settings: Sequence[str] = (), say: Callable[[str], None] = lambda line: None
) -> tuple[StudyConfig, SearchSpace]:
    """The configuration and the typed space of a search-space file.

    Args:
        say: called with a message if a setting makes conditional dimensions impossible, or fixes a
            value that the file does not search.
    Raises:
        ConfigError: the file has faults; lists those of its sections and dimensions together.
    """
    raw = read_study(path, settings, say)
    where = f"{path}: "
    problems: list[str] = []
    try:
        config = build(StudyConfig, raw, where)
    except ConfigError as error:
        problems += error.problems
        config = sound_parts(raw)
    try:
        space = build_space(config, where, whole=not problems)
    except ConfigError as error:
        problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise ConfigError(blame_settings(problems, path, settings))
    for line in _fixed_outside(path, settings):
        say(line)
    return config, space


def _fixed_outside(path: Path, settings: Sequence[str]) -> list[str]:
    """Lines about settings that fix a dimension at a value that the file does not search."""
    search = read_study(path).get("search") if settings else None
    if not isinstance(search, dict):
        return []
    lines = []
    for setting in settings:
        key, _, text = setting.partition("=")
        name = ".".join(path_of(key.strip())[1:])
        if name not in search:
            continue
        try:
            dimension = _dimension(name, build(DimensionConfig, search[name], name))
        except ConfigError:
            continue  # the dimension has a fault of its own, and is no longer searched
        fault = dimension.fault_of(parse_yaml(text, key))
        if fault:
            lines.append(f"--set {key}: the file does not search this value ({fault}); it is fixed")
    return lines


def _dimension(name: str, raw: DimensionConfig) -> Dimension:
    when = tuple(
        (parent, tuple(allowed) if isinstance(allowed, list) else (allowed,))
        for parent, allowed in raw.when.items()
    )
    if raw.choice is not None:
        return Dimension(name, "choice", choices=tuple(raw.choice), when=when)
    kind: Literal["float", "int"] = "float" if raw.float_ is not None else "int"
    bounds = raw.bounds(kind)
    assert bounds is not None
    low, high = bounds
    return Dimension(name, kind, low=low, high=high, log=raw.log, step=raw.step or 1, when=when)


def _unknown_setting(name: str) -> str | None:
    here: Any = default_settings()
    walked: list[str] = []
    for part in name.split("."):
        if walked and walked[-1] == "options":
            return None  # a plug-in's own keyword
        if not isinstance(here, dict) or part not in here:
            known = list(here) if isinstance(here, dict) else []
            place = "trial" + "".join(f".{part}" for part in walked)
            return f"'{part}' is not a setting of {place}; " + (
                suggest(part, known) if known else f"{place} is a single value"
            )
        here = here[part]
        walked.append(part)
    return None


def _when(dimension: Dimension, dimensions: Mapping[str, Dimension]) -> list[str]:
    faults = []
    for parent, allowed in dimension.when:
        if parent not in dimensions:
            faults.append(
                f"{parent}: there is no such dimension; {suggest(parent, list(dimensions))}"
            )
            continue
        if dimensions[parent].kind == "float":
            faults.append(f"{parent}: a condition needs a choice or an int, but this is a float")
            continue
        for value in allowed:
            fault = dimensions[parent].fault_of(value)
            if fault:
                faults.append(f"{parent}: {fault}")
    return faults


def _parents_first(dimensions: Mapping[str, Dimension], where: str) -> tuple[Dimension, ...]:
    ordered: dict[str, Dimension] = {}
    while len(ordered) < len(dimensions):
        ready = [
            dimension
            for name, dimension in dimensions.items()
            if name not in ordered and all(parent in ordered for parent, _ in dimension.when)
        ]
        if not ready:
            circle = [name for name in dimensions if name not in ordered]
            raise ConfigError(
                f"{where}search: conditions depend on each other in a circle: {', '.join(circle)}"
            )
        ordered |= {dimension.name: dimension for dimension in ready}
    return tuple(ordered.values())


def _value_faults(space: SearchSpace, where: str) -> list[str]:
    """Faults of the values of each dimension, with its parents at values that it needs."""
    by_name = {dimension.name: dimension for dimension in space.dimensions}

    def parents(dimension: Dimension) -> Values:
        values: Values = {}
        for parent, allowed in dimension.when:
            values |= {**parents(by_name[parent]), parent: allowed[0]}
        return values

    problems = []
    for dimension in space.dimensions:
        every = dimension.values()
        tried = every if dimension.kind == "choice" else [every[0], every[-1]]
        for value in tried:
            try:
                space.resolve({**parents(dimension), dimension.name: value})
            except ConfigError as error:
                # Two parts that must agree may both be searched. Combinations are tried later.
                problems += [
                    f"{where}search.{dimension.name}: {quoted(value)}: {problem}"
                    for problem in error.problems
                    if not problem.startswith("trial: ")
                ]
    return list(dict.fromkeys(problems))


def _batch_size_faults(space: SearchSpace, config: StudyConfig, where: str) -> list[str]:
    """Fault of batch sizes whose least common multiple is larger than the first rung."""
    unit, scheduler = position_unit(space), config.scheduler
    if scheduler.grace_period == "auto":
        name, least = "max_t", scheduler.max_t
    else:
        name, least = "grace_period", scheduler.grace_period
    if unit > least:
        return [
            f"{where}search.batch_size: the batch sizes have {unit:,} positions as their least "
            f"common multiple, but scheduler.{name} is {least:,}; "
            f"search powers of 2 by choice, or raise {name}"
        ]
    return []


def _searcher_faults(space: SearchSpace, config: StudyConfig, where: str) -> list[str]:
    name = config.searcher.name
    if name == "cmaes" and find_spec("cmaes") is None:
        return [
            f"{where}searcher.name: cmaes needs the package cmaes; install it with "
            "pip install 'hexsearch[cmaes]', or use tpe"
        ]
    if name == "grid" and space.grid(config.searcher.grid_points).count > _MAX_GRID:
        return [
            f"{where}searcher.name: a grid of {space.grid(config.searcher.grid_points).count:,} "
            f"configurations is more than {_MAX_GRID:,}; lower searcher.grid_points, or use tpe"
        ]
    return []


def _enqueue_faults(space: SearchSpace, where: str) -> list[str]:
    return [
        f"{where}enqueue.{number}.{name}: {fault}"
        for number, values in enumerate(space.enqueued)
        for name, fault in space.faults_of(values).items()
    ]


def _combination_faults(space: SearchSpace, where: str) -> list[str]:
    """Faults of combinations of choices, with ranges at their lower bounds."""
    coarse = SearchSpace(
        space.default,
        tuple(
            dimension
            if dimension.kind == "choice"
            else Dimension(
                dimension.name,
                "choice",
                choices=(dimension.values()[0],),
                when=dimension.when if _choices_only(dimension, space) else (),
            )
            for dimension in space.dimensions
        ),
    )
    problems: dict[str, str] = {}
    for values in islice(coarse.configurations(), _MAX_CHECKED):
        try:
            space.resolve(values)
        except ConfigError as error:
            chosen = ", ".join(f"{name}={label_of(value)}" for name, value in values.items())
            for problem in error.problems:
                problems.setdefault(problem, f"{where}search: with {chosen}: {problem}")
    return list(problems.values())


def _choices_only(dimension: Dimension, space: SearchSpace) -> bool:
    kinds = {other.name: other.kind for other in space.dimensions}
    return all(kinds[parent] == "choice" for parent, _ in dimension.when)
