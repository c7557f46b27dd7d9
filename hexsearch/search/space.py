"""The search section of a study: typed, conditional dimensions over a default trial.

The name of a dimension is the dotted path of a setting in `trial`. `when` makes it conditional on
the values of others, to any depth. Configurations that train the same network in the same way have
one canonical form.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from hexsearch.config.section import Section, build, quoted, suggest
from hexsearch.config.trial import TrialConfig
from hexsearch.config.trunk import NetworkConfig

Values = dict[str, Any]


# Sections that may be given as one text, which stands for all of their settings.
_SPELT = ("network", "trunk", "value_head", "policy_head", "readout", "curriculum")
_REPLACED = {"trunk", "value_head"}  # by a whole network


@dataclass(frozen=True)
class Dimension:
    """One searched setting.

    Attributes:
        choices: values of a `choice`, as given.
        low, high, log, step: range of a `float` or `int`.
        when: parent dimension -> values for which this dimension exists; all must hold.
    """

    name: str
    kind: Literal["choice", "float", "int"]
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: int = 1
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The choices as text, which samplers can store."""
        return tuple(label_of(choice) for choice in self.choices)

    @property
    def count(self) -> float:
        """Number of values; infinite for a float."""
        if self.kind == "choice":
            return len(self.choices)
        if self.kind == "int":
            return 1 + (int(self.high) - int(self.low)) // self.step
        return 1 if self.low == self.high else math.inf

    def values(self) -> Sequence[Any]:
        """All values of a finite dimension, or the bounds of a float."""
        if self.kind == "choice":
            return self.choices
        if self.kind == "int":
            return range(int(self.low), int(self.high) + 1, self.step)  # a range needs no memory
        return (self.low, self.high)

    def fault_of(self, value: Any) -> str | None:
        """Why a value does not belong to this dimension, with the nearest ones, or None."""
        if self.kind == "choice":
            if label_of(value) in self.labels and isinstance(value, str) == _is_text(self, value):
                return None
            shown = [*self.labels[:_SHOWN], *(["..."] if len(self.labels) > _SHOWN else [])]
            return f"{quoted(value)} is not one of {', '.join(shown)}"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"{quoted(value)} is not a number"
        if not self.low <= value <= self.high:  # true for values that are not finite, too
            return f"{quoted(value)} is outside of [{self.low}, {self.high}]"
        if self.kind == "float":
            return None
        if not isinstance(value, int):
            return f"{quoted(value)} is not a whole number; write {round(value)}"
        over = (value - int(self.low)) % self.step
        if over:
            nearest = [n for n in (value - over, value - over + self.step) if n <= self.high]
            return (
                f"{value} is not reached by steps of {self.step} from {int(self.low)}; nearest: "
                f"{' and '.join(map(str, nearest))}"
            )
        return None

    def points(self, count: int) -> tuple[float, ...]:
        """`count` values of a float at equal distances, on its own scale."""
        if self.low == self.high:
            return (self.low,)
        shares = [place / (count - 1) for place in range(count)]
        if self.log:
            ratio = self.high / self.low
            between = [self.low * ratio**share for share in shares]
        else:
            between = [self.low + (self.high - self.low) * share for share in shares]
        return (self.low, *between[1:-1], self.high)

    @property
    def needs(self) -> str:
        """Its condition as text."""
        return ", ".join(
            f"{parent}: {' or '.join(map(label_of, allowed))}" for parent, allowed in self.when
        )

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether the dimension exists for these values of its parents."""
        return all(parent in values and values[parent] in allowed for parent, allowed in self.when)


_SHOWN = 12  # values that a message lists


def _is_text(dimension: Dimension, value: Any) -> bool:
    """Whether the choice of this label is text, to tell it from a number in JSON."""
    return isinstance(dimension.choices[dimension.labels.index(label_of(value))], str)


def label_of(choice: Any) -> str:
    """A choice as text: itself, or JSON."""
    return choice if isinstance(choice, str) else json.dumps(choice, sort_keys=True)


@dataclass(frozen=True)
class SearchSpace:
    """Dimensions, parents before children, with a default trial for all other settings."""

    default: TrialConfig
    dimensions: tuple[Dimension, ...]
    enqueued: tuple[Values, ...] = ()

    def resolve(self, values: Mapping[str, Any]) -> TrialConfig:
        """The trial that dimension values stand for.

        Raises:
            ConfigError: the values do not fit together.
        """
        return with_values(self.default, values)

    def faults_of(self, values: Mapping[str, Any], *, whole: bool = False) -> dict[str, str]:
        """Why a configuration does not belong to this space, by dimension.

        It checks all configurations that do not come from a searcher: enqueued configurations,
        trials of other studies, records of a ledger.

        Args:
            whole: every dimension that exists must have a value. Otherwise a missing dimension has
                its first or lowest value.
        """
        by_name = {dimension.name: dimension for dimension in self.dimensions}
        faults = {
            name: f"is not searched; {suggest(name, list(by_name))}"
            for name in values
            if name not in by_name
        }
        complete: Values = {}
        for name, dimension in by_name.items():
            exists = dimension.is_active(complete)
            if name in values:
                fault = dimension.fault_of(values[name])
                if fault is None and not exists:
                    fault = f"its condition does not hold in this configuration ({dimension.needs})"
                if fault:
                    faults[name] = fault
                complete[name] = values[name]
            elif exists:
                if whole:
                    faults[name] = "is missing"
                complete[name] = dimension.values()[0]
        return faults

    @property
    def count(self) -> float:
        """Number of combinations of values under all conditions; infinite with a float.

        Only dimensions on which others depend are enumerated. The counts of others are multiplied.
        """
        parents = {parent for dimension in self.dimensions for parent, _ in dimension.when}

        def count(values: Values, rest: tuple[Dimension, ...]) -> float:
            if not rest:
                return 1
            first, *others = rest
            below = tuple(others)
            if not first.is_active(values):
                return count(values, below)
            if first.name in parents:
                return sum(count({**values, first.name: value}, below) for value in first.values())
            return first.count * count(values, below)

        independent = [d for d in self.dimensions if not d.when and d.name not in parents]
        bound = tuple(d for d in self.dimensions if d.when or d.name in parents)
        return math.prod(dimension.count for dimension in independent) * count({}, bound)

    def variants(self) -> dict[str, Values]:
        """Distinct configurations of a finite space by their `variant_key`, first spelling kept."""
        distinct: dict[str, Values] = {}
        for values in self.configurations():
            distinct.setdefault(variant_key(self.resolve(values)), values)
        return distinct

    def grid(self, points: int) -> SearchSpace:
        """This space with each float as a choice of `points` values, including both bounds."""
        return replace(
            self,
            dimensions=tuple(
                replace(dimension, kind="choice", choices=dimension.points(points))
                if dimension.kind == "float"
                else dimension
                for dimension in self.dimensions
            ),
        )

    def configurations(self) -> Iterator[Values]:
        """Every combination of values; a float has only its bounds."""

        def extend(values: Values, rest: tuple[Dimension, ...]) -> Iterator[Values]:
            if not rest:
                yield dict(values)
                return
            first, *others = rest
            if not first.is_active(values):
                yield from extend(values, tuple(others))
                return
            for value in first.values():
                yield from extend({**values, first.name: value}, tuple(others))

        return extend({}, self.dimensions)


def with_values(trial: TrialConfig, values: Mapping[str, Any]) -> TrialConfig:
    """A trial with settings replaced by dotted path, whole sections before their parts.

    Raises:
        ConfigError: the result is not a valid trial.
    """
    raw = trial.model_dump()
    sections = {path.partition(".")[0] for path in values}
    if values.get("network", trial.network) is not None:
        # What a whole network replaces is only refused where somebody asks for it.
        raw = {name: raw[name] for name in raw if name not in _REPLACED - sections}
    for path in sorted(values, key=lambda path: path.count(".")):
        *parents, last = path.split(".")
        here = raw
        for part in parents:
            here = here.setdefault(part, {})
        here[last] = values[path]
        if last in _SPELT and not parents:
            # Spellings and presets become whole sections, so that deeper paths can be set.
            here[last] = _whole_section(last, values[path])
    return build(TrialConfig, raw, "trial")


def _whole_section(name: str, spelling: Any) -> dict[str, Any] | None:
    """All settings of a section from its short form; None for a trial without a whole network."""
    if name == "network":
        return None if spelling is None else build(NetworkConfig, spelling, name).model_dump()
    section: type[Section] = TrialConfig.model_fields[name].annotation  # type: ignore[assignment]
    return build(section, spelling, name).model_dump()


def variant_key(trial: TrialConfig) -> str:
    """16 hexadecimal digits that are equal for configurations with equal training."""
    return hashlib.blake2b(
        json.dumps(canonical_form(trial), sort_keys=True).encode(), digest_size=8
    ).hexdigest()


def canonical_form(trial: TrialConfig) -> dict[str, Any]:
    """A trial without names of presets and without settings that have no effect."""
    form = trial.model_dump(mode="json")
    if "trunk" in form:
        del form["trunk"]["preset"]
    if not trial.auxiliary.weights:
        del form["auxiliary"]
    elif not trial.auxiliary.future_stones.weight:
        del form["auxiliary"]["future_stones"]
    curriculum = form["curriculum"]
    for rule in (curriculum, *curriculum["parts"], *curriculum["phases"]):
        if rule["name"] != "last_k":
            del rule["k"]
        else:
            rule["k"] += rule["k"] % 2  # odd k counts as k + 1
    return form


def position_unit(space: SearchSpace) -> int:
    """The least number of positions that every batch size of the space divides."""
    for dimension in space.dimensions:
        if dimension.name == "batch_size":
            return math.lcm(*(int(value) for value in islice(dimension.values(), 64)))
    return space.default.batch_size
