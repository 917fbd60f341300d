"""A DataFrame as a table in a session: read once, then as fixed as any bounded table.

On a cluster that shares this machine's disk it is a file of JSON lines under the filesystem connector,
with any type. On others its text travels in the statement, in one literal that Flink splits again:
rows of VALUES take Flink minutes to plan, and a thousand of them break its generated code.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from sdp_kernel.errors import UsageError
from sdp_kernel.flink import frame_types
from sdp_kernel.flink.script import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.flink.session import Session

#: The comment by which a declaration is known to be a frame's.
MARK = "a DataFrame of the kernel"
#: Rows of a keyed frame are in force from this moment on.
SINCE = "_since"
_LARGEST_TEXT = 200_000
_ROW, _FIELD, _NULL = "\ue000", "\ue001", "\ue002"
_KEPT_S = 86_400
#: The literal of a frame that travels in its declaration, as plans write it.
_LITERAL = re.compile(rf"'(?:[^']|'')*{_FIELD}(?:[^']|'')+'")
_FILE_NAME = re.compile(r"[^A-Za-z0-9_]+")
_RISEN = {"TIMESTAMP(3)": "TIMESTAMP '1970-01-01 00:00:00.000'", "TIMESTAMP_LTZ(3)": "TO_TIMESTAMP_LTZ(0, 3)"}


@dataclass(frozen=True)
class FrameTable:
    """A frame that is a table now. ``columns`` are names with their Flink types."""

    name: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    file: Path | None = None


def declare(
    session: Session,
    name: str,
    frame: Any,
    directory: Path,
    *,
    shared_disk: bool,
    key: Sequence[str] = (),
    as_of: str = "TIMESTAMP_LTZ(3)",
) -> FrameTable:
    """Make a frame a temporary table of the session; one made before by this name is replaced.

    Parameters
    ----------
    frame
        A pandas or polars DataFrame, an Arrow table, a Query, or anything with ``__arrow_c_stream__``.
        The index of a pandas frame is left out, as DuckDB does; NaN in pandas is null, in Arrow NaN.
    directory
        Where files of frames are kept.
    shared_disk
        Whether the cluster reads this machine's files: the embedded stack does.
    key
        Columns that tell rows apart: the table then serves in ``JOIN … FOR SYSTEM_TIME AS OF``, and has
        one more column, ``_since``.
    as_of
        The type of the time that such a join is made as of: TIMESTAMP(3) or TIMESTAMP_LTZ(3).

    Raises
    ------
    UsageError
        It is no frame; a column has a type that Flink lacks; the key is not unique; another temporary
        table or view has this name; or it is too large for a cluster that does not share this disk.
    """
    table = to_arrow(name, frame)
    columns = tuple((field.name, frame_types.sql_type(field.type, field.name)) for field in table.schema)
    _check_name(session, name)
    file = None
    if shared_disk:
        check_key(name, table, key, as_of)
        file = _write(table, name, directory)
        create = file_ddl(name, columns, file.as_uri(), key=key, as_of=as_of)
    elif key:
        raise UsageError(
            f"{name} cannot have a key here: the cluster does not share this machine's disk",
            hint="join it without FOR SYSTEM_TIME AS OF, or write it to a topic with a key",
        )
    else:
        create = text_ddl(name, table, columns)
    drops = "".join(f"DROP TEMPORARY {kind} IF EXISTS {identifier(name)};\n" for kind in ("TABLE", "VIEW"))
    if session.execute((drops + create).replace("${", "$${")).state == "interrupted":
        raise KeyboardInterrupt
    return FrameTable(name, table.num_rows, columns, file)


def to_arrow(name: str, frame: Any) -> pa.Table:
    """Read a frame as an Arrow table.

    Raises
    ------
    UsageError
        It is none, its columns have no names of their own, or a column mixes types.
    """
    try:
        if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
            table = pa.Table.from_pandas(frame, preserve_index=False)
        elif hasattr(frame, "__arrow_c_stream__"):
            table = pa.table(frame)
        elif isinstance(frame, pa.RecordBatch):
            table = pa.Table.from_batches([frame])
        else:
            raise UsageError(
                f"{name} is a {type(frame).__name__}, not a frame",
                hint="pass a DataFrame of pandas or polars, an Arrow table, or the result of a cell",
            )
    except (pa.ArrowException, TypeError) as error:
        raise UsageError(
            f"{name} cannot be read as a table: {'; '.join(str(part) for part in error.args)}",
            hint="give the column one type, such as .astype(str)",
        ) from None
    names = table.column_names
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice or not names or "" in names:
        what = (
            f"two columns named {twice[0]}" if twice else "a column without a name" if names else "no columns"
        )
        raise UsageError(f"{name} has {what}", hint="rename its columns")
    return table


def file_ddl(
    name: str, columns: Iterable[tuple[str, str]], uri: str, *, key: Sequence[str] = (), as_of: str = ""
) -> str:
    """Return the declaration of a frame that is a file of JSON lines."""
    parts = [f"{identifier(column)} {type_}" for column, type_ in columns]
    if key:
        parts += [
            f"PRIMARY KEY ({', '.join(map(identifier, key))}) NOT ENFORCED",
            f"{identifier(SINCE)} AS {_RISEN[as_of]}",
            f"WATERMARK FOR {identifier(SINCE)} AS {identifier(SINCE)}",
        ]
    listed = ",\n  ".join(parts)
    return (
        f"CREATE TEMPORARY TABLE {identifier(name)} (\n  {listed}\n) COMMENT '{MARK}'\n"
        f"WITH ('connector' = 'filesystem', 'path' = '{_quoted(uri)}', 'format' = 'json')"
    )


def text_ddl(name: str, table: pa.Table, columns: Sequence[tuple[str, str]]) -> str:
    """Return the declaration of a frame whose values travel in it.

    Raises
    ------
    UsageError
        It is too large, or has nested columns.
    """
    nested = next((field.name for field in table.schema if pa.types.is_nested(field.type)), None)
    if nested is not None:
        raise UsageError(
            f"{name}'s column {nested} is nested, and the cluster does not share this machine's disk",
            hint="take it apart into columns, or turn it into JSON text",
        )
    selected = ", ".join(
        f"{_cast(f'f[{number}]', type_)} AS {identifier(column)}"
        for number, (column, type_) in enumerate(columns, start=1)
    )
    head = f"CREATE TEMPORARY VIEW {identifier(name)} COMMENT '{MARK}' AS"
    opening = f"{head}\nSELECT {selected}\nFROM "
    if not table.num_rows:
        return f"{opening}(VALUES (ARRAY[''], FALSE)) AS t (f, kept) WHERE kept"
    lines = [
        _FIELD.join([*fields, "."])
        for fields in zip(*(_flat(table[column], column, type_) for column, type_ in columns), strict=True)
    ]
    text = _ROW.join(lines)
    if len(text.encode()) > _LARGEST_TEXT:
        raise UsageError(
            f"{name} is too large to travel in a statement ({len(text.encode()) / 1e6:.1f} MB; "
            f"{_LARGEST_TEXT / 1e6:.1f} MB fit), and the cluster does not share this machine's disk",
            hint="leave out rows and columns, or write it to a topic with %produce",
        )
    return (  # names and values are quoted
        f"{opening}(SELECT SPLIT(r, '{_FIELD}') AS f FROM (SELECT '{_quoted(text)}' AS d)\n"  # noqa: S608
        f"  CROSS JOIN UNNEST(SPLIT(d, '{_ROW}')) AS t (r))"
    )


def _cast(text: str, type_: str) -> str:
    value = f"NULLIF({text}, '{_NULL}')"
    if type_ == "STRING":
        return value
    if type_ == "BYTES":
        return f"UNHEX({value})"
    if type_.startswith("TIMESTAMP_LTZ"):
        return f"TO_TIMESTAMP_LTZ(CAST({value} AS BIGINT), {type_[14:-1]})"
    return f"CAST({value} AS {type_})"


def _flat(column: pa.ChunkedArray, name: str, type_: str) -> list[str]:
    """Write a column's values for :func:`_cast`."""
    if type_ == "BYTES":
        values = [None if value is None else value.hex() for value in column.to_pylist()]
    elif type_.startswith("TIMESTAMP_LTZ"):
        values = column.cast(pa.int64()).to_pylist()
    else:
        values = frame_types.texts(column, name)
    if type_ == "STRING" and any(
        mark in value for value in values if value is not None for mark in (_ROW, _FIELD, _NULL)
    ):
        raise UsageError(
            f"the column {name} has characters from U+E000 to U+E002, which separate values on the way",
            hint="replace them; they are for private use",
        )
    return [
        _NULL if value is None else repr(value) if isinstance(value, float) else str(value)
        for value in values
    ]


