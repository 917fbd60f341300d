"""The receipt: what it says of a run, that it is as its schema says, and what it keeps to itself."""

import datetime as dt
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.flink.installed import jars
from sdp_kernel.promote.compose import Composed
from sdp_kernel.promote.receipt import Witness, of_job, plan_file, receipt_file
from sdp_kernel.promote.statistics import statistics
from sdp_kernel.repository import receipt as receipts
from sdp_kernel.repository.report import facts
from tests.unit.test_promote_evidence import Desk

PLAN = {"flinkVersion": "2.3", "nodes": [{"id": 1, "type": "stream-exec-sink"}], "edges": []}


def composed(**more):
    return Composed(
        {"sql/jobs/j.sql": "-- j\n"}, ("SELECT 1",), "SELECT 1;", ("SELECT 1",), "the plan", **more
    )


def made(*queries, desk=None, root=Path("/t"), notebook=None, witness=None, **more):
    desk = desk or Desk()
    ran = queries or (desk.run("SELECT 1"),)
    found = of_job(
        ran, desk, composed(**more), job="j", values={"b": "1", "a": "2"}, notebook=notebook, root=root,
        witness=witness,
    )  # fmt: skip
    receipt_file(found, {"sql/jobs/j.sql": "-- j\n"}, "j")
    return found


@pytest.mark.parametrize(
    ("notebook", "shown"),
    [
        ("/team/a/b/lab.ipynb", "a/b/lab.ipynb"),
        ("/home/ada/lab.ipynb", "lab.ipynb"),
        ("lab/a.ipynb", "lab/a.ipynb"),
        (None, None),
    ],
)
def test_a_receipt_names_the_notebook_and_no_place_outside_the_repository(notebook, shown):
    found = made(root=Path("/team"), notebook=notebook)
    assert found["cell"]["notebook"] == shown
    assert "home" not in json.dumps(found)


def test_a_receipt_is_as_its_schema_says_and_the_same_for_the_same_run():
    desk = Desk()
    query = desk.run("SELECT 1")
    first, second = (made(query, desk=desk, compiled=PLAN) for _ in "ab")
    assert receipts.faults(first) == []
    assert first == second
    assert list(first["parameters"]) == ["a", "b"]
    assert first["statements"] == [hashlib.sha256(b"SELECT 1").hexdigest()]
    assert json.loads(json.dumps(first)) == first


def test_the_compiled_plan_is_a_file_with_its_hash():
    found, (path, text) = made(compiled=PLAN), *plan_file(composed(compiled=PLAN), "j").items()
    assert path == found["plan"]["compiled"]["file"] == "sql/jobs/j.plan.json"
    assert found["plan"]["compiled"]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert json.loads(text) == PLAN


def test_a_receipt_without_a_compiled_plan_says_why():
    found = made(not_compiled="the gateway is elsewhere")
    assert (found["plan"]["compiled"], found["plan"]["reason"]) == (None, "the gateway is elsewhere")
    assert receipts.faults(found) == []
    assert plan_file(composed(not_compiled="x"), "j") == {}


def test_what_was_read_and_counted_is_in_it_and_in_words():
    read = {
        "table": "trades", "cluster": "main", "topics": ["trades"], "startup": "earliest-offset", "bounded": "latest-offset",
        "partitions": [{"topic": "trades", "partition": 0, "start": 5, "end": 35}], "offsets": 30, "exact": True, "reason": None,
    }  # fmt: skip
    unknown = {
        **read,
        "table": "other",
        "partitions": None,
        "offsets": None,
        "exact": False,
        "reason": "Kafka did not tell",
    }
    desk = Desk()
    query = desk.run("SELECT 1")
    query.trace = SimpleNamespace(last=SimpleNamespace(vitals=SimpleNamespace(records_in=1234)))
    found = made(query, desk=desk, witness=Witness(reads=lambda _query: [read, unknown]))
    assert receipts.faults(found) == []
    said = dict(facts(found))
    assert (
        said["read"]
        == "trades: 30 offsets of 1 partition; other: not known, Kafka did not tell; 1,234 records, when it was last measured"
    )


def test_of_several_cells_each_has_its_own():
    desk = Desk()
    found = made(desk.run("SELECT 1", name="one"), desk.run("SELECT 2", name="two"), desk=desk)
    assert receipts.faults(found) == []
    assert [cell["name"] for cell in found["cells"]] == ["one", "two"]


def test_the_hash_of_a_notebook_is_that_of_its_code_and_not_of_what_came_out(tmp_path):
    def write(*sources, outputs=()):
        cells = [{"cell_type": "code", "source": source, "outputs": list(outputs)} for source in sources]
        (tmp_path / "lab.ipynb").write_text(
            json.dumps({"cells": [{"cell_type": "markdown", "source": "x"}, *cells]})
        )
        return receipts.notebook_sha256(tmp_path / "lab.ipynb")

    before = write("SELECT 1", ["a\n", "b"])
    assert write("SELECT 1", "a\nb", outputs=["rows"]) == before
    assert write("SELECT 2", "a\nb") != before
    assert receipts.notebook_sha256(tmp_path / "gone.ipynb") is None
    (tmp_path / "lab.ipynb").write_text("[]")
    assert receipts.notebook_sha256(tmp_path / "lab.ipynb") is None


