"""Plans from the text of an EXPLAIN: operators, sharing, changelogs, state, advice, parallelism."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.flink.plan import Edge, read
from sdp_kernel.flink.plan_state import in_words, milliseconds, state_of
from sdp_kernel.flink.plan_tree import attributes, physical, split_list

SCAN = "TableSourceScan(table=[[c, d, orders]], fields=[id, symbol])"
SET = """== Abstract Syntax Tree ==
LogicalSink(table=[a])

== Optimized Physical Plan With Advice ==
Sink(table=[c.d.one], fields=[symbol, n], changelogMode=[NONE])
+- GroupAggregate(advice=[1], groupBy=[symbol], select=[symbol, COUNT(*) AS n], changelogMode=[I,UA])
   +- Exchange(distribution=[hash[symbol]], changelogMode=[I])
      +- Calc(select=[symbol], where=[=(symbol, _UTF-16LE'it''s [')], changelogMode=[I])
         +- TableSourceScan(table=[[c, d, orders]], fields=[id, symbol], changelogMode=[I])

Sink(table=[c.d.two], fields=[symbol], upsertMaterialize=[true], changelogMode=[NONE])
+- Rank(strategy=[AppendFastStrategy], rankType=[ROW_NUMBER], rankRange=[rankStart=1, rankEnd=1], partitionBy=[symbol], orderBy=[ts DESC], select=[symbol], changelogMode=[I,UA,D])
   +- Exchange(distribution=[hash[symbol]], changelogMode=[I])
      +- Calc(select=[symbol], where=[=(symbol, _UTF-16LE'it''s [')], changelogMode=[I])
         +- TableSourceScan(table=[[c, d, orders]], fields=[id, symbol], changelogMode=[I])

advice[1]: [ADVICE] You might want
to do this.
advice[2]: [WARNING] Not good.

