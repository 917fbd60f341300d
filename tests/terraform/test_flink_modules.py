"""The Flink modules: formatted, valid, their own tests pass, and their examples are what the operator takes."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from sdp_kernel.deploy.manifest import MOST_BYTES
from tests.terraform import schemas
from tests.terraform.running import MODULES, manifests, outputs, planned, terraform

FLINK = MODULES / "flink"
INTERNAL = {"deployment", "session-job", "sql-script"}
EVERY = sorted(path.name for path in FLINK.iterdir() if (path / "main.tf").exists())
TESTED = sorted(path.parent.name for path in FLINK.glob("*/tests"))
EXAMPLES = sorted(path.parent for path in FLINK.glob("*/examples/*/main.tf"))
CORE = {"Service", "Ingress", "ConfigMap"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What ``terraform test`` printed by module, and the examples' plans: all run once, two at a time."""
    made, copy = {}, tmp_path_factory.mktemp("modules") / "flink"
    copied(copy)

    def test(module):
        terraform("init", "-no-color", "-input=false", cwd=copy / module)
        terraform("validate", "-no-color", cwd=copy / module)
        made[module] = terraform("test", "-no-color", cwd=copy / module)

    def plan(example):
        made[example] = planned(copy / example.relative_to(FLINK))

    with ThreadPoolExecutor(2) as pool:
        slow = sorted(TESTED, key=lambda name: name != "standalone-job")
        list(
            pool.map(
                lambda work: work[0](work[1]), [*((test, m) for m in slow), *((plan, e) for e in EXAMPLES)]
            )
        )
    return made


def copied(target):
    """Copy the modules, so that nothing is written beside them."""
    shutil.copytree(FLINK, target, ignore=shutil.ignore_patterns(".terraform*"))


def test_every_file_is_formatted():
    assert terraform("fmt", "-check", "-recursive", "-diff", cwd=FLINK) == ""


def test_every_module_is_whole():
    for name in EVERY:
        files = {path.name for path in (FLINK / name).iterdir()}
        assert {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"} <= files, name
        if name not in INTERNAL:
            assert list((FLINK / name).glob("examples/*/main.tf")), name
            assert list((FLINK / name).glob("tests/*.tftest.hcl")), name


@pytest.mark.parametrize("module", TESTED)
def test_a_module_s_own_tests_pass(module, results):
    assert re.search(r"Success! \d+ passed, 0 failed", results[module])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_an_example_is_what_the_operators_take(example, results):
    made = manifests(results[example])
    assert made
    assert {
        manifest["kind"]: schemas.problems(manifest) for manifest in made if manifest["kind"] not in CORE
    } == {manifest["kind"]: [] for manifest in made if manifest["kind"] not in CORE}
    assert outputs(results[example])["manifest"]


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (("spec", "job", "state"), "paused", "'paused' is not one of"),
        (("spec", "job", "jobState"), "running", "'jobState' was unexpected"),
        (("spec", "job", "parallelism"), "2", "is not of type 'integer'"),
        (("spec", "taskManager"), {}, "'taskManager' was unexpected"),
        (("apiVersion",), "flink.apache.org/v1", "is not of flink.apache.org/v1"),
    ],
)
def test_what_an_operator_refuses_is_found(place, value, problem, results):
    (example,) = (path for path in EXAMPLES if path.parts[-3] == "sql-job")
    (manifest,) = manifests(results[example])
    *way, last = place
    part = manifest
    for key in way:
        part = part[key]
    part[last] = value
    assert problem in "".join(schemas.problems(manifest))


def blocks(module):
    """Return a module's variables by name, each as its text."""
    text = (FLINK / module / "variables.tf").read_text()
    found = re.split(r"(?m)^(?=variable )", text)
    return {
        re.match(r'variable "(\w+)"', block)[1]: block.strip()
        for block in found
        if block.startswith("variable")
    }


