import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.query import Query
from sdp_kernel.flink.script import split
from sdp_kernel.promote.sink import Sink, check_output, scheme_of
from sdp_kernel.promote.sinks import files


def query(text):
    return Query(text, split(text)[-1])


@pytest.mark.parametrize(
    "output",
    ["orders", "orders.v1", "cat.db.t", "s3://lake/orders", "file:///data/out", "s3://${bucket}/a b"],
)
def test_topics_tables_and_paths_are_outputs(output):
    assert check_output(output) == output


@pytest.mark.parametrize(
    ("output", "match"),
    [
        ("a b", "not a topic name"),
        ("/data/out", "not a topic name"),
        ("", "not a topic name"),
        ("ftp://host/x", "no file system for ftp"),
        ("http://host/x", "no file system for http"),
        ("C:/x", "no file system for c"),
    ],
)
def test_other_outputs_are_refused(output, match):
    with pytest.raises(UsageError, match=match):
        check_output(output)


@given(st.from_regex(r"[A-Za-z0-9._-]{1,60}\Z"))
def test_no_topic_is_taken_for_a_path(topic):
    assert scheme_of(topic) is None


@pytest.mark.parametrize(
    ("sink", "insert"),
    [
        (Sink("a.b"), "INSERT INTO `a.b`\nSELECT 1 AS x"),
        (Sink("t", written="`c`.`d`.`t`"), "INSERT INTO `c`.`d`.`t`\nSELECT 1 AS x"),
        (Sink("t", columns=("x", "y`z")), "INSERT INTO `t` (`x`, `y``z`)\nSELECT 1 AS x"),
    ],
)
def test_a_select_becomes_an_insert_with_its_text_unchanged(sink, insert):
    assert sink.insert(query("SELECT 1 AS x")) == insert


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("s3://lake/orders/", "lake_orders"),
        ("file:///data/out.d", "data_out_d"),
        ("s3://${bucket}/orders", "bucket_orders"),
        ("s3://2024/x", "_2024_x"),
        ("file:///", "files"),
        ("s3a://ü/ö", "ü_ö"),
    ],
)
def test_a_table_over_files_is_called_after_its_path(path, table):
    assert files.table_of(path) == table


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("s3://a/b", "s3://a/b/", True),
        ("s3://a/b", "s3://a/b/c", True),
        ("s3://a/b/c", "s3://a/b", True),
        ("s3://a/b", "s3://a/bc", False),
        ("s3://a/b", "s3://c/b", False),
    ],
)
def test_a_path_within_another_is_the_same_files(one, other, same):
    assert files.overlap(one, other) is same
