from __future__ import annotations

import datetime as dt
import json
import stat
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import SettingsError, UsageError
from sdp_kernel.kafka.build import Reading, build
from sdp_kernel.kafka.decode import Options
from sdp_kernel.kafka.read import Records
from sdp_kernel.masking import REDACTED, Policy, mask
from sdp_kernel.settings import load

if TYPE_CHECKING:
    from pathlib import Path

KEY = b"0123456789abcdef"
HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))


def policy(**columns: str) -> Policy:
    return Policy(columns, KEY)


def masked(values: list[Any], rules: dict[str, str], name: str = "email", kind: Any = None) -> list[Any]:
    table = pa.table({name: pa.array(values, kind)})
    done: list[Any] = mask(table, Policy(rules, KEY)).column(name).to_pylist()
    return done


def test_an_empty_policy_returns_the_same_table() -> None:
    table = pa.table({"email": ["a"], "_raw": [b"a"]})
    assert mask(table, Policy({})) is table
    assert mask(pa.table({"x": [1]}), policy(email="null")).equals(pa.table({"x": [1]}))


def test_columns_that_no_pattern_names_are_the_same_objects() -> None:
    table = pa.table({"email": ["a"], "deep": [{"x": [1, None]}], "text": ['{"a": 1}']})
    done = mask(table, policy(email="null"))
    assert done.column("email").null_count == 1
    assert done.select(["deep", "text"]).equals(table.select(["deep", "text"]), check_metadata=True)


def test_case_does_not_count_and_the_first_pattern_decides() -> None:
    assert masked(["a", None], {"E*": "redact", "email": "null"}, "eMail") == [REDACTED, None]
    assert masked([1, 2], {"email": "redact"}) == [None, None]


@pytest.mark.parametrize("equal", [
    [1, 1.0, Decimal("1.00"), "1"],
    [10**20, 1e20, Decimal("1E+20"), "100000000000000000000"],
    [0, -0.0, Decimal("0.000")],
    [Decimal("12.50"), 12.5, "12.5"],
    [True, "true"],
    ["ä", "ä".encode()],
])  # fmt: skip
def test_equal_values_hash_equally_whatever_their_type(equal: list[Any]) -> None:
    p = policy(a="hash")
    assert len({p.hash(value) for value in equal}) == 1


def test_hashes_are_equal_over_columns_units_and_text_of_json() -> None:
    when = dt.datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=dt.timezone.utc)
    json_text = pa.field("j", pa.string(), metadata={b"sdp.json_text": b"true"})
    table = pa.table(
        [
            pa.array([when], pa.timestamp("ms", "UTC")),
            pa.array([when], pa.timestamp("ns", "Europe/Berlin")),
            pa.array(['{"a":"x","b":{"a":"2.5"}}']),
            pa.array(["x"]).dictionary_encode(),
            pa.array(['"x"']),
        ],
        schema=pa.schema(
            [
                ("t1", pa.timestamp("ms", "UTC")),
                ("t2", pa.timestamp("ns", "Europe/Berlin")),
                ("s", pa.string()),
                ("a", pa.dictionary(pa.int32(), pa.string())),
                json_text,
            ]
        ),
    )
    p = Policy({"t?": "hash", "a": "hash", "j": "hash"}, KEY)
    row = mask(table, p).to_pylist()[0]
    assert row["t1"] == row["t2"]
    assert json.loads(row["s"])["a"] == row["a"] == row["j"] == p.hash("x")
    assert json.loads(row["s"])["b"]["a"] == p.hash(2.5)
    assert len(row["a"]) == 16
    assert int(row["a"], 16) >= 0
    assert mask(table, p).schema.field("j").metadata is None


def test_another_key_gives_other_hashes() -> None:
    assert Policy({"a": "hash"}, b"k1").hash("x") != Policy({"a": "hash"}, b"k2").hash("x")


