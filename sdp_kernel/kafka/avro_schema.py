"""Avro schemas: from the registry's text to a plan that reads columns, and to Arrow types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sdp_kernel.kafka.avro_plan import (
    Boolean,
    Enum,
    Exact,
    Fixed,
    Float,
    Items,
    Null,
    Nullable,
    Record,
    Step,
    Text,
    Unplanned,
    Whole,
)

if TYPE_CHECKING:
    from sdp_kernel.kafka.registry import Registry, Schema

_MOST_DEPTH = 16
_DECIMAL_DIGITS = 38


def parsed(schema: Schema, registry: Registry) -> tuple[Any, dict[str, Any]]:
    """Return a schema as ``fastavro`` has it, and the named types by full name, referred ones too.

    Raises
    ------
    RegistryError, RegistryUnreachable
        A schema it refers to cannot be had.
    ValueError
        It is not an Avro schema.
    """
    import fastavro  # noqa: PLC0415
    from fastavro.schema import SchemaParseException, UnknownType  # noqa: PLC0415

    names: dict[str, Any] = {}
    try:
        for referred in registry.resolve(schema).values():
            fastavro.parse_schema(json.loads(referred.text), named_schemas=names)
        return fastavro.parse_schema(json.loads(schema.text), named_schemas=names), names
    except (SchemaParseException, UnknownType, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"schema id {schema.id} is not an Avro schema: {error}") from None


def compile_plan(schema: Any, names: dict[str, Any]) -> Step:
    """Return the plan of a schema as ``fastavro.parse_schema`` gives it.

    Parameters
    ----------
    names
        Full name → schema, of the named types it refers to.

    Raises
    ------
    Unplanned
        It holds a recursion, or a union that is not of null and one type.
    """
    return _step(schema, names, ())


def _step(schema: Any, names: dict[str, Any], above: tuple[str, ...]) -> Step:
    if len(above) > _MOST_DEPTH:
        raise Unplanned
    if isinstance(schema, list):
        return _union(schema, names, above)
    if isinstance(schema, str):
        if schema not in names:
            return _primitive({"type": schema})
        schema = names[schema]
    kind = schema["type"]
    if kind in {"record", "error"}:
        name = schema["name"]
        if name in above:
            raise Unplanned
        inside = (*above, name)
        return Record([(f["name"], _step(f["type"], names, inside)) for f in schema["fields"]])
    if kind == "array":
        return Items(_step(schema["items"], names, (*above, "")), entries=False)
    if kind == "map":
        entry = Record([("key", Text()), ("value", _step(schema["values"], names, (*above, "")))])
        return Items(entry, entries=True)
    if kind == "enum":
        return Enum(schema["symbols"])
    if isinstance(kind, (dict, list)):
        return _step(kind, names, above)
    return _primitive(schema)


def _union(branches: list[Any], names: dict[str, Any], above: tuple[str, ...]) -> Step:
    others = [(i, b) for i, b in enumerate(branches) if b not in ("null", {"type": "null"})]
    if len(branches) != 2 or len(others) != 1:  # noqa: PLR2004
        raise Unplanned
    branch, inner = others[0]
    return Nullable(_step(inner, names, above), branch)


def _primitive(schema: dict[str, Any]) -> Step:
    kind = schema["type"]
    if kind in {"bytes", "fixed"}:
        inner: Step = Text(text=False) if kind == "bytes" else Fixed(schema["size"])
        if schema.get("logicalType") == "decimal":
            precision = schema["precision"]
            if precision <= _DECIMAL_DIGITS:
                return Exact(inner, precision, schema.get("scale", 0))
        return inner
    if kind in {"int", "long"}:
        bits = 32 if kind == "int" else 64
        return Whole(whole_type(kind, schema.get("logicalType")), bits=bits)
    simple = {"null": Null, "boolean": Boolean, "string": Text}
    if kind in simple:
        return simple[kind]()
    if kind in {"float", "double"}:
        return Float("<f4" if kind == "float" else "<f8")
    raise Unplanned


def whole_type(kind: str, logical: str | None) -> Any:
    """Return the Arrow type of an int or long with a logical type, which may be unknown."""
    known = {
        ("int", "date"): pa.date32(),
        ("int", "time-millis"): pa.time32("ms"),
        ("long", "time-micros"): pa.time64("us"),
    }
    for unit, name in (("ms", "millis"), ("us", "micros"), ("ns", "nanos")):
        known["long", f"timestamp-{name}"] = pa.timestamp(unit, "UTC")
        known["long", f"local-timestamp-{name}"] = pa.timestamp(unit)
    return known.get((kind, logical or ""), pa.int32() if kind == "int" else pa.int64())
