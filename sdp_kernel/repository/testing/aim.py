"""A job's tables, turned to topics and directories of a test's own: nothing outside the test is touched.

What is not Kafka or a file is replaced: a source by a file of JSON lines, a sink by a topic of changes.
Everything else of a declaration stays, and so do the queries.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.hints import PROMPT
from sdp_kernel.repository import retarget
from sdp_kernel.repository.guard import check_apart
from sdp_kernel.repository.testing import options as options_of
from sdp_kernel.repository.testing.case import INPUT
from sdp_kernel.repository.testing.lookups import is_looked_up
from sdp_kernel.repository.testing.lookups import options as lookup_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sdp_kernel.flink.script import Statement
    from sdp_kernel.repository.retarget import JobTable
    from sdp_kernel.repository.testing.case import Case

FILES = "filesystem"
#: Options that say where from, until when and as whom: the test's own take their place.
_PLACE = re.compile(
    r"topic|topic-pattern|path|scan\.(startup|bounded)\..*|scan\.topic-partition-discovery\.interval"
    r"|properties\.(bootstrap\.servers|security\..*|sasl\..*|ssl\..*|config\.providers.*|transactional\..*"
    r"|isolation\.level)"
    r"|sink\.(delivery-guarantee|transactional-id-prefix|transaction-naming-strategy|partition-commit\..*"
    r"|rolling-policy\..*)"
    r"|source\.monitor-interval|auto-compaction|compaction\..*|scan\.watermark\.emit\.strategy"
)
#: Nobody looks at the clients' metrics, and to register them is a part of what a small job costs.
SHORT_LIVED = {
    **PROMPT,
    "properties.metric.reporters": "",
    "properties.enable.metrics.push": "false",
    "properties.register.consumer.metrics": "false",
    "properties.register.producer.metrics": "false",
}
_TOPIC_PART = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 100


@dataclass(frozen=True)
class Source:
    """A table the job reads: from ``topic``, or where that is empty from files.

    ``path`` is the directory to write those into; None where the test brings them. A table that is looked
    up is served at the path ``served`` in place of either.
    """

    table: str
    topic: str
    path: Path | None
    format: str = "json"
    served: str = ""


@dataclass(frozen=True)
class Sink:
    """A table the job writes: to ``topic``, or where that is empty into the directory ``path``.

    ``format`` is of its values; ``upserts`` says that its records are the newest of their key.
    """

    table: str
    topic: str
    path: Path | None
    format: str
    upserts: bool = False
    key_prefix: str = ""


@dataclass(frozen=True)
class Aimed:
    """What to run: ``declarations`` in their order, then ``job``, which starts the one Flink job."""

    declarations: tuple[str, ...]
    job: str
    sources: tuple[Source, ...]
    sinks: tuple[Sink, ...]
    notes: tuple[str, ...] = ()


@dataclass
class _Range:
    """Where the tables of one test go."""

    case: Case
    bootstrap: str
    prefix: str
    directory: Path
    lookups: str
    texts: Sequence[str]
    each: bool
    topics: dict[tuple[str, str], str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def topic(self, table: JobTable) -> str:
        """Return the test's own topic for a table's; tables over one topic have one here too."""
        named = table.options.get("topic") or table.options.get("topic-pattern") or table.name
        place = (table.options.get("properties.bootstrap.servers", ""), named)
        short = _TOPIC_PART.sub("-", named)[:_LONGEST]
        return self.topics.setdefault(place, f"{self.prefix}-{len(self.topics)}-{short}")


def aim(
    statements: Sequence[Statement],
    case: Case,
    *,
    bootstrap: str,
    prefix: str,
    directory: Path,
    lookups: str,
) -> Aimed:
    """Turn a job's statements to the topics and directories of one test.

    Parameters
    ----------
    bootstrap
        The brokers the test runs on.
    prefix
        What the names of its topics begin with.
    directory
        Its own, which the cluster sees too.
    lookups
        The URL under which tables that are looked up are served.

    Raises
    ------
    UsageError
        It is no one job, does more than declare, has tables in another catalog or a sink that its files
        do not declare, or a source has no input.
    """
    jobs = [statement for statement in statements if statement.runs_job]
    if len(jobs) != 1 or statements[-1] is not jobs[0]:
        raise UsageError(
            f"its script starts {len(jobs)} jobs", hint="a job ends in one INSERT, or one statement set"
        )
    check_apart(statements)
    tables = retarget.tables(statements)
    texts = [statement.text for statement in statements]
    each = case.options().watermarks == "each"
    place = _Range(case, bootstrap, prefix, directory, lookups, texts, each)
    changes: dict[JobTable, retarget.Change] = {}
    sources, sinks = [], []
    for table in tables:
        if table.is_sink:
            changes[table], sink = _sink(table, place)
            sinks.append(sink)
        if table.is_source:
            changes[table], source = _source(table, place, changes.get(table))
            sources.append(source)
    _check(tables, sources, place)
    *declared, job = _changed(statements, changes)
    return Aimed(
        tuple(_unhinted(text) for text in declared),
        _unhinted(job),
        tuple(sources),
        tuple(sinks),
        tuple(place.notes),
    )


def name_of(table: JobTable) -> str:
    """Return a table's name as tests write it: without catalog and database."""
    return table.parts[-1]


