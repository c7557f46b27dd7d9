"""Writes docs/settings.md: every setting of a search space, with the description of its field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hexsearch.config.study import StudyConfig

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
_HEAD = """# Which settings are there, and what are their defaults?

This page is written by `scripts/docs` from the fields of `hexsearch/config/`. A setting is fixed in
a search space, or for one run by `--set`. Every setting below `trial` can be searched:
[search spaces](search-spaces.md) shows how. Durations may be written as `90s`, `10m` or `2h`.
"""


def reference() -> str:
    """The whole page."""
    schema = StudyConfig.model_json_schema(by_alias=True)
    return _HEAD + "".join(_section("", schema, schema["$defs"])) + _dimension(schema["$defs"])


def _section(path: str, section: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    """The table of one section, then those of the sections in it."""
    rows, below = [], []
    for name, setting in section["properties"].items():
        dotted = f"{path}.{name}".removeprefix(".")
        entries = _reference(setting.get("items", {}))
        reference = _reference(setting) or entries
        if reference is not None:
            below.append((dotted, definitions[reference]))
            link = f"[`{dotted}`](#{dotted.replace('.', '')})"
            text = f"list of mappings, {link}" if entries else f"a section of its own, {link}"
            rows.append((dotted, text, "empty" if entries else "", setting))
        else:
            required = name in section.get("required", ())
            default = "" if required else _default(setting.get("default", {}))
            rows.append((dotted, _values(setting), default, setting))
    yield f"\n## {path or 'The file'}\n\n"
    if path:
        yield f"{_sentence(section['description'])}\n\n"
    yield "| setting | values | default | what it means |\n|---|---|---|---|\n"
    for dotted, values, default, setting in rows:
        key = dotted.removeprefix(f"{path}.")
        yield f"| `{key}` | {values} | {default} | {_cell(setting.get('description', ''))} |\n"
    for dotted, definition in below:
        yield from _section(dotted, definition, definitions)


def _dimension(definitions: dict[str, Any]) -> str:
    properties = definitions["DimensionConfig"]["properties"]
    rows = [
        f"| `{name}` | {_values(setting)} | {_cell(setting.get('description', ''))} |\n"
        for name, setting in properties.items()
    ]
    head = "\n## A searched setting\n\nWhat stands after a name in `search`.\n\n"
    return head + "| key | values | what it means |\n|---|---|---|\n" + "".join(rows)


def _reference(setting: dict[str, Any]) -> str | None:
    """The section that a setting is, if it is one."""
    either = [choice for choice in setting.get("anyOf", ()) if "$ref" in choice]
    reference = (either[0] if either else setting).get("$ref")
    return None if reference is None else str(reference).rsplit("/", 1)[-1]


def _values(setting: dict[str, Any]) -> str:
    """What may be written, in words."""
    if "anyOf" in setting:
        return ", or ".join(_values(choice) for choice in setting["anyOf"])
    if "enum" in setting:
        return ", ".join(f"`{value}`" for value in setting["enum"])
    if "const" in setting:
        return f"`{setting['const']}`"
    kind = setting.get("type")
    if kind == "array":
        items = setting.get("items", {})
        return f"list of {_values(items) if items else 'values'}"
    words = {
        "integer": "whole number",
        "number": "number",
        "boolean": "`true`, `false`",
        "string": "text",
        "object": "mapping",
        "null": "`null`",
    }
    return words.get(str(kind), "any") + _bounds(setting)


def _bounds(setting: dict[str, Any]) -> str:
    parts = []
    for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">")):
        if key in setting:
            parts.append(f"{sign} {_number(setting[key])}")
    for key, sign in (("maximum", "≤"), ("exclusiveMaximum", "<")):
        if key in setting and setting[key] < 10_000:  # larger ones only catch slips
            parts.append(f"{sign} {_number(setting[key])}")
    return f" {', '.join(parts)}" if parts else ""


def _number(value: float) -> str:
    return f"{value:,.10g}"


def _default(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return f"`{str(value).lower().replace('none', 'null')}`"
    if value == {} or value == []:
        return "empty"
    if isinstance(value, list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def _cell(text: str) -> str:
    return _sentence(text).replace("|", "\\|").replace("\n", " ")


def _sentence(text: str) -> str:
    """A docstring or description on one line."""
    return " ".join(text.split())


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
