"""Batches of raw record values → Arrow columns, whole batch at a time, never raising.

A decoder takes the values as Kafka gave them and returns columns of the same length; what it
cannot read is null in every column and has a reason in ``errors``. JSON is in ``decode_json``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.detect import detect
from sdp_kernel.kafka.wire import has_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.kafka.registry import Registry

__all__ = [
    "FORMATS",
    "KEY_FORMATS",
    "Decoded",
    "Decoder",
    "Options",
    "decode_key_column",
    "decoder",
    "detect",
]

FORMATS = (
    "json", "ndjson", "csv", "text", "bytes", "debezium-json", "maxwell-json", "msgpack",
    "avro", "protobuf", "json-schema",
)  # fmt: skip
#: What a key may be read as: one value, not several rows.
KEY_FORMATS = ("text", "bytes", "json", "msgpack", "avro", "protobuf", "json-schema")
REGISTRY_FORMATS = ("avro", "protobuf", "json-schema")
VALUE = "value"


@dataclass(frozen=True)
class Decoded:
    """Columns of one batch, each as long as the batch.

    ``columns`` maps a name to an Arrow array; ``fields`` maps the columns that are fields of the
    value to the field's name (a column that is the whole value is not in it); ``text_of_json``
    names the columns that hold JSON text because their values have no common type; ``errors``
    maps a row to the reason it could not be read. ``extra`` are columns about the record that the
    format adds, such as ``_schema_id`` or ``_op``; each begins with an underscore.

    Where one value gives several rows (NDJSON, CSV), ``rows`` is a numpy array with the index of
    the value each row comes from, ascending; every value has at least one row. ``found`` are the
    options with what the bytes left open and the decoder found out.
    """

    columns: Mapping[str, Any]
    fields: Mapping[str, str] = field(default_factory=dict)
    text_of_json: frozenset[str] = frozenset()
    errors: Mapping[int, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    rows: Any | None = None
    found: Options | None = None


@dataclass(frozen=True)
class Options:
    """How to read a format, where its bytes leave it open.

    ``unwrap`` shows the row inside a change envelope (Debezium, Maxwell) in place of the envelope.
    ``delimiter`` and ``header`` are CSV's: the column names, or None to take them from the first
    line where it looks like a header.
    """

    unwrap: bool = False
    delimiter: str | None = None
    header: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise UsageError(
                f"the delimiter {self.delimiter!r} is not one character", hint="give one, such as ';'"
            )


class Decoder(Protocol):
    """Reads batches of one format."""

    @property
    def format(self) -> str:
        """The format's name, as in ``%sample --format``."""

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; None is a tombstone and gives nulls."""


class TextDecoder:
    """UTF-8 text in one column ``value``."""

    format = "text"

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; what is not UTF-8 has an error."""
        import pyarrow as pa  # noqa: PLC0415

        errors: dict[int, str] = {}
        texts: list[str | None]
        try:
            texts = [None if v is None else v.decode() for v in values]
        except UnicodeDecodeError:
            texts = []
            for row, value in enumerate(values):
                try:
                    texts.append(None if value is None else value.decode())
                except UnicodeDecodeError as error:
                    texts.append(None)
                    errors[row] = f"not UTF-8: {error.reason} at byte {error.start}"
        return Decoded({VALUE: pa.array(texts, pa.string())}, errors=errors)


class BytesDecoder:
    """The bytes as they are, in one column ``value``."""

    format = "bytes"

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Keep a batch; nothing can fail."""
        import pyarrow as pa  # noqa: PLC0415

        return Decoded({VALUE: pa.array(values, pa.binary())})


#: Format → module and class. A class takes ``options`` and ``registry``.
_PLACES = {
    "json": ("decode_json", "JsonDecoder"),
    "ndjson": ("decode_lines", "NdjsonDecoder"),
    "csv": ("decode_lines", "CsvDecoder"),
    "debezium-json": ("decode_envelope", "DebeziumDecoder"),
    "maxwell-json": ("decode_envelope", "MaxwellDecoder"),
    "msgpack": ("decode_msgpack", "MsgpackDecoder"),
    "avro": ("decode_avro", "AvroDecoder"),
    "protobuf": ("decode_protobuf", "ProtobufDecoder"),
    "json-schema": ("decode_json_schema", "JsonSchemaDecoder"),
}


def decoder(name: str, *, options: Options | None = None, registry: Registry | None = None) -> Decoder:
    """Return the decoder of a format.

    Raises
    ------
    UsageError
        There is no such format, or it needs a schema registry and there is none.
    """
    if name == "text":
        return TextDecoder()
    if name == "bytes":
        return BytesDecoder()
    if name not in _PLACES:
        raise UsageError(f"there is no format {name!r}", hint=f"use one of: {', '.join(FORMATS)}")
    if name in REGISTRY_FORMATS and registry is None:
        raise UsageError(
            f"the format {name} needs a schema registry, and this Kafka cluster has none",
            hint='add "schema.registry.url" to the cluster in sdp.toml; the embedded one starts with'
            " `sdp up --with registry`",
        )
    module, class_name = _PLACES[name]
    made: Decoder = getattr(importlib.import_module(f"sdp_kernel.kafka.{module}"), class_name)(
        options=options or Options(), registry=registry
    )
    return made


def decode_keys(keys: Sequence[bytes | None]) -> Any:
    """Return record keys as an Arrow array: string if all are UTF-8, else binary."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        return pa.array([None if k is None else k.decode() for k in keys], pa.string())
    except UnicodeDecodeError:
        return pa.array(keys, pa.binary())


def decode_key_column(
    keys: Sequence[bytes | None], name: str | None, registry: Registry | None
) -> tuple[str, Any, dict[int, str]]:
    """Return the format the keys were read as, one Arrow array, and the keys that could not be read.

    Detected are only what has a registry's prefix, text, and bytes: a JSON object as key stays
    text, since it is compared and partitioned by its bytes. Fields become a struct.
    """
    import pyarrow as pa  # noqa: PLC0415

    if name is None and registry is not None and all(has_prefix(key) for key in keys if key is not None):
        name = detect(keys, registry)
    if name is None:
        array = decode_keys(keys)
        return ("text" if pa.types.is_string(array.type) else "bytes"), array, {}
    decoded = decoder(name, registry=registry).decode(keys)
    return name, _one_column(decoded, keys), dict(decoded.errors)


def _one_column(decoded: Decoded, keys: Sequence[bytes | None]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    columns = {
        name: column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        for name, column in decoded.columns.items()
    }
    if not decoded.fields:
        return next(iter(columns.values()), pa.nulls(len(keys), pa.string()))
    absent = pa.array([key is None or row in decoded.errors for row, key in enumerate(keys)])
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns), mask=absent)
