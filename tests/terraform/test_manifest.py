"""``sdp apply`` builds what the module flink/sql-job builds, byte for byte, and refuses what it refuses."""

import json
import subprocess

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.deploy.manifest import read_manifest
from sdp_kernel.deploy.module_arguments import ARGUMENTS
from sdp_kernel.errors import ParameterError, UsageError
from sdp_kernel.promote import render
from sdp_kernel.repository import notation
from tests import tools
from tests.terraform.running import MODULES, PROVIDER, manifests, planned, terraform

MODULE = MODULES / "flink" / "sql-job"
KAFKA = {
    "main": KafkaCluster(
        "main",
        {
            "bootstrap.servers": "kafka:9093",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "it's",
            "sasl.password": "env:KAFKA_PASSWORD",
            "ssl.ca.location": "/etc/kafka/ca.crt",
            "schema.registry.url": "http://registry:8081/o'clock",
        },
    ),
    "other": KafkaCluster(
        "other", {"bootstrap.servers": "o:9092", "sasl.password": "file:/etc/secret/password"}
    ),
}
VARIABLES = """
variable "namespace" { type = string }
variable "functions" { type = string }
variable "kafka" { type = map(map(string)) }
"""
FILES = {
    "plain": "INSERT INTO b SELECT * FROM a;\n",
    "kafka": "CREATE TABLE a (x INT) WITH ('connector' = 'kafka', ${kafka.main});\n",
    "both": "CREATE TABLE b (x INT) WITH (${ kafka.other }, 'r' = ${registry.main});",
    "escapes": "SELECT '$${literal}', '%%{if}', '$$${a}', '%%%{z', '$x', '100%', 'a && b <> c < d';\n",
    "args": "SELECT '${a}', ${b_2} /* ${a} */;\n",
    "functions": "CREATE FUNCTION f AS 'f.f' LANGUAGE PYTHON; -- ${functions}/f.py\n",
    "letters": "-- Größe 价格 e\u0301 \U0001f600 \u2028 \x1f \t\b\f\r\nSELECT 1",
    "empty": "",
}
NEEDS = {"args": {"a", "b_2"}}
#: What stands in a module call; ``sql`` is a list of FILES.
CALLS = {
    "least": {},
    "promoted-files": {"sql": ["kafka", "both", "plain"], "kafka": "var.kafka", "namespace": "var.namespace"},
    "texts": {"sql": ["escapes", "letters", "empty", "plain"]},
    "values": {"sql": ["args"], "args": '{ a = "x y", b_2 = 100 }'},
    "numbers": {"sql": ["args"], "args": '{ a = 1.50, "b_2" = true }'},
    "big-numbers": {"sql": ["args"], "args": "{ a = 12345678901234567890, b_2 = -0.000001 }"},
    "signs": {"sql": ["args"], "args": '{ a = "<&>=!?$%#@()[]{}|~^", b_2 = "é" }'},
    "decomposed": {"sql": ["args"], "args": '{ a = "e\\u0301", b_2 = "\\U0001f600" }'},
    "functions": {"sql": ["functions"], "functions": "var.functions"},
    "functions-text": {"sql": ["functions"], "functions": '"s3://team/functions"'},
    "one-cluster": {"sql": ["kafka"], "kafka": "{ main = var.kafka.main }"},
    "cluster-by-key": {"sql": ["kafka"], "kafka": '{ main = var.kafka["main"] }'},
    "literal-cluster": {"sql": ["kafka"], "kafka": '{ main = { "bootstrap.servers" = "x:1", "request.timeout.ms" = 5000, registry = true } , other = var.kafka.other }'},
    "suspended": {"state": '"suspended"', "upgrade_mode": '"last-state"', "parallelism": 32768},
    "converted": {"parallelism": '"4"', "enabled": '"true"', "restart_nonce": '"3"'},
    "whole": {"parallelism": "2.0", "upgrade_mode": '"stateless"'},
    "checkpoints": {"checkpoint_config": '{ interval = "30 s", timeout = "10 min", s3_path = "s3://b/state/" }'},
    "checkpoints-default": {"checkpoint_config": "{}"},
    "checkpoints-null": {"checkpoint_config": '{ interval = null, s3_path = "s3://b//" }'},
    "checkpoints-none": {"checkpoint_config": "null", "args": "null", "kafka": "null", "namespace": "null"},
    "configuration": {"flink_configuration": '{ "table.exec.state.ttl" = "1 d", b = 1, c = false, "execution.checkpointing.interval" = "5 s" }', "checkpoint_config": '{ timeout = "1h" }'},
    "names-of-secrets": {"flink_configuration": '{ "kubernetes.secrets" = "a:/b", "kubernetes.env.secretKeyRef" = "env:A,secret:b,key:c", "kubernetes.container.image.pull-secrets" = "d", "security.delegation.tokens.enabled" = true }'},
    "labels": {"labels": '{ team = "a", "sdp.job" = "not-mine", "example.com/x" = "" }'},
    "savepoint": {"initial_savepoint_path": '"s3://b/savepoint-1"', "allow_non_restored_state": "true", "savepoint_redeploy_nonce": 2, "restart_nonce": 0, "savepoint_trigger_nonce": -1},
    "not-restored": {"allow_non_restored_state": "false"},
    "namespace": {"namespace": '"1-team"'},
}  # fmt: skip


