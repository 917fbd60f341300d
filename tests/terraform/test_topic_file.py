"""What a promotion writes for a new topic, planned by Terraform beside a job's file."""

import pytest

from sdp_kernel.promote import render, topic_file
from sdp_kernel.repository import job as jobs
from tests.terraform import schemas
from tests.terraform.running import MODULES, PROVIDER, manifests, planned, terraform

TOPICS = ["orders.out", "orders-out", "topic", ".hidden", "Totals_override", "a--b", "a.b"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A team's repository: topics of its own, and a job called ``topic``."""
    top = tmp_path_factory.mktemp("team")
    files = {"terraform/versions.tf": PROVIDER, "sql/jobs/topic.sql": "-- topic\nINSERT INTO t SELECT 1;\n"}
    files["terraform/topic.tf"] = render.terraform(
        "topic", module_source="./modules/flink/sql-job", session_cluster="session",
        files=["sql/jobs/topic.sql"], arguments={}, aliases=[],
    ).replace("var.namespace", '"jobs"')  # fmt: skip
    for number, topic in enumerate(TOPICS):
        files[topic_file.path_of(topic)] = topic_file.text(
            topic,
            module_source="./modules/kafka-topic",
            cluster="streams/events" if number else "events",
            partitions=number + 1,
            config={"cleanup.policy": "compact", "retention.ms": "604800000"} if number else {},
        )
    for path, text in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)
    (top / "terraform/modules").symlink_to(MODULES)
    return top


def test_terraform_plans_each_topic_as_strimzi_takes_it(root):
    made = manifests(planned(root / "terraform"))
    terraform("validate", "-no-color", cwd=root / "terraform")
    topics = {m["spec"].get("topicName", m["metadata"]["name"]): m for m in made if m["kind"] == "KafkaTopic"}
    assert sorted(topics) == sorted(TOPICS)
    assert [problem for manifest in topics.values() for problem in schemas.problems(manifest)] == []
    assert [topics[topic]["spec"]["partitions"] for topic in TOPICS] == list(range(1, len(TOPICS) + 1))
    first, *others = (topics[topic] for topic in TOPICS)
    assert (first["metadata"]["namespace"], "config" in first["spec"]) == ("kafka", False)
    assert {m["metadata"]["namespace"] for m in others} == {"streams"}
    assert {m["metadata"]["labels"]["strimzi.io/cluster"] for m in topics.values()} == {"events"}
    assert others[0]["spec"]["config"] == {"cleanup.policy": "compact", "retention.ms": "604800000"}


def test_a_job_beside_them_is_read_as_before(root):
    assert jobs.names(root) == ("topic",)
    read = jobs.read(root, "topic", kafka={})
    assert [statement.text for statement in read.statements] == ["INSERT INTO t SELECT 1"]
