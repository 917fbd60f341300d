"""Inferred tables through the real gateway: what Flink reads is what the sample shows."""

from __future__ import annotations

import contextlib
import csv
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.decode import Options
from sdp_kernel.kafka.infer import TableSketch, infer_table
from sdp_kernel.kafka.sample import FIELD, Sample, sample
from sdp_kernel.settings import KafkaCluster

pytestmark = pytest.mark.stack

T0 = 1_767_600_000_000


def flink_type(described: str) -> str:
    return re.sub(r" \*(ROW|PROC)TIME\*", "", described).removesuffix(" NOT NULL")


@pytest.fixture
def cluster(stack: Any) -> Cluster:
    return Cluster(KafkaCluster("main", {"bootstrap.servers": stack.kafka}))


@pytest.fixture
def send(cluster: Cluster, topic_name: str) -> Any:
    """Write records (bytes, or dicts of produce() arguments) to a new topic; returns a sample of it."""

    def write(*records: Any, partitions: int = 1, **reading: Any) -> Sample:
        cluster.create_topic(topic_name, partitions, exist_ok=True)
        producer = cluster.producer()
        for number, record in enumerate(records):
            arguments = record if isinstance(record, dict) else {"value": record}
            producer.produce(topic_name, **{"partition": 0, "timestamp": T0 + number, **arguments})
        assert producer.flush(30) == 0
        return sample(cluster, topic_name, n=1000, **reading)

    return write


def created(session: Any, sketch: TableSketch) -> None:
    """Create the table and check that its columns are exactly the sketched ones."""
    session.execute(sketch.ddl)
    described = session.execute(f"DESCRIBE `{sketch.name}`").arrow.to_pylist()
    found = [(r["name"], flink_type(r["type"])) for r in described]
    assert found == [(c.name, c.type) for c in sketch.columns]


def selected(session: Any, sketch: TableSketch, what: str = "*") -> list[dict[str, Any]]:
    query = f"SELECT {what} FROM `{sketch.name}` /*+ OPTIONS('scan.bounded.mode'='latest-offset') */"
    rows: list[dict[str, Any]] = session.execute(query).arrow.to_pylist()
    return rows


def read_back(session: Any, sketch: TableSketch) -> dict[int, dict[str, Any]]:
    """Create the table and return its rows by offset."""
    created(session, sketch)
    rows = selected(session, sketch)
    assert len({row["_offset"] for row in rows}) == len(rows)
    return {row["_offset"]: row for row in rows}


def plain(value: Any) -> Any:
    """Return a value with maps as dicts, and without what is null in them."""
    if isinstance(value, list) and value and all(isinstance(v, tuple) for v in value):
        return {k: plain(v) for k, v in value if v is not None}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None}
    return value


def expected(got: Sample) -> dict[int, dict[str, Any]]:
    """Return the sample's readable rows by offset, metadata under the table's names."""
    return {row["_offset"]: row for row in got.table.to_pylist() if not row.get("_error")}


def same(sketch: TableSketch, rows: dict[int, Any], want: dict[int, Any], *but: str) -> None:
    """Compare every column that is not computed, value by value."""
    assert sorted(rows) == sorted(want)
    for column in sketch.columns:
        if column.clause.startswith("AS ") or column.name in but:
            continue
        for offset, row in want.items():
            value = row.get(column.name)
            if column.name == "_headers":
                value = {h["key"]: h["value"] for h in value or ()}
                assert dict(rows[offset]["_headers"]) == value
            elif column.type.startswith("TIMESTAMP") and isinstance(value, str):
                assert instant(rows[offset][column.name]) == instant(value)
            else:
                assert plain(rows[offset][column.name]) == plain(value), column.name


