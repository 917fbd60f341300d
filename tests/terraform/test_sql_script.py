"""The module's script is the workbench's, character by character: connections and whole files."""

import random

import pytest

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.errors import ParameterError
from sdp_kernel.flink.parameters import render
from sdp_kernel.references import quote
from sdp_kernel.repository.notation import template, untemplate
from tests.terraform.running import MODULES, outputs, planned, terraform

ROOT = f"""variable "clusters" {{
  type = map(map(string))
}}
variable "files" {{
  type = list(string)
}}
variable "args" {{
  type = map(string)
}}
module "script" {{
  source    = "{MODULES}/flink/sql-script"
  for_each  = toset(var.files)
  sql       = [each.value]
  args      = var.args
  kafka     = {{ main = var.clusters["c0"] }}
  functions = "s3://team/functions"
}}
module "all" {{
  source    = "{MODULES}/flink/sql-script"
  sql       = var.files
  args      = var.args
  kafka     = var.clusters
  functions = "s3://team/functions"
}}
output "fragments" {{
  value = module.all.fragments
}}
output "registries" {{
  value = module.all.registries
}}
output "scripts" {{
  value = {{ for file, made in module.script : file => made.script }}
}}
"""
USER = {"sasl.username": "ada", "sasl.password": "env:PASSWORD"}
CLIENT = {
    "sasl.oauthbearer.client.id": "me",
    "sasl.oauthbearer.client.secret": "file:/run/secrets/client",
    "sasl.oauthbearer.scope": "kafka",
}
CASES = [
    {},
    {"schema.registry.url": "http://registry:8081"},
    {"schema.registry.url": "http://it's:8081", "schema.registry.basic.auth.user.info": "env:USER"},
    {"security.protocol": "SSL", "ssl.ca.location": "/etc/kafka/ca.crt"},
    {"ssl.ca.location": "/ca", "ssl.truststore.location": "/own.jks", "ssl.truststore.type": "JKS"},
    {"ssl.ca.location": "/ca", "ssl.ca.pem": "env:CA", "ssl.truststore.location": "/own"},
    {"ssl.ca.location": "/ca", "ssl.ca.pem": "env:CA"},
    {"ssl.ca.pem": "env:CA"},
    {"ssl.ca.pem": "file:/ca.pem"},
    {"ssl.ca.pem": "-----BEGIN CERTIFICATE-----\nMII'x\n"},
    {"ssl.ca.pem": "env:CA", "ssl.truststore.certificates": "plain"},
    {"ssl.truststore.location": "/t.jks", "ssl.truststore.password": "env:TRUST"},
    {"ssl.certificate.location": "/c.pem"},
    {"ssl.certificate.location": "/c.pem", "ssl.key.location": "/c.pem"},
    {
        "ssl.certificate.location": "/d/c.pem",
        "ssl.key.location": "/d/e/k.pem",
        "ssl.key.password": "file:/run/k",
    },
    {"ssl.certificate.location": "/c.pem", "ssl.key.location": "/k.pem", "ssl.keystore.location": "/own.p12"},
    {"ssl.certificate.location": "/c.pem", "ssl.key.location": "/k.pem", "ssl.keystore.key": "env:OTHER"},
    {"ssl.key.location": "/k.pem"},
    {"ssl.certificate.pem": "x", "ssl.key.pem": "env:KEY"},
    {"sasl.mechanism": "PLAIN", **USER},
    {"sasl.mechanism": "SCRAM-SHA-256", **USER},
    {"sasl.mechanism": "SCRAM-SHA-512", **USER, "security.protocol": "SASL_SSL"},
    {"sasl.mechanisms": "scram-sha-512", **USER},
    {"sasl.mechanism": "PLAIN", "sasl.mechanisms": "SCRAM-SHA-256", **USER},
    {"sasl.mechanism": "GSSAPI", **USER},
    {"sasl.mechanism": "PLAIN", "sasl.username": "a\"b\\c'd", "sasl.password": "file:/pw"},
    {"sasl.mechanism": "PLAIN", "sasl.username": "env:USER", "sasl.password": "env:A"},
    {"sasl.mechanism": "PLAIN", "sasl.username": "only"},
    {"sasl.mechanism": "PLAIN"},
    {"sasl.mechanism": "PLAIN", **USER, "sasl.jaas.config": "env:JAAS"},
    {"sasl.mechanism": "SCRAM-SHA-512", "sasl.jaas.config": "file:/run/jaas"},
    USER,
    {"sasl.mechanism": "OAUTHBEARER", **CLIENT, "sasl.oauthbearer.token.endpoint.url": "https://idp/token"},
    {**CLIENT, "sasl.oauthbearer.token.endpoint.url": "https://idp/token", "sasl.oauthbearer.method": "oidc"},
    {"sasl.mechanism": "oauthbearer", **CLIENT, **USER},
    {"sasl.mechanism": "OAUTHBEARER", **CLIENT, "sasl.login.callback.handler.class": "own.Handler"},
    {"sasl.mechanism": "OAUTHBEARER", **USER},
    {"ssl.endpoint.identification.algorithm": "none"},
    {"ssl.endpoint.identification.algorithm": ""},
    {"ssl.endpoint.identification.algorithm": "https"},
    {"https.ca.location": "/x", "enable.ssl.certificate.verification": "false"},
    {"client.id": "it's ours, ''really''", "client.rack": "ä€😀 <&> \u2028"},
    {"env": "env:", "file": "file:", "other": "environment:x"},
    {"client.dns.lookup": "env:NAME", "metric.reporters": "file:/a/b/c"},
]
POOL = sorted({(key, value) for case in CASES for key, value in case.items()})
PIECES = ["$", "{", "}", "%", "a", "${a}", "$${", "${kafka.main}", "%{", "%%{", "'", "\n", "~", "${ a }", "ü", "\\",
          "${functions}", "${registry.main}", "${b_2}", ";", "-- ", "\r\n", "SELECT"]  # fmt: skip
