"""The record key of a sample → columns of a table, and the options that read them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.kafka.ddl import ColumnSketch, Fragment, count, free, quotable
from sdp_kernel.kafka.infer_types import flink_type

if TYPE_CHECKING:
    from collections.abc import Collection

    from sdp_kernel.kafka.sample import Sample

KEY = "_key"
_PREFIX = "key_"
_LISTED = re.compile(r"[;'\"]|^[\x00-\x20\s]|[\x00-\x20\s]$")
_NUMBER_WIDTHS = {4: "INT", 8: "BIGINT"}


@dataclass(frozen=True)
class KeySketch:
    """How a key is read.

    Attributes
    ----------
    format
        Flink's name of the key's format.
    columns
        One for each field of the key, or one for the whole key.
    fields
        Name of the key's field by column; the column's own where it is the whole key.
    prefix
        ``key.fields-prefix``; empty where the columns have the names of the fields.
    options
        Further options, their names behind ``key.``.
    nulls
        Records without a key.
    notes
        What to know of it.
    """

    format: str
    columns: tuple[ColumnSketch, ...]
    fields: dict[str, str] = field(default_factory=dict)
    prefix: str = ""
    options: tuple[tuple[str, str], ...] = ()
    nulls: int = 0
    notes: tuple[str, ...] = ()

    def table_options(self) -> list[tuple[str, str]]:
        """Return the ``WITH`` options of the kafka connector for it."""
        found = [("key.format", self.format), *((f"key.{name}", value) for name, value in self.options)]
        found.append(("key.fields", ";".join(c.name for c in self.columns)))
        return [*found, *self.shared_options()]

    def shared_options(self) -> list[tuple[str, str]]:
        """Return the options that hold for both connectors."""
        prefix = [("key.fields-prefix", self.prefix)] if self.prefix else []
        return [*prefix, ("value.fields-include", "EXCEPT_KEY")]


def key_sketch(sample: Sample, taken: Collection[str], alias: str) -> KeySketch | None:
    """Return how to read a sample's keys, None where no record has one.

    A structured key is read field by field only where every record has one: Flink drops a record
    whose key its format cannot read, null included, and a ``raw`` key keeps it.
    """
    keys = sample.table.column(KEY)
    if keys.null_count == len(keys):
        return None
    name = getattr(sample, "key_format", None) or _by_type(keys.type)
    notes: list[str] = []
    if name == "avro":
        from sdp_kernel.kafka.infer_avro import read_as  # noqa: PLC0415

        found = _fields(read_as(keys.type), taken)
        if found is not None and not keys.null_count:
            fields = (("avro-confluent.url", Fragment(f"${{registry.{alias}}}")),)
            return KeySketch("avro-confluent", *found, options=fields)
    parsed = _objects(keys) if name in {"json", "text"} else None
    if parsed is not None:
        found = _fields(parsed.type, taken)
        if found is not None and not keys.null_count:
            return KeySketch("json", *found)
        if found is not None:
            notes.append(
                f"the key is a JSON object, but {count(keys.null_count, 'record')} of {len(keys)} have none,"
                " and Flink drops those where key.format is 'json': so it is text here"
            )
    binary = name not in {"text", "json", "ndjson", "csv", "debezium-json", "maxwell-json"}
    if binary and (kind := _number(keys)):
        notes.append(
            f"every key has {next(w for w, k in _NUMBER_WIDTHS.items() if k == kind)} bytes:"
            f" if it is a number, make the column {kind} ('key.raw.endianness' is 'big-endian')"
        )
    if binary and name != "bytes":
        notes.append(f"Flink has no format for a key of {name}: its bytes as they are")
    column = free(KEY, taken)
    kind = "BYTES" if binary else "STRING"
    return KeySketch(
        "raw", (ColumnSketch(column, kind, "the record's key"),), {column: column},
        nulls=keys.null_count, notes=tuple(notes),
    )  # fmt: skip


def _by_type(kind: Any) -> str:
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_struct(kind):
        return "json"
    return "bytes" if pa.types.is_binary(kind) else "text"


def _objects(keys: Any) -> Any:
    """Return keys as an array of structs if all that are there are JSON objects."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_struct(keys.type):
        return keys
    if not pa.types.is_string(keys.type):
        return None
    texts = keys.to_pylist()
    if not all(text is None or text.lstrip(" \t\r\n").startswith("{") for text in texts):
        return None
    from sdp_kernel.kafka.decode_json import JsonDecoder  # noqa: PLC0415

    decoded = JsonDecoder().decode([None if text is None else text.encode() for text in texts])
    if decoded.errors or set(decoded.columns) != set(decoded.fields) or not decoded.fields:
        return None
    arrays = [
        column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        for column in decoded.columns.values()
    ]
    return pa.StructArray.from_arrays(
        [pa.concat_arrays(a.chunks) if isinstance(a, pa.ChunkedArray) else a for a in arrays],
        names=list(decoded.columns),
    )


def _fields(kind: Any, taken: Collection[str]) -> tuple[tuple[ColumnSketch, ...], dict[str, str], str] | None:
    """Return columns for the fields of a key, their fields, and the prefix; None if Flink cannot."""
    import pyarrow as pa  # noqa: PLC0415

    if not pa.types.is_struct(kind) or not kind.num_fields:
        return None
    parts = [kind.field(index) for index in range(kind.num_fields)]
    names = [part.name for part in parts]
    # 'key.fields' parts names with ";", takes quotes and trims; such a key stays whole.
    if not all(quotable(name) and not _LISTED.search(name) for name in names) or len(set(names)) < len(names):
        return None
    prefix = ""
    while any(prefix + name in taken for name in names):
        prefix = f"{prefix}_" if prefix else _PREFIX
    if not all(quotable(prefix + name) for name in names):
        return None
    columns = tuple(
        ColumnSketch(prefix + part.name, flink_type(part.type) or "STRING", "in the record's key")
        for part in parts
    )
    return columns, dict(zip((c.name for c in columns), names, strict=True)), prefix


def _number(keys: Any) -> str | None:
    widths = {len(key) for key in keys.to_pylist() if isinstance(key, bytes)}
    return _NUMBER_WIDTHS.get(next(iter(widths))) if len(widths) == 1 else None
