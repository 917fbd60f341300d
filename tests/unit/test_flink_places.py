"""What an error's reason names is found in the text, or no place is given."""

import pytest

from sdp_kernel.errors import Position
from sdp_kernel.flink.places import about, named


@pytest.mark.parametrize(
    ("reason", "text", "place"),
    [
        ("Table with identifier 'c.d.t' does not exist.", "DROP TABLE\n t", Position(2, 2)),
        ("Table with identifier 'c.d.t' does not exist.", "DROP TABLE d.`t`", Position(1, 14)),
        ("A catalog with name [x] does not exist.", "USE CATALOG x", Position(1, 13)),
        ("Unsupported cast from 'A' to 'ARRAY<INT>'.", "SELECT CAST(A AS ARRAY <INT>)", Position(1, 18)),
        ("Table (or view) db.v already exists", "CREATE VIEW v AS SELECT 'v'", None),
        ("Table 't' is strange", "SELECT * FROM t AS a JOIN t AS b", None),
        ("Unsupported cast from 'STRING' to 'ARRAY<INT>'.", "SELECT CAST(a AS STRING)", None),
        ("Sort on a non-time-attribute field is not supported.", "SELECT a FROM t ORDER BY a", None),
        ("Table 't\nis' odd", "SELECT 't", None),
    ],
)
def test_a_place_is_given_where_what_is_named_stands_once(reason, text, place):
    assert named(reason, text) == place


def test_an_option_is_named_only_where_the_reason_is_about_it():
    config = {"parallelism.default": "2", "execution.state-recovery.path": "/a"}
    assert about("no such file '/ab'", config) == "no such file '/ab'"
    assert about("Could not parse value 'x' for key 'other'", config).startswith("Could")
    assert about("Cannot find directory '/a'", config).startswith("--from-savepoint /a: ")
