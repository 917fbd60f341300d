"""Whether a savepoint serves a job's next version, on plans in the form in which Flink compiles them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import PlanUnavailable
from sdp_kernel.flink.operator_graph import read
from sdp_kernel.repository.meaning import row_fields, steps
from sdp_kernel.repository.state import Version, compare, unknown

ROW = {
    "type": "ROW",
    "fields": [{"name": n, "fieldType": t} for n, t in [("id", "BIGINT"), ("symbol", "STRING"), ("other", "STRING"),
                                                        ("amount", "DOUBLE")]],
}  # fmt: skip
TYPES = {"id": "BIGINT", "symbol": "STRING", "other": "STRING", "amount": "DOUBLE"}
FORWARD, HASH = "FORWARD", "HASH"


class Job:
    """A compiled plan and its execution plan, put together node by node; each call returns the node's number."""

    def __init__(self, places=None):
        self.nodes, self.edges, self.operators, self.places = [], [], [], places or {}

    def node(self, kind, name, *inputs, output, operators=True, ship=FORWARD, **more):
        number = len(self.nodes) + 1
        described = {
            "id": number,
            "type": f"stream-exec-{kind}_1",
            "description": f"{name}(x)",
            "outputType": output,
        }
        self.nodes.append({**described, **more})
        self.edges += [{"source": one, "target": number} for one in inputs]
        if operators:
            self.operator(number, f"[{number + 100}]:{name}(x)", f"{name}[{number + 100}]", inputs, ship)
        return number

    def operator(self, number, contents, name, inputs, ship=FORWARD, pact="Operator"):
        reads = [self.last(one) for one in inputs]
        self.operators.append(
            {"id": len(self.operators) + 1, "of": number, "type": name, "contents": contents, "parallelism": 1,
             "pact": pact if inputs else "Data Source",
             "predecessors": [{"id": one, "ship_strategy": ship} for one in reads]}
        )  # fmt: skip

    def last(self, number):
        return max(one["id"] for one in self.operators if one["of"] == number)

    def scan(self, table="trades"):
        spec = {"table": {"identifier": f"`c`.`d`.`{table}`"}}
        number = self.node(
            "table-source-scan", "TableSourceScan", output=ROW, operators=False, scanTableSource=spec
        )
        self.operator(number, f"Source: Kafka-c.d.{table}", f"Source: Kafka-c.d.{table}", ())
        return number

    def calc(self, source, *columns, where=None):
        refs = [{"kind": "INPUT_REF", "inputIndex": list(TYPES).index(one)} for one in columns]
        row = f"ROW<{', '.join(f'`{one}` {TYPES[one]}' for one in columns)}>"
        return self.node("calc", "Calc", source, output=row, projection=refs, condition=where)

    def aggregate(self, source, *calls, key=0, ttl="0 ms", name="GroupAggregate", kind="group-aggregate"):
        listed = [
            {
                "name": f"EXPR${n}",
                "internalName": f"${function}$1",
                "argList": args,
                "filterArg": -1,
                "distinct": False,
            }
            for n, (function, *args) in enumerate(calls)
        ]
        return self.node(
            kind, name, source, output="ROW<`k` STRING, `n` BIGINT NOT NULL>", ship=HASH, grouping=[key],
            aggCalls=listed, needRetraction=False, aggCallNeedRetractions=[False],
            state=[{"index": 0, "name": "groupAggregateState", "ttl": ttl}],
        )  # fmt: skip

    def join(self, left, right):
        states = [
            {"index": n, "name": f"{side}State", "ttl": "0 ms"} for n, side in enumerate(("left", "right"))
        ]
        return self.node("join", "Join", left, right, output=ROW, ship=HASH, state=states)

    def sink(self, source, table="out"):
        spec = {"table": {"identifier": f"`c`.`d`.`{table}`"}}
        number = self.node(
            "sink", "Sink", source, output="ROW<`k` STRING>", operators=False, dynamicTableSink=spec
        )
        self.operator(
            number, f"{table}[{number + 100}]: Writer", f"{table}[{number + 100}]: Writer", (source,)
        )
        return self

    def version(self):
        return Version({"nodes": self.nodes, "edges": self.edges}, read(self.operators), self.places)


def counts(key="symbol", *calls, where="amount > 0", ttl="0 ms", places=None, columns=("id", "amount")):
    job = Job(places)
    source = job.calc(job.scan(), key, *columns, where=where)
    return job.sink(job.aggregate(source, *(calls or [("COUNT",), ("SUM", 2)]), ttl=ttl)).version()


def fates(found):
    return {one.operator: one.becomes for one in found.operators}


def test_a_version_is_compatible_with_itself():
    found = compare(counts(), counts())
    assert (found.verdict, found.upgrade_mode, found.allow_non_restored_state) == ("same", "savepoint", False)
    assert set(fates(found).values()) == {"kept"}
    assert "no operator's state changes" in found.reason


def test_another_condition_keeps_the_state_and_says_what_is_in_it():
    found = compare(counts(), counts(where="amount > 5"))
    assert found.verdict == "compatible"
    assert "as it was before" in found.notes[0]


