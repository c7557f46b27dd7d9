"""Loads search-space files, and applies single settings to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from hexsearch.config.files.yaml_text import parse_yaml, read_text
from hexsearch.config.section import as_yaml, build, suggest, suggest_setting
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError


def load_study(path: Path, settings: Sequence[str] = ()) -> StudyConfig:
    """The configuration of a search-space file, after applying `--set key=value`.

    A setting fixes its value: a dimension of that name, or below it, is no longer searched. A key
    that is not a section of the file is looked up in `trial`.

    Raises:
        ConfigError: the file or a setting is faulty; lists every fault with its dotted path.
    """
    raw = read_study(path, settings)
    try:
        return build(StudyConfig, raw, f"{path}: ")
    except ConfigError as error:
        raise ConfigError(blame_settings(error.problems, path, settings)) from error


def blame_settings(problems: Sequence[str], path: Path, settings: Sequence[str]) -> list[str]:
    """The faults of a file. Those of a value that a setting has given name `--set` instead.

    >>> problem = "a.yaml: trial.augment: expected true or false, got 1"
    >>> blame_settings([problem], Path("a.yaml"), ["augment=1"])
    ['--set augment: expected true or false, got 1']
    """
    given = {".".join(path_of(key)): key for key in (s.partition("=")[0].strip() for s in settings)}
    blamed = []
    for problem in problems:
        place = problem.removeprefix(f"{path}: ")
        for full, key in given.items():
            if place.startswith((f"{full}:", f"{full}.")):
                problem = f"--set {key}{place.removeprefix(full)}"
        blamed.append(problem)
    return blamed


def sound_parts(raw: Mapping[str, Any]) -> StudyConfig:
    """A study from the faultless parts of a raw study, so that other checks can be made as well.

    Sections and dimensions with a fault are left out, so they have their defaults.
    """
    sound: dict[str, Any] = {"question": "?"}
    for section, value in raw.items():
        parts = value if section == "search" and isinstance(value, dict) else {section: value}
        for name, part in parts.items():
            content = {**sound.get("search", {}), name: part} if section == "search" else part
            try:
                StudyConfig.model_validate({**sound, section: content})
            except ValueError:
                continue
            sound[section] = content
    return StudyConfig.model_validate(sound)


def read_study(
    path: Path, settings: Sequence[str] = (), say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """The sections of a search-space file as they are written, after applying the settings.

    Args:
        say: called with a message if a setting makes conditional dimensions impossible.
    Raises:
        ConfigError: the file is missing, is not YAML or not a mapping, or a setting is faulty.
    """
    raw: Any = parse_yaml(read_text(path), str(path))
    if raw is None:
        raise ConfigError(f"{path}: is empty; a search space is a mapping of sections")
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping of sections, got {type(raw).__name__}")
    for setting in settings:
        raw = apply_setting(raw, setting, say)
    return dict(raw)


def apply_setting(
    raw: Mapping[str, Any], setting: str, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """A raw study mapping with one `key=value` fixed.

    Dimensions with a condition on the fixed setting stay if the condition holds, and are removed
    if it does not.

    Raises:
        ConfigError: '=' is missing, or there is no such key.
    """
    key, equals, text = setting.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {setting}: expected key=value, such as trunk.preset=tiny")
    value = parse_yaml(text, f"--set {key}")
    parts = path_of(key)
    if parts[0] not in StudyConfig.model_fields:
        raise ConfigError(f"--set {key}: unknown key; {_suggestion(parts[0])}")
    result: dict[str, Any] = deepcopy(dict(raw))
    if parts[0] == "trial":
        _refuse_below_searched(result, parts[1:], key)
        dropped = _stop_searching(result, ".".join(parts[1:]), value)
        if dropped:
            names = ", ".join(dropped)
            say(f"--set {setting}: no longer searched, since their condition fails: {names}")
    _set_at(result, parts, value, key)
    return result


def path_of(key: str) -> list[str]:
    """The path of a setting in a file. A key that is not a section of it stands below `trial`."""
    parts = key.split(".")
    is_below_trial = parts[0] in TrialConfig.model_fields
    return ["trial", *parts] if is_below_trial else parts


def _suggestion(key: str) -> str:
    """What may have been meant by the first part of a key: a setting of a trial comes first."""
    of_trial, of_study = suggest_setting(key, TrialConfig), suggest_setting(key, StudyConfig)
    if f".{key}'" in of_study and key not in of_trial:  # its very name, in another section
        return of_study
    if not of_trial.startswith("known are"):
        return of_trial
    if not of_study.startswith("known are"):
        return of_study
    return suggest(key, [*StudyConfig.model_fields, *TrialConfig.model_fields])


def _refuse_below_searched(raw: Mapping[str, Any], parts: Sequence[str], key: str) -> None:
    """Refuse a setting below a searched dimension, whose choices would replace it."""
    for depth in range(1, len(parts)):
        above = ".".join(parts[:depth])
        search = raw.get("search")
        if isinstance(search, dict) and above in search:
            raise ConfigError(
                f"--set {key}: {above} is searched as a whole, and its values would replace this "
                f"one; fix it first: --set {above}=VALUE before --set {key}"
            )


def _stop_searching(raw: dict[str, Any], fixed: str, value: Any) -> list[str]:
    """Remove the fixed dimension, and dimensions that cannot exist with its value.

    Returns:
        Other dimensions that were removed because their condition can never hold.
    """
    search = raw.get("search")
    if not isinstance(search, dict):
        return []
    fixed_here = {str(name) for name in search if name == fixed}
    fixed_here |= {
        str(n) for n in search if str(n).startswith(f"{fixed}.") and fixed not in _when(search[n])
    }
    dropped: list[str] = []
    for name, dimension in search.items():
        condition = _when(dimension)
        if fixed not in condition or name in fixed_here:
            continue
        allowed = condition.pop(fixed)
        search[name] = {**dimension, "when": condition}
        if value not in (allowed if isinstance(allowed, list) else [allowed]):
            dropped.append(str(name))
    while dependent := [
        str(name)
        for name, dimension in search.items()
        if name not in dropped and any(parent in dropped for parent in _when(dimension))
    ]:
        dropped += dependent
    enqueued = raw.get("enqueue")
    for section in [search, *(enqueued if isinstance(enqueued, list) else [])]:
        if isinstance(section, dict):
            for name in fixed_here | set(dropped):
                section.pop(name, None)
    return dropped


def _when(dimension: Any) -> dict[str, Any]:
    """The condition of a raw dimension; empty if there is none, or if it is faulty."""
    condition = dimension.get("when") if isinstance(dimension, dict) else None
    return dict(condition) if isinstance(condition, dict) else {}


def _set_at(raw: dict[str, Any], parts: list[str], value: Any, key: str) -> None:
    mapping: Any = raw
    for depth, part in enumerate(parts[:-1]):
        below = mapping.get(part)
        if below is None:
            below = mapping[part] = {}
        elif not isinstance(below, dict):
            # A short form such as `trunk: small` is kept as one key of the section.
            short_key = _SHORT_FORMS.get(".".join(parts[: depth + 1]))
            if short_key is None:
                raise ConfigError(
                    f"--set {key}: '{part}' is {as_yaml(below)}, which has no keys below it"
                )
            below = mapping[part] = {short_key: below}
        mapping = below
    mapping[parts[-1]] = value


# The key that the short form of a section stands for.
_SHORT_FORMS = {
    "trial.network": "family",
    "trial.trunk": "preset",
    "trial.value_head": "spelling",
    "trial.readout": "name",
    "trial.curriculum": "name",
}