def _changed(statements: Sequence[Statement], changes: Mapping[JobTable, retarget.Change]) -> tuple[str, ...]:
    """Return the statements with the changes: in the CREATE itself where it is all that is said of a table.

    Each statement costs the gateway as much as a small query, and a run of many tests has many.
    """
    texts, behind = list(statements), {}
    for table, change in changes.items():
        create = statements[table.after]
        new = {k: v for k, v in {**table.options, **change.options}.items() if v is not None}
        text = None
        if create.kind == "CREATE TABLE" and not change.anew:
            text = options_of.written(create.text, new)
        if text is None:
            behind[table] = change
        else:
            texts[table.after] = replace(create, text=text)
    return retarget.retarget(texts, behind)


def _unhinted(text: str) -> str:
    return options_of.without_hints(text, lambda key: _PLACE.fullmatch(key) is not None)


def _check(tables: Sequence[JobTable], sources: Sequence[Source], place: _Range) -> None:
    known = {name_of(table) for table in tables}
    case = place.case
    fed = {source.topic for source in sources if source.topic and case.input(source.table) is not None}
    without = [s.table for s in sources if case.input(s.table) is None and s.topic not in fed]
    if without:
        raise UsageError(
            f"there is no input for the table {without[0]}",
            hint=f"write {case.shown(case.directory)}/{INPUT}/{without[0]}.jsonl, a record a line; "
            "an empty file stands for no records",
        )
    strays = [name for name in case.inputs if name not in known]
    place.notes += [f"{INPUT}/{name} belongs to no table of the job" for name in strays]


def _source(table: JobTable, place: _Range, before: retarget.Change | None) -> tuple[retarget.Change, Source]:
    name = name_of(table)
    if table.is_kafka:
        options = _kafka(table, place)
        format_ = str(options.get("format") or options.get("value.format") or _format(table))
        return retarget.Change(options), Source(name, place.topic(table), None, format_)
    given = place.case.input(name)
    brought = given is not None and given.is_dir()
    path = given if given is not None and brought else place.directory / name
    options = {key: None for key in table.options if _PLACE.fullmatch(key)}
    format_ = _format(table)
    if table.connector != FILES:
        if before is not None:
            raise UsageError(
                f"the job reads and writes {table.name} ({table.connector}), which only a topic serves",
                hint="such a job has no test; leave its tests out",
            )
        was = table.connector or "no connector"
        options = dict.fromkeys(key for key in table.options if key != "connector")
        if is_looked_up(name, place.texts):
            place.notes.append(f"the source {table.name} ({was}) is looked up in a file")
            served = f"{place.prefix}/{name}"
            options |= lookup_options(f"{place.lookups}/{quote(served)}")
            return retarget.Change(options), Source(name, "", None, served=served)
        place.notes.append(f"the source {table.name} ({was}) is read from a file")
        options |= {"connector": FILES, "format": "json"}
        format_ = "json"
    change = retarget.Change({**options, "path": path.resolve().as_uri()})
    return change, Source(name, "", None if brought else path, format_)


def _sink(table: JobTable, place: _Range) -> tuple[retarget.Change, Sink]:
    name, prefix = name_of(table), table.options.get("key.fields-prefix", "")
    if table.is_kafka:
        options = _kafka(table, place)
        format_ = str(options.get("format") or options.get("value.format") or _format(table))
        upserts = table.connector == "upsert-kafka"
        return retarget.Change(options), Sink(name, place.topic(table), None, format_, upserts, prefix)
    if table.connector == FILES:
        path = place.directory / name
        options = {key: None for key in table.options if _PLACE.fullmatch(key)}
        change = retarget.Change({**options, "path": path.resolve().as_uri()})
        return change, Sink(name, "", path, _format(table))
    was = table.connector or "no connector"
    place.notes.append(f"the sink {table.name} ({was}) is replaced by a topic of changes")
    topic = place.topic(table)
    changes = {
        "connector": "kafka", "properties.bootstrap.servers": place.bootstrap,
        "topic": topic, "format": "debezium-json",
    }  # fmt: skip
    return retarget.Change(changes, anew=True), Sink(name, topic, None, "debezium-json")


def _format(table: JobTable) -> str:
    return table.options.get("value.format") or table.options.get("format") or ""


def _kafka(table: JobTable, place: _Range) -> Mapping[str, str | None]:
    """Return the changes that turn a Kafka table to its test's topic, from the first record to the last."""
    options: dict[str, str | None] = {key: None for key in table.options if _PLACE.fullmatch(key)}
    options |= options_of.without_registry(table.options)
    options |= {"properties.bootstrap.servers": place.bootstrap, "topic": place.topic(table)} | SHORT_LIVED
    if table.is_source:
        options["scan.bounded.mode"] = "latest-offset"
        if table.connector == "kafka":
            options["scan.startup.mode"] = "earliest-offset"
            if place.each:
                options["scan.watermark.emit.strategy"] = "on-event"
    return options
