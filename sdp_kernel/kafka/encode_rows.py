"""Data as it is given (DataFrame, Arrow, dicts, a sample) → rows to write and columns about records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.build import FIELD, METADATA
from sdp_kernel.kafka.encode import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

_WHOLE_IN = {"json", "json-schema"}


@dataclass(frozen=True)
class Given:
    """What is to be written.

    ``columns`` are all columns by name, as Arrow columns or lists; ``values`` maps those that go
    into the value to the field's name. ``format`` and ``key_format`` are a sample's, else None.
    """

    count: int
    columns: Mapping[str, Any]
    values: Mapping[str, str]
    table: Any | None = None
    dicts: Sequence[Mapping[str, Any]] | None = None
    whole: str | None = None
    format: str | None = None
    key_format: str | None = None
    unwrapped: bool = field(default=False)

    def column(self, name: str, use: str) -> Any:
        """Return a column.

        Raises
        ------
        UsageError
            There is none of that name.
        """
        if name not in self.columns:
            raise UsageError(
                f"there is no column {name!r} to take the {use} from",
                hint=f"the columns are: {', '.join(self.columns) or 'none'}",
            )
        return self.columns[name]

    def rows(self, name: str) -> Rows:
        """Return what values in the format ``name`` are made of."""
        if self.dicts is not None:
            drop = set(self.columns) - set(self.values)
            dicts = (
                [{k: v for k, v in row.items() if k not in drop} for row in self.dicts]
                if drop
                else self.dicts
            )
            return Rows(self.count, list(self.values), dicts=[dict(row) for row in dicts])
        assert self.table is not None  # noqa: S101
        apart = self.whole is not None and name in _WHOLE_IN
        columns = [c for c in self.values if not (apart and c == self.whole)]
        table = self.table.select(columns).rename_columns([self.values[c] for c in columns])
        whole = self.table.select([self.whole]) if apart else None
        if not columns:
            table = None
        return Rows(self.count, [self.values[c] for c in columns], table=table, whole=whole)


def listed(column: Any) -> list[Any]:
    """Return a column as Python values."""
    return column if isinstance(column, list) else list(column.to_pylist())


def given(data: Any) -> Given:
    """Read ``data``.

    Raises
    ------
    UsageError
        It is nothing that has rows, or a column cannot be understood.
    """
    if isinstance(data, Mapping):
        return _dicts([data])
    if isinstance(data, (list, tuple)):
        return _dicts(data)
    table = _table(data)
    names = table.column_names
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise UsageError(f"columns of one name: {', '.join(twice)}", hint="rename them")
    of = {f.name: f.metadata[FIELD].decode() for f in table.schema if f.metadata and FIELD in f.metadata}
    sampled = hasattr(data, "value_columns") and hasattr(data, "key_format")
    values = list(data.value_columns) if sampled else _value_columns(names, of)
    fields = {name: of.get(name, name) for name in values}
    if len(set(fields.values())) < len(fields):
        raise UsageError("two columns show one field", hint="leave one of them away")
    whole = None
    if of or (sampled and data.format not in {"text", "bytes"}):
        whole = next((n for n in values if n not in of and n.rstrip("_") == "value"), None)
    return Given(
        table.num_rows,
        dict(zip(names, table.columns, strict=True)),
        fields,
        table=table,
        whole=whole,
        format=data.format if sampled else None,
        key_format=data.key_format if sampled else None,
        unwrapped=bool(sampled and data.options.unwrap),
    )


def _value_columns(names: list[str], of: Mapping[str, str]) -> list[str]:
    """Tell which columns belong to the value: in a table made of a sample, not those about records."""
    if not {"_key", "_offset"} <= set(names):
        return [n for n in names if n not in METADATA]
    first = min(names.index(n) for n in METADATA if n in names)
    return [n for i, n in enumerate(names) if n in of or (n not in METADATA and (i < first or n[:1] != "_"))]


def _dicts(data: Sequence[Any]) -> Given:
    for row, record in enumerate(data):
        if not isinstance(record, Mapping):
            raise UsageError(
                f"row {row} is no dict but {type(record).__name__}",
                hint="give a list of dicts, or a DataFrame",
            )
        if any(not isinstance(name, str) for name in record):
            raise UsageError(f"row {row} has a field name that is no text", hint="name fields with text")
    names = list(dict.fromkeys(name for record in data for name in record))
    columns = {name: [record.get(name) for record in data] for name in names}
    values = {name: name for name in _value_columns(names, {})}
    return Given(len(data), columns, values, dicts=data)


def _table(data: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    try:
        if isinstance(data, pa.Table):
            return data
        if isinstance(data, pa.RecordBatch):
            return pa.Table.from_batches([data])
        if type(data).__module__.split(".")[0] == "pandas" and hasattr(data, "columns"):
            if any(name is not None for name in data.index.names):
                data = data.reset_index()
            data = data.set_axis([str(name) for name in data.columns], axis=1)
            if data.columns.has_duplicates:
                twice = sorted(set(data.columns[data.columns.duplicated()]))
                raise UsageError(f"columns of one name: {', '.join(twice)}", hint="rename them")
            return pa.Table.from_pandas(data, preserve_index=False).replace_schema_metadata(None)
        if hasattr(data, "__arrow_c_stream__"):
            return pa.table(data)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise UsageError(
            f"the data cannot be understood as columns: {'; '.join(map(str, error.args))}",
            hint="give a column values of one type, or write a list of dicts",
        ) from None
    raise UsageError(
        f"no rows can be made of {type(data).__name__}",
        hint="give a DataFrame, a pyarrow.Table, a sample, or a list of dicts",
    )
