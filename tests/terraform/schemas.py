"""Checks a manifest against its CustomResourceDefinition as an API server does, and refuses unknown fields.

A definition's schema is JSON Schema but for three things: ``nullable``, fields that are kept although
they are unknown, and values that may be a number or text.
"""

from __future__ import annotations

from typing import Any

import jsonschema

from tests import tools

_KEPT = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}


def strict(schema: dict[str, Any], *, top: bool = False) -> dict[str, Any]:
    """Return a definition's schema as JSON Schema that takes no unknown field."""
    made = {
        key: value
        for key, value in schema.items()
        if key not in {"properties", "items", "additionalProperties", "nullable"} and not key.startswith("x-")
    }
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "properties" in schema:
        made["properties"] = {name: strict(part) for name, part in schema["properties"].items()}
        if top:
            made["properties"] |= _EMBEDDED
        if not schema.get(_KEPT):
            made["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = strict(schema["additionalProperties"])
    if isinstance(schema.get("items"), dict):
        made["items"] = strict(schema["items"])
    if schema.get("nullable") and "type" in made:
        made["type"] = [made["type"], "null"]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
    return made


def problems(manifest: dict[str, Any]) -> list[str]:
    """Return what an API server would refuse of a custom resource; a kind without a definition is a problem."""
    crd = tools.crds().get(manifest["kind"])
    if crd is None:
        return [f"there is no definition of {manifest['kind']}"]
    group, _, name = manifest["apiVersion"].partition("/")
    version = next((v for v in crd["spec"]["versions"] if v["name"] == name and v["served"]), None)
    if group != crd["spec"]["group"] or version is None:
        return [f"{manifest['kind']} is not of {manifest['apiVersion']}"]
    validator = jsonschema.Draft202012Validator(strict(version["schema"]["openAPIV3Schema"], top=True))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]