TABLE = pa.table(
    {
        "id": pa.array([3, 1, None, 3]),
        "price": pa.array([Decimal("1.10"), Decimal("0.20"), None, None]),
        "name": pa.array(["Ada", "Grace", "Ada", None]),
        "at": pa.array([dt.datetime(2026, 1, 5, 9, n) for n in range(4)]),
        "ratio": pa.array([float("inf"), 1.0, None, 2.0]),
        "tags": pa.array([["x"], None, [], ["y"]]),
        "card": pa.array([4111, 5500, 1, 2]),
        "nothing": pa.nulls(4),
        "ok": pa.array([True, None, False, True]),
    }
)


def test_statistics_count_and_show_ends_of_numbers_and_times_only():
    found = statistics(TABLE, lambda name: name == "card")
    by_name = {column.pop("name"): column for column in found["columns"]}
    assert found["rows"] == 4
    assert by_name["id"] == {"nulls": 1, "distinct": 2, "min": 1, "max": 3, "reason": None}
    assert (by_name["price"]["min"], by_name["price"]["max"]) == ("0.20", "1.10")
    assert by_name["at"]["max"] == "2026-01-05T09:03:00"
    assert by_name["ratio"]["max"] == "inf"
    assert by_name["name"]["distinct"] == 2
    assert by_name["tags"] == {
        "nulls": 1, "distinct": None, "min": None, "max": None, "reason": "only its nulls are counted: it is nested"
    }  # fmt: skip
    assert by_name["card"] == dict.fromkeys(("nulls", "distinct", "min", "max")) | {"reason": "masked"}
    assert by_name["nothing"]["nulls"] == 4
    said = json.dumps(found)
    assert not [word for word in ("Ada", "Grace", "4111", "5500") if word in said]


@given(
    st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62)), max_size=30),
    st.lists(st.one_of(st.none(), st.floats(width=32)), max_size=30),
)
def test_statistics_of_any_numbers_are_json(whole, real):
    for values, kind in ((whole, pa.int64()), (real, pa.float32())):
        (column,) = statistics(pa.table({"x": pa.array(values, kind)}), lambda _name: False)["columns"]
        known = [value for value in values if value is not None]
        assert column["nulls"] == len(values) - len(known)
        json.dumps(column, allow_nan=False)
        if kind == pa.int64() and known:
            assert (column["distinct"], column["min"], column["max"]) == (
                len(set(known)),
                min(known),
                max(known),
            )


@given(st.sampled_from([bytes, str]), st.lists(st.text(max_size=5), max_size=10))
def test_no_text_of_a_row_is_in_the_statistics(kind, values):
    marked = [f"\x02{value}" for value in values]
    table = pa.table(
        {
            "x": pa.array(
                [v.encode() if kind is bytes else v for v in marked],
                pa.binary() if kind is bytes else pa.string(),
            )
        }
    )
    (column,) = statistics(table, lambda _name: False)["columns"]
    assert (column["min"], column["max"], column["distinct"]) == (None, None, len(set(marked)))


def test_jars_are_named_with_their_versions_without_flink_s_own():
    path = [
        "/opt/flink/lib/flink-sql-connector-kafka-5.0.0-2.2.jar", "lib/flink-dist-2.3.0.jar", "flink-table-runtime-2.3.0.jar",
        "C:\\lib\\postgresql-42.7.4.jar", "log4j-api-2.24.3.jar", "/x/iceberg-flink-runtime-2.0-1.9.1.jar", "/conf", "plain.jar",
    ]  # fmt: skip
    assert jars(path) == {
        "flink-sql-connector-kafka": "5.0.0-2.2",
        "iceberg-flink-runtime": "2.0-1.9.1",
        "postgresql": "42.7.4",
    }


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda r: r.pop("plan"), "the receipt has no plan"),
        (lambda r: r["cell"].update(sha256="x"), "cell.sha256 is not as pattern says"),
        (lambda r: r["run"].update(rows="7"), "run.rows is not integer or null"),
        (lambda r: r.update(version=1), "it is of version 1, not 2"),
        (lambda r: r["statements"].clear(), "statements is not as minItems says: 1"),
        (lambda r: r["files"].update({"a": "hunter2"}), "files.a is not as pattern says"),
    ],
)
def test_what_breaks_the_schema_is_named_and_not_quoted(spoil, fault):
    found = made()
    spoil(found)
    assert receipts.faults(found)[0].startswith(fault)
    assert "hunter2" not in str(receipts.faults(found))


@pytest.mark.parametrize("other", [[], 3, None, "x", {}])
def test_what_is_no_receipt_breaks_the_schema(other):
    assert receipts.faults(other)


def test_the_schema_is_one():
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(receipts.schema())
