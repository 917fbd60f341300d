"""The difference of two tables as text, as HTML and as plain values. Jinja escapes every value."""

from __future__ import annotations

import base64
import datetime as dt
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jinja2 import Environment

if TYPE_CHECKING:
    import pyarrow as pa

    from sdp_kernel.repository.tables import TableDiff

_MOST_CHARACTERS = 60
_environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
_HTML = _environment.from_string(
    """<style>
.sdp-diff{font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--jp-ui-font-color1,#1a1a1a)}
.sdp-diff .sdp-rows th,.sdp-diff .sdp-rows td{text-align:left}
</style><div class="sdp-diff">
<div><b>{{ diff.table }}</b> {{ verdict }}</div>
{% for line in notes %}<div>{{ line }}</div>{% endfor %}
{% for title, names, rows in parts %}<div>{{ title }}</div>
<table class="sdp-rows"><thead><tr>{% for name in names %}<th>{{ name }}</th>{% endfor %}</tr></thead><tbody>
{% for row in rows %}<tr>{% for value in row %}<td>{{ value }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table>
{% endfor %}</div>"""
)


def text(diff: TableDiff) -> str:
    """Show a difference as text."""
    lines = [f"{diff.table}: {_verdict(diff)}", *(f"  {note}" for note in _notes(diff))]
    for title, names, rows in _parts(diff):
        lines.append(f"  {title}")
        table = [names, *rows]
        widths = [max(len(row[at]) for row in table) for at in range(len(names))]
        lines += [
            "    " + "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ]
    return "\n".join(lines)


def html(diff: TableDiff) -> str:
    """Show a difference as HTML."""
    return _HTML.render(diff=diff, verdict=_verdict(diff), notes=_notes(diff), parts=_parts(diff))


def plain(diff: TableDiff) -> dict[str, Any]:
    """Return a difference as values that JSON has."""
    changed = [
        {"old": old, "new": new}
        for old, new in zip(diff.changed.old.to_pylist(), diff.changed.new.to_pylist(), strict=True)
    ]
    found = {
        "table": diff.table,
        "differs": diff.differs,
        "key": list(diff.key),
        "rows": {"old": diff.rows[0], "new": diff.rows[1], "same": diff.same},
        "only_old": {"count": diff.only_old, "first": diff.first_old.to_pylist()},
        "only_new": {"count": diff.only_new, "first": diff.first_new.to_pylist()},
        "changed": {"count": diff.changed.count, "columns": dict(diff.changed.columns), "first": changed},
        "columns_only_old": list(diff.columns_old),
        "columns_only_new": list(diff.columns_new),
        "types": {name: {"old": old, "new": new} for name, (old, new) in diff.types.items()},
        "notes": list(diff.notes),
    }
    return dict(json.loads(json.dumps(found, default=_as_json)))


def _as_json(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    return str(value)


def _verdict(diff: TableDiff) -> str:
    old, new = diff.labels
    if not diff.differs:
        return f"the same, {_count(diff.same, 'row')}"
    counts = [
        (diff.changed.count, "changed"),
        (diff.only_old, f"only in {old}"),
        (diff.only_new, f"only in {new}"),
    ]
    said = ", ".join(f"{count:,} {words}" for count, words in counts if count)
    others = "other columns" if diff.columns_old or diff.columns_new else "other types"
    return f"{said or others}; {_count(diff.same, 'row')} the same"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _notes(diff: TableDiff) -> list[str]:
    found = list(diff.notes)
    for label, names in zip(diff.labels, (diff.columns_old, diff.columns_new), strict=True):
        if names:
            found.append(f"columns only in {label}: {', '.join(names)}")
    found += [f"the type of {name}: {' → '.join(types)}" for name, types in diff.types.items()]
    if diff.changed.columns:
        each = ", ".join(f"{name} in {count:,}" for name, count in diff.changed.columns.items())
        found.append(f"values changed: {each}")
    return found


def _parts(diff: TableDiff) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return titles, columns and rows of what is shown."""
    parts = []
    if diff.changed.count:
        names = [*diff.key, *(name for name in diff.changed.columns if name not in diff.key)]
        rows = []
        for old, new in zip(diff.changed.old.to_pylist(), diff.changed.new.to_pylist(), strict=True):
            rows.append([
                _value(old[name])
                if name in diff.key or old[name] == new[name]
                else f"{_value(old[name])} → {_value(new[name])}"
                for name in names
            ])  # fmt: skip
        parts.append((_title("changed", len(rows), diff.changed.count), names, rows))
    for label, count, table in zip(
        diff.labels, (diff.only_old, diff.only_new), (diff.first_old, diff.first_new), strict=True
    ):
        if count:
            parts.append(
                (_title(f"only in {label}", table.num_rows, count), table.column_names, _rows(table))
            )
    return parts


def _title(what: str, shown: int, count: int) -> str:
    return f"{what}:" if shown == count else f"{what}, the first {shown} of {count:,}:"


def _rows(table: pa.Table) -> list[list[str]]:
    return [[_value(value) for value in row.values()] for row in table.to_pylist()]


def _value(value: object) -> str:
    """Write a value on one line; control characters, which a terminal obeys, are shown as escapes."""
    if value is None:
        return "NULL"
    if isinstance(value, (dict, list, tuple)):
        written = json.dumps(value, default=_as_json, ensure_ascii=False)
    elif isinstance(value, bytes):
        written = "0x" + value.hex()
    else:
        written = format(value, "f") if isinstance(value, Decimal) else str(value)
    written = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in written)
    return written if len(written) <= _MOST_CHARACTERS else written[: _MOST_CHARACTERS - 1] + "…"
