"""A table inferred from a sample in any format gives Flink the rows that the sample had."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from sdp_kernel.kafka.infer import infer_table
from sdp_kernel.kafka.sample import sample

if TYPE_CHECKING:
    from sdp_kernel.kafka.cluster import Cluster

pytestmark = pytest.mark.stack


def debezium(op: str, before: Any, after: Any) -> bytes:
    source = {"table": "t", "ts_ms": 1_760_000_000_000}
    return json.dumps({"before": before, "after": after, "source": source, "op": op, "ts_ms": 5}).encode()


def maxwell(kind: str, **data: Any) -> bytes:
    return json.dumps(
        {"database": "d", "table": "t", "type": kind, "ts": 1_760_000_000, "data": data}
    ).encode()


A, B = {"id": 1, "n": "a"}, {"id": 1, "n": "b"}
CASES = {
    "csv": (
        [b"1,ada,2.50,2026-01-05 09:00:00", b"2,bob,,2026-01-05 09:00:01", b'3,"x,y",1.25,2026-01-05 09:00:02'],
        "csv",
        [
            {"column_1": 1, "column_2": "ada", "column_3": 2.5, "column_4": dt.datetime(2026, 1, 5, 9)},
            {"column_1": 2, "column_2": "bob", "column_3": None, "column_4": dt.datetime(2026, 1, 5, 9, 0, 1)},
            {"column_1": 3, "column_2": "x,y", "column_3": 1.25, "column_4": dt.datetime(2026, 1, 5, 9, 0, 2)},
        ],
    ),
    "csv with semicolons": (
        [b"1;ada;007", b"2;bob;010", b"3;cy;011"],
        "csv",
        [
            {"column_1": i + 1, "column_2": name, "column_3": text}
            for i, (name, text) in enumerate([("ada", "007"), ("bob", "010"), ("cy", "011")])
        ],
    ),
    "ndjson": (
        [b'{"a": 1}\n{"a": 2}', b'{"a": 3}\n{"a": 4}'],
        "ndjson",
        [{"value": '{"a": 1}\n{"a": 2}'}, {"value": '{"a": 3}\n{"a": 4}'}],
    ),
    "msgpack": (
        [msgpack.packb({"a": i}) for i in range(3)],
        "msgpack",
        [{"value": msgpack.packb({"a": i})} for i in range(3)],
    ),
    "debezium": (
        [debezium("c", None, A), debezium("u", A, B), debezium("c", None, {"id": 2, "n": "c"}),
         debezium("d", {"id": 2, "n": "c"}, None)],
        "debezium-json",
        [B],
    ),
    "maxwell": (
        [maxwell("insert", id=1, n="a"), maxwell("insert", id=2, n="b"), maxwell("delete", id=2, n="b")],
        "maxwell-json",
        [A],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_flink_reads_what_the_sample_showed(
    session: Any, cluster: Cluster, topic_name: str, produce: Any, name: str
) -> None:
    values, format_name, expected = CASES[name]
    produce(topic_name, [(None, value) for value in values])
    got = sample(cluster, topic_name)
    assert (got.format, got.errors) == (format_name, 0)
    sketch = infer_table(got, name="inferred", alias="main")
    session.execute(sketch.ddl)
    query = session.execute("SELECT * FROM inferred /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */")
    rows = [{k: v for k, v in row.items() if not k.startswith("_")} for row in query.arrow.to_pylist()]
    assert sorted(rows, key=str) == sorted(expected, key=str)
