"""A plan as a picture and as text: rows flow from the sources at the top to the result at the bottom.

The picture is one SVG without scripts, in JupyterLab's own colours with fallbacks for light and dark,
so it stays readable in a saved file, in VS Code and in nbconvert.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from sdp_kernel.flink.plan import FORWARD
from sdp_kernel.flink.plan_state import in_words
from sdp_kernel.notebook import html, plan_words
from sdp_kernel.notebook.plan_layout import arrange

if TYPE_CHECKING:
    from sdp_kernel.flink.plan import Node, Plan
    from sdp_kernel.notebook.plan_layout import Layout

_LINE, _PAD, _GAP = 17, 10, 28
_BETWEEN, _BETWEEN_LABELLED = 26, 46
_NARROWEST, _WIDEST = 150, 340
#: The mean width of a character in px, by the style of its line.
_WIDTHS = {"sdp-plan-title": 8.5, "sdp-plan-code": 6.75, "sdp-plan-unbounded": 7.2, "sdp-plan-updates": 7.9}
_CHARACTER = 6.5
_STRAIGHT = 8.0
TIMES = "\N{MULTIPLICATION SIGN}"
_TONES = {"bounded": "sdp-plan-bounded", "unbounded": "sdp-plan-unbounded"}

_STYLE = """<style>
.sdp-plan{overflow-x:auto;margin:0 0 4px}
.sdp-plan svg{display:block;font:12px var(--jp-ui-font-family,system-ui,sans-serif);
--box:var(--jp-layout-color1,#fff);--edge:var(--jp-border-color1,#bdbdbd);--ink:var(--jp-ui-font-color1,#1a1a1a);--soft:var(--jp-ui-font-color2,#616161);
--back:var(--jp-layout-color0,#fff);--source:var(--jp-layout-color2,#f3f3f3);--good:var(--jp-success-color1,#2e7d32);
--warn:var(--jp-warn-color0,#b45f06);--info:var(--jp-info-color1,#1976d2)}
.sdp-plan text{fill:var(--ink)}
.sdp-plan .sdp-plan-box{fill:var(--box);stroke:var(--edge)}
.sdp-plan .sdp-plan-end{fill:var(--source)}
.sdp-plan .sdp-plan-title{font-weight:600;font-size:13px}
.sdp-plan .sdp-plan-soft{fill:var(--soft)}
.sdp-plan .sdp-plan-code{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:11px;
fill:var(--soft)}
.sdp-plan .sdp-plan-append{fill:var(--soft)}
.sdp-plan .sdp-plan-updates{fill:var(--info);font-weight:600}
.sdp-plan .sdp-plan-bounded{fill:var(--good)}
.sdp-plan .sdp-plan-unbounded{fill:var(--warn);font-weight:600}
.sdp-plan path{fill:none;stroke:var(--soft);stroke-width:1.3}
.sdp-plan .sdp-plan-tip{fill:var(--soft);stroke:none}
.sdp-plan .sdp-plan-label{fill:var(--soft);font-size:11px;paint-order:stroke;stroke:var(--back);
stroke-width:4px;stroke-linejoin:round}
.sdp-plan-advice{margin:2px 0 0;padding-left:1.4em;font-size:12px}
</style>"""


@dataclass(frozen=True)
class _Box:
    """A node's box: lines of (class, text, tooltip)."""

    node: Node
    lines: tuple[tuple[str, str, str], ...]
    width: float

    @property
    def height(self) -> int:
        return _LINE * len(self.lines) + 2 * _PAD - 4


def bundle(plan: Plan, *, advice: bool = False, name: str = "plan") -> tuple[str, str]:
    """Return a plan as HTML and as text.

    Parameters
    ----------
    advice
        Also list Flink's advice, and mark the operators it is about.
    name
        The panel's title.
    """
    boxes = {node.id: _box(node, advice=advice) for node in plan.nodes}
    layout = arrange(plan, lambda node: boxes[node].width, _GAP)
    given = _advice(plan) if advice else ""
    markup = html.panel(
        [html.title(name), *_facts(plan)],
        _STYLE,
        f'<div class="sdp-plan">{_svg(plan, boxes, layout)}</div>',
        given,
        html.details("Flink's own text", html.pre(plan.text)),
    )
    return markup, text(plan, advice=advice)


def _facts(plan: Plan) -> list[str]:
    facts = [html.fact(str(len(plan.nodes)), "operators")]
    if plan.batch:
        return [*facts, html.chip("batch", "run")]
    growing = len(plan.unbounded)
    if growing:
        facts.append(html.chip(f"{growing} with state that grows", "warn"))
    elif any(node.state.what for node in plan.nodes):
        facts.append(html.chip("state is bounded", "good"))
    else:
        facts.append(html.chip("no state", "good"))
    if plan.ttl:
        facts.append(html.fact(in_words(plan.ttl), "state TTL"))
    return facts


def _no_advice(plan: Plan) -> str:
    return "Flink advises on streaming plans only" if plan.batch else "Flink has no advice"


def _advice(plan: Plan) -> str:
    if not plan.advice:
        return html.note(_no_advice(plan))
    items = "".join(
        f"<li value={one.number}><b class=sdp-{'bad' if one.kind == 'WARNING' else 'run'}>"
        f"{escape(one.kind.lower())}</b> {escape(one.text)}</li>"
        for one in plan.advice
    )
    return f'<ol class="sdp-plan-advice">{items}</ol>'


def _box(node: Node, *, advice: bool) -> _Box:
    marks = " ".join(f"⚠{number}" for number in node.advice) if advice else ""
    lines = [("sdp-plan-title", " ".join(part for part in (plan_words.title(node), marks) if part), "")]
    kind = plan_words.subtitle(node)
    many = f"{TIMES}{node.parallelism}" if node.parallelism else ""
    beside = " ".join(part for part in (kind, many) if part)
    lines += [("sdp-plan-code", line, line) for line in plan_words.lines(node)[:2]]
    mode, meaning = plan_words.mode(node)
    if mode:
        lines.append((f"sdp-plan-{mode.split(' ')[0]}", mode, meaning))
    if node.state.what:
        lines.append((_TONES[node.state.kind], f"● {node.state.what}", str(node.state)))
        lines.append((_TONES[node.state.kind], f"   {node.state.until}", str(node.state)))
    widest = max(len(text) * _WIDTHS.get(style, _CHARACTER) for style, text, _ in lines)
    widest = max(widest, len(lines[0][1]) * _WIDTHS["sdp-plan-title"] + (len(beside) + 2) * _CHARACTER)
    width = min(max(widest + 2 * _PAD, _NARROWEST), _WIDEST)
    room = width - 2 * _PAD
    style, title, _ = lines[0]
    named = (style, _cut(title, (room - (len(beside) + 2) * _CHARACTER) / _WIDTHS[style]), beside)
    return _Box(
        node,
        (
            named,
            *((one, _cut(line, room / _WIDTHS.get(one, _CHARACTER)), full) for one, line, full in lines[1:]),
        ),
        width,
    )


def _cut(text: str, characters: float) -> str:
    room = int(characters)
    text = html.cell_text(text.rstrip()).replace("\n", "⏎")
    return text if len(text) <= room else text[: max(room - 1, 1)].rstrip() + "…"


def _svg(plan: Plan, boxes: dict[int, _Box], layout: Layout) -> str:
    heights = [
        max((boxes[node].height for node, layer in layout.layers.items() if layer == row), default=0)
        for row in range(layout.depth + 1)
    ]
    labelled = {layout.layers[edge.target] for edge in plan.edges if edge.distribution != FORWARD}
    tops = [1]
    for row in range(layout.depth):
        tops.append(tops[-1] + heights[row] + (_BETWEEN_LABELLED if row + 1 in labelled else _BETWEEN))
    key = f"sdp-tip-{uuid.uuid4().hex[:8]}"
    marker = (
        f'<defs><marker id="{key}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path class="sdp-plan-tip" d="M0 0L8 4L0 8z"/></marker></defs>'
    )
    parts = [marker, *_edges(plan, boxes, layout, tops, heights, key)]
    for box in boxes.values():
        number = box.node.id
        parts.append(_draw(box, layout.centres[number] - box.width / 2 + 1, tops[layout.layers[number]]))
    width, height = round(layout.width + 2), tops[-1] + heights[-1] + 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="plan of {len(boxes)} operators">{"".join(parts)}</svg>'
    )


def _draw(box: _Box, x: float, y: float) -> str:
    (style, title, beside), *lines = box.lines
    end = " sdp-plan-end" if box.node.table else ""
    full = (
        escape(html.cell_text(box.node.text)) if len(box.node.text) < html.MAX_TEXT else escape(box.node.text)
    )
    frame = (
        f'<g transform="translate({x:.1f} {y:.1f})"><title>{full}</title>'
        f'<rect class="sdp-plan-box{end}" width="{box.width:.1f}" height="{box.height}" rx="5"/>'
        f'<text class="{style}" x="{_PAD}" y="{_PAD + 10}">{escape(title)}</text>'
    )
    parts = [frame]
    if beside:
        parts.append(
            f'<text class="sdp-plan-soft" x="{box.width - _PAD:.1f}" y="{_PAD + 10}" text-anchor="end">'
            f"{escape(beside)}</text>"
        )
    for number, (tone, line, tip) in enumerate(lines, start=1):
        hover = f"<title>{escape(html.cell_text(tip))}</title>" if tip else ""
        at = _PAD + 10 + number * _LINE
        parts.append(
            f'<text class="{tone}" x="{_PAD}" y="{at}" xml:space="preserve">{hover}{escape(line)}</text>'
        )
    return "".join(parts) + "</g>"


def _edges(
    plan: Plan, boxes: dict[int, _Box], layout: Layout, tops: list[int], heights: list[int], key: str
) -> list[str]:
    drawn, labels = [], []
    for number, edge in enumerate(plan.edges):
        row = layout.layers[edge.source]
        points = [(layout.centres[edge.source] + 1, tops[row] + boxes[edge.source].height)]
        for x, bend in layout.bends[number]:
            points += [(x + 1, tops[bend]), (x + 1, tops[bend] + heights[bend])]
        enters = _entry(plan, number, boxes[edge.target].width, layout) + 1
        if abs(enters - points[-1][0]) < _STRAIGHT:
            enters = points[-1][0]
        points.append((enters, tops[layout.layers[edge.target]]))
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for (x0, y0), (x1, y1) in pairwise(points):
            middle = (y0 + y1) / 2
            path += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
        drawn.append(f'<path d="{path}" marker-end="url(#{key})"/>')
        if edge.distribution != FORWARD:
            x, y = (points[-2][0] + points[-1][0]) / 2, (points[-2][1] + points[-1][1]) / 2
            labels.append(
                f'<text class="sdp-plan-label" x="{x:.1f}" y="{y + 3:.1f}" text-anchor="middle">'
                f"<title>{escape(edge.distribution)}</title>{escape(_cut(edge.distribution, 34))}</text>"
            )
    return drawn + labels


def _entry(plan: Plan, number: int, width: float, layout: Layout) -> float:
    """Return where an edge enters its box: those of several inputs side by side, not crossing."""
    target = plan.edges[number].target
    into = [one for one, edge in enumerate(plan.edges) if edge.target == target]

    def comes_from(one: int) -> float:
        bends = layout.bends[one]
        return bends[-1][0] if bends else layout.centres[plan.edges[one].source]

    place = sorted(into, key=comes_from).index(number) - (len(into) - 1) / 2
    return layout.centres[target] + place * min(60, width / (len(into) + 1))


def text(plan: Plan, *, advice: bool = False) -> str:
    """Write a plan as an indented tree, what is read first at the bottom."""
    out: list[str] = []
    seen: set[int] = set()
    for root in plan.roots:
        _branch(plan, root, "", "", out, seen, advice=advice)
    if advice:
        out += [f"{one.kind.lower()} {one.number}: {one.text}" for one in plan.advice] or [
            "Flink has no advice"
        ]
    return "\n".join(out)


def _branch(
    plan: Plan,
    node: Node,
    first: str,
    rest: str,
    out: list[str],
    seen: set[int],
    *,
    advice: bool,
    way: str = "",
) -> None:
    kind = plan_words.subtitle(node)
    head = f"{plan_words.title(node)}{f' ({kind})' if kind else ''}"
    mode = plan_words.mode(node)[0]
    again = node.id in seen
    parts = [f"#{node.id} {head}"]
    if again:
        parts.append("as above")
    else:
        seen.add(node.id)
        parts += [_cut(line, 60) for line in plan_words.lines(node)[:1]]
        parts += [f"[{mode}]"] if mode else []
        parts += [f"{TIMES}{node.parallelism}"] if node.parallelism else []
        parts += [f"state: {node.state}"] if node.state.what else []
        parts += [f"advice {', '.join(map(str, node.advice))}"] if advice and node.advice else []
    out.append(f"{first}{f'{way} ← ' if way else ''}{'  '.join(parts)}")
    if again:
        return
    inputs = plan.inputs(node)
    for number, (edge, below) in enumerate(inputs, start=1):
        last = number == len(inputs)
        stroke, onward = ("└─ ", "   ") if last else ("├─ ", "│  ")
        label = "" if edge.distribution == FORWARD else edge.distribution
        _branch(plan, below, rest + stroke, rest + onward, out, seen, advice=advice, way=label)
