"""Reads and writes YAML text. It is the only module that imports yaml.

It differs from PyYAML: `1e-3` is a number, only `true` and `false` are booleans (`on`, `no` and `y`
are text), `010` is ten, `1:30` and dates are text, and a repeated key is an error with its line.
Merge keys (`<<: *base`) work. Depth, size and the expansion of aliases are limited, so that no file
can exhaust the memory.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from hexsearch.errors import ConfigError

_MAX_BYTES = 1 << 20
_MAX_DEPTH = 40  # nested brackets and indentations
_MAX_VALUES = 50_000  # values after expanding every alias
_MAX_DIGITS = 40  # digits of a whole number; the settings have their own bounds
_DESCRIPTORS = ("/dev/", "/proc/")  # a shell's pipes, as in `launch <(make_space)`
_MERGE = "tag:yaml.org,2002:merge"
_REPLACED = ("bool", "int", "float", "timestamp")
_BOOLEAN = r"(?:true|false|True|False)\Z"
_WHOLE = r"[-+]?(?:0x[0-9a-fA-F]+|0o[0-7]+|[0-9][0-9_]*)\Z"
_FRACTION = (
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?"
    r"|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)
_SCALARS = (  # kind, pattern, possible first characters
    ("bool", _BOOLEAN, "tfTF"),
    ("int", _WHOLE, "-+0123456789"),
    ("float", _FRACTION, "-+0123456789."),
)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2. Repeated keys are errors."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node. A text that does not fit its tag (`!!bool 3`) is an error."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise yaml.MarkedYAMLError(
                problem=f"the value does not fit its tag {node.tag}",
                problem_mark=node.start_mark,
            ) from error


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(_pattern), list(_first))


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes text which YAML 1.1 or 1.2 would read as another type."""


for _kind, _pattern, _first in _SCALARS:
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(_pattern), list(_first))


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "").lower()
    if len(text) > _MAX_DIGITS:
        raise yaml.MarkedYAMLError(
            problem=f"a whole number of {len(text):,} digits; at most {_MAX_DIGITS} are allowed",
            problem_mark=node.start_mark,
        )
    digits = text.lstrip("+-")
    base = {"0x": 16, "0o": 8}.get(digits[:2], 10)
    try:
        return int(text, base)
    except ValueError:  # written as `!!int x`
        raise yaml.MarkedYAMLError(
            problem=f"'{text}' is not a whole number", problem_mark=node.start_mark
        ) from None


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    """A mapping that includes the values of its merge keys."""
    own: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        if key_node.tag == _MERGE:
            merged = {**_merged(loader, value_node), **merged}
            continue
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.MarkedYAMLError(
                problem=f"key {key!r} is not text; put it in quotes",
                problem_mark=key_node.start_mark,
            )
        if key in lines:
            raise yaml.MarkedYAMLError(
                problem=f"key '{key}' is given twice, first in line {lines[key]}; remove one",
                problem_mark=key_node.start_mark,
            )
        lines[key] = key_node.start_mark.line + 1
        own[key] = loader.construct_object(value_node, deep=True)
    return {**merged, **own}


def _merged(loader: _Loader, node: yaml.Node) -> dict[str, Any]:
    """The values of `<<`: one mapping, or a list of mappings, of which the first has priority."""
    value = loader.construct_object(node, deep=True)
    parts = value if isinstance(value, list) else [value]
    result: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, dict):
            raise yaml.MarkedYAMLError(
                problem="'<<' merges mappings, such as '<<: *base'", problem_mark=node.start_mark
            )
        result = {**part, **result}
    return result


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

    Raises:
        ConfigError: there is a syntax error, reported with its line, or a limit is exceeded.
    """
    if len(text) > _MAX_BYTES:
        raise ConfigError(f"{where}: {len(text):,} characters; at most {_MAX_BYTES:,} are allowed")
    try:
        _require_shallow(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _require_small(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ConfigError(f"{where}{line}: {problem}") from error


def read_text(path: Path) -> str:
    """The text of a YAML file.

    Raises:
        ConfigError: the file cannot be read, is a named pipe, is too large, or is not UTF-8.
    """
    try:
        if path.is_fifo() and not str(path).startswith(_DESCRIPTORS):
            raise ConfigError(f"{path}: is a pipe, not a file; name a file")
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # the name holds a NUL
        raise ConfigError(f"{str(path)!r}: cannot be read: {error}") from error
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{path}: more than {_MAX_BYTES:,} bytes; is it a YAML file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def dump_yaml(value: Any) -> str:
    """A value as YAML that `parse_yaml` reads back. The order of keys is kept."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _require_shallow(text: str) -> None:
    """Refuse deep nesting before any recursion. The parser itself is not recursive."""
    depth = values = 0
    for event in yaml.parse(text, Loader=_Loader):
        values += 1
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        if depth > _MAX_DEPTH or values > 2 * _MAX_VALUES:
            what = f"more than {_MAX_DEPTH} levels" if depth > _MAX_DEPTH else "too many values"
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem=what, problem_mark=mark)


def _require_small(root: yaml.Node) -> None:
    """Refuse aliases that expand to too many values, or that contain themselves."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            if not sizes[id(node)]:
                raise yaml.MarkedYAMLError(
                    problem="an alias that contains itself", problem_mark=node.start_mark
                )
            return sizes[id(node)]
        sizes[id(node)] = 0  # marks a node whose size is being computed
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        sizes[id(node)] = 1 + sum(size(part) for part in inner)
        return sizes[id(node)]

    if size(root) > _MAX_VALUES:
        raise yaml.MarkedYAMLError(
            problem=f"more than {_MAX_VALUES:,} values after expanding every alias",
            problem_mark=root.start_mark,
        )
