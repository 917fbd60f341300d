"""One cluster's properties in the notation of each client, from either notation."""

from __future__ import annotations

import pytest

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.errors import SettingsError

SHADED = "org.apache.flink.kafka.shaded.org.apache.kafka.common.security"


def both(**properties: str) -> tuple[dict[str, str], str]:
    named = {key.replace("__", "-").replace("_", "."): value for key, value in properties.items()}
    cluster = KafkaCluster("main", {"bootstrap.servers": "k:9093", **named})
    config = cluster.client_config()
    config.pop("bootstrap.servers")
    return config, cluster.sql_fragment().removeprefix("'properties.bootstrap.servers' = 'k:9093'")


def test_a_certificate_authority_is_a_pem_trust_store() -> None:
    python, java = both(security_protocol="SSL", ssl_ca_location="/ca.pem")
    assert python == {"security.protocol": "SSL", "ssl.ca.location": "/ca.pem"}
    assert "'properties.ssl.truststore.type' = 'PEM'" in java
    assert "'properties.ssl.truststore.location' = '/ca.pem'" in java
    assert "ssl.ca" not in java


def test_a_pem_trust_store_is_a_certificate_authority() -> None:
    python, java = both(ssl_truststore_type="PEM", ssl_truststore_location="/ca.pem")
    assert python == {"ssl.ca.location": "/ca.pem"}
    assert "'properties.ssl.truststore.location' = '/ca.pem'" in java


@pytest.mark.parametrize(
    "store",
    [{"ssl_truststore_location": "/t.jks"}, {"ssl_keystore_location": "/k", "ssl_keystore_type": "JKS"}],
)
def test_a_store_that_only_java_reads_is_refused_with_the_way_out(store: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="only Java reads") as error:
        both(**store)
    assert "keytool" in error.value.hint


def test_a_client_certificate_in_one_file_or_in_two() -> None:
    python, java = both(
        ssl_certificate_location="/c.pem", ssl_key_location="/c.pem", ssl_key_password="env:HOME"
    )
    assert python["ssl.key.location"] == "/c.pem"
    assert "'properties.ssl.keystore.location' = '/c.pem'" in java
    assert "'properties.ssl.key.password' = '${env:HOME}'" in java
    _, java = both(ssl_certificate_location="/d/c.pem", ssl_key_location="/d/k.pem")
    assert "'properties.ssl.keystore.certificate.chain' = '${dir:/d:c.pem}'" in java
    assert "'properties.ssl.keystore.key' = '${dir:/d:k.pem}'" in java
    python, _ = both(ssl_keystore_type="PEM", ssl_keystore_location="/c.pem")
    assert python == {"ssl.certificate.location": "/c.pem", "ssl.key.location": "/c.pem"}


@pytest.mark.parametrize(
    ("mechanism", "module"),
    [
        ("PLAIN", "plain.PlainLoginModule"),
        ("SCRAM-SHA-256", "scram.ScramLoginModule"),
        ("SCRAM-SHA-512", "scram.ScramLoginModule"),
    ],
)
def test_a_user_and_a_password_are_a_jaas_line(
    monkeypatch: pytest.MonkeyPatch, mechanism: str, module: str
) -> None:
    monkeypatch.setenv("SDP_TEST_PASSWORD", "hunter2")
    python, java = both(sasl_mechanism=mechanism, sasl_username='a"b', sasl_password="env:SDP_TEST_PASSWORD")
    assert python == {"sasl.mechanism": mechanism, "sasl.username": 'a"b', "sasl.password": "hunter2"}
    assert f'{SHADED}.{module} required username="a\\"b" password="${{env:SDP_TEST_PASSWORD}}";' in java
    assert "hunter2" not in java
    assert "'properties.sasl.username'" not in java


def test_a_jaas_line_is_a_user_and_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    line = 'x.ScramLoginModule required username=\'ada\' password="a\\"b;";'
    monkeypatch.setenv("SDP_TEST_JAAS", line)
    python, java = both(sasl_mechanism="SCRAM-SHA-512", sasl_jaas_config="env:SDP_TEST_JAAS")
    assert python == {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "ada", "sasl.password": 'a"b;'}
    assert "'properties.sasl.jaas.config' = '${env:SDP_TEST_JAAS}'" in java


def test_an_oauth_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDP_TEST_SECRET", "hunter2")
    python, java = both(
        sasl_mechanism="OAUTHBEARER",
        sasl_oauthbearer_token_endpoint_url="https://idp/token",
        sasl_oauthbearer_client_id="me",
        sasl_oauthbearer_client_secret="env:SDP_TEST_SECRET",
        sasl_oauthbearer_scope="kafka",
    )
    assert python["sasl.oauthbearer.method"] == "oidc"
    assert python["sasl.oauthbearer.client.secret"] == "hunter2"
    assert 'clientId="me" clientSecret="${env:SDP_TEST_SECRET}" scope="kafka";' in java
    assert "OAuthBearerLoginCallbackHandler" in java
    assert "'properties.sasl.oauthbearer.token.endpoint.url' = 'https://idp/token'" in java
    assert "method" not in java
    monkeypatch.setenv("SDP_TEST_JAAS", 'm required clientId="me" clientSecret="hunter2";')
    python, _ = both(sasl_oauthbearer_token_endpoint_url="https://idp", sasl_jaas_config="env:SDP_TEST_JAAS")
    assert python["sasl.oauthbearer.client.id"] == "me"
    assert python["sasl.mechanism"] == "OAUTHBEARER"


def test_names_that_are_not_checked() -> None:
    assert both(ssl_endpoint_identification_algorithm="")[0] == {
        "ssl.endpoint.identification.algorithm": "none"
    }
    _, java = both(ssl_endpoint_identification_algorithm="none")
    assert "'properties.ssl.endpoint.identification.algorithm' = ''" in java


def test_options_are_sorted_by_name() -> None:
    fragment = KafkaCluster(
        "main", {"client.id": "x", "bootstrap.servers": "k", "acks": "all"}
    ).sql_fragment()
    assert [line.split(" = ")[0] for line in fragment.split(",\n  ")] == [
        "'properties.acks'", "'properties.bootstrap.servers'", "'properties.client.id'"
    ]  # fmt: skip


def test_a_login_that_is_not_made_needs_no_provider() -> None:
    _, java = both(sasl_mechanism="GSSAPI", sasl_username="ada", sasl_password="env:HOME")
    assert "config.providers" not in java