def call(job, arguments):
    """Return a job's Terraform file."""
    lines = [f'  job_name = "{job}"']
    for name, value in {"session_cluster": '"session"', "sql": ["plain"], **arguments}.items():
        files = value if isinstance(value, list) else []
        paths = ", ".join(f'"${{path.root}}/../sql/{file}.sql"' for file in files)
        lines.append(f"  {name} = {f'[{paths}]' if isinstance(value, list) else value}")
    return "\n".join(
        [f'module "{job.replace("-", "_")}" {{', '  source = "./modules/flink/sql-job"', *lines, "}", ""]
    )


def repository(path, calls):
    root = path / "terraform"
    root.mkdir(exist_ok=True)
    (path / "sql").mkdir(exist_ok=True)
    if not (root / "modules").exists():
        (root / "modules").symlink_to(MODULES)
    for name, text in FILES.items():
        (path / "sql" / f"{name}.sql").write_bytes(text.encode())
    for old in root.glob("*.tf"):
        old.unlink()
    (root / "root.tf").write_text(PROVIDER + VARIABLES)
    for job, arguments in calls.items():
        (root / f"{job}.tf").write_text(call(job, arguments))
    return root


def ours(root, job):
    return read_manifest(root, job, kafka=KAFKA, functions="/opt/functions", namespace="dev")


def given_variables():
    kafka = {alias: dict(cluster.properties) for alias, cluster in KAFKA.items()}
    return {"kafka": kafka, "functions": "/opt/functions", "namespace": "dev"}


def by_terraform(root):
    plan = planned(root, variables=given_variables())
    texts = {}

    def look(module):
        for made in module.get("resources", []):
            texts[json.loads(made["values"]["yaml_body"])["metadata"]["name"]] = made["values"]["yaml_body"]
        for child in module.get("child_modules", []):
            look(child)

    look(plan["planned_values"]["root_module"])
    assert len(texts) == len(manifests(plan))
    return texts


def test_every_call_gives_the_bytes_that_terraform_gives_kubernetes(tmp_path):
    root = repository(tmp_path, CALLS)
    theirs = by_terraform(root)
    assert set(theirs) == set(CALLS)
    assert {job: ours(root, job).text for job in CALLS} == theirs


def quoted(texts):
    return texts.map(notation.hcl_string)


