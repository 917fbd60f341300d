"""Avro read in columns is what fastavro reads record by record; what is malformed is a row of its own."""

from __future__ import annotations

import datetime as dt
import io
import json
import struct
import uuid
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdp_kernel.errors import RegistryError
from sdp_kernel.frames import to_pandas
from sdp_kernel.kafka.decode import Decoded, Options, decode_key_column, decoder
from sdp_kernel.kafka.registry import Reference, Registry, Schema, SubjectVersion


class Known(Registry):
    """A registry that has been asked before, so nobody needs to answer."""

    def __init__(self, **schemas: Any) -> None:
        super().__init__({"url": "http://127.0.0.1:1"})
        for name, schema in schemas.items():
            self.add(int(name.removeprefix("id")), schema)

    def add(self, number: int, schema: Any, *references: Reference) -> None:
        self._schemas[number] = Schema(number, "AVRO", json.dumps(schema), references)


def encoded(schema: Any, value: Any, number: int = 1) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(json.dumps(schema))), value)
    return struct.pack(">bI", 0, number) + out.getvalue()


def read(registry: Registry, *values: bytes | None, **options: Any) -> Decoded:
    return decoder("avro", options=Options(**options), registry=registry).decode(list(values))


def record(*fields: tuple[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": n, "type": t} for n, t in fields]}


ORDER = record(
    ("id", "long"), ("symbol", "string"), ("price", "double"), ("quantity", "int"),
    ("at", ["null", {"type": "long", "logicalType": "timestamp-millis"}]), ("ok", "boolean"),
    ("side", {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}),
    ("raw", {"type": "fixed", "name": "F", "size": 3}), ("bytes", "bytes"), ("f", "float"),
    ("amount", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}),
    ("day", {"type": "int", "logicalType": "date"}), ("tags", {"type": "array", "items": "string"}),
    ("map", {"type": "map", "values": "long"}), ("in", record(("x", ["string", "null"])) | {"name": "In"}),
    ("local", {"type": "long", "logicalType": "local-timestamp-micros"}),
)  # fmt: skip


def order(i: int) -> dict[str, Any]:
    return {
        "id": i * 10**12 * (-1) ** i, "symbol": f"Ω{i}" * (i % 3), "price": i / 3, "quantity": -i,
        "at": None if i % 2 else 1_760_000_000_000 + i, "ok": i % 2 == 0, "side": "SELL" if i % 3 else "BUY",
        "raw": b"abc", "bytes": bytes(range(i % 5)), "f": 0.5, "amount": Decimal(i * 7) / 100,
        "day": dt.date(2026, 1, 5), "tags": ["a", "", "ccc"][: i % 4], "map": {f"k{j}": j for j in range(i % 3)},
        "in": {"x": None if i % 4 else "deep"}, "local": dt.datetime(2026, 1, 5, 9, 0, 0, 5),
    }  # fmt: skip


def test_every_type_is_read_exactly() -> None:
    orders = [order(i) for i in range(50)]
    got = read(Known(id1=ORDER), *(encoded(ORDER, one) for one in orders))
    assert not got.errors
    assert got.extra["_schema_id"].to_pylist() == [1] * 50
    kinds = {name: str(column.type) for name, column in got.columns.items()}
    assert kinds["at"] == "timestamp[ms, tz=UTC]"
    assert kinds["local"] == "timestamp[us]"
    assert kinds["quantity"] == "int32"
    assert kinds["amount"] == "decimal128(12, 2)"
    assert kinds["raw"] == "fixed_size_binary[3]"
    assert kinds["side"].startswith("dictionary")
    assert kinds["map"] == "map<string, int64>"
    columns = {name: column.to_pylist() for name, column in got.columns.items()}
    for i, one in enumerate(orders):
        for name, value in one.items():
            found = columns[name][i]
            if name == "map":
                found = dict(found)
            if name == "at" and found is not None:
                found = round(found.timestamp() * 1000)
            assert found == value, name


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_cut_or_changed_record_leaves_its_neighbours_alone(numbers: list[int], data: st.DataObject) -> None:
    whole = [encoded(ORDER, order(i)) for i in numbers]
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = bytearray(whole[at])
    if data.draw(st.booleans()):
        broken = broken[: data.draw(st.integers(5, len(broken) - 1))]
    else:
        broken[data.draw(st.integers(5, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    registry = Known(id1=ORDER)
    clean = read(registry, *whole)
    got = read(registry, *whole[:at], bytes(broken), *whole[at + 1 :])
    assert set(got.errors) <= {at}
    for name, column in clean.columns.items():
        expected, found = column.to_pylist(), got.columns[name].to_pylist()
        assert [v for i, v in enumerate(found) if i != at] == [v for i, v in enumerate(expected) if i != at]
        if at in got.errors:
            assert found[at] is None


@given(st.data())
def test_every_cut_of_a_record_is_an_error(data: st.DataObject) -> None:
    value = encoded(ORDER, order(data.draw(st.integers(0, 20))))
    got = read(Known(id1=ORDER), value[: data.draw(st.integers(5, len(value) - 1))], value + b"x")
    assert sorted(got.errors) == [0, 1]
    assert "schema id 1" in got.errors[0]


names = st.sampled_from("abcdefgh")
leaves = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "string", "bytes"])
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.filter(lambda s: s != "null" and not isinstance(s, list)).map(lambda s: ["null", s]),
        inner.map(lambda s: {"type": "array", "items": s}),
        inner.map(lambda s: {"type": "map", "values": s}),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def named(schema: Any, counter: list[int]) -> Any:
    """Give each list of fields a record's name."""
    if isinstance(schema, list) and not (len(schema) == 2 and schema[0] == "null"):
        counter[0] += 1
        name = f"N{counter[0]}"
        fields = [{"name": f"f{i}", "type": named(s, counter)} for i, s in enumerate(schema)]
        return {"type": "record", "name": name, "fields": fields}
    if isinstance(schema, list):
        inner = named(schema[1], counter)
        return ["null", inner]
    if isinstance(schema, dict):
        key = "items" if "items" in schema else "values"
        return {**schema, key: named(schema[key], counter)}
    return schema


def values_of(schema: Any) -> st.SearchStrategy[Any]:
    simple = {
        "null": st.none(), "boolean": st.booleans(), "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1), "float": st.floats(width=32, allow_nan=False),
        "double": st.floats(allow_nan=False), "string": st.text(max_size=6), "bytes": st.binary(max_size=6),
    }  # fmt: skip
    if isinstance(schema, str):
        return simple[schema]
    if isinstance(schema, list):
        return st.none() | values_of(schema[1])
    if schema["type"] == "array":
        return st.lists(values_of(schema["items"]), max_size=4)
    if schema["type"] == "map":
        return st.dictionaries(st.text(max_size=3), values_of(schema["values"]), max_size=3)
    return st.fixed_dictionaries({f["name"]: values_of(f["type"]) for f in schema["fields"]})


def plain(value: Any, schema: Any) -> Any:
    if isinstance(schema, list):
        return None if value is None else plain(value, schema[1])
    if isinstance(schema, dict) and schema["type"] == "map":
        return {k: plain(v, schema["values"]) for k, v in dict(value).items()}
    if isinstance(schema, dict) and schema["type"] == "array":
        return [plain(v, schema["items"]) for v in value]
    if isinstance(schema, dict):
        return {f["name"]: plain(value[f["name"]], f["type"]) for f in schema["fields"]}
    return value


@given(st.lists(schemas, min_size=1, max_size=4), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_schema_gives_back_what_was_written(fields: list[Any], data: st.DataObject) -> None:
    counter = [0]
    schema = record(*((f"c{i}", named(s, counter)) for i, s in enumerate(fields)))
    items = data.draw(st.lists(values_of(schema), min_size=1, max_size=5))
    got = read(Known(id1=schema), *(encoded(schema, item) for item in items))
    assert not got.errors
    for field in schema["fields"]:
        name = field["name"]
        if name in got.text_of_json or "null" in json.dumps(field["type"]).replace('["null"', ""):
            continue
        found = [plain(v, field["type"]) for v in got.columns[name].to_pylist()]
        assert found == [plain(item[name], field["type"]) for item in items]


def test_columns_follow_a_schema_that_evolves() -> None:
    first = record(("id", "int"), ("name", "string"), ("gone", "boolean"))
    second = record(("id", "long"), ("name", ["null", "string"]), ("new", "double"))
    third = record(("id", "string"), ("name", "string"))
    registry = Known(id1=first, id2=second, id3=third)
    old = encoded(first, {"id": 1, "name": "a", "gone": True})
    new = encoded(second, {"id": 2**40, "name": None, "new": 0.5}, 2)
    got = read(registry, old, None, new)
    assert got.columns["id"].to_pylist() == [1, None, 2**40]
    assert got.columns["gone"].to_pylist() == [True, None, None]
    assert got.columns["new"].to_pylist() == [None, None, 0.5]
    assert got.extra["_schema_id"].to_pylist() == [1, None, 2]
    mixed = read(registry, old, encoded(third, {"id": "x", "name": "b"}, 3))
    assert mixed.columns["id"].to_pylist() == ["1", '"x"']
    assert mixed.text_of_json == {"id"}


def test_what_has_no_schema_is_a_row_with_the_reason() -> None:
    registry = Known(id1=ORDER)
    registry._schemas[5] = Schema(5, "PROTOBUF", "")
    good = encoded(ORDER, order(3))
    got = read(
        registry,
        good,
        b"",
        b"\x01abcdef",
        b"\x00\x00",
        b"\x00\x00\x00\x00\x09x",
        b"\x00\x00\x00\x00\x05x",
        None,
    )
    assert sorted(got.errors) == [1, 2, 3, 4, 5]
    assert "empty" in got.errors[1]
    assert "0x01" in got.errors[2]
    assert "2 bytes" in got.errors[3]
    assert "schema id 9" in got.errors[4]
    assert "does not answer" in got.errors[4]
    assert "schema id 5 is Protobuf, not Avro" in got.errors[5]
    assert got.columns["id"][0].as_py() == order(3)["id"]


def test_unions_and_recursion_are_json_text() -> None:
    tree = record(("v", ["null", "int", "string"]), ("next", ["null", "R"]))
    items = [{"v": 1, "next": {"v": "a", "next": None}}, {"v": "b", "next": None}]
    got = read(Known(id1=tree), *(encoded(tree, item) for item in items))
    assert got.columns["v"].to_pylist() == ["1", '"b"']
    assert [v and json.loads(v) for v in got.columns["next"].to_pylist()] == [{"v": "a", "next": None}, None]
    assert got.text_of_json == {"v", "next"}


def test_bytes_that_are_no_avro_do_not_flood_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Known(id1=ORDER)
    asked: list[int] = []

    def refuse(number: int) -> Schema:
        asked.append(number)
        raise RegistryError(f"no schema {number}")

    monkeypatch.setattr(registry, "schema", refuse)
    got = read(registry, *(b"\0" + struct.pack(">I", n) + b"x" for n in range(1000)))
    assert len(got.errors) == 1000
    assert len(asked) == 100
    assert "is this the format?" in got.errors[999]


def test_a_union_leaves_the_types_of_the_other_columns() -> None:
    day, uid, money = ({"type": "int", "logicalType": "date"}, {"type": "string", "logicalType": "uuid"},
                       {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2})  # fmt: skip
    schema = record(
        ("u", ["null", "int", "string", {"type": "array", "items": "R"}]), ("day", day), ("uid", uid),
        ("money", money), ("kind", {"type": "enum", "name": "E", "symbols": ["A", "B"]}),
        ("tags", {"type": "map", "values": ["long", {"type": "record", "name": "Z", "fields": [{"name": "e", "type": "E"}]}]}),
        ("rest", {"type": "array", "items": ["null", "Z", "boolean"]}),
    )  # fmt: skip
    one = {"u": None, "day": dt.date(2026, 1, 2), "uid": str(uuid.UUID(int=1)), "money": Decimal("1.50"), "kind": "B",
           "tags": {"a": 1, "b": {"e": "A"}}, "rest": [None, True, {"e": "B"}]}  # fmt: skip
    two = {**one, "u": [{**one, "u": 7}]}
    for count in (1, 400):  # by plan, and one by one
        items = [one, two, {**one, "rest": [True] * count}]
        got = read(Known(id1=schema), *(encoded(schema, item) for item in items))
        assert not got.errors
        kinds = {name: str(column.type) for name, column in got.columns.items()}
        assert kinds == {
            "u": "string", "day": "date32[day]", "uid": "string", "money": "decimal128(12, 2)",
            "kind": "dictionary<values=string, indices=int32, ordered=0>",
            "tags": "map<string, string>", "rest": "list<item: string>",
        }  # fmt: skip
        assert got.text_of_json == {"u"}
        assert json.loads(got.columns["u"][1].as_py())[0]["u"] == 7
        assert got.columns["tags"][0].as_py() == [("a", "1"), ("b", '{"e":"A"}')]
        assert got.columns["rest"][0].as_py() == [None, "true", '{"e":"B"}']
        assert got.columns["kind"].to_pylist() == ["B"] * 3


@pytest.mark.parametrize(
    "items",
    ["null", {"type": "fixed", "name": "F", "size": 0},
     {"type": "record", "name": "N", "fields": [{"name": "n", "type": "null"}]}],
)  # fmt: skip
def test_a_count_without_bytes_behind_it_cannot_fill_the_memory(items: Any) -> None:
    empty = {"type": "array", "items": items}
    lie = b"\x00\x00\x00\x00\x01" + b"\xfe\xff\xff\xff\x0f" + b"\x00"
    fine = b"\x00\x00\x00\x00\x01" + b"\x06\x00"
    got = read(Known(id1=record(("a", empty))), lie, fine)
    assert list(got.errors) == [0]
    assert "too long to believe" in got.errors[0]
    assert len(got.columns["a"][1].as_py()) == 3
    for hidden in ([empty, "int"], {"type": "array", "items": ["null", "string", empty]}):
        among = read(Known(id1=record(("a", hidden))), b"\x00\x00\x00\x00\x01\x00" + lie[5:])
        assert list(among.errors) == [0]


def test_lists_of_lists_of_lists_are_read_in_time() -> None:
    kind: Any = "int"
    value: Any = 7
    for _ in range(4):
        kind, value = {"type": "array", "items": kind}, [value] * 20
    schema = record(("a", kind))
    got = read(Known(id1=schema), encoded(schema, {"a": value}))
    assert got.columns["a"].to_pylist() == [value]


def test_long_arrays_and_counts_that_lie() -> None:
    schema = record(("a", {"type": "array", "items": "int"}), ("b", "int"))
    long = encoded(schema, {"a": list(range(2000)), "b": 7})
    lie = b"\x00\x00\x00\x00\x01" + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\x02"
    got = read(Known(id1=schema), long, lie, encoded(schema, {"a": [], "b": 8}))
    assert got.columns["a"].to_pylist()[0] == list(range(2000))
    assert got.columns["b"].to_pylist() == [7, None, 8]
    assert list(got.errors) == [1]
    assert str(got.columns["a"].type) == "list<item: int32>"
    alone = read(Known(id1=schema), lie, encoded(schema, {"a": [5], "b": 8}))
    assert alone.columns["a"].to_pylist() == [None, [5]]


def test_text_that_is_not_utf8_is_an_error_of_its_own() -> None:
    schema = record(("s", "string"))
    good = encoded(schema, {"s": "é"})
    got = read(Known(id1=schema), good, b"\x00\x00\x00\x00\x01\x04\xff\xfe", good)
    assert got.columns["s"].to_pylist() == ["é", None, "é"]
    assert list(got.errors) == [1]


def test_schemas_that_refer_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    address = {
        "type": "record",
        "name": "Address",
        "namespace": "n",
        "fields": [{"name": "city", "type": "string"}],
    }
    person = record(("home", "n.Address"), ("work", ["null", "n.Address"]))
    registry = Known()
    registry.add(2, address)
    registry.add(3, person, Reference("n.Address", "address", 1))
    version = SubjectVersion("address", 1, registry._schemas[2])
    monkeypatch.setattr(registry, "resolve", lambda _schema: {"n.Address": version.schema})
    inlined = record(("home", address), ("work", ["null", "n.Address"]))
    got = read(registry, encoded(inlined, {"home": {"city": "Bern"}, "work": {"city": "Köln"}}, 3))
    assert not got.errors
    assert got.columns["home"].to_pylist() == [{"city": "Bern"}]
    assert got.columns["work"].to_pylist() == [{"city": "Köln"}]


def test_a_value_that_is_no_record_and_keys() -> None:
    registry = Known(id1="string", id2=record(("id", "long")))
    got = read(registry, encoded("string", "a"), None)
    assert got.columns["value"].to_pylist() == ["a", None]
    assert not got.fields
    name, array, errors = decode_key_column(
        [encoded(record(("id", "long")), {"id": 4}, 2), None], "avro", registry
    )
    assert (name, array.to_pylist(), errors) == ("avro", [{"id": 4}, None], {})


def test_debezium_in_avro_is_unwrapped() -> None:
    row = {"type": "record", "name": "Row", "fields": [{"name": "id", "type": "long"}]}
    source = {
        "type": "record",
        "name": "Source",
        "fields": [{"name": "ts_ms", "type": "long"}, {"name": "table", "type": "string"}],
    }
    schema = record(
        ("before", ["null", row]), ("after", ["null", "Row"]), ("source", source), ("op", "string")
    )
    change = {
        "before": None,
        "after": {"id": 4},
        "source": {"ts_ms": 1_760_000_000_000, "table": "t"},
        "op": "c",
    }
    got = read(Known(id1=schema), encoded(schema, change), unwrap=True)
    assert got.columns["id"].to_pylist() == [4]
    assert got.extra["_op"].to_pylist() == ["c"]
    assert got.extra["_table"].to_pylist() == ["t"]
    assert got.extra["_schema_id"].to_pylist() == [1]


def test_what_is_nested_deeper_than_can_be_read_is_an_error() -> None:
    chain = record(("next", ["null", "R"]))
    got = read(
        Known(id1=chain), *(b"\x00\x00\x00\x00\x01" + b"\x02" * n + b"\x00" for n in (5, 3000, 900_000))
    )
    assert sorted(got.errors) == [1, 2]
    assert got.columns["next"].to_pylist()[0] is not None


@pytest.mark.parametrize(
    ("kind", "logical", "number"),
    [
        ("int", "date", 2**31 - 1),
        ("int", "time-millis", 86_400_000),
        ("long", "time-micros", -1),
        ("long", "timestamp-millis", 2**63 - 1),
        ("long", "local-timestamp-micros", -(2**63)),
    ],
)
def test_a_time_that_cannot_be_is_an_error_of_its_own(kind: str, logical: str, number: int) -> None:
    typed = record(("at", {"type": kind, "logicalType": logical}))
    good = encoded(record(("at", kind)), {"at": 5})
    got = read(Known(id1=typed), good, encoded(record(("at", kind)), {"at": number}), good)
    assert list(got.errors) == [1]
    frame = to_pandas(pa.table(dict(got.columns)))
    assert frame["at"].isna().tolist() == [False, True, False]


def test_integers_beside_floats_keep_their_digits() -> None:
    whole, part = record(("n", "long")), record(("n", "float"))
    got = read(Known(id1=whole, id2=part), encoded(whole, {"n": 2**40 + 1}), encoded(part, {"n": 0.5}, 2))
    assert got.columns["n"].to_pylist() == [2**40 + 1, 0.5]
