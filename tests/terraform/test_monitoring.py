"""Alerts and dashboards: rules are Prometheus', each alert fires when it should, dashboards are their generator's."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests import tools
from tests.terraform import schemas
from tests.terraform.running import MODULES, manifests, outputs, planned, terraform

MODULE = MODULES / "monitoring"
GENERATOR = MODULES.parents[1] / "monitoring" / "dashboards.py"
#: What the unit tests of the alerts are written for.
GIVEN = """
  jobs               = { flink = ["order-totals"] }
  connectors         = { kafka = ["orders"] }
  checkpoint_ages    = { flink = { nightly-run = 7200 } }
  operator_namespace = "flink-operator"
  thresholds         = { watermark_behind = 3600 }
  alert_labels       = { team = "risk" }
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """The module's plan as the alerts' unit tests know it, and its example's."""
    root = tmp_path_factory.mktemp("monitoring")
    source, example = (os.path.relpath(path, root) for path in (MODULE, MODULE / "examples" / "team"))
    (root / "main.tf").write_text(
        f'module "m" {{\n  source = "{source}"\n{GIVEN}}}\nmodule "example" {{\n  source = "{example}"\n}}\n'
        'output "rules" {\n  value = module.m.rules\n}\noutput "names" {\n  value = keys(module.m.manifests)\n}\n'
    )
    return planned(root)


@pytest.fixture(scope="module")
def folder(plan, tmp_path_factory):
    """A directory with the rules and their tests."""
    made = tmp_path_factory.mktemp("rules")
    (made / "rules.json").write_text(outputs(plan)["rules"])
    shutil.copy(MODULE / "tests" / "alerts.test.yml", made)
    return made


def promtool(*arguments, cwd):
    return subprocess.run(
        [tools.promtool(), *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def rules(plan):
    return [rule for group in json.loads(outputs(plan)["rules"])["groups"] for rule in group["rules"]]


def test_the_module_s_own_tests_pass(tmp_path):
    shutil.copytree(MODULE, tmp_path / "m", ignore=shutil.ignore_patterns(".terraform*"))
    assert terraform("fmt", "-check", "-recursive", cwd=MODULE) == ""
    terraform("init", "-no-color", "-input=false", cwd=tmp_path / "m")
    assert re.search(r"Success! \d+ passed, 0 failed", terraform("test", "-no-color", cwd=tmp_path / "m"))


def test_what_is_made_is_what_the_operators_take(plan):
    made = manifests(plan)
    assert {manifest["kind"] for manifest in made} == {"PodMonitor", "PrometheusRule", "ConfigMap"}
    known = [manifest for manifest in made if manifest["kind"] != "ConfigMap"]
    assert [schemas.problems(manifest) for manifest in known] == [[]] * len(known)


def test_prometheus_takes_the_rules(folder):
    done = promtool("check", "rules", "rules.json", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 rules found" in done.stdout


def test_each_alert_fires_when_it_should_and_not_otherwise(folder):
    done = promtool("test", "rules", "alerts.test.yml", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test(plan):
    text = (MODULE / "tests" / "alerts.test.yml").read_text()
    assert [rule["alert"] for rule in rules(plan) if rule["alert"] not in text] == []


@pytest.mark.parametrize(
    ("alert", "old", "new"),
    [
        ("FlinkJobNotRunning", "== 0", "== 1"),
        ("FlinkJobRestarts", ">= 3", ">= 1"),
        ("FlinkCheckpointsFailing", ">= 3", ">= 30"),
        ("FlinkNoCheckpoint", "> 1800", "> 18000"),
        ("FlinkNoCheckpoint", "> 7200", "> 1800"),
        ("FlinkNoCheckpoint", "unless on (namespace, job_name)", "or on (namespace, job_name)"),
        ("FlinkNoCheckpoint", 'namespace="flink",', ""),
        ("FlinkLagGrowing", ")) > 0", ")) < 0"),
        ("FlinkLagGrowing", "(max by (namespace, job_name, job_id, operator_id, subtask_index) ", "("),
        ("FlinkBackPressure", "> 0.8", "> 0.3"),
        ("FlinkWatermarkBehind", "Watermark > 0)", "Watermark)"),
        ("FlinkJobMissing", "order-totals|order_totals", "order-totals"),
        ("FlinkJobFailed", "max by", "min by"),
        ("FlinkJobFailed", 'resourcens=~"flink"', ""),
        ("ConnectorNotRunning", "running|paused|stopped", "running"),
        ("ConnectorTaskFailed", "failed", "running"),
        ("ConnectorRecordsFailing", ">= 1", ">= 3"),
        ("ConnectorRecordsFailing", "(max by (namespace, connector, task) ", "("),
        ("ConnectorLagGrowing", "> 10000", "> 10000000"),
        ("ConnectorLagGrowing", "(max by (namespace, connector, task, topic, partition) ", "("),
        ("ConnectorMissing", "absent(", "max("),
    ],
)
def test_the_unit_tests_notice_an_alert_that_is_wrong(alert, old, new, plan, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "wrong")
    changed = json.loads(outputs(plan)["rules"])
    (rule,) = (rule for group in changed["groups"] for rule in group["rules"] if rule["alert"] == alert)
    assert old in rule["expr"]
    rule["expr"] = rule["expr"].replace(old, new)
    (tmp_path / "wrong" / "rules.json").write_text(json.dumps(changed))
    assert promtool("test", "rules", "alerts.test.yml", cwd=tmp_path / "wrong").returncode != 0


def test_the_documentation_has_every_alert(plan):
    text = (MODULES.parents[2] / "docs" / "monitoring.md").read_text()
    assert [rule["alert"] for rule in rules(plan) if f"`{rule['alert']}`" not in text] == []


def test_the_dashboards_are_what_their_generator_makes(monkeypatch):
    pytest.importorskip("grafana_foundation_sdk")
    spec = importlib.util.spec_from_file_location("dashboards", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dashboards", module)
    spec.loader.exec_module(module)
    committed = {path.name: path.read_text() for path in (MODULE / "dashboards").glob("*.json")}
    assert module.written() == committed, "python extensions/monitoring/dashboards.py writes them"


def test_prometheus_takes_every_expression_of_the_dashboards(tmp_path):
    expressions = [
        target["expr"]
        for path in (MODULE / "dashboards").glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]
    assert len(expressions) > 30
    group = [
        {"record": f"r{at}", "expr": text.replace("$__rate_interval", "5m")}
        for at, text in enumerate(expressions)
    ]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "g", "rules": group}]}))
    done = promtool("check", "rules", "--lint-fatal", "rules.json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboards_count_a_series_once_however_often_it_is_scraped():
    expressions = [
        target["expr"]
        for path in (MODULE / "dashboards").glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]
    sums = [text for expr in expressions for text in re.findall(r"\bsum\b.{60}", expr)]
    assert len(sums) > 15
    assert [text for text in sums if not re.match(r"sum( by \([\w, ]+\) )?\(max by \(", text)] == []


def test_dashboards_name_alerts_that_there_are(plan):
    named = {
        name
        for path in (MODULE / "dashboards").glob("*.json")
        for name in re.findall(r"Alert: (\w+)", path.read_text())
    }
    assert named
    assert named <= {rule["alert"] for rule in rules(plan)}