def instant(value: Any) -> Any:
    """Return a time as UTC without a zone, whatever it is written as."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
    return moment.replace(tzinfo=None) - (moment.utcoffset() or timedelta())


def test_json_comes_back_value_by_value(session: Any, send: Any) -> None:
    text = (
        '{"id":%d,"naïve 😀":"ü\\u2028\\"`${x}","price":%s,"ok":%s,"nested":{"a":[1,null,2],"b":{"c":"x"}},'
        '"rows":[{"h":1.5},null],"Id":"%d","big":12345678901234567890.25,"select":null,"_partition":%d,'
        '"tags":{"t%d":%d,"t%d":7},"mixed":%s}'
    )
    got = send(
        *(
            {
                "value": (text % (i, i / 4 + 0.1, "true" if i % 2 else "null", -i, i + 7, i, i, i + 100,
                                  '"s"' if i % 3 else '{"z":[1,2]}')).encode(),
                "key": None if i == 3 else f"k{i}".encode(),
                "headers": [("h", b"\x00\xff"), ("none", None)] if i == 4 else None,
            }
            for i in range(8)
        ),
        {"key": b"k1", "value": None},
    )  # fmt: skip
    sketch = infer_table(got)
    kinds = {c.name: c.type for c in sketch.columns}
    assert kinds["nested"] == "ROW<`a` ARRAY<BIGINT>, `b` ROW<`c` STRING>>"
    assert kinds["tags"] == "MAP<STRING, BIGINT>"
    assert kinds["big"] == "DECIMAL(22, 2)"
    assert kinds["_partition_"] == "INT"
    rows = read_back(session, sketch)
    want = {o: r for o, r in expected(got).items() if o != 8}
    for row in want.values():
        row["_partition"], row["_partition_"] = row["_partition_"], row["_partition"]
    same(sketch, rows, want, "mixed")
    assert rows[0]["mixed"] == '{"z":[1,2]}'
    assert rows[1]["mixed"] == "s"
    assert [rows[i]["_key"] for i in (2, 3, 4)] == ["k2", None, "k4"]


NOTATIONS = {
    "iso_z": lambda t: t.isoformat(timespec="milliseconds") + "Z",
    "iso_micros": lambda t: t.isoformat(timespec="microseconds") + "Z",
    "iso_local": lambda t: t.isoformat(),
    "sql": lambda t: t.isoformat(" "),
    "sql_z": lambda t: t.isoformat(" ") + "Z",
    "plus_two": lambda t: (t + timedelta(hours=2)).isoformat() + "+02:00",
    "minus": lambda t: (t - timedelta(hours=5, minutes=30)).isoformat(timespec="milliseconds") + "-0530",
    "either": lambda t: t.isoformat() + ("Z" if t.second % 2 else "+00:00"),
    "created_s": lambda t: int((t - datetime(1970, 1, 1)).total_seconds()),
    "created_ms": lambda t: int((t - datetime(1970, 1, 1)).total_seconds()) * 1000 + 5,
    "created_us": lambda t: int((t - datetime(1970, 1, 1)).total_seconds()) * 1_000_000 + 5,
    "created_ns": lambda t: int((t - datetime(1970, 1, 1)).total_seconds()) * 1_000_000_000 + 5,
    "time_float": lambda t: (t - datetime(1970, 1, 1)).total_seconds() + 0.5,
    "time_text": lambda t: str(int((t - datetime(1970, 1, 1)).total_seconds()) * 1000),
    "rising": lambda t: int((t - datetime(1970, 1, 1)).total_seconds() * 1000),
}


@pytest.mark.parametrize("name", NOTATIONS)
def test_every_notation_of_time_is_the_same_instant(session: Any, send: Any, name: str) -> None:
    moments = [datetime(2026, 1, 5, 8, 0, second) for second in range(6)]
    got = send(*(json.dumps({name: NOTATIONS[name](t)}).encode() for t in moments))
    sketch = infer_table(got)
    assert sketch.event_time is not None
    rows = read_back(session, sketch)
    read = [instant(rows[i][sketch.event_time]) for i in range(6)]
    assert [t.replace(microsecond=0) for t in read] == moments


def test_mixed_notations_in_one_table_are_all_read(session: Any, send: Any) -> None:
    moment = datetime(2026, 1, 5, 8, 0, 1)
    value = {name: notation(moment) for name, notation in NOTATIONS.items() if name != "rising"}
    sketch = infer_table(send(json.dumps(value).encode()))
    (row,) = read_back(session, sketch).values()
    times = [c.name for c in sketch.columns if c.type.startswith("TIMESTAMP") and c.name != "_timestamp"]
    assert len(times) >= len(value)
    assert {instant(row[name]).replace(microsecond=0) for name in times} == {moment}


def test_malformed_records_are_skipped_and_the_rest_is_read(session: Any, send: Any) -> None:
    got = send(b'{"a":1}', b"oops", b"", b'{"a":2}', b'{"a":3}', b'{"a":4}', b"[1]")
    sketch = infer_table(got)
    rows = read_back(session, sketch)
    assert {o: r["a"] for o, r in rows.items()} == {0: 1, 3: 2, 4: 3, 5: 4}


@pytest.mark.parametrize("value", [b'{"id":"v","x":1}', b'{"key_id":0,"id":"v","x":1}', b'{"x":1}'])
def test_a_structured_key_keeps_its_values_apart_from_the_rows(session: Any, send: Any, value: bytes) -> None:
    got = send(*({"key": b'{"id":%d,"region":{"n":"eu"}}' % i, "value": value} for i in range(3)))
    sketch = infer_table(got)
    rows = read_back(session, sketch)
    key = next(c.name for c in sketch.columns if c.name.endswith("id") and c.note == "in the record's key")
    assert [rows[i][key] for i in range(3)] == [0, 1, 2]
    assert all(rows[i]["x"] == 1 for i in range(3))
    assert all(rows[i].get("id") in ("v", i) for i in range(3))


def test_records_without_a_structured_key_survive(session: Any, send: Any) -> None:
    got = send({"key": b'{"id":1}', "value": b'{"x":1}'}, {"key": None, "value": b'{"x":2}'},
               {"key": b"", "value": b'{"x":3}'})  # fmt: skip
    rows = read_back(session, infer_table(got))
    assert [(rows[i]["_key"], rows[i]["x"]) for i in range(3)] == [('{"id":1}', 1), (None, 2), ("", 3)]


def test_text_and_bytes_come_back_with_their_tombstones(session: Any, send: Any) -> None:
    records = [
        {"key": b"\xff", "value": "zwölf 😀\n".encode()},
        {"key": b"b", "value": None},
        {"value": b" "},
    ]
    got = send(*records, format="text")
    same(sketch := infer_table(got), read_back(session, sketch), expected(got))
    got = send(b"\x00\xfe", format="bytes")
    same(sketch := infer_table(got, name="binary"), read_back(session, sketch), expected(got))


def test_text_that_is_not_all_utf_8_keeps_its_bytes(session: Any, send: Any) -> None:
    got = send(b"\xff\xfe", b"fine", b"also", format="text")
    rows = read_back(session, infer_table(got))
    assert [rows[i]["value"] for i in range(3)] == [b"\xff\xfe", b"fine", b"also"]
    assert rows[1]["value_text"] == "fine"


def test_upsert_folds_by_key_and_tombstones_delete(session: Any, send: Any) -> None:
    got = send(*({"key": k, "value": v} for k, v in [
        (b"a", b'{"x":1}'), (b"b", b'{"x":2}'), (b"a", b'{"x":3}'), (b"b", None)]))  # fmt: skip
    sketch = infer_table(got, upsert=True)
    created(session, sketch)
    assert [(r["_key"], r["x"]) for r in selected(session, sketch)] == [("a", 3)]
    assert sketch.primary_key == ("_key",)


@pytest.mark.parametrize("key", [b"\x00\x01", b'{"id":1,"r":"eu"}'])
def test_upsert_takes_any_key(session: Any, send: Any, key: bytes) -> None:
    got = send({"key": key, "value": b'{"id":1}'}, {"key": key, "value": b'{"id":2}'})
    sketch = infer_table(got, upsert=True)
    created(session, sketch)
    assert [r["id"] for r in selected(session, sketch)] == [2]


def test_without_metadata_only_value_and_key_are_columns(session: Any, send: Any) -> None:
    sketch = infer_table(send({"key": b"k", "value": b'{"a":1}'}), metadata=False)
    created(session, sketch)
    assert selected(session, sketch) == [{"_key": "k", "a": 1}]


def test_a_windowed_query_runs_on_the_proposed_watermark(session: Any, send: Any) -> None:
    got = send(*(json.dumps({"created_at": T0 + i * 1000}).encode() for i in range(20)))
    sketch = infer_table(got)
    created(session, sketch)
    query = (
        f"SELECT COUNT(*) AS n FROM TUMBLE(TABLE `{sketch.name}`, DESCRIPTOR(`{sketch.event_time}`),"
        " INTERVAL '10' SECOND) GROUP BY window_start, window_end"
    )
    session.execute(f"ALTER TABLE `{sketch.name}` SET ('scan.bounded.mode' = 'latest-offset')")
    assert [r["n"] for r in session.execute(query).arrow.to_pylist()] == [10, 10]


HOSTILE = st.one_of(
    st.sampled_from(
        ["${x}", "$${", "${kafka.main}", "${registry.main}", "a`b", "a'b", "--", "/*", "*/", "a\nb", ";", "\\",
         "'; DROP TABLE x; --", "", "`", "select", "_key", "_offset", "key_id", "ID", "id", "a\u2028b", "a\x85b",
         "x" * 1000, "😀" * 130, "value", "timestamp", "_timestamp", "PRIMARY KEY", "\x00"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)  # fmt: skip
ANY = st.recursive(
    st.one_of(st.none(), st.integers(), st.booleans(), HOSTILE, st.floats(allow_nan=False, allow_infinity=False),
              st.sampled_from(["2026-01-05T09:00:00Z", "2026-01-05T09:00:00+02:00", T0, T0 // 1000])),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(HOSTILE, inner, max_size=3), max_leaves=4,
)  # fmt: skip


@given(
    st.lists(st.dictionaries(HOSTILE, ANY, max_size=5), min_size=1, max_size=3),
    st.none() | st.dictionaries(HOSTILE, ANY, min_size=1, max_size=3) | HOSTILE,
    HOSTILE.filter(lambda n: n.strip() and not {*"\r\n"} & {*n} and len(n) <= 128),
    st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_gateway_takes_any_names_and_declares_what_was_sketched(
    session: Any,
    objects: list[dict[str, Any]],
    key: Any,
    name: str,
    upsert: bool,  # noqa: FBT001
) -> None:
    import numpy as np

    from sdp_kernel.kafka.build import Assembly, Reading
    from sdp_kernel.kafka.read import Records

    n = len(objects)
    raw = [json.dumps(o).encode() for o in objects]
    keys = [None if key is None else json.dumps(key).encode()] * n
    assembly = Assembly(Reading("json"))
    assembly.add(Records(raw, keys, [None] * n, np.zeros(n, np.int32), np.arange(n), np.full(n, T0)))
    built = assembly.finish()
    got = Sample("t", "json", built.table, n, n, {0: (0, n)}, built.errors, 0, key_format=built.key_format)
    sketch = infer_table(got, name=name, upsert=upsert and key is not None)
    session.execute(sketch.ddl)
    quoted = "`" + name.replace("`", "``").replace("${", "$${") + "`"
    try:
        described = session.execute(f"DESCRIBE {quoted}").arrow.to_pylist()
        found = [(r["name"], flink_type(r["type"])) for r in described]
        assert found == [(c.name, c.type.replace("$${", "${")) for c in sketch.columns]
        session.execute(f"EXPLAIN SELECT * FROM {quoted}")
    finally:
        session.execute(f"DROP TABLE {quoted}")


def as_format(got: Sample, name: str, **options: Any) -> Sample:
    return replace(got, format=name, options=Options(**options))


def csv_sample(got: Sample, *, delimiter: str | None = None) -> Sample:
    """Read a sample of text as CSV: its columns by name, empty fields of numbers as null."""
    lines = got.table.column("value").to_pylist()
    rows = [next(csv.reader([line], delimiter=delimiter or ",")) for line in lines if line is not None]
    arrays = [pa.array([row[i] for row in rows], pa.string()) for i in range(len(rows[0]))]
    arrays = [whole(array) for array in arrays]
    names = [f"c{i}" for i in range(len(arrays))]
    fields = [pa.field(n, a.type, metadata={FIELD: n.encode()}) for n, a in zip(names, arrays, strict=True)]
    rest = got.table.drop_columns(["value"])
    table = pa.Table.from_arrays([*arrays, *rest.columns], schema=pa.schema([*fields, *rest.schema]))
    return replace(got, format="csv", table=table, options=Options(delimiter=delimiter))


def whole(array: pa.Array) -> pa.Array:
    texts = [None if t == "" else t for t in array.to_pylist()]
    for kind in (pa.int64(), pa.float64(), pa.bool_()):
        with contextlib.suppress(pa.ArrowInvalid):
            return pa.array(texts, pa.string()).cast(kind)
    return array


def test_csv_comes_back_with_delimiter_and_empty_numbers(session: Any, send: Any) -> None:
    got = send(b"1;a;1.5;2026-01-05 09:00:00;true", '2;"x;ü ""q""";;2026-01-05 09:00:01;false'.encode(),
               format="text")  # fmt: skip
    got = csv_sample(got, delimiter=";")
    sketch = infer_table(got)
    kinds = [c.type for c in sketch.columns[:5]]
    assert kinds == ["BIGINT", "STRING", "DOUBLE", "TIMESTAMP(3)", "BOOLEAN"]
    same(sketch, read_back(session, sketch), expected(got))
    assert sketch.event_time == "c3"


