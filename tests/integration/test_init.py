"""A team's repository as `sdp init` makes it: its example is promoted, its own checks pass, more follows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import sdp_kernel
from sdp_kernel.local.examples import seed
from sdp_kernel.local.stack import Stack
from sdp_kernel.repository import init, job, report
from tests import tools

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
AUTHOR = {f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER")
          for what, text in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))}  # fmt: skip


def git(where, *arguments):
    done = subprocess.run(["git", *arguments], cwd=where, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def run(script, where, environment):
    """Run a script as a job of the pipeline does; returns what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=where, env={**environment, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def settings_on(stack, root, more=""):
    """Return the repository's settings with the tests' own stack as the profile ``local``."""
    text = (root / "sdp.toml").read_text().replace("[promote]\n", f"[promote]\n{more}", 1)
    return (
        f'{text}\n[profiles.local]\ngateway = "{stack.gateway}"\njobmanager = "{stack.jobmanager}"\n'
        f'[profiles.local.kafka.main]\n"bootstrap.servers" = "{stack.kafka}"\n'
    )


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    root = tmp_path_factory.mktemp("init") / "team"
    run(f"sdp init '{root}'", root.parent, {**os.environ, **AUTHOR})
    return root


@pytest.fixture
def terraform():
    """The environment of Terraform; without it a test is left out, but never in CI."""
    try:
        tools.terraform()
        return tools.environment()
    except tools.ToolMissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error).splitlines()[0])


def test_its_example_was_promoted_from_its_notebook_and_nothing_is_left_running(team):
    assert git(team, "log", "--format=%s").splitlines() == [
        f"Add Flink SQL job {init.EXAMPLE_JOB}",
        "Begin the team's repository",
    ]
    assert git(team, "branch", "--format=%(refname:short)") == "main"
    assert git(team, "status", "--porcelain") == ""
    assert job.names(team) == (init.EXAMPLE_JOB,)
    assert report.evidence_of(team, init.EXAMPLE_JOB).problem is None
    receipt = json.loads((team / f"sql/jobs/{init.EXAMPLE_JOB}.receipt.json").read_text())
    assert (receipt["cell"]["name"], receipt["cell"]["notebook"]) == ("order_totals", init.NOTEBOOK)
    assert receipt["run"]["rows"] > 10
    assert receipt["findings"] == []
    assert Stack(team / ".sdp").running() is None


def test_it_passes_its_own_checks_and_tests(team, stack, terraform, tmp_path):
    git(team, "clone", "-q", str(team), str(tmp_path / "clone"))
    pipeline = YAML(typ="safe").load((team / ".gitlab-ci.yml").read_text())
    printed = run("\n".join(pipeline["lint"]["script"]), tmp_path / "clone", terraform)
    assert "The configuration is valid." in printed
    assert "nothing found in 1 job" in printed
    assert f"{init.EXAMPLE_JOB}: verified" in printed
    assert " warning " not in printed
    (tmp_path / "clone/sdp.toml").write_text(settings_on(stack, team))
    run("\n".join(pipeline["test"]["script"]), tmp_path / "clone", os.environ)
    junit = (tmp_path / "clone" / pipeline["test"]["artifacts"]["reports"]["junit"]).read_text()
    assert init.EXAMPLE_JOB in junit
    assert "<testcase" in junit
    assert not any(f"<{what}" in junit for what in ("failure", "error", "skipped"))


def test_another_cell_is_promoted_into_it_and_passes_them_too(team, stack, tmp_path, monkeypatch):
    for name, value in AUTHOR.items():
        monkeypatch.setenv(name, value)
    seed(stack.kafka)
    # a notebook finds these settings first
    (team / "notebooks/sdp.toml").write_text(settings_on(stack, team, 'repository = ".."\n'))
    cells = json.loads((team / init.NOTEBOOK).read_text())["cells"]
    (declaration,) = ("".join(cell["source"]) for cell in cells if cell["id"] == "table")
    with sdp_kernel.connect("local", directory=team / "notebooks") as wb:
        wb.sql(declaration.partition("\n")[2])
        wb.sql("SELECT symbol, COUNT(*) AS orders FROM orders GROUP BY symbol", name="counts", until="now")
        applied = wb.promote("counts", job="order-counts", to="order_counts").apply()
    assert "sql/tables/orders.sql" not in applied.files
    git(team, "clone", "-q", "--branch", applied.branch, str(team), str(tmp_path / "clone"))
    printed = run("sdp verify --offline", tmp_path / "clone", os.environ)
    assert "order-counts: verified" in printed
    assert f"{init.EXAMPLE_JOB}: verified" in printed
    assert job.names(tmp_path / "clone") == ("order-counts", init.EXAMPLE_JOB)
