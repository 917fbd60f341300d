"""The schema registry of a Kafka cluster: schemas by id and by subject.

Speaks the Confluent REST API, through ``confluent_kafka.schema_registry``; Apicurio serves it too,
under ``/apis/ccompat/v7``.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from sdp_kernel.errors import RegistryError, RegistryUnreachable, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


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


_CALL_SECONDS = 5.0
#: A registry that did not answer, or not with this id, is not asked again for so long.
_DOWN_SECONDS = 10.0
_AT_ONCE = 8
_NO_SUCH = {404}


class Registry:
    """A schema registry.

    Parameters
    ----------
    config
        The cluster's ``schema.registry.*`` properties without that prefix, secrets resolved: ``url``,
        ``basic.auth.user.info``, ``ssl.ca.location``, …

    Notes
    -----
    Nothing is connected before the first call; a call takes up to 5 seconds. All may be called from
    several threads.
    """

    def __init__(self, config: Mapping[str, str]) -> None:
        self._config = dict(config)
        #: (schema type, id) → what reads such values; the decoders' own.
        self.readers: dict[tuple[str, int], Any] = {}
        self._lock = threading.RLock()
        self._schemas: dict[int, Schema] = {}
        self._refused: dict[int, tuple[float, RegistryError]] = {}
        self._down: tuple[float, RegistryUnreachable] | None = None

    def __repr__(self) -> str:
        return f"Registry({self.url!r})"

    @property
    def url(self) -> str:
        """The registry's address, without credentials."""
        parts = urlsplit(self._config["url"].split(",")[0])
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    @cached_property
    def _client(self) -> Any:
        from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415

        try:
            return SchemaRegistryClient({"timeout": _CALL_SECONDS, "max.retries": 0, **self._config})
        except (ValueError, TypeError, OSError) as error:
            secrets = [value for key, value in self._config.items() if key != "url" and len(value) > 3]  # noqa: PLR2004
            reason = "" if any(secret in str(error) for secret in secrets) else f": {error}"
            raise SettingsError(
                f"the schema registry {self.url} has a configuration that cannot be used{reason}",
                hint="schema.registry.* takes url, basic.auth.user.info, ssl.ca.location,"
                " ssl.certificate.location, ssl.key.location",
            ) from None

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[Any]:
        """Give the client; what it raises comes as this package's."""
        from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415

        if self._down is not None and time.monotonic() < self._down[0]:
            raise self._down[1]
        client = self._client
        try:
            yield client
        except SchemaRegistryError as error:
            hint = (
                "check schema.registry.basic.auth.user.info" if error.http_status_code in {401, 403} else ""
            )
            raise RegistryError(
                f"the schema registry {self.url} refused {what}: {error.error_message}",
                hint=hint or "look there for what it has: %topic TOPIC shows a topic's schemas",
                detail=str(error.http_status_code),
            ) from None
        except Exception as error:  # noqa: BLE001 - of whichever HTTP library is under the client
            unreachable = RegistryUnreachable(
                f"the schema registry does not answer at {self.url}: {type(error).__name__}: {error}",
                hint="check schema.registry.url; the embedded one starts with `sdp up --with registry`",
            )
            self._down = (time.monotonic() + _DOWN_SECONDS, unreachable)
            raise unreachable from None

    def schema(self, number: int) -> Schema:
        """Return the schema of an id; kept once it is known, as ids never change.

        Raises
        ------
        RegistryError
            There is no such id, or the registry refused.
        RegistryUnreachable
            Nobody answers.
        """
        with self._lock:
            if number in self._schemas:
                return self._schemas[number]
            until, refused = self._refused.get(number, (0.0, None))
            if refused is not None and time.monotonic() < until:
                raise refused
            try:
                with self._asking(f"the schema with id {number}") as client:
                    found = _schema(number, client.get_schema(number))
            except RegistryError as error:
                self._refused[number] = (time.monotonic() + _DOWN_SECONDS, error)
                raise
            self._schemas[number] = found
            return found

    def resolve(self, schema: Schema) -> dict[str, Schema]:
        """Return every schema that ``schema`` refers to, also indirectly, by the name it is referred to.

        Those that others refer to come first.
        """
        found: dict[str, Schema] = {}
        self._resolve(schema, found, ())
        return found

    def _resolve(self, schema: Schema, found: dict[str, Schema], above: tuple[str, ...]) -> None:
        for reference in schema.references:
            if reference.name in found or reference.name in above:
                continue
            with self._asking(f"version {reference.version} of {reference.subject!r}") as client:
                version = client.get_version(reference.subject, reference.version)
            referred = _schema(version.schema_id, version.schema)
            self._resolve(referred, found, (*above, reference.name))
            found[reference.name] = referred

    def subjects(self) -> list[str]:
        """Return the subjects' names."""
        with self._asking("its subjects") as client:
            return sorted(client.get_subjects())

    def latest(self) -> dict[str, SubjectVersion]:
        """Return subject → its latest version; one call for each subject, several at a time."""
        names = self.subjects()

        def ask(subject: str) -> SubjectVersion | None:
            try:
                with self._asking(f"the latest version of {subject!r}") as client:
                    return _version(client.get_latest_version(subject))
            except RegistryError:  # deleted meanwhile
                return None

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sdp-registry") as threads:
            found = zip(names, threads.map(ask, names), strict=True)
            return {name: version for name, version in found if version is not None}

    def versions(self, subject: str) -> list[SubjectVersion]:
        """Return the versions of a subject, oldest first; none where there is no such subject."""
        try:
            with self._asking(f"the versions of {subject!r}") as client:
                numbers = client.get_versions(subject)
                return [_version(client.get_version(subject, number)) for number in sorted(numbers)]
        except RegistryError as error:
            if error.detail in {str(code) for code in _NO_SUCH}:
                return []
            raise

    def register(
        self,
        subject: str,
        type: str,  # noqa: A002
        text: str,
        references: Sequence[Reference] = (),
    ) -> int:
        """Register a schema under a subject; returns its id."""
        from confluent_kafka.schema_registry import Schema as Sent  # noqa: PLC0415
        from confluent_kafka.schema_registry import SchemaReference  # noqa: PLC0415

        sent = Sent(text, type, [SchemaReference(r.name, r.subject, r.version) for r in references])
        with self._asking(f"a schema for {subject!r}") as client:
            number: int = client.register_schema(subject, sent)
        return number


def _schema(number: int, found: Any) -> Schema:
    references = tuple(Reference(r.name, r.subject, r.version) for r in found.references or ())
    return Schema(number, found.schema_type or "AVRO", found.schema_str, references)


def _version(found: Any) -> SubjectVersion:
    return SubjectVersion(found.subject, found.version, _schema(found.schema_id, found.schema))