def objects(keys, values):
    return st.dictionaries(keys, values, max_size=3).map(
        lambda found: "{ " + ", ".join(f"{notation.hcl_string(k)} = {v}" for k, v in found.items()) + " }"
    )


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in {"kafka", "registry", "functions", "a", "b_2"}
)
#: Nothing of what may break out, and no control characters, which YAML does not know.
SAFE = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"), exclude_characters="'\"`;\\"), max_size=12
).filter(lambda text: not any(mark in text for mark in ("${", "%{", "--", "/*", "*/")))
SCALARS = st.one_of(
    quoted(SAFE), st.integers(-(10**30), 10**30).map(str), st.sampled_from(["true", "false"]),
    st.decimals(-10_000, 10_000, places=4).map(lambda number: f"{number:f}"),
)  # fmt: skip
DURATIONS = st.sampled_from(['"30 s"', '"1 min"', '"5m"', '"500 ms"', "null"])
URIS = st.sampled_from(['"s3://b/x"', '"s3a://b/"', '"file:///d//"', '"hdfs://n:9000/a b"'.replace(" ", "_")])
CALL = st.fixed_dictionaries(
    {
        "sql": st.lists(st.sampled_from(sorted(FILES)), min_size=1, max_size=4),
        "args": st.builds(
            lambda a, b, more: f"{{ a = {a}, b_2 = {b}, {more[2:]}", SCALARS, SCALARS, objects(NAMES, SCALARS)
        ),
        "kafka": st.just("var.kafka"),
        "functions": st.one_of(st.just("var.functions"), quoted(SAFE)),
    },
    optional={
        "parallelism": st.integers(1, 32_768),
        "enabled": st.just("true"),
        "namespace": st.sampled_from(["var.namespace", '"a-1"']),
        "state": st.sampled_from(['"running"', '"suspended"']),
        "upgrade_mode": st.sampled_from(['"savepoint"', '"last-state"', '"stateless"']),
        "checkpoint_config": st.builds(
            "{{ interval = {}, timeout = {}, s3_path = {} }}".format, DURATIONS, DURATIONS, URIS | st.just("null")
        ),
        "flink_configuration": objects(st.from_regex(r"[a-z]{1,5}\.[a-z-]{1,5}", fullmatch=True), SCALARS),
        "labels": objects(NAMES.filter(lambda name: name[0] != "_" != name[-1]), st.sampled_from(['"a"', "1"])),
        "allow_non_restored_state": st.sampled_from(["true", "false", "null"]),
        "restart_nonce": st.integers(0, 2**62),
        "initial_savepoint_path": URIS,
        "savepoint_trigger_nonce": st.integers(-5, 5),
    },
)  # fmt: skip


