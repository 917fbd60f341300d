"""Examples of several modules together: they plan, and what they make is what the operators take."""

import json
import shutil

import pytest

from tests.terraform import schemas
from tests.terraform.running import MODULES, manifests, outputs, planned, replanned, terraform

EXAMPLES = MODULES.parent / "examples"
CORE = {"ConfigMap", "Service"}


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """A copy of the modules and examples, so that nothing is written beside them."""
    copy = tmp_path_factory.mktemp("terraform")
    for name in ("modules", "examples"):
        shutil.copytree(MODULES.parent / name, copy / name, ignore=shutil.ignore_patterns(".terraform*"))
    return copy / "examples"


@pytest.fixture(scope="module")
def composed(copies):
    return planned(copies / "composed")


@pytest.fixture(scope="module")
def platform(copies):
    return planned(copies / "platform")


def kinds(plan):
    return sorted(f"{made['kind']} {made['metadata']['name']}" for made in manifests(plan))


def test_every_file_is_formatted():
    assert terraform("fmt", "-check", "-recursive", "-diff", cwd=EXAMPLES) == ""


@pytest.mark.parametrize("name", ["composed", "platform"])
def test_what_an_example_makes_is_what_the_operators_take(name, request):
    made = [manifest for manifest in manifests(request.getfixturevalue(name)) if manifest["kind"] not in CORE]
    assert [schemas.problems(manifest) for manifest in made] == [[]] * len(made)


def test_one_call_makes_topics_connectors_and_a_job(composed):
    assert len(composed["configuration"]["root_module"]["module_calls"]) == 1
    assert kinds(composed) == [
        "FlinkSessionJob order-totals",
        "KafkaConnector order-totals-sink",
        "KafkaConnector order-totals-source",
        "KafkaTopic order-totals.public.orders",
        "KafkaTopic order-totals.result",
    ]


def test_the_parts_of_a_composed_stream_meet_at_its_topics(composed):
    made = {name: json.loads(text) for name, text in outputs(composed)["manifests"].items()}
    changes, result = outputs(composed)["topics"]
    assert made["changes"]["metadata"]["name"] == changes
    source = made["source"]["spec"]["config"]
    assert f"{source['topic.prefix']}.{source['table.include.list']}".replace("\\", "") == changes
    _, script = made["job"]["spec"]["job"]["args"]
    assert f"'topic' = '{changes}'" in script
    assert f"'topic' = '{result}'" in script
    assert made["sink"]["spec"]["config"]["topics"] == result


def test_a_composed_stream_that_is_not_enabled_is_nothing(composed, copies):
    assert manifests(replanned(copies / "composed", variables={"enabled": False})) == []


def test_the_platform_has_each_kind_of_job(platform):
    made = {f"{m['kind']} {m['metadata']['name']}": m for m in manifests(platform)}
    assert made["FlinkSessionJob large-orders"]["spec"]["job"]["entryClass"].endswith(".SqlDriver")
    assert made["FlinkSessionJob order-features"]["spec"]["job"]["entryClass"].endswith(".PythonDriver")
    standalone = made["FlinkDeployment order-totals"]["spec"]
    assert standalone["taskManager"]["resource"] == {"cpu": 2, "memory": "4g"}
    assert standalone["flinkConfiguration"]["execution.checkpointing.interval"] == "30 s"
    assert standalone["image"] == "registry.example.com/team/flink:2.3.0"
    assert made["KafkaConnector orders-archive"]["spec"]["config"]["topics"] == "orders"


def missed(plan):
    """What alerts tell of when it is gone."""
    (rules,) = (made for made in manifests(plan) if made["kind"] == "PrometheusRule")
    return {
        rule["annotations"]["summary"]
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
        if rule["alert"].endswith("Missing")
    }


def test_the_platform_is_told_of_each_of_its_jobs_and_connectors(platform):
    jobs = {
        f"Flink job {name} in flink is gone" for name in ("large-orders", "order-features", "order-totals")
    }
    assert missed(platform) == {*jobs, "Connector orders-archive in kafka is gone"}


def test_nobody_is_told_of_a_job_that_is_suspended_on_purpose(platform, copies):
    plan = replanned(copies / "platform", variables={"suspended": ["large-orders", "order-totals"]})
    states = {
        made["metadata"]["name"]: made["spec"]["job"]["state"]
        for made in manifests(plan)
        if made["kind"].startswith("Flink")
    }
    assert states == {"large-orders": "suspended", "order-features": "running", "order-totals": "suspended"}
    assert missed(plan) == {
        "Flink job order-features in flink is gone",
        "Connector orders-archive in kafka is gone",
    }