def test_csv_times_in_other_notations_are_computed(session: Any, send: Any) -> None:
    got = csv_sample(send(b"2026-01-05T09:00:00Z,1", b"2026-01-05T09:00:01Z,2", format="text"))
    sketch = infer_table(got)
    rows = read_back(session, sketch)
    assert [instant(rows[i]["c0_ltz"]) for i in (0, 1)] == [datetime(2026, 1, 5, 9, 0, i) for i in (0, 1)]


def test_a_tab_is_a_delimiter(session: Any, send: Any) -> None:
    got = csv_sample(send(b"1\ta,b", b"2\tc", format="text"), delimiter="\t")
    sketch = infer_table(got)
    same(sketch, read_back(session, sketch), expected(got))


def test_json_behind_the_registrys_prefix_is_a_computed_column(session: Any, send: Any) -> None:
    document = '{"a":1,"b":"ü😀","c":9007199254740993}'
    got = as_format(send(b"\0\0\0\0\7" + document.encode(), {"key": b"k", "value": None}), "json-schema")
    sketch = infer_table(got)
    rows = read_back(session, sketch)
    assert [rows[i]["value_json"] for i in (0, 1)] == [document, None]
    assert rows[0]["value"] == b"\0\0\0\0\7" + document.encode()


@pytest.mark.parametrize("name", ["msgpack", "protobuf"])
def test_formats_flink_lacks_keep_their_bytes(session: Any, send: Any, name: str) -> None:
    got = as_format(send(b"\x81\xa1a\x01", format="bytes"), name)
    sketch = infer_table(got)
    assert read_back(session, sketch)[0]["value"] == b"\x81\xa1a\x01"
    assert any("no format for" in note for note in sketch.notes)


