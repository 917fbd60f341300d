"""The modules for topics and connectors: their own tests pass, and their examples are what Strimzi takes."""

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from sdp_kernel.references import names_secret
from tests.terraform import schemas
from tests.terraform.running import MODULES, manifests, planned, terraform

KAFKA = sorted(
    path.parent
    for place in ("kafka-topic", "kafka-connect/*")
    for path in MODULES.glob(f"{place}/main.tf")
)  # fmt: skip
EXAMPLES = sorted(path.parent for module in KAFKA for path in module.glob("examples/*/main.tf"))


def called(examples, root):
    """Plan examples together, as modules of one root; returns their manifests by example."""
    (root / "main.tf").write_text(
        "".join(
            f'module "e{at}" {{\n  source = "{os.path.relpath(path, root)}"\n}}\n'
            for at, path in enumerate(examples)
        )
    )
    planned_ = planned(root)
    return {
        examples[int(child["address"].removeprefix("module.e"))]: manifests(
            {"planned_values": {"root_module": child}}
        )
        for child in planned_["planned_values"]["root_module"]["child_modules"]
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What ``terraform test`` printed by module, and the examples' manifests: run once, two at a time."""
    copy = tmp_path_factory.mktemp("modules")
    for name in ("kafka-topic", "kafka-connect"):
        shutil.copytree(MODULES / name, copy / name, ignore=shutil.ignore_patterns(".terraform*"))

    def test(module):
        place = copy / module.relative_to(MODULES)
        terraform("init", "-no-color", "-input=false", cwd=place)
        terraform("validate", "-no-color", cwd=place)
        return terraform("test", "-no-color", cwd=place)

    with ThreadPoolExecutor(2) as pool:
        plans = pool.submit(called, EXAMPLES, tmp_path_factory.mktemp("examples"))
        tests = dict(zip(KAFKA, pool.map(test, KAFKA), strict=True))
        return {**tests, **plans.result()}


def test_every_file_is_formatted():
    for name in ("kafka-topic", "kafka-connect"):
        assert terraform("fmt", "-check", "-recursive", "-diff", cwd=MODULES / name) == ""


@pytest.mark.parametrize("module", KAFKA, ids=lambda path: path.name)
def test_a_module_s_own_tests_pass(module, results):
    assert re.search(r"Success! \d+ passed, 0 failed", results[module])


def test_every_module_has_an_example():
    assert {example.parents[1] for example in EXAMPLES} == set(KAFKA)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: f"{path.parents[1].name}-{path.name}")
def test_an_example_is_what_strimzi_takes(example, results):
    assert results[example]
    assert [schemas.problems(manifest) for manifest in results[example]] == [[]] * len(results[example])


def test_no_secret_is_in_an_example_s_manifest(results):
    configs = [m["spec"].get("config", {}) for example in EXAMPLES for m in results[example]]
    secrets = [value for config in configs for key, value in config.items() if names_secret(key)]
    assert secrets
    assert all(re.fullmatch(r"\$\{secrets:[\w/-]+:\w+\}", value) for value in secrets)


def variables(module):
    found = re.split(r"(?m)^(?=variable )", (module / "variables.tf").read_text())
    return {re.match(r'variable "(\w+)"', block)[1]: block.strip() for block in found if block.strip()}


def test_what_connectors_have_in_common_is_written_alike():
    first, *others = (variables(module) for module in KAFKA if module.parent.name == "kafka-connect")
    for name in (
        "enabled",
        "name",
        "namespace",
        "cluster",
        "state",
        "auto_restart",
        "plugin_version",
        "labels",
    ):
        assert {other[name] for other in others} == {first[name]}, name


#: Keys of configuration as connectors spell them, and whether a literal may stand there.
KEYS = {
    "database.password": False, "connection.password": False, "aws.secret.access.key": False,
    "aws.access.key.id": False, "http.headers.authorization": True, "ssl.keystore.password": False,
    "ssl.keystore.location": True, "basic.auth.credentials.source": True, "sasl.jaas.config": False,
    "api-token": False, "topics": True, "transforms.unwrap.type": True, "http.oauth2.client.secret": False,
    "schema.registry.basic.auth.user.info": True, "private_key": False, "account.key": False,
}  # fmt: skip


def test_secrets_are_known_by_the_names_that_settings_know():
    assert {key: not names_secret(key) for key in KEYS} == KEYS
    text = variables(MODULES / "kafka-connect/source")["task_config"]
    secret, harmless = re.search(
        r'if can\(regex\("(.+?)", key\)\) && !can\(regex\("(.+?)", key\)\)', text
    ).groups()
    ours = {
        key: not (
            re.search(secret.replace("\\\\", "\\"), key)
            and not re.search(harmless.replace("\\\\", "\\"), key)
        )
        for key in KEYS
    }
    assert ours == KEYS


def test_a_plan_ends_with_what_is_wrong_within_a_ready_made_connector(tmp_path):
    (tmp_path / "main.tf").write_text(
        f'module "c" {{\n  source = "{MODULES}//kafka-connect/s3-sink"\n  name = "c"\n  cluster = "c"\n'
        '  topics = ["t"]\n  bucket = "bucket"\n  region = "eu"\n  task_config = { "http.proxy.password" = "x" }\n}\n'
    )
    terraform("init", "-no-color", cwd=tmp_path)
    printed = re.sub(r"[\s│]+", " ", terraform("plan", "-no-color", cwd=tmp_path, fails=True))
    assert "task_config holds a secret in clear text: http.proxy.password" in printed
    assert "such as ${secrets:NAMESPACE/SECRET:KEY}" in printed.replace("$$", "$")
