"""One Kafka cluster's properties, in the two notations that its two clients read.

The Python client is librdkafka, Flink's is Java's. What one calls ``ssl.ca.location`` and
``sasl.password`` is for the other a PEM trust store and a JAAS line. A cluster may be written down in
either notation; here each client gets its own. For Flink, secrets stay references: they become
Kafka's config providers and are resolved inside the task managers (KIP-297).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.errors import SettingsError
from sdp_kernel.references import REFERENCE, quote, resolve_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY_PREFIX = "schema.registry."
_SHADED = "org.apache.flink.kafka.shaded."
_SECURITY = f"{_SHADED}org.apache.kafka.common.security."
_PROVIDER = f"{_SHADED}org.apache.kafka.common.config.provider."
_PROVIDERS = {"env": f"{_PROVIDER}EnvVarConfigProvider", "dir": f"{_PROVIDER}DirectoryConfigProvider"}
_LOGIN_MODULES = {
    "PLAIN": f"{_SECURITY}plain.PlainLoginModule",
    "SCRAM-SHA-256": f"{_SECURITY}scram.ScramLoginModule",
    "SCRAM-SHA-512": f"{_SECURITY}scram.ScramLoginModule",
    "OAUTHBEARER": f"{_SECURITY}oauthbearer.OAuthBearerLoginModule",
}
_OAUTH_HANDLER = f"{_SECURITY}oauthbearer.OAuthBearerLoginCallbackHandler"
_OAUTH = "sasl.oauthbearer."
_TOKEN_ENDPOINT = f"{_OAUTH}token.endpoint.url"
#: The Java client's; librdkafka refuses them.
_JAVA_ONLY = re.compile(
    r"sasl\.jaas\.config|sasl\.(login|client)\..*|ssl\.truststore\..*|ssl\.keystore\.(type|key|certificate\.chain)"
    r"|sasl\.oauthbearer\.(jwks|expected|clock|header|sub\.claim|scope\.claim).*"
    r"|(key|value)\.(de)?serializer|config\.providers.*"
)
#: librdkafka's; the Java client knows them by other names, or not at all.
_PYTHON_ONLY = re.compile(
    r"ssl\.(ca|certificate|key)\.(location|pem)|sasl\.(username|password|mechanisms)|https\..*"
    r"|sasl\.oauthbearer\.(method|client\..*|scope|extensions|config)|enable\.ssl\.certificate\.verification"
)
_JAAS_FIELD = re.compile(r"(\w+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)')")
_JAAS_NAMES = {
    "username": "sasl.username",
    "password": "sasl.password",
    "clientId": f"{_OAUTH}client.id",
    "clientSecret": f"{_OAUTH}client.secret",
    "scope": f"{_OAUTH}scope",
}


@dataclass(frozen=True)
class KafkaCluster:
    """One Kafka cluster: an alias and client properties by Kafka's own names."""

    alias: str
    properties: Mapping[str, str]

    @property
    def bootstrap_servers(self) -> str:
        """The ``bootstrap.servers`` property."""
        return self.properties["bootstrap.servers"]

    @property
    def registry_url(self) -> str | None:
        """The ``schema.registry.url`` property."""
        return self.properties.get(f"{REGISTRY_PREFIX}url")

    def client_config(self) -> dict[str, str]:
        """Properties for ``confluent_kafka``, secrets resolved. Never log this.

        Raises
        ------
        SettingsError
            A secret cannot be read, or a key store is of a kind that only Java reads.
        """
        own = {k: v for k, v in self._secrets_resolved().items() if not k.startswith(REGISTRY_PREFIX)}
        return _for_librdkafka(own, f"kafka.{self.alias}")

    def registry_config(self) -> dict[str, str] | None:
        """Properties for the schema registry, without their prefix; None where it has none."""
        if self.registry_url is None:
            return None
        return {
            key.removeprefix(REGISTRY_PREFIX): value
            for key, value in self._secrets_resolved().items()
            if key.startswith(REGISTRY_PREFIX)
        }

    def _secrets_resolved(self) -> dict[str, str]:
        return {
            key: resolve_secret(value, where=f"kafka.{self.alias}: {key}")
            for key, value in self.properties.items()
        }

    def sql_fragment(self) -> str:
        """Return the connection as ``WITH`` options: ``'properties.bootstrap.servers' = '…', …``.

        The text holds no secret. Options are sorted by name, as the Terraform module writes them.
        """
        own = {k: v for k, v in self.properties.items() if not k.startswith(REGISTRY_PREFIX)}
        options = {f"properties.{key}": value for key, value in _for_java(own).items()}
        return ",\n  ".join(f"{quote(key)} = {quote(value)}" for key, value in sorted(options.items()))


def _for_librdkafka(given: Mapping[str, str], where: str) -> dict[str, str]:
    """Return resolved properties by librdkafka's names."""
    made: dict[str, str] = {}
    for field, double, single in _JAAS_FIELD.findall(given.get("sasl.jaas.config", "")):
        if field in _JAAS_NAMES:
            made[_JAAS_NAMES[field]] = re.sub(r"\\(.)", r"\1", double or single)
    made |= _trust(given, where) | _own_certificate(given, where)
    if _TOKEN_ENDPOINT in given:
        made[f"{_OAUTH}method"] = "oidc"
        made["sasl.mechanism"] = "OAUTHBEARER"
    if given.get("ssl.endpoint.identification.algorithm") == "":
        made["ssl.endpoint.identification.algorithm"] = "none"
    kept = {k: v for k, v in given.items() if not _JAVA_ONLY.fullmatch(k) and k not in made}
    if made.get("ssl.certificate.location") and given.get("ssl.keystore.type", "").upper() == "PEM":
        kept.pop("ssl.keystore.location", None)
    return {**made, **kept}


