"""The outputs of a job: each cell with its INSERT, their topics, and what is to be said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError, UsageError
from sdp_kernel.promote import evidence, sinks, topic_file
from sdp_kernel.promote.lint import options
from sdp_kernel.promote.lints.finding import found
from sdp_kernel.promote.objects import Slice, setting_of
from sdp_kernel.promote.several import Piece
from sdp_kernel.promote.sinks.kafka import SOURCE_ALIAS, rendered_options
from sdp_kernel.promote.slice import minimal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.lints.finding import Finding
    from sdp_kernel.promote.request import Request
    from sdp_kernel.promote.sink import Sink
    from sdp_kernel.settings import PromoteSettings

_INTERVAL = "execution.checkpointing.interval"


@dataclass(frozen=True)
class Topic:
    """An output topic, which ``apply(run=True)`` makes sure of.

    Attributes
    ----------
    ddl
        The declaration of the table over it; empty where the session has the table already.
    partitions
        How many it is made with.
    new
        Whether the cluster had none of that name.
    """

    name: str
    alias: str
    config: Mapping[str, str]
    ddl: str
    partitions: int = 1
    new: bool = False


def pieces_of(
    queries: Sequence[Query], outputs: Sequence[str | None], session: Session, request: Request
) -> tuple[Piece, ...]:
    """Return each cell with its slice and its INSERT.

    Raises
    ------
    SliceError, PromoteError, UsageError
        As :func:`sdp_kernel.promote.slice.minimal` and :func:`sdp_kernel.promote.sinks.make` say.
    NotValidated
        What a cell needs was changed after it ran.
    """
    parts = []
    for query in queries:
        part, _ = minimal(session, query.statement.text, query.parameters)
        evidence.check_since(query, session, part)
        parts.append(part)
    reads = Slice((), tuple(entry for part in parts for entry in part.declarations))
    pieces = []
    for query, part, to in zip(queries, parts, outputs, strict=True):
        if to is None:
            pieces.append(Piece(query, part, query.statement.text))
            continue
        output = sinks.make(query, session, part, to=to, request=request, reads=reads)
        statement = output.insert(query)
        needed = part if output.ddl else minimal(session, statement, query.parameters)[0]
        pieces.append(Piece(query, needed, statement, output))
    return tuple(pieces)


def topics_of(
    outputs: Sequence[Sink],
    part: Slice,
    session: Session,
    request: Request,
    partitions: Callable[[str, str], int | None],
) -> tuple[Topic, ...]:
    """Return the topics that outputs have; a new one gets as many partitions as the largest that is read.

    Raises
    ------
    UsageError
        There cannot be so many partitions, or ``retention`` is no time.
    """
    if request.partitions is not None and request.partitions < 1:
        raise UsageError(f"a topic cannot have {request.partitions} partitions", hint="give 1 or more")
    topics = []
    for output in outputs:
        config, count, new = output.topic_config, 1, False
        if output.topic and output.ddl:
            if request.retention:
                config["retention.ms"] = topic_file.retention_ms(request.retention)
                config.update({key: "compact,delete" for key in config if key == "cleanup.policy"})
            try:
                new = partitions(output.alias, output.topic) is None
                count = request.partitions or max(_read(part, session, partitions), default=1)
            except SdpError:  # the job's own cluster answers for itself
                count = request.partitions or 1
        if output.topic:
            topics.append(Topic(output.topic, output.alias, config, output.ddl, count, new))
    return tuple(topics)


def _read(part: Slice, session: Session, partitions: Callable[[str, str], int | None]) -> Iterator[int]:
    """Yield how many partitions each topic has that the job reads by its name."""
    for group in part.objects:
        with_ = rendered_options(session, group)
        aliases = SOURCE_ALIAS.findall(group[0].text)
        if with_.get("connector") in {"kafka", "upsert-kafka"} and aliases:
            for topic in filter(None, with_.get("topic", "").split(";")):
                yield partitions(aliases[0], topic) or 1


def topic_files(
    topics: Sequence[Topic], settings: PromoteSettings, *, known: Callable[[str], bool]
) -> dict[str, str]:
    """Return the Terraform files of the topics that are neither on their cluster nor in the repository.

    Only of clusters that ``[promote] kafka_cluster`` names: of others Terraform knows nothing.
    """
    files = {}
    for topic in topics:
        path, cluster = topic_file.path_of(topic.name), settings.kafka_cluster.get(topic.alias)
        if topic.new and cluster is not None and not known(path):
            files[path] = topic_file.text(
                topic.name,
                module_source=settings.topic_module_source,
                cluster=cluster,
                partitions=topic.partitions,
                config=topic.config,
            )
    return files


def lint_outputs(outputs: Sequence[Sink], part: Slice, session: Session) -> Iterator[Finding]:
    """Look over how the rows reach their outputs."""
    for output in outputs:
        if output.path and not _checkpoints(part, session):
            yield found(
                "SDP040",
                f"the job takes no checkpoints, and only they finish its files: {output.path}",
                f"SET '{_INTERVAL}' = '1 min' before the query",
            )
        moved = [f"{mine} into {their}" for mine, their in output.by_place if mine != their]
        if moved:
            yield found(
                "SDP041",
                f"columns go into {output.table} by their place: {', '.join(moved)}",
                "name them as the table does, to have them matched by name",
                f"the table {output.table}",
            )
        if output.deduplicated:
            yield found(
                "SDP043",
                f"the planner knows of no key, and {', '.join(output.key)} was given: of rows with one key "
                f"that come from different ones, the last is in {output.topic}",
                "aggregate by the key, if the rows of one key are to be one",
                f"the topic {output.topic}",
            )
        if output.unfilled:
            yield found(
                "SDP042",
                f"columns of {output.table} stay NULL: {', '.join(output.unfilled)}",
                "SELECT them too, if they have values",
                f"the table {output.table}",
            )


def _checkpoints(part: Slice, session: Session) -> bool:
    """Whether the job takes checkpoints, or ends: by its own SETs, or those of the cluster."""
    said = {option: value for entry in part.sets for option, value in [_said(entry.text)]}
    mode = said.get("execution.runtime-mode") or session.properties.get("execution.runtime-mode", "")
    if mode.lower() == "batch" or said.get(_INTERVAL):
        return True
    return _INTERVAL not in session.properties and _INTERVAL in session.gateway.session_config(session.handle)


def _said(text: str) -> tuple[str, str]:
    return setting_of(text), dict(options(text)).get(setting_of(text), "")
