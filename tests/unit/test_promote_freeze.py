"""What a frozen test is made of, without a stack: what is refused, and which records are kept."""

import pytest

from sdp_kernel.errors import PromoteError, UsageError
from sdp_kernel.promote import freeze
from sdp_kernel.promote.request import Request
from sdp_kernel.repository.testing.records import Record


@pytest.mark.parametrize(
    "more", [{"test_rows": 5}, {"test_ignore": ("a",)}, {"with_test": True, "test_rows": 0}]
)
def test_options_of_no_test_are_refused(more):
    with pytest.raises(UsageError):
        freeze.check(Request("job", **more))


def test_options_of_a_test_are_taken_and_none_makes_none():
    freeze.check(Request("job", with_test=True, test_rows=1, test_ignore=("a",)))
    assert freeze.of_request("job", {}, Request("job"), None) is None


@pytest.mark.parametrize("text", ["SELECT current_date", "SELECT a FROM t WHERE b > NOW()"])
def test_a_job_that_asks_for_the_time_of_day_needs_columns_to_ignore(text):
    with pytest.raises(PromoteError, match="time of day"):
        freeze._check_clock([text], ())
    freeze._check_clock([text], ("a",))
    freeze._check_clock(["SELECT `now` FROM t -- NOW()", "SELECT 'CURRENT_DATE'"], ())


def test_of_a_table_with_a_key_the_records_that_others_name_come_first():
    def keys(rows, others):
        table = [Record.of(b'{"id": %d}' % i, b"{}") for i in range(10)]
        return [record.key_bytes for record in freeze._named(table, others, rows)]

    stream = [Record.of(None, b'{"customer": 2, "n": {"other": [4.0]}}'), Record.of(b"no JSON", None)]
    assert keys(3, stream) == [b'{"id":2}', b'{"id":4}', b'{"id":9}']
    assert keys(1, stream) == [b'{"id":4}']
    assert keys(2, []) == [b'{"id":8}', b'{"id":9}']
