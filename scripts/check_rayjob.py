"""Checks cluster/rayjob.yaml against a CustomResourceDefinition of KubeRay, as an API server does.

`python scripts/check_rayjob.py CRD.yaml [MANIFEST]`, with CRD.yaml from a release of KubeRay, in
ray-operator/config/crd/bases/ray.io_rayjobs.yaml. A field that the definition does not know is an
error here; an API server drops it without a word. Rules in CEL (x-kubernetes-validations) are not
evaluated, nor are those that the operator has in its code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

MANIFEST = Path(__file__).parents[1] / "cluster" / "rayjob.yaml"


def read_definition(path: Path) -> dict[str, Any]:
    """A CustomResourceDefinition; its megabyte of YAML takes a second with the C loader."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    definition: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), loader)
    return definition


def schema_of(definition: dict[str, Any], api_version: str) -> dict[str, Any]:
    """The JSON schema of one version of a resource, which refuses unknown fields.

    Raises:
        LookupError: the definition has no such version.
    """
    for version in definition["spec"]["versions"]:
        if f"{definition['spec']['group']}/{version['name']}" == api_version:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # The API server itself knows the fields of metadata.
            schema["properties"]["metadata"] = {"type": "object"}
            return schema
    raise LookupError(f"the definition has no version {api_version}")


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A structural schema of Kubernetes as a JSON schema, which refuses unknown fields."""
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: strict(inner) for name, inner in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            made[key] = strict(value)
        elif not key.startswith("x-kubernetes-"):
            made[key] = value
    is_open = "additionalProperties" in made or schema.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in made and not is_open:
        made["additionalProperties"] = False
    if schema.get("nullable") and "type" in made:
        made["type"] = [made["type"], "null"]
    return made


def faults(definition: dict[str, Any], manifest: dict[str, Any]) -> Iterator[str]:
    """One line for each fault of a manifest."""
    if manifest.get("kind") != definition["spec"]["names"]["kind"]:
        yield f"kind: is {manifest.get('kind')}, not {definition['spec']['names']['kind']}"
        return
    validator = Draft202012Validator(schema_of(definition, str(manifest.get("apiVersion"))))
    for error in sorted(validator.iter_errors(manifest), key=lambda error: error.json_path):
        yield f"{error.json_path}: {error.message[:300]}"


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    path = Path(sys.argv[2]) if len(sys.argv) == 3 else MANIFEST
    definition = read_definition(Path(sys.argv[1]))
    found = list(faults(definition, yaml.safe_load(path.read_text())))
    print("\n".join(found) or f"{path.name}: fits {definition['metadata']['name']}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
