"""A plan and its outcome as text and as HTML. Jinja escapes every value."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from jinja2 import Environment

from sdp_kernel.promote import change_view
from sdp_kernel.repository.receipt import is_evidence
from sdp_kernel.repository.report import facts

if TYPE_CHECKING:
    from sdp_kernel.promote.apply import Applied
    from sdp_kernel.promote.plan import Plan

_environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)

_PLAN = _environment.from_string(
    """<style>
.sdp-promotion{font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--jp-ui-font-color1,#1a1a1a)}
.sdp-promotion code,.sdp-promotion pre{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:12px}
.sdp-promotion h4{margin:2px 0 4px;font-size:14px}
.sdp-promotion .dim{color:var(--jp-ui-font-color2,#616161)}
.sdp-promotion .error{color:var(--jp-error-color1,#c62828);font-weight:600}
.sdp-promotion .warning{color:var(--jp-warn-color0,#b45f06);font-weight:600}
.sdp-promotion .new,.sdp-promotion .add,.sdp-promotion .fixed{color:var(--jp-success-color1,#2e7d32)}
.sdp-promotion .changed{color:var(--jp-warn-color0,#b45f06)}
.sdp-promotion .del{color:var(--jp-error-color1,#c62828)}
.sdp-promotion pre{margin:2px 0 6px;padding:6px 10px;border:1px solid var(--jp-border-color2,#ddd);border-radius:4px;overflow:auto;max-height:320px;background:transparent}
.sdp-promotion .sdp-facts{border-collapse:collapse;font:inherit;color:inherit;margin:2px 0;background:transparent}
.sdp-promotion .sdp-facts th,.sdp-promotion .sdp-facts td{text-align:left;vertical-align:top;padding:0 12px 0 0;border:0;background:transparent;font-weight:400;white-space:normal;max-width:none}
.sdp-promotion .sdp-facts th{color:var(--jp-ui-font-color2,#616161);white-space:nowrap}
.sdp-promotion .sdp-facts tr,.sdp-promotion .sdp-facts tbody tr:nth-child(even),.sdp-promotion .sdp-facts tbody tr:hover{background:transparent}
.sdp-promotion summary{cursor:pointer}
.sdp-promotion ul{margin:2px 0 6px;padding-left:20px}
</style><div class="sdp-promotion">
<h4>Job {{ plan.job }} <span class="dim">→ branch {{ plan.branch }} of {{ plan.repository.name }}</span></h4>
<div>{{ evidence }}</div>
<table class="sdp-facts">{% for name, value in places %}<tr><th>{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}</table>
<details><summary class="dim">evidence</summary><table class="sdp-facts">
{% for name, value in facts %}<tr><th>{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}</table></details>
{% if plan.findings %}<ul>{% for f in plan.findings %}
<li><span class="{{ f.label }}">{{ f.code }}</span> {{ f.message }} <span class="dim">— {{ f.advice }}</span></li>
{% endfor %}</ul>{% endif %}
{{ change }}
{% for file in plan.files %}<details><summary><code>{{ file.path }}</code> <span class="{{ file.status }}">{{ file.status }}</span>{% if file.touches %} <span class="warning">touches {{ file.touches|join(', ') }}</span>{% endif %}</summary>
<pre>{% for line in file.diff.splitlines()[2:] %}<span class="{{ 'add' if line.startswith('+') else 'del' if line.startswith('-') else 'dim' }}">{{ line }}</span>
{% endfor %}</pre></details>{% endfor %}
</div>"""
)

_APPLIED = _environment.from_string(
    """<div style="font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif)">
{% for line in lines %}<div>{{ line }}</div>{% endfor %}
{% if url %}<div>Review: <a href="{{ url }}" target="_blank" rel="noopener noreferrer">{{ url }}</a></div>{% endif %}</div>"""
)


def _evidence(plan: Plan) -> str:
    run = plan.receipt["run"]
    seen = f"{run['rows']:,} rows, {run['changes']:,} changes, " if run["rows"] is not None else ""
    return f"Evidence: {seen}{run['state']} in {run['seconds']:.1f} s on Flink {plan.receipt['versions']['flink']}"


def _places(plan: Plan) -> list[tuple[str, str]]:
    """Say where the job goes, and what is made for it there."""
    there = plan.where
    found = []
    for topic in plan.topics:
        config = "".join(f", {key} {value}" for key, value in topic.config.items())
        made = f", made with {topic.partitions} partition{'s' * (topic.partitions != 1)}" if topic.new else ""
        found.append(("output topic", f"{topic.name} on {topic.alias}{made}{config}"))
    found.append(
        ("runs on", f"{there.runs_on}, with --run; the session cluster {there.deployed_on}, by Terraform")
    )
    if there.remote is not None:
        found.append(("pushed to", f"{there.remote} with --push, for review into {there.target}"))
    else:
        found.append(("pushed to", "nothing: the repository has no remote"))
    return found


def plan_html(plan: Plan) -> str:
    """Show a plan as HTML."""
    return _PLAN.render(
        plan=plan,
        change=change_view.html(plan.change),
        evidence=_evidence(plan),
        places=_places(plan),
        facts=facts(plan.receipt),
    )


def plan_text(plan: Plan) -> str:
    """Show a plan as text."""
    lines = [f"Job {plan.job} → branch {plan.branch} of {plan.repository.name}", _evidence(plan)]
    lines += [f"{name:<14}{value}" for name, value in (*_places(plan), *facts(plan.receipt))]
    lines += [f"{f.label:<8}{f.code} {f.message} — {f.advice}" for f in plan.findings]
    lines += change_view.lines(plan.change)
    for file in plan.files:
        touches = f" (touches {', '.join(file.touches)})" if file.touches else ""
        lines.append(f"{file.status:<8}{file.path}{touches}")
        if file.status == "changed" and not is_evidence(file.path):
            lines += [f"        {line}" for line in file.diff.splitlines()]
    return "\n".join(lines)


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON has it: lists and no tuples."""
    said = {
        "version": 1,
        "job": plan.job,
        "repository": str(plan.repository),
        "branch": plan.branch,
        "base": plan.base,
        "tip": plan.tip,
        "unchanged": plan.unchanged,
        "files": [dataclasses.asdict(file) for file in plan.files],
        "touched": {path: list(jobs) for path, jobs in plan.touched.items()},
        "findings": [dataclasses.asdict(finding) for finding in plan.findings],
        "blocked": any(finding.blocks for finding in plan.findings),
        "statements": list(plan.statements),
        "topics": [dataclasses.asdict(topic) for topic in plan.topics],
        "where": dataclasses.asdict(plan.where),
        "change": None if plan.change is None else plan.change.to_json(),
        "receipt": dict(plan.receipt),
    }
    return dict(json.loads(json.dumps(said, default=str)))


def _lines(applied: Applied) -> list[str]:
    if applied.files:
        many = "s" * (len(applied.files) != 1)
        lines = [
            f"Committed {applied.commit[:10]} on {applied.branch}: {len(applied.files)} file{many}.",
            f"To look at it: git switch {applied.branch}",
        ]
    else:
        lines = [f"{applied.job} is in the repository already, unchanged."]
    lines += _pushed(applied)
    if applied.topic_created:
        lines.append(f"Created topic {applied.topic_created}.")
    if applied.job_id:
        lines.append(f"Running on the session cluster: job {applied.job_id}.")
    return lines


def _pushed(applied: Applied) -> list[str]:
    done, remote = applied.pushed, applied.remote
    if done is None:
        if not applied.files or remote is None:
            return []
        create = " -o merge_request.create" * (remote.kind == "gitlab")
        return [f"To offer it for review: git push -u {remote.name} {applied.branch}{create}, or --push"]
    what = "Pushed" if done.new else "Already pushed:"
    lines = [f"{what} {done.branch} to {done.remote} ({done.url}), for review into {done.target}."]
    if done.asked:
        lines.append("The merge request was asked for by push options.")
    if done.review_url:
        lines.append(f"Review: {done.review_url}")
    return lines


def applied_text(applied: Applied) -> str:
    """Say as text what applying did."""
    return "\n".join(_lines(applied))


def applied_html(applied: Applied) -> str:
    """Say as HTML what applying did."""
    url = applied.pushed.review_url if applied.pushed else None
    return _APPLIED.render(lines=[line for line in _lines(applied) if not url or url not in line], url=url)
