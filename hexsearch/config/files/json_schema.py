"""The format of a search-space file as JSON Schema, for editors that check it during typing."""

from __future__ import annotations

import re
from typing import Any

from hexsearch.config.data import STAGE_PRESETS
from hexsearch.config.dimension import DIMENSION_PRESETS
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import default_settings
from hexsearch.config.trunk import TRUNK_PRESETS

_IMPORT_PATH = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
# Short forms of whole sections, which the validators of the models accept.
_SHORT_FORMS: dict[str, dict[str, Any]] = {
    "TrunkConfig": {"enum": list(TRUNK_PRESETS)},
    "ValueHeadConfig": {
        "type": "string",
        "pattern": rf"^((flatten|mean_max|gpool|attention) )?(reduced )?\d+(->\d+)*->1"
        rf"( (dropout|norm|activation|heads) \S+)*$|{_IMPORT_PATH}",
    },
    "ReadoutConfig": {"type": "string"},
    "NetworkConfig": {"type": "string", "pattern": _IMPORT_PATH},
    "CurriculumConfig": {"type": "string"},
    "StagesConfig": {"enum": list(STAGE_PRESETS)},
    "DimensionConfig": {"enum": list(DIMENSION_PRESETS)},
}


def study_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a search-space file, with short forms and durations."""
    schema = StudyConfig.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    dimension = definitions["DimensionConfig"]
    dimension["properties"]["preset"] = {"enum": list(DIMENSION_PRESETS)}
    dimension["oneOf"] = [{"required": [key]} for key in ("choice", "float", "int", "preset")]
    for name in ("float", "int"):
        bounds = dimension["properties"][name]["anyOf"][0]
        bounds |= {"minItems": 2, "maxItems": 2}
    definitions["TrunkConfig"]["properties"]["preset"] = {"enum": list(TRUNK_PRESETS)}
    definitions["ValueHeadConfig"]["properties"]["spelling"] = {"type": "string"}
    for name, short in _SHORT_FORMS.items():
        definitions[name] = {"anyOf": [short, definitions[name]]}
    schema["properties"]["search"] = {
        "type": "object",
        "description": "searched settings, by their dotted path in trial",
        "properties": {path: {"$ref": "#/$defs/DimensionConfig"} for path in _settings()},
        "patternProperties": {r"\.options\.": {"$ref": "#/$defs/DimensionConfig"}},
        "additionalProperties": False,
    }
    _allow_durations(definitions)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _settings() -> list[str]:
    """All dotted paths that a dimension may have."""

    def walk(value: Any, path: str) -> list[str]:
        below = value.items() if isinstance(value, dict) else ()
        return [path, *(name for key, inner in below for name in walk(inner, f"{path}.{key}"))]

    return [path for key, value in default_settings().items() for path in walk(value, key)]


def _allow_durations(definitions: dict[str, Any]) -> None:
    """Allow text such as `10m` or `2h` for settings in seconds."""
    for definition in definitions.values():
        for name, setting in definition.get("properties", {}).items():
            if re.search(r"_(budget|timeout|seconds)$", name) and "anyOf" in setting:
                setting["anyOf"].append({"type": "string", "pattern": r"^[\d.]+\s*[smhd]?$"})