ARGS = {"a": "V", "b_2": "12.5 % ü (x), <y> & $z {}"}


def clusters():
    chance, found = random.Random(11), [dict(case) for case in CASES]
    found += [dict(chance.sample(POOL, chance.randint(2, 9))) for _ in range(60)]
    first = {
        "schema.registry.url": "http://registry:8081",
        "security.protocol": "SSL",
        "ssl.ca.location": "/ca",
    }
    return {
        f"c{number}": {"bootstrap.servers": "k-1:9093,k-2:9093", **case}
        for number, case in enumerate([first, *found])
    }


def scripts(fragments):
    chance, made = random.Random(7), []
    while len(made) < 40:
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 14)))
        try:
            made.append((text, render(text, ARGS, fragments).text))
        except ParameterError:
            continue
    return made


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Terraform's outputs, and Python's of the same: fragments, registries, scripts."""
    root = tmp_path_factory.mktemp("script")
    given = clusters()
    ours = {alias: KafkaCluster(alias, properties).sql_fragment() for alias, properties in given.items()}
    fragments = {
        "kafka.main": ours["c0"],
        "registry.main": quote(given["c0"]["schema.registry.url"]),
        "functions": "s3://team/functions",
    }
    expected = {}
    for number, (text, rendered) in enumerate(scripts(fragments)):
        (root / f"{number}.sql").write_text(template(text), encoding="utf-8", newline="")
        assert untemplate(template(text)) == text
        expected[f"{number}.sql"] = rendered
    (root / "main.tf").write_text(ROOT)
    plan = planned(
        root, variables={"clusters": {**given, "main": given["c0"]}, "files": list(expected), "args": ARGS}
    )
    return outputs(plan), given, ours, expected


def test_every_connection_is_translated_alike(both):
    theirs, given, ours, _ = both
    different = {alias: given[alias] for alias in ours if theirs["fragments"][alias] != ours[alias]}
    assert different == {}
    assert len(ours) > 100


def test_registries_are_those_of_the_clusters_that_have_one(both):
    theirs, given, _, _ = both
    assert theirs["registries"] == {
        alias: quote(properties["schema.registry.url"])
        for alias, properties in {**given, "main": given["c0"]}.items()
        if "schema.registry.url" in properties
    }


def test_every_file_is_filled_in_alike(both):
    theirs, *_, expected = both
    assert theirs["scripts"] == expected


def test_an_argument_without_a_value_names_the_file_and_the_argument(tmp_path):
    (tmp_path / "job.sql").write_text("SELECT '${symbol}'")
    (tmp_path / "main.tf").write_text(
        f'module "s" {{\n  source = "{MODULES}/flink/sql-script"\n  sql = ["job.sql"]\n}}\noutput "s" {{\n  value = module.s.script\n}}\n'
    )
    terraform("init", "-no-color", cwd=tmp_path)
    printed = terraform("plan", "-no-color", cwd=tmp_path, fails=True)
    assert "symbol" in printed
    assert "job.sql:1" in printed
