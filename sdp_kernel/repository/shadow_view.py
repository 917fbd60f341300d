"""A shadow run as text, as HTML and as plain values. Jinja escapes every value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import Environment

if TYPE_CHECKING:
    from sdp_kernel.repository.shadow import Run, Shadow

_environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
_HTML = _environment.from_string(
    """<div style="font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif)">
<div><b>{{ title }}</b></div>
{% for line in lines %}<div>{{ line }}</div>{% endfor %}
{% for table in tables %}{{ table | safe }}{% endfor %}</div>"""
)
_STEP = 1024


def text(found: Shadow) -> str:
    """Show a shadow run as text."""
    return "\n".join([_title(found), *_lines(found), *(table.to_text() for table in found.tables)])


def html(found: Shadow) -> str:
    """Show a shadow run as HTML."""
    tables = [table.to_html() for table in found.tables]
    return _HTML.render(title=_title(found), lines=_lines(found), tables=tables)


def plain(found: Shadow) -> dict[str, Any]:
    """Return a shadow run as values that JSON has."""
    return {
        "job": found.job,
        "differs": found.differs,
        "same_text": found.same_text,
        "runs": {run.label: _run_plain(run) for run in found.runs},
        "offsets": {
            topic: {str(partition): list(span) for partition, span in spans.items()}
            for topic, spans in found.offsets.items()
        },
        "tables": [table.to_json() for table in found.tables],
        "notes": list(found.notes),
    }


def _run_plain(run: Run) -> dict[str, Any]:
    return {
        "version": run.called,
        "job_id": run.job_id,
        "seconds": run.seconds,
        "records": run.records,
        "records_per_second": None if run.records is None else round(run.rate, 1),
        "state_bytes": run.state_bytes,
    }


def _title(found: Shadow) -> str:
    verdict = "differ" if found.differs else "give the same"
    old, new = (run.called for run in found.runs)
    return f"{found.job}: {old} and {new} {verdict}"


def _lines(found: Shadow) -> list[str]:
    lines = [_run(run) for run in found.runs]
    for topic, spans in found.offsets.items():
        count = sum(end - start for start, end in spans.values())
        lines.append(f"{topic}: {count:,} records of {_partitions(len(spans))}")
    if found.same_text:
        lines.append(
            "both versions are the same, and yet what they write differs: the job is not deterministic "
            "(time functions, random values, late records, ties in an order)"
            if found.differs
            else "both versions are the same text"
        )
    return [*lines, *found.notes]


def _partitions(count: int) -> str:
    return f"{count} partition" + ("" if count == 1 else "s")


def _run(run: Run) -> str:
    said = f"{run.label}: {run.called}, "
    said += "" if run.records is None else f"{run.records:,} records "
    said += f"in {run.seconds:.1f} s" + ("" if run.records is None else f" ({run.rate:,.0f}/s)")
    return said if run.state_bytes is None else f"{said}, state {_bytes(run.state_bytes)}"


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < _STEP:
            return f"{size:,.0f} {unit}"
        size /= _STEP
    return f"{size:,.1f} GiB"
