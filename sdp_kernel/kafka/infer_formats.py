"""The record value of a sample → columns of a table, and the format options that read them.

What each format of Flink does with nulls, tombstones and what it cannot read was tried on Flink
2.3 with Kafka connector 5.0; ``tests/integration/test_kafka_infer_flink.py`` holds it to that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.kafka.ddl import ColumnSketch, count, free, identifier, quotable, shown
from sdp_kernel.kafka.event_time import NATIVE, SQL, EventTime, common_standard, event_time
from sdp_kernel.kafka.infer_types import flink_type, map_of, map_of_text, mixture
from sdp_kernel.kafka.sample import JSON_TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.kafka.sample import Sample

_RARE = 0.1
_MAX_SHAPES = 5
_CSV_TYPES = ("BIGINT", "DOUBLE", "BOOLEAN", "DECIMAL", "DATE", "TIMESTAMP", "TIME")
_LINES = (
    "this is the text; SELECT line FROM … CROSS JOIN UNNEST(SPLIT(`value`, U&'\\000A')) AS lines(line)"
    " gives the lines"
)
_MAX_NAMED = 5
_JSON_BEHIND_PREFIX = "DECODE(ENCODE(SUBSTRING(DECODE(%s, 'ISO-8859-1') FROM 6), 'ISO-8859-1'), 'UTF-8')"


@dataclass
class ValueSketch:
    """How a value is read.

    Attributes
    ----------
    format
        Flink's name of the format.
    columns
        Physical columns, those of the format's metadata, and computed ones, in this order.
    options
        Options of the format, their names behind ``FORMAT.``.
    times
        Column → times in it and the name of the column that has them as TIMESTAMP or TIMESTAMP_LTZ,
        with that column's type, and how many readable records have none.
    notes
        What to know of it.
    row
        Columns that are fields of the value's row.
    """

    format: str
    columns: list[ColumnSketch] = field(default_factory=list)
    computed: list[ColumnSketch] = field(default_factory=list)
    options: list[tuple[str, str]] = field(default_factory=list)
    times: dict[str, tuple[EventTime, str, str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """Names of all columns."""
        return {c.name for c in (*self.columns, *self.computed)}


def raw(kind: str, note: str = "", *notes: str) -> ValueSketch:
    """Return one column with the whole value."""
    return ValueSketch("raw", [ColumnSketch("value", kind, note)], notes=list(notes))


def value_sketch(sample: Sample, alias: str, *, changelog: bool, schema: str | None) -> ValueSketch:
    """Return how to read a sample's values."""
    name = sample.format
    if name in {"debezium-json", "maxwell-json"}:
        from sdp_kernel.kafka.infer_changelog import envelope  # noqa: PLC0415

        return envelope(sample, changelog=changelog)
    if name == "csv":
        return _csv(sample)
    if name == "avro" and sample.fields:
        return _avro(sample, alias, schema)
    if name in {"json", "ndjson"}:
        return _json_or_text(sample)
    if name == "text":
        return _text(sample)
    return _bytes(sample)


def _bytes(sample: Sample) -> ValueSketch:
    if sample.format == "json-schema":
        made = raw(
            "BYTES", "", "Flink has no format for JSON behind the registry's prefix of five bytes:"
            " value_json is the document without it, to be read with"
            " JSON_VALUE(value_json, '$.field') or JSON_QUERY"
        )  # fmt: skip
        made.computed.append(
            ColumnSketch("value_json", "STRING", "", f"AS {_JSON_BEHIND_PREFIX % identifier('value')}")
        )
        return made
    why = {
        "protobuf": "Flink has no format for Protobuf behind the registry's prefix: the bytes as they are."
        " Flink's own 'protobuf' format takes neither the prefix nor a schema from the registry",
        "msgpack": "Flink has no format for MessagePack: the bytes as they are",
        "avro": "the Avro values are no records, which Flink's format needs: the bytes as they are",
    }.get(sample.format)
    return raw("BYTES", "", *([why] if why else []))


def _text(sample: Sample) -> ValueSketch:
    if not sample.errors:
        return raw("STRING")
    made = raw(
        "BYTES", "", f"{count(sample.errors, 'record')} of {len(sample)} not UTF-8: the bytes as they are,"
        " and value_text with a replacement character for what is no text"
    )  # fmt: skip
    made.computed.append(
        ColumnSketch("value_text", "STRING", "", f"AS DECODE({identifier('value')}, 'UTF-8')")
    )
    return made