def test_fields_are_masked_inside_structs_lists_and_maps() -> None:
    person = pa.struct([("email", pa.string()), ("age", pa.int64())])
    table = pa.table(
        {
            "before": pa.array([None, {"email": "a@x", "age": 1}], person),
            "people": pa.array([[{"email": "b@x", "age": 2}, None], None], pa.list_(person)),
            "fixed": pa.array([[{"email": "c@x", "age": 2}], None], pa.list_(person, 1)),
            "map": pa.array([[("email", "d@x"), ("city", "Bonn")], None], pa.map_(pa.string(), pa.string())),
            "deep": pa.array([[("k", {"email": "e@x", "age": 3})], []], pa.map_(pa.string(), person)),
            "numbers": pa.array([[("email", 5), ("n", 6)], []], pa.map_(pa.string(), pa.int64())),
        }
    )  # fmt: skip
    p = Policy({"email": "hash"}, KEY)
    for whole in (table, table.slice(1), table.slice(0, 1), pa.concat_tables([table, table]).slice(1, 2)):
        done, before = mask(whole, p).to_pylist(), whole.to_pylist()
        assert "@x" not in repr(done)
        for new, old in zip(done, before, strict=True):
            assert [v is None for v in new.values()] == [v is None for v in old.values()]
    first, second = mask(table, p).to_pylist()
    assert second["before"] == {"email": p.hash("a@x"), "age": 1}
    assert first["people"] == [{"email": p.hash("b@x"), "age": 2}, None]
    assert first["map"] == [("email", p.hash("d@x")), ("city", "Bonn")]
    assert first["deep"] == [("k", {"email": p.hash("e@x"), "age": 3})]
    assert first["numbers"] == [("email", None), ("n", 6)]


def test_a_path_is_matched_as_a_whole() -> None:
    customer = {"ssn": "123", "name": "n"}
    table = pa.table({"customer": [customer], "before": [{"customer": customer}], "ssn": ["9"]})
    row = mask(table, Policy({"customer.ssn": "null"})).to_pylist()[0]
    assert row == {
        "customer": {"ssn": None, "name": "n"}, "before": {"customer": customer}, "ssn": "9"
    }  # fmt: skip
    nested = pa.table(
        {"m": pa.array([[("k", {"email": "x"})]], pa.map_(pa.string(), pa.struct([("email", pa.string())])))}
    )
    assert "'x'" not in repr(mask(nested, Policy({"m.k.email": "null"})).to_pylist())


def test_a_named_struct_or_list_is_masked_whole() -> None:
    table = pa.table({"card": [{"number": "4111"}, None], "cards": [["4111"], []]})
    assert mask(table, policy(**{"card*": "redact"})).to_pylist() == [{"card": None, "cards": None}] * 2
    hashed = mask(table, policy(**{"card*": "hash"}))
    assert {str(f.type) for f in hashed.schema} == {"string"}
    assert "4111" not in repr(hashed.to_pylist())


def test_a_name_with_dots_matches_by_its_last_part() -> None:
    assert masked(["x"], {"email": "null"}, "user.email") == [None]


@pytest.mark.parametrize("text", [
    '{"a": 1, "email": "s3cret"}',
    ' [{"email": "s3cret"}]',
    '{"payload": "{\\"email\\": \\"s3cret\\"}"}',
    '{"x": {"email": "s3cret"}, "x": 1}',
    '{"email": "s3cret", "n": 1e999999}',
    '{"EMAIL": {"deep": ["s3cret"]}}',
    "[" * 200 + '{"email": "s3cret"}' + "]" * 200,
])  # fmt: skip
@pytest.mark.parametrize("action", ["hash", "redact", "null"])
def test_json_in_text_is_masked_inside(text: str, action: str) -> None:
    done = masked([text, "plain", None], {"email": action}, "payload")
    assert "s3cret" not in str(done[0])
    assert done[1:] == ["plain", None]


def test_json_text_without_masked_fields_keeps_its_spelling() -> None:
    texts = ['{ "a" : 1.0,\n "b" : [ ] }', "{not json", "[1, 2]", '"x"']
    assert masked(texts, {"email": "null"}, "payload") == texts


def sample(**columns: Any) -> pa.Table:
    rows = len(next(iter(columns.values())))
    return pa.table({**columns, "_offset": pa.array([0] * rows, pa.int64())})


def test_what_could_not_be_decoded_is_not_shown() -> None:
    table = sample(
        a=[None], _error=["bad value 'a@x' at byte 3"], _raw=pa.array([b'{"email":"a@x'], pa.binary())
    )
    row = mask(table, policy(email="redact")).to_pylist()[0]
    assert row["_raw"] is None
    assert row["_error"] == "bad value … at byte 3"


