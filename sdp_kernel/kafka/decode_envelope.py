"""Change envelopes in JSON: Debezium and Maxwell; on request the row inside, and what was done to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from sdp_kernel.kafka.decode import Decoded, Options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.kafka.registry import Registry

_MAXWELL_OPS = {"insert": "c", "update": "u", "delete": "d", "bootstrap-insert": "r"}
_NO_ENVELOPE = "no change envelope: there is no {}"


class DebeziumDecoder:
    """Debezium's envelope, with or without Connect's ``schema`` and ``payload`` around it."""

    format = "debezium-json"

    def __init__(self, *, options: Options | None = None, registry: Registry | None = None) -> None:
        del registry
        self._unwrap = (options or Options()).unwrap

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch: the envelope's fields, or the row's with ``_op``, ``_source_ts``, ``_table``."""
        from sdp_kernel.kafka.decode_json import JsonDecoder  # noqa: PLC0415

        decoded = JsonDecoder().decode(values)
        return unwrap(decoded, values) if self._unwrap else decoded


class MaxwellDecoder:
    """Maxwell's envelope."""

    format = "maxwell-json"

    def __init__(self, *, options: Options | None = None, registry: Registry | None = None) -> None:
        del registry
        self._unwrap = (options or Options()).unwrap

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch: the envelope's fields, or the row's with ``_op``, ``_source_ts``, ``_table``."""
        from sdp_kernel.kafka.decode_json import JsonDecoder  # noqa: PLC0415

        decoded = JsonDecoder().decode(values)
        if not self._unwrap:
            return decoded
        count = len(values)
        outer = _plain(decoded)
        kinds = outer.get("type")
        if kinds is None or not pa.types.is_string(kinds.type):
            return _nothing(decoded, values, "type")
        ops = pa.array([_MAXWELL_OPS.get(kind) for kind in kinds.to_pylist()], pa.string())
        seconds = outer.get("ts")
        stamps = (
            pc.multiply(seconds, 1000) if seconds is not None and pa.types.is_integer(seconds.type) else None
        )
        return _row(
            decoded, values, ops, _children(outer.get("data")), {}, stamps, _text(outer.get("table"), count)
        )


def unwrap(decoded: Decoded, values: Sequence[bytes | None]) -> Decoded:
    """Return the rows inside Debezium's envelopes: those after the change, or before a deletion.

    Works on whatever decoder read the envelopes. A value that is no envelope has an error.
    """
    outer = _plain(decoded)
    payload = outer.get("payload")
    if payload is not None and "op" in _names(payload.type):
        outer = _children(payload)
    ops = outer.get("op")
    if ops is not None and pa.types.is_dictionary(ops.type):
        ops = ops.cast(ops.type.value_type)
    if ops is None or not pa.types.is_string(ops.type):
        return _nothing(decoded, values, "op")
    source = _children(outer.get("source"))
    stamps = source.get("ts_ms", outer.get("ts_ms"))
    if stamps is not None and pa.types.is_timestamp(stamps.type):
        stamps = stamps.cast(pa.timestamp("ms", stamps.type.tz)).cast(pa.int64())
    return _row(
        decoded,
        values,
        ops,
        _children(outer.get("after")),
        _children(outer.get("before")),
        stamps if stamps is not None and pa.types.is_integer(stamps.type) else None,
        _text(source.get("table", source.get("collection")), len(values)),
    )


def _row(
    decoded: Decoded,
    values: Sequence[bytes | None],
    ops: Any,
    after: Mapping[str, Any],
    before: Mapping[str, Any],
    stamps: Any,
    tables: Any,
) -> Decoded:
    deleted = pc.fill_null(pc.equal(ops, "d"), fill_value=False)
    columns = {}
    for name in dict.fromkeys((*after, *before)):
        columns[name] = _either(deleted, before.get(name), after.get(name)) if before else after[name]
    return Decoded(
        columns,
        {name: name for name in columns},
        errors=_errors(decoded, values, ops, "operation"),
        extra={
            **decoded.extra,
            "_op": ops,
            "_source_ts": pa.nulls(len(values), pa.timestamp("ms", "UTC"))
            if stamps is None
            else stamps.cast(pa.int64()).cast(pa.timestamp("ms", "UTC")),
            "_table": tables,
        },
    )


def _either(deleted: Any, old: Any, new: Any) -> Any:
    """Return ``old`` where deleted, else ``new``; as text where they have no type in common."""
    count = len(deleted)
    sides = [pa.nulls(count) if side is None else side for side in (old, new)]
    kinds = {side.type for side in sides if not pa.types.is_null(side.type)}
    if len(kinds) > 1:
        common = (
            pa.float64() if all(pa.types.is_integer(k) or pa.types.is_floating(k) for k in kinds) else None
        )
        if common is None:
            sides = [
                pa.array([None if v is None else str(v) for v in s.to_pylist()], pa.string()) for s in sides
            ]
            kinds = {pa.string()}
        else:
            kinds = {common}
    kind = next(iter(kinds), pa.null())
    first, second = (_flat(side.cast(kind) if side.type != kind else side) for side in sides)
    index = pa.array([row if gone else row + count for row, gone in enumerate(deleted.to_pylist())])
    return pa.concat_arrays([first, second]).take(index)


def _flat(array: Any) -> Any:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _errors(decoded: Decoded, values: Sequence[bytes | None], ops: Any, what: str) -> dict[int, str]:
    errors = dict(decoded.errors)
    for row, (value, there) in enumerate(zip(values, ops.is_valid().to_pylist(), strict=True)):
        if value is not None and not there and row not in errors:
            errors[row] = _NO_ENVELOPE.format(what)
    return errors


def _nothing(decoded: Decoded, values: Sequence[bytes | None], what: str) -> Decoded:
    nothing = pa.nulls(len(values), pa.string())
    stamps = pa.nulls(len(values), pa.timestamp("ms", "UTC"))
    extra = {"_op": nothing, "_source_ts": stamps, "_table": nothing}
    return replace(
        decoded, columns={}, fields={}, text_of_json=frozenset(),
        errors=_errors(decoded, values, nothing, what), extra={**decoded.extra, **extra},
    )  # fmt: skip


def _plain(decoded: Decoded) -> dict[str, Any]:
    return {decoded.fields[name]: _flat(c) for name, c in decoded.columns.items() if name in decoded.fields}


def _names(kind: Any) -> set[str]:
    return {kind.field(i).name for i in range(kind.num_fields)} if pa.types.is_struct(kind) else set()


def _children(column: Any) -> dict[str, Any]:
    """Return a struct's fields as columns; none of what is no struct."""
    if column is None or not pa.types.is_struct(column.type):
        return {}
    kind = column.type
    return {kind.field(i).name: child for i, child in enumerate(_flat(column).flatten())}


def _text(column: Any, count: int) -> Any:
    return column if column is not None and pa.types.is_string(column.type) else pa.nulls(count, pa.string())
