"""Sampled records as a test's input: masked, numbers still numbers, nothing kept that could hold more."""

import json

import numpy as np
import pytest

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.read import Records
from sdp_kernel.masking import Policy
from sdp_kernel.repository.retarget import JobTable
from sdp_kernel.repository.testing.masked import masked
from sdp_kernel.repository.testing.records import lines

POLICY = Policy({"email": "hash", "card": "hash", "note": "redact", "gone": "null"}, b"k" * 16)
JSON = {"connector": "kafka", "format": "json"}
UPSERT = {"connector": "upsert-kafka", "key.format": "json", "value.format": "json"}


def table(options):
    return JobTable(("t",), options)


def given(*pairs):
    numbers = np.arange(len(pairs)) + 1_700_000_000_000
    values = [value for _, value in pairs]
    return Records(values, [key for key, _ in pairs], [None] * len(pairs), numbers, numbers, numbers)


def made(records, options, policy=POLICY):
    found, lost = masked(records, table(options), policy)
    return [json.loads(line) for line in lines(found).splitlines()], lost


def test_masked_values_keep_their_kind_and_equal_ones_stay_equal():
    (one, other), lost = made(
        given(
            (
                b'{"card":7}',
                b'{"card":7,"email":"a@b","price":1.10000000000000000001,"n":{"note":5,"gone":1}}',
            ),
            (b'{"card":8}', b'{"card":7.0,"email":"a@b","note":"x"}'),
        ),
        UPSERT,
    )
    assert not lost
    assert isinstance(one["value"]["card"], int)
    assert one["value"]["card"] == one["key"]["card"] == other["value"]["card"] != 7
    assert other["key"]["card"] not in {8, one["key"]["card"]}
    assert one["value"]["email"] == other["value"]["email"] != "a@b"
    assert one["value"]["n"] == {"note": None, "gone": None}
    assert other["value"]["note"] == "•••"


def test_digits_of_what_is_not_masked_are_kept():
    found, _ = masked(given((None, b'{"email": "a", "price": 1.10000000000000000001}')), table(JSON), POLICY)
    assert b"1.10000000000000000001" in found[0].value_bytes


def test_what_cannot_be_masked_is_left_out_and_counted():
    found, lost = made(
        given(
            (None, b"email=a@b"), (None, b"\xff\xfe"), (None, b'{"email"'), (None, b'{"id":1}'), (None, None)
        ),
        JSON,
    )
    assert lost == 3
    assert [record.get("value") for record in found] == [{"id": 1}, None]


def test_keys_that_the_table_does_not_read_are_left_out():
    for policy in (POLICY, Policy({})):
        ((record,), _) = made(given((b"a@b.example", b'{"id":1}')), JSON, policy)
        assert "key_text" not in record


@pytest.mark.parametrize(
    "options",
    [
        {"connector": "kafka", "format": "csv"},
        {**JSON, "key.format": "raw"},
        {**UPSERT, "value.format": "avro"},
    ],
)
def test_only_json_is_masked_and_without_a_policy_anything_is_kept(options):
    records = given((b"k", b"a,b"))
    with pytest.raises(UsageError, match="only JSON is masked"):
        masked(records, table(options), POLICY)
    found, lost = masked(records, table(options), Policy({}))
    assert (found[0].value_bytes, lost) == (b"a,b", 0)
