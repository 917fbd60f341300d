"""What a workbench does with topics: list, describe, sample, follow, profile, infer, write."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    import pandas as pd

    from sdp_kernel.kafka.admin import Cleared, Deleted
    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.decode import Options
    from sdp_kernel.kafka.describe import TopicDetail
    from sdp_kernel.kafka.follow import Following
    from sdp_kernel.kafka.infer import TableSketch
    from sdp_kernel.kafka.offsets import At
    from sdp_kernel.kafka.produce import Produced
    from sdp_kernel.kafka.profile import SampleProfile
    from sdp_kernel.kafka.sample import Progress, Sample
    from sdp_kernel.kafka.topics import Look
    from sdp_kernel.masking import Policy
    from sdp_kernel.settings import Profile, Settings


class KafkaSide:
    """The half of a workbench that asks Kafka."""

    settings: Settings

    def __init__(self, *, embedded: bool) -> None:
        self._embedded = embedded
        self._clusters: dict[str, Cluster] = {}

    @property
    def profile(self) -> Profile:
        """The profile, with the embedded stack's addresses filled in."""
        raise NotImplementedError

    @cached_property
    def masking(self) -> Policy:
        """What is hidden in samples and results, as ``[masking]`` says."""
        from sdp_kernel.masking import Policy  # noqa: PLC0415

        return Policy.from_settings(self.settings)

    def _mask(self, table: Any) -> Any:
        from sdp_kernel.masking import mask  # noqa: PLC0415

        return mask(table, self.masking)

    def cluster(self, alias: str | None = None) -> Cluster:
        """Return a Kafka cluster of the profile; the only one, or ``main``, by default."""
        from sdp_kernel.kafka.cluster import Cluster  # noqa: PLC0415

        known = self.profile.kafka
        if alias is None:
            alias = next(iter(known)) if len(known) == 1 else "main"
        if alias not in known:
            names = ", ".join(sorted(known)) or "none"
            raise UsageError(
                f"the profile {self.profile.name} has no Kafka cluster {alias!r}",
                hint=f"known: {names}; add [profiles.{self.profile.name}.kafka.{alias}] to sdp.toml",
            )
        if alias not in self._clusters:
            self._clusters[alias] = Cluster(known[alias])
        return self._clusters[alias]

    def topics(
        self,
        pattern: str | None = None,
        *,
        cluster: str | None = None,
        internal: bool = False,
        sort: str = "name",
    ) -> pd.DataFrame:
        """List topics: one row each, with the fields of ``TopicSummary`` and the last record's age.

        Parameters
        ----------
        pattern
            A part of the name, or a pattern with ``*`` and ``?``.
        sort
            ``name``, or the greatest first: ``messages``, ``size``, ``rate``, ``last``, ``partitions``.
        """
        *_, last = self.looks(pattern, cluster=cluster, internal=internal, sort=sort)
        return topics_frame(last)

    def looks(
        self,
        pattern: str | None = None,
        *,
        cluster: str | None = None,
        internal: bool = False,
        sort: str = "name",
    ) -> Iterator[Look]:
        """Give the list of topics at once with messages and times, then complete."""
        from sdp_kernel.kafka.topics import looks  # noqa: PLC0415

        return looks(self.cluster(cluster), pattern=pattern, internal=internal, sort=sort)

    def topic(self, name: str, *, cluster: str | None = None) -> TopicDetail:
        """Describe a topic: partitions, configuration, consumer groups, schemas, time range."""
        from sdp_kernel.kafka.describe import describe_topic  # noqa: PLC0415

        return describe_topic(self.cluster(cluster), name)

    def sample(
        self,
        topic: str,
        *,
        n: int = 100,
        at: At = "tail",
        since: str | float | datetime | None = None,
        until: str | float | datetime | None = None,
        partition: int | Collection[int] | None = None,
        offset: int | None = None,
        key: str | bytes | None = None,
        where: str | None = None,
        seed: int | None = None,
        format: str | None = None,  # noqa: A002 - the word Kafka and Flink use
        key_format: str | None = None,
        unwrap: bool = False,
        delimiter: str | None = None,
        header: Sequence[str] | None = None,
        cluster: str | None = None,
        timeout: float = 10.0,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Sample:
        """Read ``n`` messages without joining a group or committing.

        Parameters
        ----------
        at
            ``tail`` (the newest), ``head`` (the oldest) or ``random`` (uniform over the offsets;
            ``seed`` repeats a choice).
        since, until
            A time window: ``2h`` (ago), ``now``, an ISO time (UTC where it has no zone), epoch ms.
            With ``since`` alone the sample begins there.
        partition, offset
            Only these partitions; start at an offset (negative: from the end).
        key, where
            Only records with this key; only rows for which an SQL condition over the columns holds.
        format, key_format
            Detected from the bytes where not given.
        unwrap
            Show the row inside a Debezium or Maxwell envelope.
        delimiter, header
            CSV's.
        on_progress
            Called up to four times a second while reading.

        Raises
        ------
        UsageError, TopicNotFound, TopicError, BrokerUnreachable
            As :func:`sdp_kernel.kafka.sample.sample`.
        """
        from sdp_kernel.kafka.sample import sample  # noqa: PLC0415
        from sdp_kernel.times import epoch_ms  # noqa: PLC0415

        return sample(
            self.cluster(cluster),
            topic,
            n=n,
            at="head" if at == "tail" and since is not None and until is None else at,
            since=None if since is None else epoch_ms(since),
            until=None if until is None else epoch_ms(until),
            partitions=_partitions(partition),
            offset=offset,
            key=key,
            where=where,
            seed=seed,
            format=format,
            key_format=key_format,
            options=_options(delimiter, header, unwrap=unwrap),
            timeout=timeout,
            mask=self._mask,
            on_progress=on_progress,
        )

    def follow(
        self,
        topic: str,
        *,
        n: int = 100,
        partition: int | Collection[int] | None = None,
        key: str | bytes | None = None,
        where: str | None = None,
        format: str | None = None,  # noqa: A002
        key_format: str | None = None,
        unwrap: bool = False,
        delimiter: str | None = None,
        header: Sequence[str] | None = None,
        cluster: str | None = None,
        seconds: float | None = None,
        on_update: Callable[[Following], None] | None = None,
    ) -> Sample:
        """Read what comes from now on, keeping the newest ``n``, until interrupted or for ``seconds``.

        Parameters and errors are those of :meth:`sample`; ``on_update`` is called up to four times
        a second.
        """
        from sdp_kernel.kafka.follow import follow  # noqa: PLC0415
        from sdp_kernel.kafka.selection import Selection  # noqa: PLC0415

        return follow(
            self.cluster(cluster),
            topic,
            Selection(n, partitions=_partitions(partition), key=key, where=where),
            format=format,
            key_format=key_format,
            options=_options(delimiter, header, unwrap=unwrap),
            seconds=seconds,
            mask=self._mask,
            on_update=on_update,
        )

    def describe(self, sample: Sample, *, event_time: str | None = None) -> SampleProfile:
        """Profile a sample: each column, times and lateness, keys, what could not be decoded.

        ``event_time`` names the column that holds it; found by itself where it is not given.
        """
        from sdp_kernel.kafka.profile import profile  # noqa: PLC0415

        return profile(sample, event_time=event_time)

    def table(
        self,
        topic: str,
        *,
        n: int = 1000,
        name: str | None = None,
        cluster: str | None = None,
        startup: str = "earliest-offset",
        metadata: bool = True,
        upsert: bool = False,
        changelog: bool = True,
        **options: Any,
    ) -> TableSketch:
        """Infer a CREATE TABLE from a sample of ``n`` messages.

        Parameters
        ----------
        startup
            ``scan.startup.mode``.
        metadata
            Declare the record's time, partition, offset and headers too.
        upsert
            Make it an ``upsert-kafka`` table: the newest record of each key.
        changelog
            Read Debezium and Maxwell envelopes as changes; false shows them as they are.
        options
            As :meth:`sample` takes; ``unwrap`` changes nothing, as envelopes are told apart here.
        """
        from sdp_kernel.kafka.infer import infer_table  # noqa: PLC0415

        opened = self.cluster(cluster)
        options.pop("unwrap", None)
        sample = self.sample(topic, n=n, cluster=cluster, **options)
        return infer_table(
            sample, name=name, alias=opened.alias, startup=startup, metadata=metadata, upsert=upsert,
            changelog=changelog, schema=_schema(opened, sample),
        )  # fmt: skip

    def produce(
        self, topic: str, data: Any, *, cluster: str | None = None, confirm: bool = False, **options: Any
    ) -> Produced:
        """Write each row of a frame as a record.

        Parameters
        ----------
        confirm
            Needed on any profile but the embedded stack.
        options
            ``key``, ``format``, ``key_format``, ``schema``, ``partition``, ``timestamp``, ``headers``,
            ``tombstones``, …: see :func:`sdp_kernel.kafka.produce.produce`.

        Raises
        ------
        ReadOnly
            The profile is read-only, or nobody confirmed. Nothing is sent.
        UsageError, TopicNotFound, BrokerUnreachable
            As :func:`sdp_kernel.kafka.produce.produce`.
        """
        from sdp_kernel.kafka.produce import produce  # noqa: PLC0415

        self._check_change(f"write to the topic {topic!r}", confirm=confirm)
        return produce(self.cluster(cluster), topic, data, **options)

    def create_topic(
        self,
        name: str,
        *,
        partitions: int = 1,
        replication: int = -1,
        config: Mapping[str, str] | None = None,
        cluster: str | None = None,
        confirm: bool = False,
    ) -> None:
        """Create a topic.

        Raises
        ------
        ReadOnly
            The profile is read-only, or nobody confirmed.
        TopicError
            The topic exists, or Kafka refused.
        """
        self._check_change(f"create the topic {name!r}", confirm=confirm)
        opened = self.cluster(cluster)
        opened.create_topic(name, partitions, config, replication=replication, exist_ok=False)

    def delete_topic(self, name: str, *, cluster: str | None = None, confirm: bool = False) -> Deleted:
        """Delete a topic with all its records; errors as ``create_topic``'s, and TopicNotFound."""
        from sdp_kernel.kafka.admin import delete_topic  # noqa: PLC0415

        self._check_change(f"delete the topic {name!r}", confirm=confirm)
        return delete_topic(self.cluster(cluster), name)

    def clear_topic(self, name: str, *, cluster: str | None = None, confirm: bool = False) -> Cleared:
        """Delete the records a topic has now; errors as ``create_topic``'s, and TopicNotFound."""
        from sdp_kernel.kafka.admin import clear_topic  # noqa: PLC0415

        self._check_change(f"clear the topic {name!r}", confirm=confirm)
        return clear_topic(self.cluster(cluster), name)

    def _check_change(self, what: str, *, confirm: bool) -> None:
        from sdp_kernel.kafka.admin import may_change  # noqa: PLC0415

        may_change(self.profile, what, confirmed=confirm or self._embedded)


def _options(delimiter: str | None, header: Sequence[str] | None, *, unwrap: bool) -> Options:
    from sdp_kernel.kafka.decode import Options  # noqa: PLC0415

    return Options(unwrap, delimiter, tuple(header) if header is not None else None)


def _partitions(chosen: int | Collection[int] | None) -> tuple[int, ...] | None:
    if chosen is None:
        return None
    return (chosen,) if isinstance(chosen, int) else tuple(sorted(set(chosen)))


def topics_frame(look: Look) -> pd.DataFrame:
    """Return a list of topics as a frame; its ``attrs["notes"]`` say what could not be found out."""
    import pandas as pd  # noqa: PLC0415

    columns = [
        "topic", "partitions", "messages", "size", "rate", "last", "age", "format", "key_format", "schema",
        "key_schema", "retention", "cleanup_policy",
    ]  # fmt: skip
    frame = pd.DataFrame(
        [
            [
                t.name, t.partitions, t.messages, t.size, t.rate, t.last_timestamp, t.age, t.format,
                t.key_format, t.schema, t.key_schema, t.retention, t.cleanup_policy,
            ]
            for t in look.topics
        ],
        columns=columns,
    ).astype({"messages": "Int64", "size": "Int64"})  # fmt: skip
    frame.attrs["notes"] = list(look.notes)
    return frame


def _schema(cluster: Cluster, sample: Sample) -> str | None:
    """Return the newest schema that an Avro sample was written with."""
    if sample.format != "avro" or cluster.registry is None or "_schema_id" not in sample.table.column_names:
        return None
    table = sample.table
    errors = table["_error"] if "_error" in table.column_names else [None] * len(table)
    ids = [
        number.as_py()
        for number, error in zip(table["_schema_id"], errors, strict=True)
        if number.is_valid and (error is None or not error.is_valid)
    ]
    return cluster.registry.schema(ids[-1]).text if ids else None
