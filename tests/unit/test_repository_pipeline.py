"""The pipeline's files, of the profiles."""

import pytest
from ruamel.yaml import YAML

from sdp_kernel import settings
from sdp_kernel.errors import RepositoryError, SettingsError
from sdp_kernel.repository.pipeline import pipeline_files, write

TWO = """[profiles.dev.kubernetes]
context = "agents:dev"
namespace = "analytics"
[profiles.dev.kafka.main]
"bootstrap.servers" = "kafka:9092"
"sasl.password" = "env:KAFKA_PASSWORD"
[profiles.prod]
functions = "s3://platform/${functions}"
[profiles.prod.kubernetes]
namespace = "prod"
[profiles.elsewhere]
gateway = "http://gateway:8083"
"""


def load(tmp_path, text):
    (tmp_path / "sdp.toml").write_text(text)
    return settings.load(tmp_path)


def test_each_profile_with_a_cluster_is_an_environment(tmp_path):
    files = {file.path: file for file in pipeline_files(load(tmp_path, TWO), tmp_path)}
    assert {path for path in files if path.endswith(".tfvars")} == {
        "terraform/environments/dev.tfvars",
        "terraform/environments/prod.tfvars",
    }
    pipeline = YAML(typ="safe").load(files[".gitlab-ci.yml"].content)
    assert {"lint", "test", "plan:dev", "apply:dev", "plan:prod", "apply:prod"} <= set(pipeline)
    (rule,) = pipeline["apply:prod"]["rules"]
    assert rule == {"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH", "when": "manual", "allow_failure": True}
    assert pipeline["apply:prod"]["needs"] == ["plan:prod"]
    dev, prod = (files[f"terraform/environments/{name}.tfvars"].content for name in ("dev", "prod"))
    assert dev == (
        'kubernetes_context = "agents:dev"\nnamespace          = "analytics"\n\nkafka = {\n  main = {\n'
        '    "bootstrap.servers" = "kafka:9092"\n    "sasl.password"     = "env:KAFKA_PASSWORD"\n  }\n}\n'
    )
    assert prod == 'namespace = "prod"\nfunctions = "s3://platform/$${functions}"\n\nkafka = {\n}\n'


def test_what_stands_there_is_kept_unless_it_is_forced(tmp_path):
    loaded = load(tmp_path, TWO)
    assert len(write(pipeline_files(loaded, tmp_path), tmp_path)) == 5
    assert write(pipeline_files(loaded, tmp_path), tmp_path) == ()
    (tmp_path / "terraform/variables.tf").write_text("mine\n")
    (tmp_path / ".gitlab-ci.yml").unlink()
    with pytest.raises(RepositoryError, match=r"terraform/variables\.tf"):
        write(pipeline_files(loaded, tmp_path), tmp_path)
    assert not (tmp_path / ".gitlab-ci.yml").exists()
    assert write(pipeline_files(loaded, tmp_path), tmp_path, force=True) == (
        ".gitlab-ci.yml",
        "terraform/variables.tf",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[profiles.a]\ngateway = "http://g:1"\n', "names a Kubernetes cluster"),
        ('[profiles."a b".kubernetes]\nnamespace = "n"\n', "cannot be an environment"),
    ],
)
def test_profiles_that_make_no_pipeline_are_refused(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        pipeline_files(load(tmp_path, text), tmp_path)