def test_whole_values_are_looked_into_or_not_shown() -> None:
    texts = sample(value=['{"email":"a@x"}', '{"email":"a@x"', "plain", "\x02\x06a@x", '{"email":"a@x"}\n{"email":"a@x"}'])  # fmt: skip
    assert mask(texts, policy(email="redact")).column("value").to_pylist() == [
        '{"email":"•••"}', None, "plain", None, None,
    ]  # fmt: skip
    blobs = sample(value=pa.array([b'{"email":"a@x"}', b"\x00a@x", None], pa.binary()))
    assert mask(blobs, policy(email="null")).column("value").to_pylist() == [b'{"email":null}', None, None]
    assert mask(texts, policy(value="null")).column("value").null_count == 5


@pytest.mark.parametrize(
    "text",
    [
        '"{\\"email\\":\\"a@x\\"}"',
        '2026-11-24 INFO {"email":"a@x"}',
        '2026-11-24 INFO "{\\"email\\": \\"a@x\\"}"',
        "user=7 Email = a@x",
        "<user><email>a@x</email></user>",
        "https://x.example/?email=a@x",
        '{"\\u0065mail":"a@x"',
        "user_email: a@x",
    ],
)
@pytest.mark.parametrize("name", ["value", "message", "_key"])
def test_text_that_gives_a_masked_name_a_value_is_masked(text: str, name: str) -> None:
    rules = {"email": "redact", "user.*_email": "null"}
    for column in (pa.array([text, "email", "ok: email"]), pa.array([text.encode(), b"email", b"ok: email"])):
        table = sample(**{name: column})
        shown = mask(table, policy(**rules)).column(name).to_pylist()
        assert "a@x" not in str(shown)
        assert name == "value" or shown[1:] == column.to_pylist()[1:]


def test_json_in_text_is_masked_inside_also_where_it_is_text_in_text() -> None:
    text = json.dumps(json.dumps({"email": "a@x", "n": 1}))
    done = masked([text], {"email": "redact"}, "payload")[0]
    assert json.loads(json.loads(done)) == {"email": REDACTED, "n": 1}


def records(values: list[bytes]) -> Records:
    rows = len(values)
    return Records(values, [None] * rows, [None] * rows, np.zeros(rows, np.int32), np.arange(rows), np.zeros(rows, np.int64))  # fmt: skip


@pytest.mark.parametrize("delimiter", [",", ":", ";", "m", "e", "="])
def test_json_or_binary_values_read_as_csv_are_hidden(delimiter: str) -> None:
    values = [b'{"id":1,"phone":4711,"email":"a@x","z":"q"}', b"1,ok", b"\x00\x01a@x,b,c,d,e"]
    for value in values:
        built = build(Reading("csv", options=Options(delimiter=delimiter)), records([value]))
        done = mask(built.table, policy(email="null", phone="redact"))
        shown = done.select(done.column_names[: done.column_names.index("_key")]).to_pylist()
        hidden = all(v is None for v in shown[0].values())
        assert hidden == (value != b"1,ok")


def test_keys_and_headers_can_be_named() -> None:
    table = sample(
        _key=pa.array([b'{"email":"a@x"}', b"\x00\x01"], pa.binary()),
        _headers=pa.array([[{"key": "Authorization", "value": b"Bearer s3cret"}, {"key": "n", "value": b"1"}], None], HEADERS),
    )  # fmt: skip
    for rules in ({"_headers.authorization": "hash"}, {"authorization": "hash"}):
        p = Policy(rules, KEY)
        done = mask(table, p)
        assert done.column("_headers").type == HEADERS
        assert done.column("_headers").to_pylist() == [
            [{"key": "Authorization", "value": p.hash("Bearer s3cret").encode()}, {"key": "n", "value": b"1"}],
            None,
        ]  # fmt: skip
    assert mask(table, policy(email="null")).column("_key").to_pylist() == [b'{"email":null}', b"\x00\x01"]
    assert mask(table, policy(_key="hash")).column("_key").type == pa.string()
    assert mask(table, policy(**{"*": "null"})).column("_offset").to_pylist() == [0, 0]
    assert mask(table, policy(_headers="null")).column("_headers").null_count == 2


def test_a_field_shown_under_another_name_is_masked_by_its_own() -> None:
    schema = pa.schema([pa.field("_key_", pa.string(), metadata={b"sdp.field": b"_key"})])
    assert mask(pa.table([pa.array(["x"])], schema=schema), policy(_key="null")).column(0).null_count == 1


