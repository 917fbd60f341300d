"""Rows → values and keys in the registry's wire format: a zero byte, the schema's id, the content.

Which schema is decided here; one that is not registered yet is registered by the caller, after
everything has been checked.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.encode import Rows, Unwritable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.kafka.registry import Reference, Registry, Schema

_AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES = {"avro": "AVRO", "json-schema": "JSON"}


@dataclass(frozen=True)
class Chosen:
    """The schema to write with; ``id`` is None where it is still to be registered."""

    subject: str
    type: str
    text: str
    id: int | None = None
    references: tuple[Reference, ...] = ()
    named: Mapping[str, Schema] | None = None

    def prefix(self, registry: Registry) -> bytes:
        """Return the five bytes before each value; registers the schema where it must be."""
        number = self.id
        if number is None:
            number = registry.register(self.subject, self.type, self.text, self.references)
        return b"\0" + number.to_bytes(4, "big")


def choose(
    registry: Registry, subject: str, name: str, rows: Rows, *, given: Any = None, register: bool = False
) -> Chosen:
    """Choose the schema: the one given, else the subject's latest, else one derived from the rows.

    Raises
    ------
    UsageError
        It would have to be registered, and ``register`` is false.
    """
    kind = _TYPES[name]
    versions = registry.versions(subject)
    if given is None and versions:
        schema = versions[-1].schema
        if schema.type != kind:
            raise UsageError(
                f"the latest schema of {subject!r} is {schema.type}, not {kind}",
                hint="write in its format, or give a schema",
            )
        return Chosen(subject, kind, schema.text, schema.id, schema.references, registry.resolve(schema))
    if given is None:
        if not register or name != "avro":
            raise UsageError(
                f"the registry has no schema under {subject!r}",
                hint="give schema=…; or register=True, to derive one from the columns and register it"
                if name == "avro"
                else "give schema=… with register=True",
            )
        return Chosen(subject, kind, json.dumps(derive(rows, subject)))
    try:
        wanted = json.loads(given) if isinstance(given, str) else json.loads(json.dumps(given))
    except (ValueError, TypeError):
        raise UsageError("the schema is not JSON", hint="give its text, or a dict") from None
    for version in reversed(versions):
        if version.schema.type == kind and json.loads(version.schema.text) == wanted:
            s = version.schema
            return Chosen(subject, kind, s.text, s.id, s.references, registry.resolve(s))
    if not register:
        raise UsageError(
            f"the schema is not registered under {subject!r}", hint="pass register=True to register it"
        )
    return Chosen(subject, kind, json.dumps(wanted))


def encode_registered(rows: Rows, name: str, chosen: Chosen, *, single: bool = False) -> list[bytes]:
    """Return the content of each row, without its prefix.

    ``single`` writes the one column itself in place of a record with one field (keys).

    Raises
    ------
    Unwritable
        With the first row and column that the schema does not allow.
    """
    return (_avro if name == "avro" else _json_schema)(rows, chosen, single=single)


def _avro(rows: Rows, chosen: Chosen, *, single: bool) -> list[bytes]:
    import fastavro  # noqa: PLC0415

    schema = _parsed(chosen)
    record_like = isinstance(schema, dict) and schema.get("type") == "record"
    data: Sequence[Any] = rows.records()
    if single and not record_like:
        data = [row[rows.names[0]] for row in rows.records()]
    elif single and rows.names and all(isinstance(r[rows.names[0]], (dict, type(None))) for r in data):
        data = [row[rows.names[0]] for row in data]
    millis = "-millis" in chosen.text and "-micros" not in chosen.text
    out: list[bytes] = []
    for row, record in enumerate(data):
        if record is None and single:
            out.append(b"")
            continue
        if millis and (column := _finer(record)) is not None:
            raise Unwritable(row, column, "the schema keeps milliseconds, and it has more")
        buffer = io.BytesIO()
        try:
            fits = fastavro.validate(record, schema, raise_errors=False)  # the writer cuts 1.5 to 1
            fastavro.schemaless_writer(
                buffer, schema, record, strict_allow_default=True, disable_tuple_notation=True
            )
        except Exception as error:  # noqa: BLE001  (fastavro raises whatever Python does)
            raise _why(row, record, schema, error) from None
        if not fits:
            raise _why(row, record, schema, ValueError("a value does not fit"))
        out.append(buffer.getvalue())
    return out


def _parsed(chosen: Chosen) -> Any:
    import fastavro  # noqa: PLC0415

    named: dict[str, Any] = {}
    waiting = [json.loads(schema.text) for schema in (chosen.named or {}).values()]
    while waiting:  # what others refer to comes first
        left = []
        for text in waiting:
            try:
                fastavro.parse_schema(text, named_schemas=named)
            except fastavro.schema.UnknownType:
                left.append(text)
        if len(left) == len(waiting):
            break
        waiting = left
    try:
        return fastavro.parse_schema(json.loads(chosen.text), named_schemas=named)
    except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, ValueError) as error:
        raise UsageError(
            f"the Avro schema for {chosen.subject!r} cannot be read: {error}", hint="mend the schema"
        ) from None


def _finer(value: Any, column: str = "") -> str | None:
    """Return the column with a time finer than milliseconds, if any."""
    if isinstance(value, (datetime, time)) and value.microsecond % 1000:
        return column
    inner = (
        value.items()
        if isinstance(value, dict)
        else ((column, v) for v in value)
        if isinstance(value, list)
        else ()
    )
    return next((found for k, v in inner if (found := _finer(v, column or k)) is not None), None)


def _why(row: int, record: Any, schema: Any, error: Exception) -> Unwritable:
    from fastavro.validation import ValidationError, validate  # noqa: PLC0415

    fields = {f["name"]: f for f in schema.get("fields", ())} if isinstance(schema, dict) else {}
    if fields and isinstance(record, dict):
        for name in record:
            if name not in fields:
                return Unwritable(row, name, "the Avro schema has no such field")
        for name, spec in fields.items():
            if name not in record and "default" not in spec:
                return Unwritable(row, name, "the Avro schema needs this field")
    try:
        validate(record, schema, raise_errors=True, strict=False)
    except ValidationError as invalid:
        first = invalid.errors[0]
        return Unwritable(row, str(first.field or "").rpartition(".")[2], f"it does not fit {first.schema}")
    except Exception:  # noqa: BLE001, S110
        pass
    return Unwritable(row, "", f"Avro: {type(error).__name__}: {error}")


def _json_schema(rows: Rows, chosen: Chosen, *, single: bool) -> list[bytes]:
    import jsonschema  # type: ignore[import-untyped]  # noqa: PLC0415
    import msgspec  # noqa: PLC0415

    from sdp_kernel.kafka.encode import encode_values  # noqa: PLC0415

    if chosen.references:
        raise UsageError(
            f"the JSON schema of {chosen.subject!r} refers to others, which is not supported for writing",
            hint="give a schema without references",
        )
    schema = json.loads(chosen.text)
    validator = jsonschema.validators.validator_for(schema)(schema)
    payloads = encode_values(rows, "json")
    if single:
        payloads = [msgspec.json.encode(msgspec.json.decode(p)[rows.names[0]]) for p in payloads]
    for row, payload in enumerate(payloads):
        problem = next(validator.iter_errors(msgspec.json.decode(payload)), None)
        if problem is not None:
            column = str(next(iter(problem.absolute_path), ""))
            raise Unwritable(row, column, f"the JSON schema does not allow it ({problem.validator})")
    return payloads


# --- deriving -----------------------------------------------------------------------------


def derive(rows: Rows, subject: str) -> dict[str, Any]:
    """Return an Avro record schema for rows; every field may be null."""
    import pyarrow as pa  # noqa: PLC0415

    table = rows.table
    if table is None:
        try:
            table = pa.Table.from_pylist(rows.records())
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            raise UsageError(
                "no Avro schema can be derived from values of several types", hint="give schema=…"
            ) from None
    name = re.sub(r"[^A-Za-z0-9_]", "_", re.sub(r"-(value|key)$", "", subject))
    return _record(table.schema, name if _AVRO_NAME.fullmatch(name) else f"_{name}")


def _record(fields: Any, name: str) -> dict[str, Any]:
    out = []
    for field in fields:
        if not _AVRO_NAME.fullmatch(field.name):
            raise UsageError(
                f"Avro allows no field named {field.name!r}", hint="rename the column: letters, digits and _"
            )
        out.append(
            {"name": field.name, "type": ["null", _type(field.type, f"{name}_{field.name}")], "default": None}
        )
    return {"type": "record", "name": name, "fields": out}


def _type(kind: Any, name: str) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    t = pa.types
    for matches, avro in (
        (t.is_boolean, "boolean"),
        (lambda k: t.is_integer(k) and (k.bit_width < 32 or k == pa.int32()), "int"),  # noqa: PLR2004
        (lambda k: t.is_int64(k) or t.is_uint32(k), "long"),
        (lambda k: t.is_float16(k) or t.is_float32(k), "float"),
        (t.is_float64, "double"),
        (lambda k: t.is_string(k) or t.is_large_string(k) or t.is_null(k), "string"),
        (lambda k: t.is_binary(k) or t.is_large_binary(k) or t.is_fixed_size_binary(k), "bytes"),
        (t.is_date, {"type": "int", "logicalType": "date"}),
        (t.is_time32, {"type": "int", "logicalType": "time-millis"}),
        (t.is_time64, {"type": "long", "logicalType": "time-micros"}),
    ):
        if matches(kind):
            return avro
    if t.is_uint64(kind):
        return {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 0}
    if t.is_decimal(kind) and kind.scale >= 0:
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    if t.is_timestamp(kind):
        unit = "millis" if kind.unit in {"s", "ms"} else "micros"
        return {"type": "long", "logicalType": f"{'' if kind.tz else 'local-'}timestamp-{unit}"}
    if t.is_struct(kind):
        return _record([kind.field(i) for i in range(kind.num_fields)], name)
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        return {"type": "array", "items": ["null", _type(kind.value_type, name)]}
    if t.is_map(kind) and t.is_string(kind.key_type):
        return {"type": "map", "values": ["null", _type(kind.item_type, name)]}
    if t.is_dictionary(kind):
        return _type(kind.value_type, name)
    raise UsageError(f"no Avro type can be derived for {kind} ({name})", hint="give schema=…")
