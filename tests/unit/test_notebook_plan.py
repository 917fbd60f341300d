"""A plan's picture and text: nothing overlaps, nothing runs, everything is escaped."""
# ruff: noqa: RUF001

import itertools
import re
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.flink.plan import Advice, Edge, Node, Plan, read
from sdp_kernel.flink.plan_state import State
from sdp_kernel.notebook.plan_layout import arrange
from sdp_kernel.notebook.plan_view import bundle
from tests.unit.test_flink_plan import SET

SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 12))
    nodes = tuple(Node(number, "Calc", f"Calc({number})", {}) for number in range(count))
    edges = []
    for number in range(1, count):
        readers = draw(st.lists(st.integers(0, number - 1), min_size=0, max_size=3, unique=True))
        edges += [Edge(number, reader) for reader in readers]
    return Plan(nodes, tuple(edges))


@given(graphs(), st.lists(st.integers(20, 300), min_size=12, max_size=12))
def test_boxes_never_overlap_and_rows_flow_down(plan, widths):
    layout = arrange(plan, lambda node: widths[node], 10)
    assert set(layout.centres) == {node.id for node in plan.nodes}
    for edge in plan.edges:
        assert layout.layers[edge.source] < layout.layers[edge.target]
    for layer in range(layout.depth + 1):
        row = sorted((layout.centres[n], n) for n in layout.centres if layout.layers[n] == layer)
        for (x0, a), (x1, b) in itertools.pairwise(row):
            assert x0 + widths[a] / 2 + 9.99 <= x1 - widths[b] / 2
    for node, x in layout.centres.items():
        assert x - widths[node] / 2 >= -0.01
        assert x + widths[node] / 2 <= layout.width + 0.01


@given(graphs())
def test_every_operator_is_in_picture_and_text(plan):
    markup, text = bundle(plan)
    picture = ET.fromstring(SVG.search(markup).group())  # noqa: S314
    boxes = [e for e in picture.iter() if e.tag.endswith("rect")]
    assert len(boxes) == len(plan.nodes)
    assert all(f"#{node.id} " in text for node in plan.nodes)


def test_what_comes_from_sql_is_escaped_and_nothing_runs():
    evil = "<script>alert(1)</script>\"'&"
    node = Node(0, evil, f"Calc({evil})", {"x": evil}, ("I",), State("unbounded", evil, evil), 1, evil, (1,))
    markup, _ = bundle(Plan((node,), (), (Advice(1, "ADVICE", evil),), text=evil), advice=True, name=evil)
    assert "<script" not in markup
    assert "&lt;script&gt;" in markup
    ET.fromstring(SVG.search(markup).group())  # noqa: S314


def test_picture_and_text_say_changelog_state_parallelism_and_distribution():
    markup, text = bundle(read(SET), advice=True, name="totals")
    assert "3 with state that grows" in markup
    for said in (
        "orders",
        "source ×4",
        "updates +I +U",
        "hash[symbol]",
        "an accumulator per symbol",
        "⚠1",
        "Not good.",
    ):
        assert said in markup
    assert text.splitlines() == [
        "#0 one (sink)  symbol, n  ×3",
        "└─ #1 GroupAggregate  by symbol: COUNT(*) AS n  [updates +I +U]  state: an accumulator per symbol, kept for ever  advice 1",
        "   └─ hash[symbol] ← #2 Calc  where =(symbol, 'it''s [')  [append +I]  ×2",
        "      └─ #3 orders (source)  id, symbol  [append +I]  ×4",
        "#4 two (sink)  symbol  state: the rows per primary key, kept for ever",
        "└─ #5 Deduplicate  last row per symbol  [updates +I +U −D]  state: the last row per key, kept for ever",
        "   └─ hash[symbol] ← #2 Calc  as above",
        "advice 1: You might want to do this.",
        "warning 2: Not good.",
    ]


def test_advice_is_shown_only_where_it_is_asked_for():
    markup, text = bundle(read(SET))
    assert "⚠" not in markup
    assert "advice" not in text
    assert "no advice" in bundle(Plan((Node(0, "Values", "Values()", {}),), ()), advice=True)[1]


def test_the_picture_follows_the_theme_and_needs_nothing_from_elsewhere():
    markup, _ = bundle(read(SET))
    assert "var(--jp-layout-color1,#fff)" in markup
    assert "http" not in markup.replace("http://www.w3.org/2000/svg", "")
    assert "url(" not in SVG.sub(lambda m: m.group().replace("url(#sdp-tip", ""), markup)