def without_values(plan: str) -> str:
    """Return a plan's text with frames named in place of their values."""
    return _LITERAL.sub(f"'{MARK}'", plan)


def check_key(name: str, table: pa.Table, key: Sequence[str], as_of: str) -> None:
    """Refuse a key that does not tell the rows of a frame apart.

    Raises
    ------
    UsageError
        A column is missing, a value null, or two rows have the same key.
    """
    if not key:
        return
    missing = [column for column in key if column not in table.column_names]
    if missing or SINCE in table.column_names or as_of not in _RISEN:
        reason = f"has no column {missing[0]}" if missing else f"has a column {SINCE} of its own"
        if as_of not in _RISEN:
            reason = f"cannot be joined as of a {as_of}"
        raise UsageError(f"{name} {reason}", hint=f"its columns: {', '.join(table.column_names)}")
    part = table.select(list(key))
    if any(column.null_count for column in part.columns):
        raise UsageError(f"{name} has nulls in its key {', '.join(key)}", hint="leave these rows out")
    if part.group_by(list(key)).aggregate([]).num_rows < table.num_rows:
        raise UsageError(f"{name} has rows with the same {', '.join(key)}", hint="keep one of each")


def is_frame(entry: Entry) -> bool:
    """Whether a statement of the ledger declares a frame: a query on it lives only in this kernel."""
    return entry.kind in {"CREATE TABLE", "CREATE VIEW"} and f"COMMENT '{MARK}'" in entry.text


