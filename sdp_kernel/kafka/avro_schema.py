"""Avro schemas: from the registry's text to a plan that reads columns, and to Arrow types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from sdp_kernel.kafka.avro_cursors import Unplanned
from sdp_kernel.kafka.avro_plan import (
    Boolean,
    Enum,
    Exact,
    Fixed,
    Float,
    Items,
    Null,
    Nullable,
    Opaque,
    Record,
    Step,
    Text,
    Whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sdp_kernel.kafka.registry import Registry, Schema

_MOST_DEPTH = 16
_DECIMAL_DIGITS = 38
_NAMED = {"record", "error", "enum", "fixed"}


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
        It is itself a union of several types: nothing is known before a value is read.
    """
    if isinstance(schema, list) and _optional(schema) is None:
        raise Unplanned
    return _step(schema, names, ())


def _step(schema: Any, names: dict[str, Any], above: tuple[str, ...]) -> Step:
    if len(above) > _MOST_DEPTH:
        return _opaque(schema, names)
    if isinstance(schema, list):
        optional = _optional(schema)
        if optional is None:
            return _opaque(schema, names)
        return Nullable(_step(schema[optional], names, above), optional)
    if isinstance(schema, str):
        if schema not in names:
            return _primitive({"type": schema})
        schema = names[schema]
    kind = schema["type"]
    if kind in {"record", "error"}:
        name = schema["name"]
        if name in above:
            return _opaque(name, names)
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


def _optional(branches: list[Any]) -> int | None:
    """Return which branch of a union is the one beside null; None where it is another union."""
    others = [i for i, b in enumerate(branches) if b not in ("null", {"type": "null"})]
    return others[0] if len(branches) == 2 and len(others) == 1 else None  # noqa: PLR2004


def _opaque(schema: Any, names: dict[str, Any]) -> Step:
    import fastavro  # noqa: PLC0415

    if hollow(schema, names):
        raise Unplanned
    whole = {"type": "record", "name": "_sdp_whole", "fields": [{"name": "value", "type": schema}]}
    inside = {name for name, _ in _named(schema)}
    others = {name: known for name, known in names.items() if name not in inside}
    load = reader(fastavro.parse_schema(whole, named_schemas=others), names)
    return Opaque(lambda stream: load(stream)["value"])


def reader(schema: Any, names: dict[str, Any]) -> Callable[[BinaryIO], Any]:
    """Return what reads one value of a parsed schema from a stream, with fastavro."""
    if recursive(schema, names):  # the compiled reader would overrun the C stack
        from fastavro._read_py import schemaless_reader  # noqa: PLC0415
    else:
        from fastavro import schemaless_reader  # noqa: PLC0415

    return lambda stream: schemaless_reader(stream, schema, None)


def _inner(schema: Any) -> list[Any]:
    """Return the schemas that stand directly in one."""
    if isinstance(schema, list):
        return schema
    if not isinstance(schema, dict):
        return []
    if schema["type"] in {"record", "error"}:
        return [f["type"] for f in schema["fields"]]
    if schema["type"] in {"array", "map"}:
        return [schema["items" if schema["type"] == "array" else "values"]]
    return [schema["type"]] if isinstance(schema["type"], (dict, list)) else []


def _named(schema: Any) -> Iterator[tuple[str, Any]]:
    """Give the named types that are written out in a schema."""
    if isinstance(schema, dict) and "name" in schema and schema["type"] in _NAMED:
        yield schema["name"], schema
    for inner in _inner(schema):
        yield from _named(inner)


def recursive(schema: Any, names: dict[str, Any], above: tuple[str, ...] = ()) -> bool:
    """Whether a value of the schema may hold another of the same type."""
    if isinstance(schema, str):
        schema = names.get(schema, schema)
    name = schema.get("name") if isinstance(schema, dict) else None
    if name in above:
        return True
    below = above if name is None else (*above, name)
    return any(recursive(inner, names, below) for inner in _inner(schema))


def hollow(schema: Any, names: dict[str, Any], above: tuple[str, ...] = ()) -> bool:
    """Whether it has an array whose items take no bytes: its length may be anything."""
    if isinstance(schema, str):
        schema = names.get(schema, schema)
    name = schema.get("name") if isinstance(schema, dict) else None
    if name in above:
        return False
    below = above if name is None else (*above, name)
    if isinstance(schema, dict) and schema["type"] == "array" and _empty(schema["items"], names):
        return True
    return any(hollow(inner, names, below) for inner in _inner(schema))


def _empty(schema: Any, names: dict[str, Any], above: tuple[str, ...] = ()) -> bool:
    """Whether values of the schema take no bytes."""
    if isinstance(schema, str):
        schema = names.get(schema, schema)
    if schema in ("null", {"type": "null"}):
        return True
    if not isinstance(schema, dict):
        return False
    if schema["type"] == "fixed":
        return not schema["size"]
    if schema["type"] not in {"record", "error"} or schema["name"] in above:
        return isinstance(schema["type"], dict) and _empty(schema["type"], names, above)
    return all(_empty(f["type"], names, (*above, schema["name"])) for f in schema["fields"])


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
