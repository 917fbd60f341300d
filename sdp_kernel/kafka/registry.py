"""The schema registry of a Kafka cluster: schemas by id and by subject.

Speaks the Confluent REST API, through ``confluent_kafka.schema_registry``; Apicurio serves it too,
under ``/apis/ccompat/v7``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Reference:
    """A schema that another one refers to: the name it is referred to by, subject and version."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True)
class Schema:
    """One schema: its id in the registry, ``AVRO``, ``PROTOBUF`` or ``JSON``, and its text."""

    id: int
    type: str
    text: str
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True)
class SubjectVersion:
    """A schema under a subject: ``version`` counts from 1."""

    subject: str
    version: int
    schema: Schema


class Registry:
    """A schema registry.

    Parameters
    ----------
    config
        The cluster's ``schema.registry.*`` properties without that prefix, secrets resolved: ``url``,
        ``basic.auth.user.info``, ``ssl.ca.location``, …
    """

    def __init__(self, config: Mapping[str, str]) -> None:
        self._config = dict(config)

    @property
    def url(self) -> str:
        """The registry's address, without credentials."""
        return self._config["url"]

    def schema(self, number: int) -> Schema:
        """Return the schema of an id; kept once it is known, as ids never change.

        Raises
        ------
        RegistryError
            There is no such id, or the registry refused.
        RegistryUnreachable
            Nobody answers.
        """
        raise NotImplementedError

    def resolve(self, schema: Schema) -> dict[str, Schema]:
        """Return every schema that ``schema`` refers to, also indirectly, by the name it is referred to."""
        raise NotImplementedError

    def subjects(self) -> list[str]:
        """Return the subjects' names."""
        raise NotImplementedError

    def latest(self) -> dict[str, SubjectVersion]:
        """Return subject → its latest version, with as few calls as the registry allows."""
        raise NotImplementedError

    def versions(self, subject: str) -> list[SubjectVersion]:
        """Return the versions of a subject, oldest first; none where there is no such subject."""
        raise NotImplementedError

    def register(self, subject: str, type: str, text: str, references: Sequence[Reference] = ()) -> int:  # noqa: A002
        """Register a schema under a subject; returns its id."""
        raise NotImplementedError
