"""A plan and its outcome as text and as HTML. Jinja escapes every value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment

if TYPE_CHECKING:
    from sdp_kernel.promote.plan import Applied, Plan

_environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)

_PLAN = _environment.from_string(
    """<style>
.sdp-plan{font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--jp-ui-font-color1,#1a1a1a)}
.sdp-plan code,.sdp-plan pre{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:12px}
.sdp-plan h4{margin:2px 0 4px;font-size:14px}
.sdp-plan .dim{color:var(--jp-ui-font-color2,#616161)}
.sdp-plan .error{color:var(--jp-error-color1,#c62828);font-weight:600}
.sdp-plan .warning{color:var(--jp-warn-color0,#b45f06);font-weight:600}
.sdp-plan .new,.sdp-plan .add{color:var(--jp-success-color1,#2e7d32)}
.sdp-plan .changed{color:var(--jp-warn-color0,#b45f06)}
.sdp-plan .del{color:var(--jp-error-color1,#c62828)}
.sdp-plan pre{margin:2px 0 6px;padding:6px 10px;border:1px solid var(--jp-border-color2,#ddd);border-radius:4px;overflow:auto;max-height:320px;background:transparent}
.sdp-plan ul{margin:2px 0 6px;padding-left:20px}
</style><div class="sdp-plan">
<h4>Job {{ plan.job }} <span class="dim">→ branch {{ plan.branch }} of {{ plan.repository.name }}</span></h4>
<div class="dim">{{ evidence }}</div>
{% if plan.topic %}<div>Output topic <code>{{ plan.topic.name }}</code>
{% for key, value in plan.topic.config.items() %}, {{ key }} {{ value }}{% endfor %}</div>{% endif %}
{% if plan.findings %}<ul>{% for f in plan.findings %}
<li><span class="{{ f.severity }}">{{ f.code }}</span> {{ f.message }} <span class="dim">— {{ f.fix }}</span></li>
{% endfor %}</ul>{% endif %}
{% for file in plan.files %}<details><summary><code>{{ file.path }}</code> <span class="{{ file.status }}">{{ file.status }}</span></summary>
<pre>{% for line in file.diff.splitlines() %}<span class="{{ 'add' if line.startswith('+') else 'del' if line.startswith('-') else 'dim' }}">{{ line }}</span>
{% endfor %}</pre></details>{% endfor %}
</div>"""
)

_APPLIED = _environment.from_string(
    """<div style="font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif)">
{% for line in lines %}<div>{{ line }}</div>{% endfor %}</div>"""
)


def _evidence(plan: Plan) -> str:
    run = plan.receipt["run"]
    seen = f"{run['rows']:,} rows, {run['changes']:,} changes, " if run["rows"] is not None else ""
    return f"Evidence: {seen}{run['state']} in {run['seconds']:.1f} s on Flink {plan.receipt['versions']['flink']}"


def plan_html(plan: Plan) -> str:
    """Show a plan as HTML."""
    return _PLAN.render(plan=plan, evidence=_evidence(plan))


def plan_text(plan: Plan) -> str:
    """Show a plan as text."""
    lines = [f"Job {plan.job} → branch {plan.branch} of {plan.repository.name}", _evidence(plan)]
    if plan.topic is not None:
        config = "".join(f", {key} {value}" for key, value in plan.topic.config.items())
        lines.append(f"Output topic {plan.topic.name}{config}")
    lines += [f"{f.severity:<8}{f.code} {f.message} — {f.fix}" for f in plan.findings]
    for file in plan.files:
        lines.append(f"{file.status:<8}{file.path}")
        if file.status == "changed":
            lines += [f"        {line}" for line in file.diff.splitlines()]
    return "\n".join(lines)


def _lines(applied: Applied) -> list[str]:
    if applied.files:
        lines = [
            f"Committed {applied.commit[:10]} on {applied.branch}: {len(applied.files)} file{'s' * (len(applied.files) != 1)}."
        ]
        lines.append(f"To look at it: git switch {applied.branch}")
        lines.append(f"To offer it for review: git push -u origin {applied.branch} -o merge_request.create")
    else:
        lines = [f"{applied.job} is in the repository already, unchanged."]
    if applied.topic_created:
        lines.append(f"Created topic {applied.topic_created}.")
    if applied.job_id:
        lines.append(f"Running on the session cluster: job {applied.job_id}.")
    return lines


def applied_text(applied: Applied) -> str:
    """Say as text what applying did."""
    return "\n".join(_lines(applied))


def applied_html(applied: Applied) -> str:
    """Say as HTML what applying did."""
    return _APPLIED.render(lines=_lines(applied))