def _check_name(session: Session, name: str) -> None:
    """Refuse to replace a temporary table or view that is no frame."""
    standing: Entry | None = None
    for entry in session.ledger.entries:
        if entry.temporary and entry.target == name and entry.kind.endswith((" TABLE", " VIEW")):
            standing = (
                None if entry.kind.startswith("DROP") else entry if "CREATE" in entry.kind else standing
            )
    if standing is not None and not is_frame(standing):
        what = standing.kind.split()[-1].lower()
        raise UsageError(
            f"there is a temporary {what} {name} already",
            hint=f"give the frame another name: --with NAME={name}",
        )


def _write(table: pa.Table, name: str, directory: Path) -> Path:
    """Write a frame as JSON lines, in a file named by its content; returns the file.

    Files of the same name that are a day old are taken away.
    """
    columns = [frame_types.texts(table[column], column) for column in table.column_names]
    names = table.column_names
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    content = msgspec.json.Encoder().encode_lines(rows)
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    directory.mkdir(parents=True, exist_ok=True)
    stem = f"frame-{_FILE_NAME.sub('_', name)}"  # Flink reads no file whose name starts with _ or a dot
    file = directory / f"{stem}-{digest}.json"
    for old in directory.glob(f"{stem}-*.json"):
        if old != file and time.time() - old.stat().st_mtime > _KEPT_S:
            old.unlink(missing_ok=True)
    part = directory / f".{file.name}.{os.getpid()}"
    part.write_bytes(content)
    part.replace(file)
    return file.resolve()


def _quoted(text: str) -> str:
    return text.replace("'", "''")
