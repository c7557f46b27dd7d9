"""Search-space files to configuration, with single settings laid over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from hexsearch.config.files.yaml_text import parse_yaml, read_text
from hexsearch.config.section import build, suggest
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError


def load_study(path: Path, settings: Sequence[str] = ()) -> StudyConfig:
    """A search-space file, with `--set key=value` laid over it.

    A setting fixes its value: a searched dimension of that name, or below it, is searched no
    more. A key that is no section of the file is looked up in `trial`.

    Raises:
        ConfigError: every fault found, each with file and dotted path.
    """
    return build(StudyConfig, read_study(path, settings), f"{path}: ")


def sound_parts(raw: Mapping[str, Any]) -> StudyConfig:
    """What of a faulty raw study can be built, so that the rest of it can be checked as well.

    Sections and dimensions with a fault are left out, which makes them their defaults.
    """
    sound: dict[str, Any] = {"question": "?"}
    for section, value in raw.items():
        parts = value if section == "search" and isinstance(value, dict) else {section: value}
        for name, part in parts.items():
            tried = {**sound.get("search", {}), name: part} if section == "search" else part
            try:
                StudyConfig.model_validate({**sound, section: tried})
            except ValueError:
                continue
            sound[section] = tried
    return StudyConfig.model_validate(sound)


def read_study(
    path: Path, settings: Sequence[str] = (), say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """The sections of a search-space file as they are written, settings laid over them.

    Args:
        say: told of dimensions that a setting leaves without their condition.
    Raises:
        ConfigError: no such file, no YAML, no mapping, or a setting that leads nowhere.
    """
    raw: Any = parse_yaml(read_text(path), str(path))
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping of sections, got {type(raw).__name__}")
    for setting in settings:
        raw = apply_setting(raw, setting, say)
    return dict(raw)


def apply_setting(
    raw: Mapping[str, Any], setting: str, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """A raw study mapping with one `key=value` fixed.

    Dimensions whose condition was on the fixed one stay where it holds now, and go where it does
    not.

    Raises:
        ConfigError: no '=', or a key that leads nowhere.
    """
    key, equals, text = setting.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {setting}: expected key=value, such as trunk.preset=tiny")
    value = parse_yaml(text, f"--set {key}")
    parts = key.split(".")
    if parts[0] not in StudyConfig.model_fields:
        if parts[0] not in TrialConfig.model_fields:
            known = [*StudyConfig.model_fields, *TrialConfig.model_fields]
            raise ConfigError(f"--set {key}: unknown key; {suggest(parts[0], known)}")
        parts = ["trial", *parts]
    result: dict[str, Any] = deepcopy(dict(raw))
    if parts[0] == "trial":
        _refuse_below_searched(result, parts[1:], key)
        dropped = _stop_searching(result, ".".join(parts[1:]), value)
        if dropped:
            say(f"--set {setting}: without their condition, no more searched: {', '.join(dropped)}")
    _set_at(result, parts, value, key)
    return result


def _refuse_below_searched(raw: Mapping[str, Any], parts: Sequence[str], key: str) -> None:
    """A setting below a searched dimension would be replaced by each of its choices."""
    for depth in range(1, len(parts)):
        above = ".".join(parts[:depth])
        search = raw.get("search")
        if isinstance(search, dict) and above in search:
            raise ConfigError(
                f"--set {key}: {above} is searched as a whole, which would replace this; fix it "
                f"first, with --set {above}=VALUE before --set {key}"
            )


def _stop_searching(raw: dict[str, Any], fixed: str, value: Any) -> list[str]:
    """Drop the fixed dimension and what cannot be searched beside its value.

    Returns:
        Dimensions elsewhere that are gone because their condition can never hold.
    """
    search = raw.get("search")
    if not isinstance(search, dict):
        return []
    gone = {str(name) for name in search if name == fixed}
    gone |= {
        str(n) for n in search if str(n).startswith(f"{fixed}.") and fixed not in _when(search[n])
    }
    dropped: list[str] = []
    for name, dimension in search.items():
        condition = _when(dimension)
        if fixed not in condition or name in gone:
            continue
        allowed = condition.pop(fixed)
        search[name] = {**dimension, "when": condition}
        if value not in (allowed if isinstance(allowed, list) else [allowed]):
            dropped.append(str(name))
    while more := [
        str(name)
        for name, dimension in search.items()
        if name not in dropped and any(parent in dropped for parent in _when(dimension))
    ]:
        dropped += more
    enqueued = raw.get("enqueue")
    for section in [search, *(enqueued if isinstance(enqueued, list) else [])]:
        if isinstance(section, dict):
            for name in gone | set(dropped):
                section.pop(name, None)
    return dropped


def _when(dimension: Any) -> dict[str, Any]:
    """The condition of a raw dimension; empty where there is none, or none that could be read."""
    condition = dimension.get("when") if isinstance(dimension, dict) else None
    return dict(condition) if isinstance(condition, dict) else {}


def _set_at(raw: dict[str, Any], parts: list[str], value: Any, key: str) -> None:
    here: Any = raw
    for depth, part in enumerate(parts[:-1]):
        below = here.get(part)
        if below is None:
            below = here[part] = {}
        elif not isinstance(below, dict):
            # A preset or a spelling, such as `trunk: small`: keep it and refine it.
            named = _SHORT_FORMS.get(".".join(parts[: depth + 1]))
            if named is None:
                raise ConfigError(f"--set {key}: '{part}' is {below!r}, which has no keys below it")
            below = here[part] = {named: below}
        here = below
    here[parts[-1]] = value


# Which key a section's short form stands for.
_SHORT_FORMS = {
    "trial.network": "family",
    "trial.trunk": "preset",
    "trial.value_head": "spelling",
    "trial.readout": "name",
    "trial.curriculum": "name",
}
