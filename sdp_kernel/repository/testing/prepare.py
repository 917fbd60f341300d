"""A test made ready to run: its job read and turned to its own topics, its input read, its files written."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.deploy.manifest import render
from sdp_kernel.errors import SdpError, UsageError
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository.testing import records
from sdp_kernel.repository.testing.aim import Aimed, Source, aim
from sdp_kernel.repository.testing.values import loads

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sdp_kernel.repository.job import CommittedJob
    from sdp_kernel.repository.testing.case import Case, Options
    from sdp_kernel.repository.testing.records import Record

_ALIAS = re.compile(r"\$\{(?:kafka|registry)\.(\w+)\}")
_FUNCTIONS = "sql/functions"
_OUTPUT_FILE = "records.json"


@dataclass(frozen=True)
class Prepared:
    """A test ready to run.

    ``topics`` are all of its own by name, with the records to write; ``served`` the rows of tables that are
    looked up, by their path.
    """

    case: Case
    options: Options
    script: Aimed
    topics: dict[str, list[Record]]
    served: dict[str, list[Any]] = field(default_factory=dict)


def prepare(
    case: Case,
    known: Collection[str],
    *,
    bootstrap: str,
    prefix: str,
    directory: Path,
    lookups: str,
    module_source: str = "",
) -> Prepared:
    """Make a test ready; ``known`` are its :func:`aliases`, the rest is ``aim``'s.

    Raises
    ------
    UsageError, ParameterError
        The job, its options or its input cannot be read; with the reason.
    """
    options = case.options()
    try:
        job = _with(read(case.root, case.job, known, module_source), options)
        script = aim(
            job.statements, case, bootstrap=bootstrap, prefix=prefix, directory=directory, lookups=lookups
        )
        served: dict[str, list[Any]] = {}
        topics: dict[str, list[Record]] = {sink.topic: [] for sink in script.sinks if sink.topic}
        for source in script.sources:
            given = case.input(source.table)
            found = records.read(given) if given is not None and given.is_file() else []
            if source.topic:
                topics.setdefault(source.topic, []).extend(found)
            elif source.served:
                served[source.served] = [loads((record.value_bytes or b"{}").decode()) for record in found]
            elif source.path is not None:
                _write(source, found)
        for sink in script.sinks:
            if sink.path is not None:
                sink.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{error.filename or case.directory} cannot be read: {error.strerror}", hint="look at the file"
        ) from None
    except ValueError as error:
        if isinstance(error, SdpError):
            raise
        raise UsageError(
            f"the input of a table that is looked up is no JSON: {error}", hint="each value is a row"
        ) from None
    return Prepared(case, options, script, topics, served)


def read(root: Path, job: str, known: Collection[str], module_source: str = "") -> CommittedJob:
    """Read a job with a Kafka of its own for each alias, so that topics of one name stay two.

    Raises
    ------
    UsageError, ParameterError
        There is no such job, or its files cannot be read or filled in.
    """
    kafka = {
        alias: KafkaCluster(
            alias,
            {"bootstrap.servers": f"{alias}.test:1", "schema.registry.url": f"http://{alias}.test"},
        )
        for alias in known
    }
    functions = (root / _FUNCTIONS).resolve().as_posix()
    return jobs.read(root, job, kafka=kafka, functions=functions, module_source=module_source)


def aliases(root: Path) -> frozenset[str]:
    """Return the Kafka clusters that a repository's files name."""
    found = {"main"}
    for file in (root / "sql").rglob("*.sql"):
        with contextlib.suppress(OSError):  # whoever needs the file says so
            found.update(_ALIAS.findall(file.read_text(encoding="utf-8", errors="replace")))
    return frozenset(found)


def _with(job: CommittedJob, options: Options) -> CommittedJob:
    if not options.parameters:
        return job
    given = {**job.arguments, "args": {**job.arguments["args"], **options.parameters}}
    return dataclasses.replace(job, arguments=given, script=render(given, job.root / jobs.TERRAFORM))


def _write(source: Source, found: list[Record]) -> None:
    """Write a source's records as a file of lines."""
    assert source.path is not None  # noqa: S101 - a source of files
    if source.format not in {"json", "csv", "raw"}:
        raise SdpError(
            f"the source {source.table} reads {source.format}, which is no file of lines",
            hint=f"put its files into the directory input/{source.table}",
        )
    source.path.mkdir(parents=True, exist_ok=True)
    content = b"".join((record.value_bytes or b"") + b"\n" for record in found)
    (source.path / _OUTPUT_FILE).write_bytes(content)