== Optimized Execution Plan ==
Exchange(distribution=[hash[symbol]])(reuse_id=[1])
+- Calc(select=[symbol], where=[(symbol = 'it's [')])
   +- TableSourceScan(table=[[c, d, orders]], fields=[id, symbol])

Sink(table=[c.d.one], fields=[symbol, n])
+- GroupAggregate(groupBy=[symbol], select=[symbol, COUNT(*) AS n])
   +- Reused(reference_id=[1])

Sink(table=[c.d.two], fields=[symbol], upsertMaterialize=[true])
+- Deduplicate(keep=[LastRow], key=[symbol], order=[ROWTIME], outputInsertOnly=[false])
   +- Reused(reference_id=[1])

== Physical Execution Plan ==
{"nodes": [
  {"id": 1, "type": "Source: orders[7]", "contents": "[7]:TableSourceScan(table=[[c, d, orders]], fields=[id, symbol])", "parallelism": 4},
  {"id": 2, "type": "Calc[8]", "contents": "[8]:Calc(select=[symbol], where=[(symbol = 'it's [')])", "parallelism": 2},
  {"id": 3, "type": "one[9]: Writer", "contents": "one[9]: Writer", "parallelism": 3}
]}"""


def test_a_statement_set_is_a_graph_in_which_shared_operators_are_one():
    plan = read(SET)
    assert [node.name for node in plan.nodes] == [
        "Sink", "GroupAggregate", "Calc", "TableSourceScan", "Sink", "Deduplicate",
    ]  # fmt: skip
    assert [plan.node(edge.source).name for edge in plan.edges].count("Calc") == 2
    assert Edge(2, 1, "hash[symbol]") in plan.edges
    assert Edge(3, 2) in plan.edges
    assert [root.table for root in plan.roots] == ["one", "two"]


def test_changelogs_tables_parallelism_and_advice_are_told():
    plan = read(SET)
    by_name = {(node.name, node.table): node for node in plan.nodes}
    assert by_name["GroupAggregate", None].changelog == ("I", "UA")
    assert not by_name["GroupAggregate", None].appends
    assert by_name["Sink", "one"].changelog == ()
    assert by_name["TableSourceScan", "orders"].parallelism == 4
    assert by_name["Calc", None].parallelism == 2
    assert by_name["Sink", "one"].parallelism == 3
    assert by_name["GroupAggregate", None].advice == (1,)
    assert [(one.number, one.kind, one.text) for one in plan.advice] == [
        (1, "ADVICE", "You might want to do this."),
        (2, "WARNING", "Not good."),
    ]


def test_state_is_that_of_the_operator_which_runs():
    plan = read(SET, ttl=3_600_000)
    states = {node.name if node.table is None else node.table: node.state for node in plan.nodes}
    assert str(states["Deduplicate"]) == "the last row per key, dropped after 1 h without change"
    assert states["Deduplicate"].kind == "bounded"
    assert states["two"].what == "the rows per primary key"
    assert states["one"].kind == "none"
    assert not plan.unbounded
    assert len(read(SET).unbounded) == 3


def test_literals_with_line_breaks_brackets_and_quotes_stay_in_their_operator():
    text = (
        "Calc(select=[_UTF-16LE'a\n+- Foo(b' AS x, start('w$) AS y], where=[<>(s, _UTF-16LE'it''s [')], changelogMode=[I])\n"
        "+- Values(tuples=[[{  }]], changelogMode=[I])\n"
    )
    (root,) = physical(text)
    assert [below.name for below in root.inputs] == ["Values"]
    assert root.attributes["where"] == "<>(s, _UTF-16LE'it''s [')"
    assert root.attributes["changelogMode"] == "I"
    assert split_list(root.attributes["select"])[0] == "_UTF-16LE'a\n+- Foo(b' AS x"


def test_a_batch_plan_has_no_changelog_and_no_state():
    plan = read(
        "== Optimized Physical Plan ==\nHashAggregate(isMerge=[true], groupBy=[a], select=[a])\n"
        f"+- Exchange(distribution=[hash[a]])\n   +- {SCAN}\n"
    )
    assert plan.batch
    assert [str(node.state) for node in plan.nodes] == ["no state", "no state"]
    assert plan.edges == (Edge(1, 0, "hash[a]"),)


def test_trees_that_differ_are_read_from_the_physical_plan_alone():
    plan = read(
        "== Optimized Physical Plan ==\n"
        f"Union(all=[true], changelogMode=[I])\n:- {SCAN[:-1]}, changelogMode=[I])\n+- {SCAN[:-1]}, changelogMode=[I])\n\n"
        "== Optimized Execution Plan ==\nMultipleInput(members=[\nUnion(all=[true])\n:- [#1] x\n])\n"
    )
    assert [node.name for node in plan.nodes] == ["Union", "TableSourceScan", "TableSourceScan"]


def kept(name, *, ttl=0, appends=(True,), **options):
    state = state_of(name, options, appends=appends, ttl=ttl)
    return state.kind, str(state)


@pytest.mark.parametrize(
    ("found", "kind", "words"),
    [
        (kept("Calc"), "none", "no state"),
        (kept("GroupAggregate", groupBy="a, b", select="a, b, COUNT(*) AS n"), "unbounded", "an accumulator per a, b, kept for ever"),
        (kept("GroupAggregate", select="COUNT(*) AS n"), "bounded", "one accumulator, one row in all"),
        (kept("GroupAggregate", select="COUNT_RETRACT(DISTINCT x) AS n"), "unbounded", "one accumulator, with distinct values, kept for ever"),
        (kept("GroupAggregate", select="COUNT_RETRACT(*) AS n"), "bounded", "one accumulator, one row in all"),
        (kept("GroupAggregate", select="MAX_RETRACT(x) AS n"), "unbounded", "one accumulator, with all values, kept for ever"),
        (kept("GroupAggregate", groupBy="a", stateTtlHints="[[STATE_TTL options:[1h]]]"), "bounded", "an accumulator per a, dropped after 1 h without change"),
        (kept("GroupAggregate", groupBy="a", ttl=90_000), "bounded", "an accumulator per a, dropped after 90 s without change"),
        (kept("Join", leftInputSpec="NoUniqueKey", rightInputSpec="JoinKeyContainsUniqueKey"), "unbounded", "left: all rows; right: a row per key, kept for ever"),
        (kept("Join", stateTtlHints="[[STATE_TTL options:{LEFT=1h, RIGHT=2d}]]"), "bounded", "left: all rows; right: all rows, dropped after left 1 h, right 2 d without change"),
        (kept("Join", stateTtlHints="[[STATE_TTL options:{LEFT=1h}]]"), "unbounded", "left: all rows; right: all rows, dropped after left 1 h without change; right kept for ever"),
        (kept("Rank", strategy="RetractStrategy", partitionBy="a", rankRange="rankStart=1, rankEnd=3"), "unbounded", "all rows per a, kept for ever"),
        (kept("Rank", strategy="UpdateFastStrategy[0]", partitionBy="", rankRange="rankStart=1, rankEnd=3"), "bounded", "the first 3 rows, no more than these"),
        (kept("Limit", offset="2", fetch="3"), "bounded", "the first 5 rows, no more than these"),
        (kept("Limit", offset="0", fetch="3", appends=(False,)), "unbounded", "all rows, kept for ever"),
        (kept("OverAggregate", partitionBy="a", window=" RANGE BETWEEN 3600000 PRECEDING AND CURRENT ROW"), "bounded", "the rows of the frame per a, dropped when they have left it"),
        (kept("OverAggregate", partitionBy="a", window=" ROWS BETWEEN 3 PRECEDING AND CURRENT ROW"), "unbounded", "the rows of the frame per a, kept for ever"),
        (kept("GlobalWindowAggregate"), "bounded", "an accumulator per group and open window, until the watermark passes the window"),
        (kept("WindowTableFunction", window="TUMBLE(size=[1 min])"), "none", "no state"),
        (kept("WindowTableFunction", window="SESSION(gap=[1 min])"), "bounded", "the rows of open sessions, until their gap has passed"),
        (kept("SomethingNew"), "unbounded", "what SomethingNew keeps, as it decides"),
    ],
)  # fmt: skip
def test_what_operators_keep(found, kind, words):
    assert found == (kind, words)


@pytest.mark.parametrize(
    ("text", "ms"),
    [("0 ms", 0), ("1h", 3_600_000), ("2 d", 172_800_000), ("36 s", 36_000), ("1500", 1500), ("x", 0)],
)
def test_durations_are_read(text, ms):
    assert milliseconds(text) == ms


@given(st.integers(1, 10**10))
def test_durations_in_words_lose_nothing(ms):
    assert milliseconds(in_words(ms)) == ms


VALUES = st.recursive(
    st.one_of(st.text("abc $.=", max_size=5), st.text("it's [(,\n", max_size=8).map(lambda t: "_UTF-16LE'" + t.replace("'", "''") + "'")),
    lambda inner: st.lists(inner, max_size=3).map(lambda parts: "(" + ", ".join(parts) + ")"),
    max_leaves=5,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["select", "where", "groupBy", "x"]), VALUES))
def test_attributes_come_back_whatever_literals_hold(wanted):
    text = "Calc(" + ", ".join(f"{key}=[{value}]" for key, value in wanted.items()) + ")"
    assert attributes(text) == wanted
