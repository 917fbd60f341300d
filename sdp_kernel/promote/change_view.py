"""The change of a job as text and as HTML: its statements, its operators, its state. Jinja escapes values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdp_kernel.promote.change import Change, Part
    from sdp_kernel.repository.state import Compatibility

_HTML = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    """<div>Changes the job of <code>{{ change.base[:10] }}</code>, promoted from {{ change.origin }}.</div>
<div>State: <span class="{{ tone }}">{{ change.state.verdict }}</span> {{ change.state.reason }}.
{% if change.state.upgrade_mode %}<span class="dim">upgrade mode {{ change.state.upgrade_mode }}
{%- if change.state.allow_non_restored_state %}, allow_non_restored_state{% endif %}</span>{% endif %}
<ul>{% for one in change.state.operators if one.reason %}<li>{{ one.operator }}: {{ one.becomes }}
<span class="dim">{{ one.reason }}</span></li>{% endfor %}
{% for note in notes %}<li class="dim">{{ note }}</li>{% endfor %}</ul></div>
{% for title, parts in (("SQL", sql), ("plan", plan)) if parts %}
<details><summary>{{ title }}: {{ parts|length }} changed</summary>
<pre>{% for part in parts %}{{ part.status }} {{ part.name }}
{% for line in part.diff.splitlines() %}<span class="{{ 'add' if line.startswith('+') else 'del' if
line.startswith('-') else 'dim' }}">{{ line }}</span>
{% endfor %}{% endfor %}</pre></details>{% endfor %}"""
)
_TONES = {"same": "new", "compatible": "changed", "incompatible": "error", "unknown": "warning"}


def _differing(parts: tuple[Part, ...]) -> list[Part]:
    return [part for part in parts if part.status != "same"]


def html(change: Change | None) -> Markup:
    """Show a change as HTML; nothing for a new job, or where nothing that runs changes."""
    if change is None or not _matters(change):
        return Markup("")
    sql, plan = _differing(change.statements), _differing(change.operators)
    tone = _TONES[change.state.verdict]
    return Markup(_HTML.render(change=change, sql=sql, plan=plan, tone=tone, notes=_notes(change.state)))  # noqa: S704 - rendered with escapes


def lines(change: Change | None) -> Iterator[str]:
    """Show a change as lines of text."""
    if change is None or not _matters(change):
        return
    state = change.state
    yield f"Changes the job of {change.base[:10]}, promoted from {change.origin}"
    yield f"state   {state.verdict}: {state.reason}"
    if state.upgrade_mode:
        more = ", allow_non_restored_state = true" if state.allow_non_restored_state else ""
        yield f'        upgrade_mode = "{state.upgrade_mode}"{more}'
    for one in state.operators:
        if one.reason:
            yield f"        {one.operator} is {one.becomes}: {one.reason}"
    yield from (f"        {note}" for note in _notes(state))
    for title, parts in (("SQL", change.statements), ("plan", change.operators)):
        for part in _differing(parts):
            yield f"{title:<8}{part.status} {part.name}"
            yield from (f"        {line}" for line in part.diff.splitlines())


def _notes(state: Compatibility) -> tuple[str, ...]:
    """Return what is not said yet: where there is no verdict, the first note is the reason."""
    return state.notes[1:] if state.verdict == "unknown" else state.notes


def _matters(change: Change) -> bool:
    return change.state.verdict == "unknown" or bool(_differing(change.statements))