def change(op: str, before: Any, after: Any) -> dict[str, Any]:
    return {"before": before, "after": after, "op": op, "ts_ms": T0, "source": {"db": "d", "table": "t"}}


A, B, C = ({"id": 1, "name": "ü", "price": 1.5, "at": T0}, {"id": 1, "name": None, "price": 2, "at": T0 + 5},
           {"id": 2, "name": "z", "price": 0.1, "at": T0})  # fmt: skip
CHANGES = [change("c", None, A), change("u", A, B), change("r", None, C), change("d", C, None)]


@pytest.mark.parametrize("with_schema", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
def test_debezium_is_the_table_behind_it(session: Any, send: Any, *, with_schema: bool, keyed: bool) -> None:
    def record(change: dict[str, Any]) -> dict[str, Any]:
        value = {"schema": {"type": "struct"}, "payload": change} if with_schema else change
        key = {"id": (change["after"] or change["before"])["id"]}
        key = {"schema": {"type": "struct"}, "payload": key} if with_schema else key
        return {"value": json.dumps(value).encode(), "key": json.dumps(key).encode() if keyed else None}

    tombstone = [{"key": record(CHANGES[-1])["key"], "value": None}] if keyed else []
    got = as_format(send(*map(record, CHANGES), *tombstone), "debezium-json")
    sketch = infer_table(got)
    created(session, sketch)
    (row,) = selected(session, sketch)
    assert {k: row[k] for k in B} == B
    assert sketch.primary_key == (("id",) if keyed else ())
    assert instant(row["at_ltz"]) == datetime(2026, 1, 5, 8, 0, 0, 5000)


def test_the_envelope_is_plain_json_on_request_or_where_flink_would_fail(session: Any, send: Any) -> None:
    got = as_format(send(*(json.dumps(c).encode() for c in CHANGES)), "debezium-json")
    sketch = infer_table(got, changelog=False)
    same(sketch, read_back(session, sketch), expected(got))
    lost = as_format(send(json.dumps(change("u", None, B)).encode()), "debezium-json")
    sketch = infer_table(lost, name="lost")
    assert any("without the row before it" in note for note in sketch.notes)
    assert len(read_back(session, sketch)) == len(CHANGES) + 1


def test_maxwell_is_the_table_behind_it(session: Any, send: Any) -> None:
    base = {"database": "d", "table": "t", "ts": T0 // 1000}
    got = send(*(json.dumps({**base, "type": kind, **data}).encode() for kind, data in [
        ("insert", {"data": A}), ("update", {"data": B, "old": {"name": "ü", "price": 1.5, "at": T0}}),
        ("insert", {"data": C}), ("delete", {"data": C})]))  # fmt: skip
    sketch = infer_table(as_format(got, "maxwell-json"))
    created(session, sketch)
    (row,) = selected(session, sketch)
    assert {k: row[k] for k in B} == B


def test_several_documents_a_record_are_kept_as_text(session: Any, send: Any) -> None:
    got = send(b'{"a":1}\n{"a":2}', b'{"a":3}', format="text")
    twice = got.table.take([0, 0, 1])
    sketch = infer_table(replace(got, format="ndjson", table=twice))
    rows = read_back(session, sketch)
    assert rows[0]["value"] == '{"a":1}\n{"a":2}'
    query = (
        next(note for note in sketch.notes if "UNNEST" in note)
        .split("; ")[1]
        .removesuffix(" gives the lines")
    )
    session.execute(f"ALTER TABLE `{sketch.name}` SET ('scan.bounded.mode' = 'latest-offset')")
    lines = session.execute(query.replace("…", f"`{sketch.name}`")).arrow.to_pylist()
    assert [row["line"] for row in lines] == ['{"a":1}', '{"a":2}', '{"a":3}']