@settings(
    max_examples=1, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(calls=st.lists(CALL, min_size=12, max_size=16))
def test_any_call_gives_the_bytes_that_terraform_gives_kubernetes(tmp_path_factory, calls):
    named = {f"job-{at}": found for at, found in enumerate(calls)}
    root = repository(tmp_path_factory.mktemp("any"), named)
    assert {job: ours(root, job).text for job in named} == by_terraform(root)


#: By job: arguments that both refuse, and what our message says.
REFUSED = {
    "Upper": ({}, "job_name is 'Upper'"),
    "ends-": ({}, "job_name is 'ends-'"),
    "n" * 64: ({}, "at most 63"),
    "state": ({"state": '"walking"'}, "state is 'walking': it is one of running, suspended"),
    "mode": ({"upgrade_mode": '"last_state"'}, "one of savepoint, last-state, stateless"),
    "none": ({"parallelism": 0}, "whole number from 1 to 32768"),
    "half": ({"parallelism": 1.5}, "whole number from 1 to 32768"),
    "word": ({"parallelism": '"two"'}, "parallelism must be a number"),
    "yes": ({"enabled": '"yes"'}, "enabled must be true or false"),
    "cluster": ({"session_cluster": '"Session"'}, "session_cluster is 'Session'"),
    "space": ({"namespace": '"no_such"'}, "namespace is 'no_such'"),
    "no-file": ({"sql": ["plain", "absent"]}, "./../sql/absent.sql"),
    "no-sql": ({"sql": []}, "sql is empty"),
    "sql-text": ({"sql": '"a.sql"'}, "sql must be a list of text"),
    "unknown": ({"paralelism": 2}, "paralelism: not an argument"),
    "quote": ({"args": '{ a = "it\'s" }'}, "args has a value that could break out of its statement"),
    "comment": ({"args": '{ a = "1 -- x" }'}, "args has a value that could break out"),
    "line": ({"args": '{ a = "1\\n2" }'}, "args has a value that could break out"),
    "place": ({"args": '{ a = "$${x}" }'}, "args has a value that could break out"),
    "null": ({"args": "{ a = null }"}, "args has no value for a"),
    "reserved": ({"args": "{ kafka = 1 }"}, "args has kafka"),
    "hyphen": ({"args": "{ a-b = 1 }"}, "args has 'a-b'"),
    "missing": ({"sql": ["args"], "args": "{ a = 1 }"}, "${b_2} has no value"),
    "unlinked": ({"sql": ["both"], "kafka": "{ main = var.kafka.main }"}, "has no kafka connection 'other'"),
    "no-functions": ({"sql": ["functions"]}, "${functions} has no value"),
    "no-servers": ({"kafka": "{ main = { a = 1 } }"}, "kafka has no bootstrap.servers for main"),
    "secret": ({"kafka": '{ main = { "bootstrap.servers" = "a:1", "sasl.password" = "p" } }'}, "literal secret: main.sasl.password"),
    "relative": ({"kafka": '{ main = { "bootstrap.servers" = "a:1", "sasl.password" = "file:p" } }'}, "no absolute path for main.sasl.password"),
    "alias": ({"kafka": '{ a-b = { "bootstrap.servers" = "a:1" } }'}, "kafka has 'a-b'"),
    "interval": ({"checkpoint_config": '{ interval = "often" }'}, "has the interval 'often'"),
    "path": ({"checkpoint_config": '{ s3_path = "/tmp" }'}, "has the s3_path '/tmp'"),
    "own": ({"flink_configuration": '{ "kubernetes.namespace" = "a" }'}, "which the operator sets itself"),
    "key": ({"flink_configuration": '{ "s3.secret-key" = "a" }'}, "holds a secret in clear text: s3.secret-key"),
    "token": ({"flink_configuration": '{ "s3.session-token" = "a" }'}, "holds a secret in clear text: s3.session-token"),
    "header": ({"flink_configuration": '{ "kubernetes.operator.user.artifacts.http.header" = "A:b" }'}, "clear text: kubernetes.operator.user.artifacts.http.header"),
    "label": ({"labels": '{ "a b" = "c" }'}, "has no labels of Kubernetes: a b=c"),
    "initial": ({"initial_savepoint_path": '"savepoint-1"'}, "initial_savepoint_path is 'savepoint-1'"),
    "nonce": ({"restart_nonce": 0.5}, "restart_nonce is 0.5: it is a whole number"),
    "redeploy": ({"savepoint_redeploy_nonce": 1}, "needs initial_savepoint_path"),
    "place-of-functions": ({"functions": '"a;b"'}, "functions could break out"),
}  # fmt: skip


@pytest.mark.parametrize("job", REFUSED)
def test_bad_arguments_are_refused_with_the_argument_named(tmp_path, job):
    arguments, words = REFUSED[job]
    root = repository(tmp_path, {job: arguments})
    with pytest.raises((UsageError, ParameterError)) as refused:
        ours(root, job)
    assert words in refused.value.message
    assert refused.value.hint


#: An unknown argument is found before any other fault, and these after all others.
EARLY = {"unknown"}
#: Terraform names no call for these; what it says instead.
LATE = {
    "missing": 'does not contain key "b_2"',
    "unlinked": 'not have an attribute named "other"',
    "no-functions": '"functions", referenced at',
    "redeploy": "savepoint_redeploy_nonce has the job begin",
}


@pytest.mark.parametrize(
    "jobs", [EARLY, set(REFUSED) - EARLY - set(LATE), set(LATE)], ids=["early", "others", "late"]
)
def test_terraform_refuses_all_of_them_too(tmp_path, jobs):
    root = repository(tmp_path, {job: REFUSED[job][0] for job in jobs})
    (root / "given.auto.tfvars.json").write_text(json.dumps({**given_variables(), "functions": None}))
    terraform("init", "-no-color", "-input=false", cwd=root)
    printed = terraform("plan", "-no-color", "-input=false", cwd=root, fails=True)
    passed = {
        job
        for job in jobs
        if not any(
            words in printed
            for words in (f"on {job}.tf", f"module.{job.replace('-', '_')}.", LATE.get(job, "\0"))
        )
    }
    assert passed == set()


def test_the_arguments_are_the_modules_own():
    module = MODULES / "flink" / "sql-job"
    read = subprocess.run(
        [tools.config_inspect(), "--json", module], capture_output=True, text=True, check=True
    )
    theirs = sorted(json.loads(read.stdout)["variables"].values(), key=lambda found: found["pos"]["line"])
    assert [found["name"] for found in theirs] == list(ARGUMENTS)
    text = (module / "variables.tf").read_text()
    for found in theirs:
        argument = ARGUMENTS[found["name"]]
        block = text[text.index(f'variable "{found["name"]}"') :].split("\n}\n", 1)[0]
        assert argument.required == found["required"], found["name"]
        assert argument.default == found["default"], found["name"]
        assert argument.nullable == ("\n  nullable    = false" not in block), found["name"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  parallelism = var.parallelism", "parallelism is var.parallelism, which has no value here"),
        ("  parallelism = 1 + 1", "parallelism is an expression: 1 + 1"),
        ("  args = merge({}, {})", "args is an expression"),
        ('  sql = [for x in ["a"] : x]', "sql is an expression"),
        ('  sql = ["${local.x}"]', "sql[0] is an expression: local.x"),
        ("  count = 2", "has count in its module call"),
        ('  state = "running"\n  state = "suspended"', "sets state twice"),
        ("  namespace = <<E\nx\nE", "namespace is an expression: a heredoc"),
        ("  args = { (x) = 1 }", "args is an expression"),
        ("  parallelism = ", "is not valid HCL"),
    ],
)  # fmt: skip
def test_what_only_terraform_evaluates_is_left_to_terraform(tmp_path, text, words):
    root = repository(tmp_path, {})
    (root / "a.tf").write_text(f'module "a" {{\n  source = "./modules/flink/sql-job"\n{text}\n}}\n')
    with pytest.raises(UsageError) as refused:
        ours(root, "a")
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('module "a" {\n  source = "./modules/kafka-topic"\n}\n', "which is not the SQL job module"),
        ('resource "x" "y" {\n}\n' + call("a", {}), "a block resource beside the job's module"),
        (call("a", {}) + call("b", {}), "calls 2 modules: a, b"),
        ("", "calls 0 modules"),
        (call("b", {}), "a.tf is of the job 'b', not 'a'"),
    ],
)
def test_a_file_that_is_not_one_call_of_the_module_is_refused(tmp_path, text, words):
    root = repository(tmp_path, {})
    (root / "a.tf").write_text(text)
    with pytest.raises(UsageError) as refused:
        ours(root, "a")
    assert words in refused.value.message