def test_another_time_to_live_keeps_the_state():
    found = compare(counts(), counts(ttl="3600000 ms"))
    assert (found.verdict, found.notes) == (
        "compatible", ("GroupAggregate: its time-to-live goes from 0 ms to 3600000 ms",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("after", "noticed", "says"),
    [
        (counts("other"), False, "by trades.symbol → by trades.other"),
        (counts("id", columns=("symbol", "amount")), True, "key STRING → key BIGINT"),
        (counts("symbol", ("COUNT",), ("SUM", 2), ("MAX", 1)), True, "with MAX(BIGINT)"),
        (counts("symbol", ("COUNT",), ("MAX", 2)), True, "SUM(DOUBLE) → MAX(DOUBLE)"),
        (counts("symbol", ("COUNT",), ("SUM", 1)), True, "SUM(DOUBLE) → SUM(BIGINT)"),
    ],
)
def test_other_keys_and_accumulators_begin_without_state(after, noticed, says):
    found = compare(counts(), after)
    assert (found.verdict, found.upgrade_mode) == ("incompatible", "stateless")
    (bad,) = (one for one in found.operators if one.becomes == "changed")
    assert bad.operator == "GroupAggregate"
    assert bad.noticed is noticed
    assert says in bad.reason
    assert says in found.reason
    assert "scan.startup.mode" in found.notes[0]


def test_columns_may_move_and_be_renamed_as_long_as_they_are_the_same():
    moved = counts("symbol", ("COUNT",), ("SUM", 1), columns=("amount", "id"))
    assert compare(counts(), moved).verdict in {"same", "compatible"}
    assert fates(compare(counts(), moved))["GroupAggregate"] == "kept"


def joined():
    job = Job()
    source = job.join(job.scan(), job.scan("others"))
    source = job.calc(source, "symbol", "id", "amount", where="amount > 0")
    return job.sink(job.aggregate(source, ("COUNT",), ("SUM", 2))).version()


def call_of(name, *operands, type_="BOOLEAN"):
    return {"kind": "CALL", "internalName": f"${name}$1", "operands": list(operands), "type": type_}


def literal(**told):
    return {"kind": "LITERAL", "type": "CHAR(1) NOT NULL", **told}


def ref(name, type_="STRING"):
    return {"kind": "INPUT_REF", "inputIndex": list(TYPES).index(name), "type": type_}


def field_of(name, column="symbol", type_="INT"):
    return {"kind": "FIELD_ACCESS", "name": name, "expr": ref(column, "ROW<`x` INT, `y` INT>"), "type": type_}


def filtered(condition):
    """COUNT(*) FILTER (WHERE condition)."""
    job = Job()
    source = job.calc(job.scan(), "symbol", "id")
    calc = job.nodes[-1]
    calc["projection"][1] = condition
    number = job.aggregate(source, ("COUNT",))
    job.nodes[-1]["aggCalls"][0]["filterArg"] = 1
    return job.sink(number).version()


def among(*values):
    ranges = [{"lower": {"value": one, "boundType": "CLOSED"}} for one in values]
    return filtered(call_of("SEARCH", ref("symbol"), literal(sarg={"ranges": ranges, "nullAs": "UNKNOWN"})))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (among("a", "b"), among("y", "z")),
        (filtered(call_of("=", ref("symbol"), literal(value="a"))),
         filtered(call_of("=", ref("symbol"), literal(value="b")))),
        (filtered(call_of("TRIM", literal(symbol="TRIM", value="BOTH"), ref("symbol"))),
         filtered(call_of("TRIM", literal(symbol="TRIM", value="LEADING"), ref("symbol")))),
        (filtered(call_of(">", field_of("x"))), filtered(call_of(">", field_of("y")))),
        (filtered(call_of(">", field_of("x"))), filtered(call_of(">", field_of("x", "other")))),
    ],
)  # fmt: skip
def test_another_filter_of_an_aggregate_is_another_meaning(before, after):
    assert compare(before, before).verdict == "same"
    found = compare(before, after)
    assert (found.verdict, fates(found)["GroupAggregate"]) == ("incompatible", "changed")


def test_a_field_of_a_column_is_followed_to_its_table():
    found = compare(filtered(field_of("x")), filtered(field_of("y")))
    assert "COUNT(where trades.symbol.x) → COUNT(where trades.symbol.y)" in found.reason


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (call_of(">", field_of("x"), literal(value=5)), call_of(">", field_of("y"), literal(value=5))),
        (call_of("CAST", ref("symbol"), type_="INT"), call_of("CAST", ref("symbol"), type_="BIGINT")),
    ],
)
def test_another_condition_shows_whatever_in_it_differs(before, after):
    assert compare(counts(where=before), counts(where=before)).verdict == "same"
    found = compare(counts(where=before), counts(where=after))
    assert found.verdict == "compatible"
    assert "as it was before" in found.notes[0]


