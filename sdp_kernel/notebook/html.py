"""HTML for panels and tables. Every value is escaped here and nowhere else.

Colours come from JupyterLab's own variables with plain fallbacks, so that a panel follows the
theme, and still reads in a saved file, in VS Code and in nbconvert.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_TEXT = 200
_BLOCKS = " ▁▂▃▄▅▆▇█"

_PICTURES = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys([*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD),
}

STYLE = """<style>
.sdp{font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--jp-ui-font-color1,#1a1a1a);max-width:100%}
.sdp-head{display:flex;flex-wrap:wrap;gap:4px 14px;align-items:baseline;margin:2px 0 6px}
.sdp-title{font-weight:600}
.sdp-fact{color:var(--jp-ui-font-color2,#616161);font-variant-numeric:tabular-nums}
.sdp-fact b{color:var(--jp-ui-font-color1,#1a1a1a);font-weight:600}
.sdp-chip{border-radius:9px;padding:0 8px;font-size:12px;font-weight:600;border:1px solid currentColor}
.sdp-run{color:var(--jp-info-color1,#1976d2)}
.sdp-good{color:var(--jp-success-color1,#2e7d32)}
.sdp-warn{color:var(--jp-warn-color0,#b45f06)}
.sdp-bad{color:var(--jp-error-color1,#c62828)}
.sdp-scroll{margin:0 0 6px;overflow:auto;max-height:420px;border:1px solid var(--jp-border-color2,#ddd);border-radius:4px;width:fit-content;max-width:100%}
.sdp .sdp-scroll table{border-collapse:collapse;margin:0;font-size:12.5px}
.sdp .sdp-scroll thead th{position:sticky;top:0;background:var(--jp-layout-color2,#f3f3f3);text-align:left;font-weight:600;padding:3px 10px;white-space:nowrap;vertical-align:bottom}
.sdp .sdp-scroll thead th small{display:block;font-weight:400;color:var(--jp-ui-font-color2,#757575)}
.sdp .sdp-scroll td{padding:2px 10px;text-align:left;white-space:nowrap;border-top:1px solid var(--jp-border-color3,#eee);font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:12px}
.sdp .sdp-scroll td.sdp-n,.sdp .sdp-scroll th.sdp-n{text-align:right;font-variant-numeric:tabular-nums}
.sdp .sdp-scroll td.sdp-null{color:var(--jp-ui-font-color3,#9e9e9e);font-style:italic}
.sdp-note{color:var(--jp-ui-font-color2,#757575);font-size:12px;margin:4px 0 0}
.sdp pre{margin:0;padding:6px 10px;font:12px/1.45 var(--jp-code-font-family,ui-monospace,monospace);white-space:pre-wrap;background:transparent}
.sdp details{margin:2px 0}.sdp summary{cursor:pointer}
</style>"""


def number(value: float) -> str:
    """Write a count with thousands separated."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.1f}"  # noqa: PLR2004


def cell_text(value: Any) -> str:
    """Write one value as text, cut at 200 characters; not escaped for HTML.

    Control characters, which a terminal would obey, and marks that turn the direction of text are
    shown as pictures.
    """
    if isinstance(value, bytes):
        text = "0x" + value[: MAX_TEXT // 2].hex() + ("…" if len(value) > MAX_TEXT // 2 else "")
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, dt.datetime):
        text = value.isoformat(sep=" ").replace("+00:00", "Z")
    elif isinstance(value, (dict, list, tuple)):
        text = json.dumps(value, default=str, ensure_ascii=False)
    elif isinstance(value, Decimal):
        text = format(value, "f")
    else:
        text = str(value)
    text = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
    return text.translate(_PICTURES)


def _cell(value: Any, *, right: bool) -> str:
    if value is None:
        return '<td class="sdp-null">null</td>'
    return f"<td{' class=sdp-n' if right else ''}>{escape(cell_text(value))}</td>"


def is_number(type_: pa.DataType) -> bool:
    """Whether values of the type are set flush right."""
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def table(data: pa.Table, types: Sequence[str] | None = None) -> str:
    """Draw an Arrow table; ``types`` are shown under the column names."""
    types = types if types is not None else [str(field.type) for field in data.schema]
    right = [is_number(field.type) for field in data.schema]
    head = "".join(
        f"<th{' class=sdp-n' if flush else ''}>{escape(name)} <small>{escape(type_)}</small></th>"
        for name, type_, flush in zip(data.column_names, types, right, strict=True)
    )
    columns = [column.to_pylist() for column in data.columns]
    body = "".join(
        "<tr>" + "".join(_cell(v, right=r) for v, r in zip(row, right, strict=True)) + "</tr>"
        for row in zip(*columns, strict=True)
    )
    return f'<div class="sdp-scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def grid(header: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[bool] = ()) -> str:
    """Draw rows of plain values under a header."""
    flush = [*right, *([False] * (len(header) - len(right)))]
    head = "".join(
        f"<th{' class=sdp-n' if r else ''}>{escape(h)}</th>" for h, r in zip(header, flush, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(_cell("" if v is None else v, right=r) for v, r in zip(row, flush, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="sdp-scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def spark(counts: Sequence[int]) -> str:
    """Write counts as a line of blocks: text, so that it shows wherever text does."""
    most = max(counts, default=0)
    return "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // most)] if most else " " for count in counts)


def text_grid(header: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[bool] = ()) -> str:
    """Write rows of plain values as aligned text."""
    flush = [*right, *([False] * (len(header) - len(right)))]
    lines = [[cell_text("" if v is None else v).replace("\n", "⏎") for v in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if r else cell.ljust(width)
            for cell, width, r in zip(line, widths, flush, strict=True)
        ).rstrip()
        for line in lines
    )


def details(summary: str, *body: str) -> str:
    """Fold parts, HTML already, under a line of text."""
    return f"<details><summary>{escape(summary)}</summary>{''.join(body)}</details>"


def chip(text: str, tone: str) -> str:
    """Draw a state; ``tone`` is run, good, warn or bad."""
    return f'<span class="sdp-chip sdp-{tone}">{escape(text)}</span>'


def fact(value: str, unit: str = "") -> str:
    """Draw a figure with its unit."""
    return f'<span class="sdp-fact"><b>{escape(value)}</b> {escape(unit)}</span>'


def panel(head: Iterable[str], *body: str) -> str:
    """Put a head line and parts, all HTML already, into one panel."""
    return f'{STYLE}<div class="sdp"><div class="sdp-head">{" ".join(head)}</div>{"".join(body)}</div>'


def title(text: str) -> str:
    """Draw a panel's title."""
    return f'<span class="sdp-title">{escape(text)}</span>'


def note(text: str) -> str:
    """Draw a line of explanation."""
    return f'<div class="sdp-note">{escape(text)}</div>' if text else ""


def pre(text: str) -> str:
    """Draw text as it is."""
    return f'<div class="sdp-scroll"><pre>{escape(text)}</pre></div>'