def test_empty_tables_have_the_same_types_as_full_ones() -> None:
    table = pa.table({"email": pa.array([1, 2]), "p": [{"email": 1}, None]})
    p = policy(email="hash")
    assert mask(table.slice(0, 0), p).schema == mask(table, p).schema
    none = table.schema.empty_table()
    assert mask(none, p).schema == mask(table, p).schema


_secret = st.integers(10**11, 10**12).map(lambda n: f"S{n}S")
_names = st.sampled_from(["email", "Email", "a", "b"])


def _documents(secret: Any) -> Any:
    leaf = st.one_of(st.none(), st.integers(-9, 9), st.sampled_from(["plain", "{", "[x"]))
    hidden = st.one_of(secret, st.lists(secret), st.dictionaries(_names, secret))
    plain = st.recursive(
        leaf, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("ab"), inner))
    )  # fmt: skip
    return st.tuples(st.dictionaries(st.sampled_from("abcd"), plain), st.dictionaries(st.sampled_from(["email", "EMAIL"]), hidden)).map(lambda two: {**two[0], **two[1]})  # fmt: skip


@given(st.lists(_documents(_secret), min_size=1, max_size=5), st.sampled_from(["hash", "redact", "null"]))
def test_no_masked_text_is_left_anywhere(documents: list[Any], action: str) -> None:
    from sdp_kernel.kafka.decode import decoder

    wrapped = [
        json.dumps({"before": d, "after": [d], "text": json.dumps(d), **d}).encode() for d in documents
    ]
    columns = dict(decoder("json").decode(wrapped).columns)
    text = decoder("json").decode(wrapped).text_of_json
    schema = pa.schema(
        [pa.field(n, c.type, metadata={b"sdp.json_text": b"true"} if n in text else None) for n, c in columns.items()]
    )  # fmt: skip
    table = pa.Table.from_arrays(list(columns.values()), schema=schema)
    shown = repr(mask(table, Policy({"email": action}, KEY)).to_pylist())
    import re

    assert not re.search(r"S\d{12}S|S\d{11}S", shown)
    assert len(mask(table, Policy({"email": action}, KEY))) == len(table)


def project(tmp_path: Path, text: str) -> Any:
    (tmp_path / "sdp.toml").write_text(text)
    return load(tmp_path)


def test_the_policy_comes_from_the_projects_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = project(
        tmp_path,
        '[masking]\nkey = "env:TEST_MASK"\n[masking.columns]\nemail = "hash"\n"card*" = "redact"\ncustomer.ssn = "null"\n',
    )
    assert dict(settings.masking.columns) == {"email": "hash", "card*": "redact", "customer.ssn": "null"}
    with pytest.raises(SettingsError, match="TEST_MASK"):
        Policy.from_settings(settings)
    monkeypatch.setenv("TEST_MASK", "k")
    p = Policy.from_settings(settings)
    assert p.hash("a") == Policy({"email": "hash"}, b"k").hash("a")
    assert "k'" not in repr(p).replace("mask'", "")
    assert not Policy.from_settings(project(tmp_path, ""))


def test_without_a_key_the_project_makes_one_for_its_owner_alone(tmp_path: Path) -> None:
    settings = project(tmp_path, '[masking]\ncolumns = { email = "hash" }\n')
    first = Policy.from_settings(settings).hash("a")
    path = settings.state_dir / "masking.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Policy.from_settings(settings).hash("a") == first
    assert sorted(p.name for p in settings.state_dir.iterdir()) == [".gitignore", "masking.key"]
    path.write_text("")
    with pytest.raises(SettingsError, match="empty"):
        Policy.from_settings(settings)


@pytest.mark.parametrize("text", [
    '[masking]\ncolumns = { email = "hide" }\n', '[masking]\nkey = "literal"\n', "[masking]\ncolumn = {}\n",
])  # fmt: skip
def test_a_masking_table_that_cannot_be_right_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        project(tmp_path, text)
    assert "literal'" not in str(caught.value)


def test_a_policy_refuses_unknown_actions_and_a_missing_key() -> None:
    with pytest.raises(UsageError):
        Policy({"a": "hide"})
    with pytest.raises(UsageError):
        Policy({"a": "hash"})