def test_another_name_for_an_aggregate_s_column_is_no_change():
    def windowed(name):
        job = Job()
        source = job.calc(job.scan(), "symbol", "id")
        totals = job.aggregate(source, ("COUNT",), kind="window-aggregate", name="WindowAggregate")
        job.nodes[-1]["aggCalls"][0]["name"] = name
        return job.sink(totals).version()

    assert compare(windowed("n"), windowed("m")).verdict == "same"


def test_an_operator_before_the_state_moves_it_out_of_reach():
    found = compare(counts(), joined())
    assert found.verdict == "incompatible"
    assert fates(found)["GroupAggregate"] == "lost"
    assert "its id" in found.reason


def test_an_operator_behind_the_state_leaves_it_and_moves_the_sink():
    job = Job()
    source = job.calc(job.scan(), "symbol", "id", "amount", where="amount > 0")
    totals = job.aggregate(source, ("COUNT",), ("SUM", 2))
    after = job.sink(job.node("calc", "Calc", totals, output="ROW<`k` STRING>", projection=[])).version()
    found = compare(counts(), after)
    assert found.verdict == "compatible"
    assert fates(found)["GroupAggregate"] == "kept"
    assert fates(found)["Sink(out)"] == "dropped"
    assert compare(after, counts()).allow_non_restored_state


def test_state_that_is_new_starts_empty_and_state_that_is_dropped_is_skipped():
    def plain():
        job = Job()
        return job.sink(job.calc(job.scan(), "symbol", where="amount > 0")).version()

    def branched():
        job = Job()
        read_ = job.calc(job.scan(), "symbol", where="amount > 0")
        job.sink(read_)
        return job.sink(job.aggregate(read_, ("COUNT",)), "more").version()

    added = compare(plain(), branched())
    assert (added.verdict, fates(added)["GroupAggregate"]) == ("compatible", "new")
    assert added.operators[-1].reason.startswith("starts empty")
    dropped = compare(branched(), plain())
    assert (dropped.verdict, dropped.allow_non_restored_state) == ("compatible", True)
    assert fates(dropped)["GroupAggregate"] == "dropped"


def test_state_in_whose_place_other_state_comes_is_lost():
    two_phases = Job()
    source = two_phases.calc(two_phases.scan(), "symbol", "id", "amount", where="amount > 0")
    both = [("COUNT",), ("SUM", 2)]
    after = two_phases.sink(
        two_phases.aggregate(source, *both, name="GlobalGroupAggregate", kind="global-group-aggregate")
    ).version()
    found = compare(counts(), after)
    assert found.verdict == "incompatible"
    assert "GlobalGroupAggregate" in found.reason


def test_offsets_of_another_topic_are_of_no_use():
    found = compare(counts(places={"trades": "kafka v1"}), counts(places={"trades": "kafka v2"}))
    assert found.verdict == "incompatible"
    assert "kafka v1 → kafka v2" in found.reason
    assert (
        compare(counts(places={"trades": "k"}), counts(places={"trades": "k", "out": "z"})).verdict == "same"
    )


def test_operators_are_found_whatever_numbers_flink_has_come_to():
    version = counts()
    apart = tuple(replace(one, node=None if one.node is None else one.node * 7) for one in version.operators)
    more = replace(apart[1], id="0" * 32, name="Inserter[1]", text="Inserter[1]", node=apart[1].node + 1)
    found = compare(version, replace(version, operators=(*apart, more)))
    assert (found.verdict, fates(found)["GroupAggregate"]) == ("same", "kept")


def test_a_plan_that_does_not_fit_the_operators_is_no_proof():
    version = counts()
    others = tuple(replace(one, text=one.text.replace("Group", "Other")) for one in version.operators)
    with pytest.raises(PlanUnavailable, match="no operator of the job is found for GroupAggregate"):
        compare(version, replace(version, operators=others))


def test_a_verdict_that_is_not_known_recommends_nothing():
    found = unknown("no plan")
    assert (found.verdict, found.upgrade_mode, found.reason) == ("unknown", "", "no plan")


def test_exchanges_are_no_steps():
    plan = {
        "nodes": [{"type": "stream-exec-exchange_1", "description": "Exchange(x)"}, *counts().plan["nodes"]]
    }
    assert steps(plan) == ["TableSourceScan(x)", "Calc(x)", "GroupAggregate(x)", "Sink(x)"]


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
TYPE = st.sampled_from(
    [
        "INT",
        "DECIMAL(10, 2) NOT NULL",
        "ROW<`a` INT, `b>` STRING>",
        "MAP<STRING, ARRAY<INT>>",
        "CHAR(3) 'x,y'",
    ]
)


@given(st.lists(st.tuples(NAMES, TYPE), max_size=5))
def test_a_row_type_is_read_as_it_was_written(fields):
    quoted = ", ".join(f"`{name.replace('`', '``')}` {type_}" for name, type_ in fields)
    assert row_fields(f"ROW<{quoted}> NOT NULL") == fields


@given(st.text())
def test_what_is_no_row_type_has_no_columns_or_some(text):
    assert isinstance(row_fields(text), list)
