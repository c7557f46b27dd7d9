"""YAML to configuration; the only module that imports yaml.

Three traps of PyYAML are closed: `1e-3` is a number here, only `true` and `false` are
booleans (`on`, `no` and `y` stay text), and a key given twice is a fault with its line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from hexsearch.config.section import build, suggest
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's numbers and booleans, refusing repeated keys."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|false|True|False)\Z"), list("tfTF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?"
        r"|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf)|\.(?:nan|NaN))\Z"
    ),
    list("-+0123456789."),
)


def _mapping_without_repeats(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise yaml.MarkedYAMLError(
                problem=f"key {key!r} is not text; put it in quotes",
                problem_mark=key_node.start_mark,
            )
        if key in seen:
            raise yaml.MarkedYAMLError(
                problem=f"key '{key}' is given twice, first in line {seen[key]}; keep one",
                problem_mark=key_node.start_mark,
            )
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping_without_repeats)


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

    Raises:
        ConfigError: a syntax fault, with its line.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{where}{line}: {problem}") from error


def dump_yaml(value: Any) -> str:
    """A value as YAML that `parse_yaml` reads back, keys in their order."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


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


def read_study(path: Path, settings: Sequence[str] = ()) -> dict[str, Any]:
    """The sections of a search-space file as they are written, settings laid over them.

    Raises:
        ConfigError: no such file, no YAML, no mapping, or a setting that leads nowhere.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    raw: Any = parse_yaml(text, str(path))
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping of sections, got {type(raw).__name__}")
    for setting in settings:
        raw = apply_setting(raw, setting)
    return dict(raw)


def apply_setting(raw: Mapping[str, Any], setting: str) -> dict[str, Any]:
    """A raw study mapping with one `key=value` fixed.

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
        _stop_searching(result, ".".join(parts[1:]))
    _set_at(result, parts, value, key)
    return result


def _refuse_below_searched(raw: Mapping[str, Any], parts: Sequence[str], key: str) -> None:
    """A setting below a searched dimension would be replaced by each of its choices."""
    for depth in range(1, len(parts)):
        above = ".".join(parts[:depth])
        if above in (raw.get("search") or {}):
            raise ConfigError(
                f"--set {key}: {above} is searched as a whole, which would replace this; fix it "
                f"first, with --set {above}=VALUE before --set {key}"
            )


def _stop_searching(raw: dict[str, Any], fixed: str) -> None:
    """Drop the fixed dimension and those below it, here and in enqueued configurations."""

    def is_fixed(name: object) -> bool:
        return str(name) == fixed or str(name).startswith(fixed + ".")

    for section in [raw.get("search"), *(raw.get("enqueue") or [])]:
        if isinstance(section, dict):
            for name in [name for name in section if is_fixed(name)]:
                del section[name]


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
    "trial.trunk": "preset",
    "trial.value_head": "spelling",
    "trial.readout": "name",
    "trial.curriculum": "name",
}