def _several_a_record(sample: Sample) -> bool:
    table = sample.table
    places = set(zip(table["_partition"].to_pylist(), table["_offset"].to_pylist(), strict=True))
    return len(places) < len(table)


def _json_or_text(sample: Sample) -> ValueSketch:
    if sample.format == "ndjson" and _several_a_record(sample):
        return raw(
            "STRING", "one JSON document a line",
            f"a record holds several documents, and Flink's json format reads only the first: {_LINES}",
        )  # fmt: skip
    if not sample.fields:
        return raw("STRING", "JSON that is no object, or has more than 1,000 fields")
    columns = {column: sample.table.column(column) for column in sample.fields}
    return json_columns(sample, "json", columns, sample.fields)


def json_columns(
    sample: Sample,
    format_name: str,
    columns: Mapping[str, Any],
    fields: Mapping[str, str],
    text: frozenset[str] | None = None,
) -> ValueSketch:
    """Return how Flink's JSON formats read fields.

    Parameters
    ----------
    columns
        Column → its values, a row for each of the sample's.
    fields
        Column → the field's name.
    text
        Columns that hold JSON text; by default those the sample marks.
    """
    made = ValueSketch(format_name)
    schema = sample.table.schema
    if text is None:
        text = frozenset(c for c in columns if JSON_TEXT in (schema.field(c).metadata or {}))
    skipped = _skipped(sample, made)
    readable = len(sample) - skipped
    times = {
        c: t for c, v in columns.items() if c not in text and (t := event_time(v, fields[c], sample.table))
    }
    standard = common_standard(list(times.values()))
    for column, values in columns.items():
        name = fields[column]
        if not quotable(name):
            made.notes.append(f"left out, Flink has no quoting for this name: {shown(name)}")
            continue
        notes, time = [], times.get(column)
        if time is not None and time.standard == standard and standard is not None:
            kind = time.type
        else:
            kind, note = _type(values, is_text=column in text)
            notes += [note] if note else []
        present = len(values) - values.null_count
        if present and present < _RARE * readable:
            notes.append(f"in {100 * present / readable:.2g} % of the records ({present} of {readable})")
        made.columns.append(ColumnSketch(name, kind, "; ".join(notes)))
    _add_times(made, {fields[c]: t for c, t in times.items()}, {fields[c]: v for c, v in columns.items()},
               standard, skipped)  # fmt: skip
    if standard is not None:
        made.options.append(("timestamp-format.standard", standard))
    if skipped > sample.tombstones:
        made.options.append(("ignore-parse-errors", "true"))
    _shapes(made, columns, fields)
    return made


def _type(values: Any, *, is_text: bool) -> tuple[str, str]:
    if is_text:
        texts = values.to_pylist()
        found = map_of_text(texts)
        return found or ("STRING", f"values of several types: {mixture(texts)}")
    if str(values.type) == "null":
        return "STRING", "only nulls in the sample"
    kind = flink_type(values.type, values)
    if kind is None:
        return "STRING", "as JSON text"
    if values.type.num_fields and kind.startswith("MAP<") and (found := map_of(values.type, values)):
        return found
    if kind.startswith("DECIMAL"):
        return kind, "digits as in the sample: give it more where more can come"
    return kind, ""


def _skipped(sample: Sample, made: ValueSketch) -> int:
    """Return how many records the table will not show, and note why."""
    table = sample.table
    whole = [c for c in sample.value_columns if c not in sample.fields]
    others = sum(len(table) - table.column(c).null_count for c in whole)
    what = [f"{sample.errors} malformed"] if sample.errors else []
    what += [f"{others} not an object"] if others else []
    if what:
        made.notes.append(
            f"{', '.join(what)} of {count(len(sample), 'record')}: such records are skipped"
            + (", but an array of objects gives a row for each" if others else "")
        )
    return int(sample.errors + others + sample.tombstones)


