"""Rules on the tables that a job reads and writes, and on the hints beside their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.promote.lints import text as texts
from sdp_kernel.promote.lints.draft import where_of
from sdp_kernel.promote.lints.finding import found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sdp_kernel.promote.lints.draft import Draft, Table
    from sdp_kernel.promote.lints.finding import Finding

BROKERS = "properties.bootstrap.servers"
START, STOP = "scan.startup.mode", "scan.bounded.mode"
GROUP = "properties.group.id"
_FOR_TRYING_OUT = frozenset({"print", "blackhole", "datagen"})


def names_registry(key: str) -> bool:
    """Whether an option is the address of a schema registry."""
    return key.endswith(("avro-confluent.url", "schema-registry.url"))


def check(draft: Draft) -> Iterator[Finding]:
    """Look over the tables, and over the hints in the queries."""
    batch = draft.settings.get("execution.runtime-mode", "").lower() == "batch"
    if batch:
        yield found("SDP007", "the job runs in batch mode: it will end",
                    "take SET 'execution.runtime-mode' out")  # fmt: skip
    for table in draft.tables:
        yield from _connection(table)
        if table.connector in _FOR_TRYING_OUT:
            yield found("SDP003", f"{table.where} uses the connector {table.connector}",
                        "use the real table", table.where)  # fmt: skip
        if table.name in draft.read or not draft.written:
            yield from _source(table)
        if table.name in draft.written:
            yield from _sink(table)
        if not batch and ends(table.options):
            yield found("SDP007", f"{table.where} is bounded: the job will end",
                        "take 'scan.bounded.mode' out", table.where)  # fmt: skip
    for where, text in draft.queries:
        hints = texts.hinted(text)
        if not batch and ends(hints):
            yield found("SDP007", f"a hint in {where} bounds a source: the job will end",
                        "take the hint out", where)  # fmt: skip
        yield from _starts(hints, f"a hint in {where}", where)
        if BROKERS in hints:
            yield found("SDP006", f"a hint in {where} names brokers: it works in one environment only",
                        "take the hint out", where)  # fmt: skip
    for entry in draft.part.settings:
        if entry.kind != "SET" and any(key == BROKERS for key, _ in texts.options(entry.text)):
            where = where_of(entry)
            yield found("SDP006", f"{where} names its brokers: it works in one environment only",
                        "write ${kafka.main} in place of 'properties.bootstrap.servers'", where)  # fmt: skip


def ends(options: Mapping[str, str]) -> bool:
    """Whether options give a source an end."""
    return options.get(STOP, "unbounded").lower() != "unbounded"


def _connection(table: Table) -> Iterator[Finding]:
    if _literal(table.options.get(BROKERS)):
        yield found(
            "SDP006",
            f"{table.where} names its brokers: it works in one environment only",
            "write ${kafka.main} in place of 'properties.bootstrap.servers'",
            table.where,
        )
    for key, value in table.options.items():
        if names_registry(key) and _literal(value):
            yield found(
                "SDP006",
                f"{table.where} names its schema registry: it works in one environment only",
                f"'{key}' = ${{registry.main}}, with schema.registry.url in [profiles.NAME.kafka.main]",
                table.where,
            )


def _literal(value: str | None) -> bool:
    return bool(value) and "${" not in (value or "")


def _source(table: Table) -> Iterator[Finding]:
    yield from _starts(table.options, table.where, table.where)
    if table.connector == "kafka" and GROUP not in table.options:
        reads = START in table.options or bool(table.options.get("topic-pattern"))
        if reads:
            yield found("SDP005", f"{table.where} has no consumer group: its lag is not to be seen",
                        f"'{GROUP}' = '…', another one for each job", table.where)  # fmt: skip


def _starts(options: Mapping[str, str], what: str, where: str) -> Iterator[Finding]:
    mode = options.get(START, "").lower()
    if mode == "latest-offset":
        yield found(
            "SDP004",
            f"{what} starts at latest-offset: a fresh start loses what came before it",
            "'scan.startup.mode' = 'group-offsets' with 'properties.auto.offset.reset' = 'earliest', "
            "or 'earliest-offset'",
            where,
        )
    if mode == "specific-offsets":
        yield found(
            "SDP023",
            f"{what} starts at fixed offsets: in another environment they are other records, or none",
            "'scan.startup.mode' = 'group-offsets' or 'earliest-offset'",
            where,
        )


def _sink(table: Table) -> Iterator[Finding]:
    if table.options.get("sink.delivery-guarantee", "").lower() != "exactly-once":
        return
    if "properties.transaction.timeout.ms" not in table.options:
        yield found(
            "SDP019",
            f"{table.where} writes in transactions of up to an hour, and brokers allow 15 minutes by default",
            "'properties.transaction.timeout.ms' = '900000', or what the brokers' "
            "transaction.max.timeout.ms allows",
            table.where,
        )
    prefix = table.options.get("sink.transactional-id-prefix", "")
    if _literal(prefix):
        yield found(
            "SDP020",
            f"{table.where} has the same sink.transactional-id-prefix for all jobs that write it",
            "put a parameter into it, which each job's module call fills in: '${job}-'",
            table.where,
        )
