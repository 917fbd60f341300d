"""What a job wrote, as the rows of its sink's final table."""

from __future__ import annotations

import base64
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sdp_kernel.errors import UsageError
from sdp_kernel.repository.testing.values import canonical, loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sdp_kernel.kafka.read import Records
    from sdp_kernel.repository.testing.aim import Sink

    Row = dict[str, Any]
    _Reader = Callable[[Mapping[str, Any]], Iterable[tuple[Row, int]]]

KEY, VALUE, HEADERS = "_key", "_value", "_headers"


def of_topic(records: Records, sink: Sink) -> tuple[list[Row], tuple[str, ...]]:
    """Return the rows of a topic's final table, and the columns that tell them apart.

    The newest record of each key where the sink upserts, a fold where its format has changes, else a row
    for each record. A row has the fields of the value, and those of the key that the value has not; what
    is no JSON object is under ``_key`` and ``_value``.
    """
    keys = [_parsed(key) for key in records.keys]
    values = [_parsed(value) for value in records.values]
    if sink.upserts:
        last = {key: at for at, key in enumerate(records.keys)}
        kept = [at for at in last.values() if records.values[at] is not None]
        names = dict.fromkeys(name for at in kept for name in _key_fields(keys[at], sink))
        return [_row(keys[at], values[at], None, sink) for at in kept], tuple(names)
    if sink.format in _CHANGES:
        return _folded(values, _CHANGES[sink.format]), ()
    return [
        _row(key, value, headers, sink)
        for key, value, headers in zip(keys, values, records.headers, strict=True)
    ], ()


def _row(key: Any, value: Any, headers: Sequence[tuple[str, bytes | None]] | None, sink: Sink) -> Row:
    fields = _key_fields(key, sink)
    of_value = value if isinstance(value, dict) else {VALUE: value}
    row = {**{name: field for name, field in fields.items() if name not in of_value}, **of_value}
    if headers:
        row[HEADERS] = [[name, None if text is None else _text(text)] for name, text in headers]
    return row


def _key_fields(key: Any, sink: Sink) -> Row:
    if key is None:
        return {}
    if not isinstance(key, dict):
        return {KEY: key}
    return {f"{sink.key_prefix}{name}": field for name, field in key.items()}


def _parsed(content: bytes | None) -> Any:
    """Return JSON's value, else the text, else the bytes in base64."""
    if content is None:
        return None
    try:
        return loads(content.decode())
    except ValueError:
        return _text(content)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()


def _before_and_after(value: Mapping[str, Any], kind: str, deleted: str) -> Iterable[tuple[Row, int]]:
    if value.get("before") is not None:
        yield value["before"], -1
    if value.get("after") is not None and value.get(kind) != deleted:
        yield value["after"], 1


def _data(value: Mapping[str, Any], deleted: str) -> Iterable[tuple[Row, int]]:
    data = value["data"]
    for row in data if isinstance(data, list) else [data]:
        yield row, -1 if value["type"] == deleted else 1


#: Formats of changes, and what Flink writes of each: an update as a deletion and an insertion.
_CHANGES: dict[str, _Reader] = {
    "debezium-json": lambda value: _before_and_after(value, "op", "d"),
    "ogg-json": lambda value: _before_and_after(value, "op_type", "D"),
    "canal-json": lambda value: _data(value, "DELETE"),
    "maxwell-json": lambda value: _data(value, "delete"),
}


def _folded(values: Iterable[Any], changes: _Reader) -> list[Row]:
    counts: Counter[tuple[Any, ...]] = Counter()
    rows: dict[tuple[Any, ...], Row] = {}
    for value in values:
        for row, change in changes(value):
            identity = canonical(row)
            rows.setdefault(identity, row)
            counts[identity] += change
    return [dict(rows[identity]) for identity, count in counts.items() for _ in range(count)]


def of_files(sink: Sink) -> list[Row]:
    """Return the rows of the files a sink wrote; columns in a partition's path are among them.

    Raises
    ------
    UsageError
        They are of a format that is not read here.
    """
    assert sink.path is not None  # noqa: S101 - what makes it a sink of files
    rows: list[Row] = []
    for file in sorted(sink.path.rglob("*")):
        inside = file.relative_to(sink.path).parts
        if not file.is_file() or any(part.startswith((".", "_")) for part in inside):
            continue
        parts = dict(unquote(part).split("=", 1) for part in inside[:-1] if "=" in part)
        rows += [{**row, **parts} for row in _rows_of(file, sink)]
    return rows


def _rows_of(file: Path, sink: Sink) -> list[Row]:
    if sink.format == "parquet":
        import pyarrow.parquet as pq  # noqa: PLC0415 - slow to load

        from sdp_kernel.kafka.encode_json import json_rows  # noqa: PLC0415

        return [loads(text) for text in json_rows(pq.read_table(file, partitioning=None)).to_pylist()]
    if sink.format not in {"json", "csv", "raw"}:
        raise UsageError(
            f"what the sink {sink.table} writes cannot be read: {sink.format}",
            hint="json, csv, raw and parquet are read",
        )
    values = [_parsed(line) for line in file.read_bytes().split(b"\n") if line]
    return [value if isinstance(value, dict) else {VALUE: value} for value in values]
