import re
import string

import hcl2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import UsageError
from sdp_kernel.promote import topic_file
from sdp_kernel.promote.render import check_job_name
from sdp_kernel.repository import job as jobs

TOPICS = st.text(alphabet=string.ascii_letters + string.digits + "._-", min_size=1, max_size=40)


def text(topic="orders", cluster="events", partitions=3, config=None):
    return topic_file.text(
        topic,
        module_source="./modules/kafka-topic",
        cluster=cluster,
        partitions=partitions,
        config=config or {},
    )


def body(written):
    (found,) = hcl2.loads(written)["module"]
    ((name, block),) = ((n, b) for n, b in found.items() if not n.startswith("__"))
    return name.strip('"'), {k: v.strip('"') if isinstance(v, str) else v for k, v in block.items()}


@pytest.mark.parametrize(
    ("given_", "milliseconds"),
    [("7 d", "604800000"), ("7d", "604800000"), ("12 h", "43200000"), ("90 min", "5400000"), ("5ms", "5")],
)
def test_a_retention_is_written_in_milliseconds(given_, milliseconds):
    assert topic_file.retention_ms(given_) == milliseconds


@pytest.mark.parametrize("given_", ["", "7", "7 days", "-1 d", "1.5 d", "d", "7 d\n; x"])
def test_other_words_are_no_retention(given_):
    with pytest.raises(UsageError, match="not a time"):
        topic_file.retention_ms(given_)


def test_a_topic_is_one_call_of_its_module():
    name, block = body(text("orders.out", config={"cleanup.policy": "compact", "retention.ms": "1"}))
    assert name == topic_file.module_of("orders.out")
    assert (block["source"], block["name"], block["cluster"]) == (
        "./modules/kafka-topic",
        "orders.out",
        "events",
    )
    assert block["partitions"] == 3
    assert "namespace" not in block
    assert {k.strip('"'): v.strip('"') for k, v in block["config"].items() if not k.startswith("__")} == {
        "cleanup.policy": "compact",
        "retention.ms": "1",
    }
    assert "config" not in body(text())[1]


def test_a_kafka_of_another_namespace_is_named_with_it():
    block = body(text(cluster="streams/events"))[1]
    assert (block["namespace"], block["cluster"]) == ("streams", "events")


@given(TOPICS, TOPICS)
def test_no_two_topics_share_a_file_or_a_module(one, other):
    if one != other:
        assert topic_file.path_of(one) != topic_file.path_of(other)
        assert topic_file.module_of(one) != topic_file.module_of(other)


@given(TOPICS)
def test_neither_file_nor_module_is_one_a_job_may_have_or_terraform_reads_otherwise(topic):
    stem = topic_file.path_of(topic).removeprefix("terraform/").removesuffix(".tf")
    with pytest.raises(UsageError):
        check_job_name(stem)
    assert not stem.startswith(".")
    assert not stem.endswith("_override")
    assert "-" in topic_file.module_of(topic)  # a job's module has underscores in their place
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", topic_file.module_of(topic))


def test_a_topic_s_file_is_no_job(tmp_path):
    for path in ("sql/jobs/topic.sql", "sql/jobs/totals.sql", "terraform/totals.tf"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / topic_file.path_of("totals")).write_text(text("totals"))
    assert jobs.names(tmp_path) == ("totals",)
