"""NDJSON, CSV, MessagePack, change envelopes, and which format bytes are taken for."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.kafka.decode import Decoded, Options, decode_key_column, decoder, detect

NAMES = st.text("abcdefgh_", min_size=1, max_size=6)
SIMPLE = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8)


def read(name: str, *values: bytes | None, **options: Any) -> Decoded:
    return decoder(name, options=Options(**options)).decode(list(values))


def rows_of(decoded: Decoded) -> list[dict[str, Any]]:
    columns = {name: column.to_pylist() for name, column in decoded.columns.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


# --- NDJSON --------------------------------------------------------------------------------


def test_each_line_is_a_row_that_knows_its_record() -> None:
    got = read("ndjson", b'{"a": 1}\n{"a": 2}\n', None, b'{"a": 3}', b"", b'{"a": 4}\n\n{broken\n{"a": 6}')
    assert got.columns["a"].to_pylist() == [1, 2, None, 3, None, 4, None, 6]
    assert got.rows.tolist() == [0, 0, 1, 2, 3, 4, 4, 4]
    assert sorted(got.errors) == [4, 6]


@given(st.lists(st.lists(st.dictionaries(NAMES, st.integers(-9, 9), min_size=1), min_size=1), min_size=1))
def test_ndjson_gives_back_every_document(records: list[list[dict[str, int]]]) -> None:
    got = read("ndjson", *("\n".join(map(json.dumps, some)).encode() for some in records))
    found = [{k: v for k, v in row.items() if v is not None} for row in rows_of(got)]
    assert found == [document for some in records for document in some]
    assert got.rows.tolist() == [i for i, some in enumerate(records) for _ in some]


# --- CSV -----------------------------------------------------------------------------------


def test_csv_has_exact_types_and_keeps_leading_zeros() -> None:
    got = read("csv", b"1,0.5,true,007,a", b"2,,false,010,", b"3,1.25,,000,c d")
    assert [str(c.type) for c in got.columns.values()] == ["int64", "double", "bool", "string", "string"]
    assert list(got.columns) == [f"column_{i}" for i in range(1, 6)]
    assert got.columns["column_2"].to_pylist() == [0.5, None, 1.25]
    assert got.columns["column_4"].to_pylist() == ["007", "010", "000"]
    assert got.columns["column_5"].to_pylist() == ["a", "", "c d"]
    assert got.rows is None


def test_csv_numbers_that_float64_cannot_hold_are_decimals() -> None:
    got = read("csv", b"0.1000000000000000001,a", b"2.5,b")
    assert [str(v) for v in got.columns["column_1"].to_pylist()] == [
        "0.1000000000000000001",
        "2.5000000000000000000",
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_and_told(delimiter: str) -> None:
    lines = [delimiter.join(["1", "a,b;c" if delimiter not in ",;" else "ab", "2.5"])] * 3
    got = read("csv", *map(str.encode, lines))
    assert got.found is not None
    assert got.found.delimiter == delimiter
    assert len(got.columns) == 3


def test_a_header_in_every_value_names_the_columns() -> None:
    got = read("csv", b"id,name\n1,a\n2,b\n", b"id,name\n3,c")
    assert rows_of(got) == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}]
    assert got.rows.tolist() == [0, 0, 1]
    given_names = read("csv", b"1,a", b"2,b", header=("id", "name"))
    assert rows_of(given_names)[1] == {"id": 2, "name": "b"}


def test_ragged_lines_and_open_quotes_are_errors_of_their_own() -> None:
    got = read("csv", b"1,a", b"2", b'3,"open', b"4,d", b"\xff,x", None, b"5,e,f")
    assert got.columns["column_1"].to_pylist() == [1, None, None, 4, None, None, None]
    assert sorted(got.errors) == [1, 2, 4, 6]
    assert "1 fields" in got.errors[1]
    assert "UTF-8" in got.errors[4]


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=6),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=8,
    )
)
def test_csv_gives_back_every_field(table: list[list[str]]) -> None:
    values = []
    for row in table:
        text = io.StringIO()
        csv.writer(text, lineterminator="", quoting=csv.QUOTE_ALL).writerow(row)
        values.append(text.getvalue().encode())
    got = read("csv", *values, delimiter=",")
    assert not got.errors
    for at, name in enumerate(got.columns):
        column = got.columns[name]
        if str(column.type) == "string":
            assert column.to_pylist() == [row[at] for row in table]


# --- MessagePack ---------------------------------------------------------------------------


def test_maps_are_columns_and_binary_stays_binary() -> None:
    import datetime as dt

    at = dt.datetime(2026, 1, 5, 9, tzinfo=dt.timezone.utc)
    packed = msgpack.packb({"a": 1, "b": b"\x00\xff", "t": at, "in": {"x": [1.5]}, 7: "n"}, datetime=True)
    got = read("msgpack", packed, None, packed + b"\x01", b"\xc1", packed[:-1])
    assert got.columns["a"].to_pylist() == [1, None, None, None, None]
    assert got.columns["b"][0].as_py() == b"\x00\xff"
    assert got.columns["t"][0].as_py() == at
    assert got.columns["in"][0].as_py() == {"x": [1.5]}
    assert got.columns["7"][0].as_py() == "n"
    assert sorted(got.errors) == [2, 3, 4]


@given(st.lists(st.dictionaries(NAMES, SIMPLE, min_size=1), min_size=1))
def test_msgpack_is_recognised_and_read_back(documents: list[dict[str, Any]]) -> None:
    values = [msgpack.packb(document) for document in documents]
    assert detect(values) == "msgpack"
    got = read("msgpack", *values)
    assert not got.errors
    for row, document in zip(rows_of(got), documents, strict=True):
        for name, value in document.items():
            if name not in got.text_of_json:
                assert row[name] == value


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_bytes_that_are_no_msgpack_are_rows_with_a_reason(values: list[bytes]) -> None:
    got = read("msgpack", *values)
    assert all(len(column) == len(values) for column in got.columns.values())


# --- envelopes -----------------------------------------------------------------------------


def change(op: str, before: Any, after: Any, **more: Any) -> bytes:
    source = {"table": "customers", "ts_ms": 1_760_000_000_000}
    return json.dumps(
        {"before": before, "after": after, "source": source, "op": op, "ts_ms": 5, **more}
    ).encode()


def test_debezium_is_unwrapped_with_what_was_done() -> None:
    values = [
        change("c", None, {"id": 1, "name": "a"}),
        change("u", {"id": 1, "name": "a"}, {"id": 1, "name": "b"}),
        change("d", {"id": 1, "name": "b"}, None),
        None,
        b'{"id": 7}',
        b"{broken",
    ]
    assert detect(values) == "debezium-json"
    got = read("debezium-json", *values, unwrap=True)
    assert got.columns["id"].to_pylist() == [1, 1, 1, None, None, None]
    assert got.columns["name"].to_pylist() == ["a", "b", "b", None, None, None]
    assert got.extra["_op"].to_pylist() == ["c", "u", "d", None, None, None]
    assert got.extra["_table"].to_pylist()[:3] == ["customers"] * 3
    assert got.extra["_source_ts"][0].as_py().year == 2025
    assert sorted(got.errors) == [4, 5]
    assert "no change envelope" in got.errors[4]
    whole = read("debezium-json", *values)
    assert {"before", "after", "source", "op", "ts_ms", "id"} == set(whole.columns)


def test_the_schema_that_connect_adds_is_taken_off() -> None:
    inner = json.loads(change("c", None, {"id": 1}))
    value = json.dumps({"schema": {"type": "struct", "fields": []}, "payload": inner}).encode()
    assert detect([value]) == "debezium-json"
    got = read("debezium-json", value, unwrap=True)
    assert got.columns["id"].to_pylist() == [1]


def test_maxwell_is_unwrapped() -> None:
    def row(kind: str, **data: Any) -> bytes:
        return json.dumps(
            {"database": "shop", "table": "t", "type": kind, "ts": 1_760_000_000, "data": data}
        ).encode()

    values = [row("insert", id=1), row("update", id=2), row("delete", id=3), row("bootstrap-insert", id=4)]
    assert detect(values) == "maxwell-json"
    got = read("maxwell-json", *values, unwrap=True)
    assert got.columns["id"].to_pylist() == [1, 2, 3, 4]
    assert got.extra["_op"].to_pylist() == ["c", "u", "d", "r"]
    assert got.extra["_source_ts"][0].as_py().year == 2025


def test_sides_of_different_types_are_brought_together() -> None:
    got = read("debezium-json", change("d", {"x": 1}, None), change("c", None, {"x": 2.5}), unwrap=True)
    assert got.columns["x"].to_pylist() == [1.0, 2.5]
    got = read("debezium-json", change("d", {"x": 1}, None), change("c", None, {"x": "b"}), unwrap=True)
    assert got.columns["x"].to_pylist() == ["1", "b"]


# --- detection -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([b'{"a": 1}', b"[1]"], "json"),
        ([b'{\n "a": 1\n}'], "json"),
        ([b'{"a": 1}\n{"a": 2}'], "ndjson"),
        ([b"1,a,2.5", b"2,b,3.5", b"3,c,4"], "csv"),
        ([b"id;name\n1;a\n2;b"], "csv"),
        ([b"Dear all, it rains, again.", b"Well, what now, then?", b"So, so, so."], "text"),
        ([b"2026-01-05 09:00:00,123 INFO started", b"2026-01-05 09:00:01,125 INFO it runs"] * 3, "text"),
        ([b"9d0ea0d0-24c1-4ef0-8ee9-2b8ba5c2aa3f", b"0b7fd2a1-2c1f-4ef0-8ee9-2b8ba5c2aa3f"] * 2, "text"),
        ([b"12", b"13", b"14"], "text"),
        ([b"hello"], "text"),
        ([b"\x00\x00\x00\x00\x07\x02a"], "bytes"),
        ([b"\x93\xff\x00\x12"], "bytes"),
        ([b"\xff\xd8\xff\xe0"], "bytes"),
        ([b'{"a": 1}', b"{broken", b'{"a": 2}'], "json"),
        ([b'{"op": "c", "price": 3}'], "json"),
        ([None, b""], None),
    ],
)
def test_what_bytes_are_taken_for(values: list[bytes | None], name: str | None) -> None:
    assert detect(values) == name


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, max_size=10))
def test_prose_is_text_unless_it_is_json_or_a_table(texts: list[str]) -> None:
    assert detect([text.encode() for text in texts]) in {"text", "json", "csv"}


@given(st.lists(st.binary() | st.none()))
def test_detection_never_fails(values: list[bytes | None]) -> None:
    name = detect(values)
    assert (name is None) == (not any(values))
    if name is not None:
        decoder(name).decode(values)


# --- keys ----------------------------------------------------------------------------------


def test_keys_are_text_or_bytes_unless_told_otherwise() -> None:
    assert decode_key_column([b"a", None], None, None)[0] == "text"
    assert decode_key_column([b"\xff\x00"], None, None)[0] == "bytes"
    name, array, errors = decode_key_column([b'{"id": 1}', None, b"{no"], None, None)
    assert (name, array.to_pylist(), errors) == ("text", ['{"id": 1}', None, "{no"], {})
    name, array, errors = decode_key_column([b'{"id": 1}', None, b"{no"], "json", None)
    assert (name, array.to_pylist()) == ("json", [{"id": 1}, None, None])
    assert list(errors) == [2]
    assert decode_key_column([b"7", b"8"], "json", None)[1].to_pylist() == [7, 8]
