"""Avro in Confluent's wire format → Arrow columns, each record by the schema it was written with.

Records of one schema are read together, column by column (``avro_plan``); very long arrays and a
union at the top are read record by record with fastavro. Where the schemas in a batch differ, a
column has the type that Avro's own rules promote to, else each value's JSON text.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sdp_kernel.kafka.avro_cursors import Cursors, Unplanned
from sdp_kernel.kafka.avro_plan import Record, Step
from sdp_kernel.kafka.avro_schema import compile_plan, hollow, parsed, reader
from sdp_kernel.kafka.decode import VALUE, Decoded, Options
from sdp_kernel.kafka.merge import Group, merge
from sdp_kernel.kafka.wire import PREFIX, by_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sdp_kernel.kafka.registry import Registry, Schema


class _Reader:
    """Reads records of one schema."""

    def __init__(self, number: int, schema: Any, names: dict[str, Any]) -> None:
        self.number, self.schema, self.names = number, schema, names
        self.plan: Step | None = None
        with contextlib.suppress(Unplanned):
            self.plan = compile_plan(schema, names)
        self._read = reader(schema, names)
        self._hollow = hollow(schema, names)

    def read(self, payloads: list[bytes]) -> tuple[dict[str, Any], set[str], dict[int, str], bool]:
        """Return columns, those of JSON text, errors by row, and whether the columns are fields."""
        if self.plan is not None:
            try:
                columns, bad = self._planned(payloads)
            except (Unplanned, pa.ArrowInvalid, OverflowError):
                pass
            else:
                errors = {row: self._reason(payloads[row]) for row in bad}
                return columns, _json_columns(self.plan), errors, isinstance(self.plan, Record)
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
        """Read one record with fastavro; ValueError says why it cannot be."""
        if self._hollow:
            raise self._refusal("an array whose items take no bytes says it is too long to believe")
        stream = io.BytesIO(payload)
        try:
            value = self._read(stream)
        except Exception as error:  # noqa: BLE001 - whatever fastavro meets in such bytes
            raise self._refusal(str(error) or type(error).__name__) from None
        left = len(payload) - stream.tell()
        if left:
            raise self._refusal(f"{left} bytes are left over")
        return value

    def _refusal(self, why: str = "") -> ValueError:
        return ValueError(f"not what schema id {self.number} describes" + (f": {why[:200]}" if why else ""))

    def _reason(self, payload: bytes) -> str:
        try:
            self._load(payload)
        except ValueError as error:
            return str(error)
        return str(self._refusal())

    def _one_by_one(self, payloads: list[bytes]) -> tuple[dict[str, Any], set[str], dict[int, str], bool]:
        from sdp_kernel.kafka.decode_json import columns_of  # noqa: PLC0415

        errors: dict[int, str] = {}
        maps: list[dict[str, Any] | None] = []
        others: list[Any] = []
        for row, payload in enumerate(payloads):
            value = None
            try:
                value = self._load(payload)
            except ValueError as error:
                errors[row] = str(error)
            maps.append(value if isinstance(value, dict) else None)
            others.append(None if isinstance(value, dict) else value)
        if self.plan is not None:  # it has the types, also where it does not read these records
            typed = _typed(self.plan, maps, others)
            if typed is not None:
                return typed, _json_columns(self.plan), errors, isinstance(self.plan, Record)
        columns, fields, text_columns = columns_of(maps, others, whole=VALUE)
        return columns, set(text_columns), errors, bool(fields)


def _json_columns(plan: Step) -> set[str]:
    if isinstance(plan, Record):
        return {name for name, step in plan.fields if step.is_json}
    return {VALUE} if plan.is_json else set()


def _typed(plan: Step, maps: list[dict[str, Any] | None], others: list[Any]) -> dict[str, Any] | None:
    """Return the columns of values that fastavro read, in the types of a plan."""
    none = np.array([], np.int64)
    try:
        if not isinstance(plan, Record):
            kind = plan.read(Cursors([]), none, none)[0].type
            some = [other if one is None else one for one, other in zip(maps, others, strict=True)]
            return {VALUE: pa.array([None if v is None else plan.shaped(v) for v in some], kind)}
        kinds = {name: step.read(Cursors([]), none, none)[0].type for name, step in plan.fields}
        return {
            name: pa.array([None if row is None else step.shaped(row[name]) for row in maps], kinds[name])
            for name, step in plan.fields
        }
    except (pa.ArrowException, OverflowError, KeyError):
        return None


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
        ids, schemas = by_schema(values, self._registry, "AVRO", _reader, errors)
        groups: list[Group] = []
        for _, rows, made in schemas:
            payloads = [values[row][PREFIX:] for row in rows.tolist()]
            columns, text, failed, whole = made.read(payloads)
            errors.update((int(rows[index]), why) for index, why in failed.items())
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
            {"_schema_id": ids},
        )
        if self._unwrap:
            from sdp_kernel.kafka.decode_envelope import unwrap  # noqa: PLC0415

            return unwrap(decoded, values)
        return decoded


def _reader(schema: Schema, registry: Registry) -> _Reader:
    return _Reader(schema.id, *parsed(schema, registry))
