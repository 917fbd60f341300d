"""The options of connectors, formats and the session, as facts: ``options.json`` and how to ask it.

The file is made from Flink's own option classes; its ``source`` says which. Nothing here asks a
cluster, and an option that is missing here is no error: it is only not offered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FILE = Path(__file__).with_name("options.json")
_FORMAT_KEYS = ("format", "key.format", "value.format")
#: What Kafka's Java client is often told, beside the options that the connector itself names.
_KAFKA_PROPERTIES = (
    "auto.offset.reset",
    "client.id",
    "fetch.max.bytes",
    "isolation.level",
    "max.poll.records",
    "sasl.jaas.config",
    "sasl.mechanism",
    "security.protocol",
    "ssl.endpoint.identification.algorithm",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "transaction.timeout.ms",
)
_PROPERTY_VALUES = {
    "properties.auto.offset.reset": ("earliest", "latest", "none"),
    "properties.isolation.level": ("read_committed", "read_uncommitted"),
    "properties.sasl.mechanism": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"),
    "properties.security.protocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
}
#: Options of sources that take a watermark down into the reader; Flink adds them to these by itself.
_WATERMARKED = frozenset({"kafka", "upsert-kafka", "dynamic-kafka", "filesystem"})


@dataclass(frozen=True)
class Option:
    """An option: its key, its Java type, its default as text, the values it may have where few."""

    key: str
    type: str = "String"
    default: str | None = None
    values: tuple[str, ...] = ()
    required: bool = False

    @property
    def detail(self) -> str:
        """What a list shows beside the key."""
        default = f" = {self.default}" if self.default is not None else ""
        return f"{self.type}{default}{' (required)' if self.required else ''}"


_WATERMARKS = (
    Option("scan.watermark.emit.strategy", "Enum", "on-periodic", ("on-periodic", "on-event")),
    Option("scan.watermark.emit.on-event.gap", "Integer", "1"),
    Option("scan.watermark.idle-timeout", "Duration"),
    Option("scan.watermark.alignment.group"),
    Option("scan.watermark.alignment.max-drift", "Duration"),
    Option("scan.watermark.alignment.update-interval", "Duration", "1 s"),
)


@cache
def _facts() -> dict[str, Any]:
    return dict(json.loads(_FILE.read_bytes()))


@cache
def _options(room: str, name: str) -> tuple[Option, ...]:
    found = _facts()[room].get(name, {}).get("options", {})
    return tuple(_option(key, fact) for key, fact in found.items())


def _option(key: str, fact: Mapping[str, Any]) -> Option:
    return Option(
        key,
        fact.get("type", "String"),
        fact.get("default"),
        tuple(fact.get("values", ())),
        fact.get("required", False),
    )


@cache
def connectors() -> tuple[tuple[str, str], ...]:
    """Return the connectors known, each with what it is: ``source, sink``."""
    return tuple((name, ", ".join(fact["roles"])) for name, fact in _facts()["connectors"].items())


@cache
def formats() -> tuple[str, ...]:
    """Return the formats known."""
    return tuple(_facts()["formats"])


@cache
def catalogs() -> tuple[str, ...]:
    """Return the catalog types known."""
    return tuple(_facts()["catalogs"])


@cache
def functions() -> tuple[str, ...]:
    """Return Flink's functions as SQL spells them.

    ``SHOW FUNCTIONS`` has the Table API's names beside these, such as ``charLength``.
    """
    return tuple(_facts()["functions"])


@cache
def reserved() -> frozenset[str]:
    """Return the words that cannot be a name without backquotes, in upper case."""
    return frozenset(_facts()["reserved"])


@cache
def session_options() -> tuple[Option, ...]:
    """Return the options of a session, for SET."""
    return tuple(_option(key, fact) for key, fact in _facts()["config"].items())


def table_options(given: Mapping[str, str], columns: Iterable[str] = ()) -> list[Option]:
    """Return the options that a table may have, by what its WITH holds already.

    Parameters
    ----------
    given
        Keys and values in place; ``connector`` and the formats decide.
    columns
        The table's columns, for keys that name one: ``fields.#.kind`` of datagen.
    """
    connector = given.get("connector", "")
    found: list[Option] = []
    if not connector:
        found.append(Option("connector", required=True))
    for option in _options("connectors", connector):
        if "#" in option.key:
            found += [_renamed(option, option.key.replace("#", column)) for column in columns]
        else:
            found.append(option)
    if "kafka" in connector:
        found += [
            Option(f"properties.{name}", values=_PROPERTY_VALUES.get(f"properties.{name}", ()))
            for name in _KAFKA_PROPERTIES
        ]
    if connector in _WATERMARKED:
        found += _WATERMARKS
    for key in _FORMAT_KEYS:
        name = given.get(key, "")
        prefix = f"{key.removesuffix('format')}{name}."
        found += [_renamed(option, prefix + option.key) for option in _options("formats", name)]
    return found


def catalog_options(given: Mapping[str, str]) -> list[Option]:
    """Return the options that a catalog may have, by its ``type``."""
    return [Option("type", required=True, values=catalogs()), *_options("catalogs", given.get("type", ""))]


def values(option: Option) -> tuple[str, ...]:
    """Return the values to offer for an option, its default too where it has a plain one."""
    if option.key == "connector":
        return tuple(name for name, _ in connectors())
    if option.key in _FORMAT_KEYS:
        return formats()
    return option.values or ((option.default,) if option.default else ())


def _renamed(option: Option, key: str) -> Option:
    return Option(key, option.type, option.default, option.values, option.required)