def _add_times(
    made: ValueSketch,
    times: Mapping[str, EventTime],
    values: Mapping[str, Any],
    standard: str | None,
    skipped: int,
) -> None:
    """Add computed columns for the times that no format option reads."""
    kept = {c.name for c in made.columns}
    for name, time in times.items():
        if name not in kept:
            continue
        missing = values[name].null_count - skipped
        if time.standard and time.standard in {standard, NATIVE}:
            made.times[name] = (time, name, time.type, missing)
            continue
        column = free(f"{name}_{'ltz' if time.zoned else 'ts'}", made.names)
        made.computed.append(
            ColumnSketch(column, time.computed_type, time.evidence, f"AS {time.expression(identifier(name))}")
        )
        made.times[name] = (time, column, time.computed_type, missing)


def _shapes(made: ValueSketch, columns: Mapping[str, Any], fields: Mapping[str, str]) -> None:
    """Note where the sample holds a few different sets of fields."""
    import numpy as np  # noqa: PLC0415

    values = [(fields[c], v.is_valid().to_numpy()) for c, v in columns.items() if 0 < v.null_count < len(v)]
    if not values:
        return
    present = np.array([mask for _, mask in values]).T
    some = present[np.logical_or.reduce([v.is_valid().to_numpy() for v in columns.values()])]
    shapes, sizes = np.unique(some, axis=0, return_counts=True)
    if not 1 < len(shapes) <= _MAX_SHAPES or min(sizes) < max(2, _RARE * len(some)):
        return
    parts = []
    for index in np.argsort(-sizes).tolist():
        lacking = [shown(name) for (name, _), there in zip(values, shapes[index], strict=True) if not there]
        more = ", …" if len(lacking) > _MAX_NAMED else ""
        text = f"without {', '.join(lacking[:_MAX_NAMED])}{more}" if lacking else "with all"
        parts.append(f"{count(int(sizes[index]), 'record')} {text}")
    made.notes.append(f"{len(shapes)} shapes of record: {'; '.join(parts)}")


def _csv(sample: Sample) -> ValueSketch:
    delimiter = sample.options.delimiter
    if _several_a_record(sample) or (delimiter is not None and len(delimiter) != 1):
        why = (
            "a record holds several lines, and Flink's csv format reads only the first"
            if delimiter is None or len(delimiter) == 1
            else f"Flink's csv format takes one character as delimiter, not {shown(delimiter)}"
        )
        return raw(
            "STRING", "", f"{why}: {_LINES}",
        )  # fmt: skip
    made = ValueSketch("csv")
    table, fields = sample.table, sample.fields
    names: dict[str, str] = {}
    for number, column in enumerate(sample.value_columns, 1):
        name = fields.get(column, column)
        names[column] = name if quotable(name) else free(f"column_{number}", set(names.values()))
    columns = {column: table.column(column) for column in sample.value_columns}
    times = {c: t for c, v in columns.items() if (t := event_time(v, names[c], table))}
    skipped = sample.errors + sample.tombstones
    empty = False
    for column, values in columns.items():
        time = times.get(column)
        if time is not None and time.standard == SQL and not time.zoned:
            kind, note = time.type, ""
        else:
            kind, note = _type(values, is_text=False)
        if values.null_count > skipped and kind.startswith(_CSV_TYPES):
            empty = True
        made.columns.append(ColumnSketch(names[column], kind, note))
    plain = {c: t for c, t in times.items() if not (t.standard == NATIVE and t.zoned)}
    _add_times(made, {names[c]: t if t.standard in {SQL, NATIVE} and not t.zoned else _unread(t)
                      for c, t in plain.items()},
               {names[c]: v for c, v in columns.items()}, SQL, skipped)  # fmt: skip
    if delimiter not in {None, ","}:
        made.options.append(("field-delimiter", str(delimiter)))
    if empty:
        made.options.append(("null-literal", ""))
        made.notes.append("an empty field is NULL, also where it is text")
    if sample.errors:
        made.notes.append(
            f"{sample.errors} malformed of {count(len(sample), 'record')}: such records are skipped"
        )
        made.options.append(("ignore-parse-errors", "true"))
    return made


def _unread(time: EventTime) -> EventTime:
    """Return times as ones that no format option reads: csv knows only SQL notation without a zone."""
    from dataclasses import replace  # noqa: PLC0415

    return replace(time, standard="")


def _avro(sample: Sample, alias: str, schema: str | None) -> ValueSketch:
    from sdp_kernel.kafka.infer_avro import avro_columns  # noqa: PLC0415

    made = ValueSketch("avro-confluent")
    avro_columns(sample, alias, made, schema)
    return made