def test_what_jobs_have_in_common_is_written_alike():
    first, *others = (blocks(name) for name in ("sql-job", "python-job", "java-job", "data-replication-job"))
    for name in ("enabled", "job_name", "namespace", "session_cluster", "parallelism", "state", "upgrade_mode",
                 "flink_configuration", "labels", "initial_savepoint_path", "restart_nonce",
                 "savepoint_trigger_nonce", "savepoint_redeploy_nonce"):  # fmt: skip
        assert {other[name] for other in others} == {first[name]}, name
    script = blocks("sql-script")
    assert {name: script[name] for name in ("args", "kafka", "functions")} == {
        name: first[name] for name in ("args", "kafka", "functions")
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"upgrade_mode": "last_state"}, 'upgrade_mode "last_state" is none of savepoint, last-state and stateless'),
        ({"job_name": "Large Orders"}, 'job_name "Large Orders" is no name that Kubernetes takes'),
        ({"sql": ["gone/job.sql"]}, "There is no such SQL file: gone/job.sql"),
        ({"args": {"symbol": "it's"}}, "The value of symbol could break out of its statement"),
        ({"kafka": {"main": {"bootstrap.servers": "k", "sasl.password": "x"}}}, "A literal secret: kafka.main.sasl.password"),
        ({"args": {"symbol": "1234567890" * 40_000}}, "its largest file is"),
    ],
)  # fmt: skip
def test_a_plan_ends_with_what_is_wrong(tmp_path, given, said):
    (tmp_path / "job.sql").write_text("INSERT INTO t SELECT '${symbol}';\n")
    (tmp_path / "main.tf").write_text(
        'variable "given" {\n  type = any\n}\n'
        f'module "job" {{\n  source = "{MODULES}//flink/sql-job"\n  job_name = try(var.given.job_name, "orders")\n'
        '  session_cluster = "session"\n  upgrade_mode = try(var.given.upgrade_mode, "savepoint")\n'
        '  sql = try(var.given.sql, ["${path.module}/job.sql"])\n  args = try(var.given.args, { symbol = "A" })\n'
        "  kafka = try(var.given.kafka, {})\n}\n"
    )
    terraform("init", "-no-color", cwd=tmp_path)
    (tmp_path / "given.auto.tfvars.json").write_text(json.dumps({"given": given}))
    assert said in refusal(tmp_path)


def refusal(root):
    """Plan a root that is refused; returns what is said, in one line."""
    printed = terraform("plan", "-no-color", "-input=false", cwd=root, fails=True)
    return re.sub(r"[\s│]+", " ", printed)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"job_type": "sql", "sql": ["job.sql"], "args": {"a-b": "1"}}, "A name is a letter or _, then letters, digits and _."),
        ({"job_type": "sql", "sql": ["job.sql"], "args": {"kafka": "1"}}, "args holds kafka"),
        ({"job_type": "sql", "sql": ["job.sql"], "extra_args": ["x"]}, "job_type is sql, which takes no extra_args: it takes sql, kafka, functions, jar_uri beside"),
        ({"job_type": "java", "py_files": ["/a.py"], "jar_uri": "local:///a.jar"}, "job_type is java, which takes no py_files"),
        ({"job_type": "python", "py_module": "a", "entry_class": "b"}, "job_type is python, which takes no entry_class"),
    ],
)  # fmt: skip
def test_a_standalone_job_s_plan_ends_with_what_is_wrong(tmp_path, given, said):
    (tmp_path / "job.sql").write_text("INSERT INTO t SELECT 1;\n")
    arguments = "".join(f"  {name} = {json.dumps(value)}\n" for name, value in given.items())
    (tmp_path / "main.tf").write_text(
        f'module "job" {{\n  source = "{MODULES}//flink/standalone-job"\n  job_name = "orders"\n'
        f'  flink_image = "flink"\n  upgrade_mode = "stateless"\n{arguments}}}\n'
    )
    terraform("init", "-no-color", cwd=tmp_path)
    assert said in refusal(tmp_path)


def test_jobs_are_made_after_their_cluster_and_go_before_it(tmp_path):
    (tmp_path / "job.sql").write_text("INSERT INTO t SELECT 1;\n")
    (tmp_path / "main.tf").write_text(
        f'module "session" {{\n  source = "{MODULES}//flink/session-cluster"\n  name = "session"\n'
        '  flink_image = "flink"\n  enabled = false\n}\n'
        f'module "job" {{\n  source = "{MODULES}//flink/sql-job"\n  job_name = "orders"\n'
        '  session_cluster = module.session.name\n  sql = ["job.sql"]\n}\n'
    )
    assert [manifest["spec"]["deploymentName"] for manifest in manifests(planned(tmp_path))] == ["session"]
    edges = re.findall(r'"(.+)" -> "(.+)";', terraform("graph", cwd=tmp_path))
    assert any("module.job" in later and "module.session" in earlier for later, earlier in edges)


def test_the_largest_manifest_is_the_modules_own():
    for module in (
        "sql-job",
        "python-job",
        "java-job",
        "data-replication-job",
        "standalone-job",
        "session-cluster",
    ):
        text = (FLINK / module / "outputs.tf").read_text()
        assert re.findall(r"manifest_bytes < (\d+)\n", text) == [str(MOST_BYTES)], module
        assert f"may have no more than {MOST_BYTES}, since the operator" in text, module
