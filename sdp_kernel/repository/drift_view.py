"""A drift as text and as HTML. Jinja escapes every value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment

if TYPE_CHECKING:
    from sdp_kernel.repository.drift import Drift

_environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
_HTML = _environment.from_string(
    """<style>
.sdp-drift{font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--jp-ui-font-color1,#1a1a1a)}
.sdp-drift pre{font:12px/1.5 var(--jp-code-font-family,ui-monospace,monospace);
margin:2px 0 6px;padding:6px 10px;
border:1px solid var(--jp-border-color2,#ddd);border-radius:4px;overflow:auto}
.sdp-drift .sdp-edges td,.sdp-drift .sdp-edges th{text-align:left;padding:2px 12px 2px 0;vertical-align:top}
.sdp-drift .dim{color:var(--jp-ui-font-color2,#616161)}
.sdp-drift .changed,.sdp-drift .only{color:var(--jp-warn-color0,#b45f06);font-weight:600}
.sdp-drift .same{color:var(--jp-success-color1,#2e7d32)}
</style><div class="sdp-drift">
<div class="dim">repository at {{ drift.commit[:10] }}; {{ drift.place }}</div>
<table class="sdp-edges"><tr><th>job</th><th>cell → repository</th><th>repository → cluster</th></tr>
{% for job in drift.jobs %}<tr><td>{{ job.job }}</td>
{% for edge in (job.cell, job.cluster) %}<td><span class="{{ edge.state }}">{{ edge.state }}</span>
<span class="dim">{{ edge.why }}</span>{% if edge.diff %}<details><summary>what differs</summary>
<pre>{{ edge.diff }}</pre></details>{% endif %}</td>{% endfor %}</tr>{% endfor %}
</table>
{% if drift.others %}<div class="dim">Also on the cluster, and in no repository:
{% for name, id in drift.others %}{{ name }} ({{ id }}){{ ", " if not loop.last }}{% endfor %}</div>
{% endif %}
</div>"""
)


def html(drift: Drift) -> str:
    """Show a drift as HTML."""
    return _HTML.render(drift=drift)


def text(drift: Drift) -> str:
    """Show a drift as text: a table, and below it what differs."""
    lines = [f"repository at {drift.commit[:10]}; {drift.place}"]
    rows = [
        ("job", "cell → repository", "repository → cluster"),
        *((j.job, j.cell.state, j.cluster.state) for j in drift.jobs),
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    lines += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    for job in drift.jobs:
        for edge in (job.cell, job.cluster):
            if edge.state != "same":
                lines.append(f"{job.job}: {edge.why}")
                lines += [f"    {line}" for line in edge.diff.splitlines()]
    if not drift.jobs:
        lines.append("the repository has no job")
    lines += [f"on the cluster, and in no repository: {name} ({id_})" for name, id_ in drift.others]
    return "\n".join(lines)