def test_a_job_without_a_file_is_refused_with_those_there_are(tmp_path):
    root = repository(tmp_path, {"orders": {}})
    with pytest.raises(UsageError, match="there is no") as refused:
        ours(root, "order")
    assert "orders" in refused.value.hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"SELECT '\xff'", "is not UTF-8: byte 8"),
        (b"SELECT 1\n%{ if x }", "a directive of Terraform's templates, line 2"),
        (b"SELECT ${a + 1}", "${a + 1} is not a parameter"),
        (b"SELECT ${upper(a)}", "is not a parameter"),
        (b"SELECT '\x7f'", "the control character U+007F"),
        (b"\xef\xbb\xbfSELECT 1", "begins with a byte order mark"),
        (b"-- " + b"x" * 399_999, "and may have no more than 400000"),
    ],
)
def test_a_file_that_cannot_be_a_script_is_refused(tmp_path, content, words):
    root = repository(tmp_path, {"a": {}})
    (tmp_path / "sql" / "plain.sql").write_bytes(content)
    with pytest.raises((UsageError, ParameterError)) as refused:
        ours(root, "a")
    assert words in refused.value.message
    assert "plain.sql" in str(refused.value)


def test_what_a_promotion_writes_can_be_applied(tmp_path):
    root = repository(tmp_path, {})
    (root / "order-totals.tf").write_text(
        render.terraform(
            "order-totals", module_source="./modules/flink/sql-job", session_cluster="session",
            files=["sql/kafka.sql", "sql/functions.sql", "sql/args.sql"], arguments={"a": "x", "b_2": "2"},
            aliases=["kafka.main", "functions"],
        )
    )  # fmt: skip
    made = ours(root, "order-totals")
    assert (made.job, made.namespace, made.session_cluster) == ("order-totals", "dev", "session")
    assert "SELECT 'x', 2 /* x */" in made.script
    assert made.text == by_terraform(root)["order-totals"]