def _trust(given: Mapping[str, str], where: str) -> dict[str, str]:
    if "ssl.truststore.certificates" in given:
        return {"ssl.ca.pem": given["ssl.truststore.certificates"]}
    if "ssl.truststore.location" not in given or "ssl.ca.location" in given:
        return {}
    kind = given.get("ssl.truststore.type", "JKS")
    if kind.upper() != "PEM":
        raise SettingsError(
            f"{where}: ssl.truststore.location is a {kind} store, which only Java reads",
            hint="make a PEM file of it: keytool -exportcert -rfc -keystore STORE -alias ALIAS > ca.pem;"
            ' then "ssl.ca.location" = "ca.pem" serves Flink too',
        )
    return {"ssl.ca.location": given["ssl.truststore.location"]}


def _own_certificate(given: Mapping[str, str], where: str) -> dict[str, str]:
    found = {
        name: given[java]
        for java, name in (
            ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
            ("ssl.keystore.key", "ssl.key.pem"),
        )
        if java in given
    }
    location, kind = given.get("ssl.keystore.location"), given.get("ssl.keystore.type", "PKCS12").upper()
    if location is None or "ssl.certificate.location" in given:
        return found
    if kind == "PEM":
        return {**found, "ssl.certificate.location": location, "ssl.key.location": location}
    if kind == "JKS":
        raise SettingsError(
            f"{where}: ssl.keystore.location is a JKS store, which only Java reads",
            hint="convert it: keytool -importkeystore -srckeystore STORE -destkeystore client.p12"
            ' -deststoretype PKCS12, and set "ssl.keystore.type" = "PKCS12"',
        )
    return found


class _References:
    """Turns references into what a Kafka config provider reads, and remembers which it needs."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def of(self, value: str) -> str:
        match = REFERENCE.match(value)
        if match is None:
            return value
        if match[1] == "env":
            self.used.add("env")
            return f"${{env:{match[2]}}}"
        return self.content(match[2])

    def content(self, path: str) -> str:
        """Refer to a whole file's content."""
        self.used.add("dir")
        place = Path(path).expanduser()
        return f"${{dir:{place.parent}:{place.name}}}"

    def options(self) -> dict[str, str]:
        if not self.used:
            return {}
        return {
            "config.providers": ",".join(sorted(self.used)),
            **{f"config.providers.{name}.class": _PROVIDERS[name] for name in sorted(self.used)},
        }


def _for_java(given: Mapping[str, str]) -> dict[str, str]:
    """Return properties by the Java client's names, secrets as references."""
    references = _References()
    made = {key: references.of(value) for key, value in given.items() if not _PYTHON_ONLY.fullmatch(key)}
    mechanism = given.get("sasl.mechanism", given.get("sasl.mechanisms"))
    if mechanism is None and _TOKEN_ENDPOINT in given:
        mechanism = "OAUTHBEARER"
    if mechanism is not None:
        made["sasl.mechanism"] = mechanism
    if "ssl.ca.location" in given and "ssl.truststore.location" not in given:
        made |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": given["ssl.ca.location"]}
    elif "ssl.ca.pem" in given and "ssl.truststore.certificates" not in given:
        made |= {
            "ssl.truststore.type": "PEM",
            "ssl.truststore.certificates": references.of(given["ssl.ca.pem"]),
        }
    certificate = given.get("ssl.certificate.location")
    if certificate is not None and "ssl.keystore.location" not in given:
        key = given.get("ssl.key.location", certificate)
        made["ssl.keystore.type"] = "PEM"
        if key == certificate:
            made["ssl.keystore.location"] = certificate
        else:
            made["ssl.keystore.certificate.chain"] = references.content(certificate)
            made["ssl.keystore.key"] = references.content(key)
    if mechanism is not None and "sasl.jaas.config" not in given:
        made |= _login(given, mechanism.upper(), references)
    if given.get("ssl.endpoint.identification.algorithm") == "none":
        made["ssl.endpoint.identification.algorithm"] = ""
    return {**made, **references.options()}


def _login(given: Mapping[str, str], mechanism: str, references: _References) -> dict[str, str]:
    """Return the JAAS line of a user, or of an OAuth client."""
    module = _LOGIN_MODULES.get(mechanism)
    if module is None:
        return {}
    fields = {
        field: references.of(given[name]) if REFERENCE.match(given[name]) else _escaped(given[name])
        for field, name in _JAAS_NAMES.items()
        if name in given and (name.startswith(_OAUTH)) == (mechanism == "OAUTHBEARER")
    }
    if not fields:
        return {}
    line = " ".join(f'{field}="{value}"' for field, value in fields.items())
    made = {"sasl.jaas.config": f"{module} required {line};"}
    if mechanism == "OAUTHBEARER" and "sasl.login.callback.handler.class" not in given:
        made["sasl.login.callback.handler.class"] = _OAUTH_HANDLER
    return made


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
