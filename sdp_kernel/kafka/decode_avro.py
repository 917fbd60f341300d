"""Avro in Confluent's wire format → Arrow columns, each record by the schema it was written with.

Records of one schema are read together, column by column (``avro_plan``); what a plan does not
cover is read record by record with fastavro. Where the schemas in a batch differ, a column has the
type that Avro's own rules promote to, else each value's JSON text.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sdp_kernel.errors import SdpError
from sdp_kernel.kafka.avro_plan import Cursors, Record, Step, Unplanned
from sdp_kernel.kafka.avro_schema import compile_plan, parsed
from sdp_kernel.kafka.decode import VALUE, Decoded, Options
from sdp_kernel.kafka.merge import Group, merge
from sdp_kernel.kafka.wire import PREFIX, known_schema, schema_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sdp_kernel.kafka.registry import Registry


class _Reader:
    """Reads records of one schema."""

    def __init__(self, number: int, schema: Any, names: dict[str, Any]) -> None:
        self.number, self.schema, self.names = number, schema, names
        self.plan: Step | None = None
        with contextlib.suppress(Unplanned):
            self.plan = compile_plan(schema, names)

    def read(self, payloads: list[bytes]) -> tuple[dict[str, Any], set[str], dict[int, str], bool]:
        """Return columns, those of JSON text, errors by row, and whether the columns are fields."""
        if self.plan is not None:
            try:
                columns, bad = self._planned(payloads)
            except (Unplanned, pa.ArrowInvalid, OverflowError):
                pass
            else:
                errors = {row: self._reason(payloads[row]) for row in bad}
                return columns, set(), errors, isinstance(self.plan, Record)
        return self._one_by_one(payloads)

    def _planned(self, payloads: list[bytes]) -> tuple[dict[str, Any], list[int]]:
        at = Cursors(payloads)
        rows = np.arange(len(payloads))
        assert self.plan is not None  # noqa: S101
        if isinstance(self.plan, Record):
            columns, pos = self.plan.columns(at, rows, at.start)
        else:
            array, pos = self.plan.read(at, rows, at.start)
            columns = {VALUE: array}
        return columns, np.flatnonzero(at.bad | (pos != at.end)).tolist()

    def _load(self, payload: bytes) -> Any:
        if self.plan is None:  # may contain itself: the compiled reader would overrun the C stack
            from fastavro._read_py import schemaless_reader  # noqa: PLC0415
        else:
            from fastavro import schemaless_reader  # noqa: PLC0415

        stream = io.BytesIO(payload)
        value = schemaless_reader(stream, self.schema, None)
        left = len(payload) - stream.tell()
        if left:
            raise ValueError(f"{left} bytes are left over")
        return value

    def _reason(self, payload: bytes) -> str:
        try:
            self._load(payload)
        except Exception as error:  # noqa: BLE001 - whatever fastavro meets in such bytes
            text = str(error) or type(error).__name__
            return f"not what schema id {self.number} describes: {text[:200]}"
        return f"not what schema id {self.number} describes"

    def _one_by_one(self, payloads: list[bytes]) -> tuple[dict[str, Any], set[str], dict[int, str], bool]:
        from sdp_kernel.kafka.decode_json import columns_of  # noqa: PLC0415

        errors: dict[int, str] = {}
        maps: list[dict[str, Any] | None] = []
        others: list[Any] = []
        for row, payload in enumerate(payloads):
            value = None
            try:
                value = self._load(payload)
            except Exception as error:  # noqa: BLE001 - whatever fastavro meets in such bytes
                text = str(error) or type(error).__name__
                errors[row] = f"not what schema id {self.number} describes: {text[:200]}"
            maps.append(value if isinstance(value, dict) else None)
            others.append(None if isinstance(value, dict) else value)
        if self.plan is not None:  # it has the types, also where it does not read these records
            typed = _typed(self.plan, maps, others)
            if typed is not None:
                return typed, set(), errors, isinstance(self.plan, Record)
        columns, fields, text_columns = columns_of(maps, others, whole=VALUE)
        return columns, set(text_columns), errors, bool(fields)


def _typed(plan: Step, maps: list[dict[str, Any] | None], others: list[Any]) -> dict[str, Any] | None:
    """Return the columns of values that fastavro read, in the types of a plan."""
    none = np.array([], np.int64)
    try:
        if not isinstance(plan, Record):
            kind = plan.read(Cursors([]), none, none)[0].type
            some = [other if one is None else one for one, other in zip(maps, others, strict=True)]
            return {VALUE: pa.array([_shaped(v, kind) for v in some], kind)}
        empty, _ = plan.columns(Cursors([]), none, none)
        return {
            name: pa.array([None if row is None else _shaped(row[name], a.type) for row in maps], a.type)
            for name, a in empty.items()
        }
    except (pa.ArrowException, OverflowError, KeyError):
        return None


def _shaped(value: Any, kind: Any) -> Any:
    """Return a value as ``pyarrow.array`` takes it: a map as pairs."""
    if value is None or not kind.num_fields:
        return value
    if pa.types.is_map(kind):
        return [(key, _shaped(item, kind.item_type)) for key, item in value.items()]
    if pa.types.is_list(kind):
        return [_shaped(item, kind.value_type) for item in value]
    fields = (kind.field(i) for i in range(kind.num_fields))
    return {field.name: _shaped(value[field.name], field.type) for field in fields}


class AvroDecoder:
    """One column for each field of the records; a column ``value`` for what is no record.

    ``extra`` has ``_schema_id`` (int32), the id of the schema each record was written with.
    """

    format = "avro"

    def __init__(self, *, options: Options | None = None, registry: Registry | None = None) -> None:
        assert registry is not None  # noqa: S101 - `decoder` sees to it
        self._unwrap = (options or Options()).unwrap
        self._registry = registry

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; a malformed record, or one whose schema cannot be had, has an error."""
        errors: dict[int, str] = {}
        ids = schema_ids(values, errors)
        groups: list[Group] = []
        for number in np.unique(ids[ids >= 0]).tolist():
            rows = np.flatnonzero(ids == number)
            reader = _reader(self._registry, number)
            if isinstance(reader, str):
                errors.update(dict.fromkeys(rows.tolist(), reader))
                continue
            payloads = [values[row][PREFIX:] for row in rows.tolist()]
            columns, text, failed, whole = reader.read(payloads)
            for index, why in failed.items():
                errors[int(rows[index])] = why
            healthy = np.ones(len(rows), bool)
            healthy[list(failed)] = False
            groups.append(Group(rows, columns, text, healthy, fields=whole))
        merged, text_of_json = merge(groups, len(values))
        fields = {name for group in groups if group.fields for name in group.columns}
        decoded = Decoded(
            merged,
            {name: name for name in merged if name in fields},
            frozenset(text_of_json),
            errors,
            {"_schema_id": pa.array(ids, pa.int32(), mask=ids < 0)},
        )
        if self._unwrap:
            from sdp_kernel.kafka.decode_envelope import unwrap  # noqa: PLC0415

            return unwrap(decoded, values)
        return decoded


def _reader(registry: Registry, number: int) -> _Reader | str:
    """Return what reads a schema's records, or why there is none; kept with the registry."""
    kept: dict[int, _Reader] = registry.__dict__.setdefault("_avro_readers", {})
    if number in kept:
        return kept[number]
    found = known_schema(registry, number, "AVRO")
    if isinstance(found, str):
        return found
    try:
        kept[number] = _Reader(number, *parsed(found, registry))
    except SdpError as error:
        return f"schema id {number}: {error.message}"
    except ValueError as error:
        return str(error)
    return kept[number]
