"""One Kafka cluster: clients with time-outs, offsets in bulk, errors that name the alias.

What is read of topics and records is in ``topics`` and ``sample``. A consumer made here is only
ever assigned: it joins no consumer group and commits nothing.
"""

# ruff: noqa: PLC0415  (confluent_kafka is loaded when a cluster is first asked something)

from __future__ import annotations

import logging
import re
import time
import uuid
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import (
    BrokerUnreachable,
    SdpError,
    SettingsError,
    TopicError,
    TopicNotFound,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sdp_kernel.kafka.registry import Registry
    from sdp_kernel.settings import KafkaCluster

CALL_SECONDS = 5.0
_PROBE_SECONDS = 1.0
_INT32 = 2**31
_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_RETRY_SECONDS = (0.05, 0.1, 0.3, 0)
_SILENCE = (
    "_TRANSPORT",
    "_TIMED_OUT",
    "_TIMED_OUT_QUEUE",
    "_ALL_BROKERS_DOWN",
    "_RESOLVE",
    "_SSL",
    "_AUTHENTICATION",
)

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # without a handler Python prints warnings on stderr


def check_topic_name(name: str) -> str:
    """Return ``name`` if Kafka allows it as a topic name.

    Raises
    ------
    UsageError
        It breaks the rule of ``org.apache.kafka.common.internals.Topic``.
    """
    if not isinstance(name, str) or not _TOPIC_NAME.fullmatch(name) or name in {".", ".."}:
        raise UsageError(
            f"{name!r} cannot be a topic name",
            hint="a topic name is 1 to 249 letters, digits, dots, underscores or hyphens (a-z A-Z 0-9 . _ -)",
        )
    return name


def admin_api() -> Any:
    """Return ``confluent_kafka.admin``, untyped: its names are not exported by its stubs' rules."""
    import confluent_kafka.admin

    return confluent_kafka.admin


class Cluster:
    """A Kafka cluster by its alias.

    Parameters
    ----------
    settings
        Alias and client properties, in librdkafka's notation or in Java's.
    logger
        Where librdkafka's log lines go.

    Notes
    -----
    Nothing is connected before the first call. Every call has a time-out, in seconds.
    """

    def __init__(self, settings: KafkaCluster, *, logger: logging.Logger | None = None) -> None:
        self.settings = settings
        self.logger = logger or _log
        self._trouble = ""
        self._all_down = False

    def __repr__(self) -> str:
        return f"Cluster({self.alias!r}, {self.bootstrap_servers!r})"

    @property
    def alias(self) -> str:
        """The name this cluster has in ``sdp.toml``."""
        return self.settings.alias

    @property
    def bootstrap_servers(self) -> str:
        """Where the cluster is asked for first."""
        return self.settings.bootstrap_servers

    @cached_property
    def registry(self) -> Registry | None:
        """The cluster's schema registry; None where it has none."""
        from sdp_kernel.kafka.registry import Registry

        config = self.settings.registry_config()
        return Registry(config) if config is not None else None

    @cached_property
    def admin(self) -> Any:
        """The ``confluent_kafka.admin.AdminClient``; made on first use, then kept."""
        return self._client(admin_api().AdminClient, {})

    @contextmanager
    def consumer(self, overrides: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """Give a ``confluent_kafka.Consumer`` to assign, closed on leaving.

        It reports the end of partitions (``enable.partition.eof``).
        """
        from confluent_kafka import Consumer

        consumer = self._client(
            Consumer,
            {
                "auto.offset.reset": "error",
                "check.crcs": False,
                **(overrides or {}),
                # librdkafka insists on a group id; assign() never joins it.
                "group.id": f"sdp-{uuid.uuid4().hex}",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
            },
        )
        try:
            yield consumer
        finally:
            consumer.close()

    def producer(self, overrides: Mapping[str, Any] | None = None) -> Any:
        """Make a ``confluent_kafka.Producer`` (idempotent, all replicas acknowledge)."""
        from confluent_kafka import Producer

        return self._client(Producer, {"enable.idempotence": True, **(overrides or {})})

    def metadata(self) -> Any:
        """Return ``confluent_kafka.admin.ClusterMetadata`` of every topic.

        Raises
        ------
        BrokerUnreachable
            Nobody answered within about 5 seconds (2 where every connection was refused).
        """
        from confluent_kafka import KafkaException

        admin, self._all_down = self.admin, False
        deadline = time.monotonic() + CALL_SECONDS
        attempt = 0
        while True:
            attempt += 1
            try:
                return admin.list_topics(timeout=_PROBE_SECONDS)
            except KafkaException as error:
                admin.poll(0)
                # The first refusal may be ::1 where only 127.0.0.1 listens: librdkafka tries on.
                if time.monotonic() >= deadline or (self._all_down and attempt > 1):
                    raise self.error(error) from None

    def partitions(self, topic: str) -> list[int]:
        """Return the partition numbers of ``topic``, ascending.

        The topic is looked up by name, never created by being asked for.

        Raises
        ------
        TopicNotFound
            With close matches in the hint.
        """
        check_topic_name(topic)
        return sorted(p.id for p in self.result(self._description(topic), topic=topic).partitions)

    def _description(self, topic: str) -> Any:
        """Ask for a topic by name; returns the future."""
        from confluent_kafka import TopicCollection

        return self.admin.describe_topics(TopicCollection([topic]), request_timeout=CALL_SECONDS)[topic]

    def offsets(self, wanted: Mapping[tuple[str, int], Any]) -> dict[tuple[str, int], Any]:
        """Ask for offsets by ``OffsetSpec`` of many partitions in one call (ListOffsets).

        Returns
        -------
        dict
            (topic, partition) → an object with ``offset`` and ``timestamp`` (ms, -1 for none),
            or the error of that partition as an exception.
        """
        from confluent_kafka import IsolationLevel, KafkaException, TopicPartition

        if not wanted:
            return {}
        level = self.settings.properties.get("isolation.level", "read_committed")
        found: dict[tuple[str, int], Any] = {}
        ask = dict(wanted)
        for pause in _RETRY_SECONDS:
            futures = self.admin.list_offsets(
                {TopicPartition(*key): spec for key, spec in ask.items()},
                isolation_level=IsolationLevel[level.upper()],
                request_timeout=CALL_SECONDS,
            )
            again = {}
            for partition, future in futures.items():
                key = (partition.topic, partition.partition)
                try:
                    found[key] = future.result(timeout=2 * CALL_SECONDS)
                except (KafkaException, TimeoutError) as error:
                    found[key] = self.error(error, topic=partition.topic, look_up=False)
                    if _passing(error):  # a topic just made, a leader just moved
                        again[key] = ask[key]
            ask = again
            if not ask:
                break
            time.sleep(pause)
        return found

    def watermarks(self, topic: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Return partition → (low, high): the first offset kept and the one after the last.

        ``high`` is the last stable offset, unless ``isolation.level`` is ``read_uncommitted``.
        """
        spec = admin_api().OffsetSpec
        keys = [(topic, p) for p in partitions]
        low = self.offsets(dict.fromkeys(keys, spec.earliest()))
        high = self.offsets(dict.fromkeys(keys, spec.latest()))
        for answer in (*low.values(), *high.values()):
            if isinstance(answer, Exception):
                raise answer
        return {key[1]: (low[key].offset, high[key].offset) for key in keys}

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
        *,
        replication: int = -1,
        exist_ok: bool = True,
    ) -> bool:
        """Create a topic.

        Parameters
        ----------
        replication
            Replicas of each partition; -1 takes the brokers' default (KIP-464).
        exist_ok
            Leave a topic of that name as it is.

        Returns
        -------
        bool
            Whether it was created by this call.

        Raises
        ------
        UsageError
            No topic can have so many partitions or replicas.
        TopicError
            The cluster refused, or the topic exists and ``exist_ok`` is false.
        """
        from confluent_kafka import KafkaError, KafkaException

        for count, what in ((partitions, "partitions"), (replication, "replicas")):
            if not (0 < count < _INT32 or (count == -1 and what == "replicas")):
                raise UsageError(f"a topic cannot have {count} {what}", hint="give 1 or more")
        topic = admin_api().NewTopic(
            check_topic_name(name),
            num_partitions=partitions,
            replication_factor=replication,
            config=dict(config or {}),
        )
        future = self.admin.create_topics(
            [topic], operation_timeout=CALL_SECONDS, request_timeout=CALL_SECONDS
        )[name]
        try:
            future.result(timeout=2 * CALL_SECONDS)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                if exist_ok:
                    return False
                raise TopicError(
                    f"Kafka {self.alias!r} has a topic {name!r} already", hint=f"%topic {name} shows it"
                ) from None
            raise self.error(error, topic=name) from None
        self._await_topic(name)
        return True

    def _await_topic(self, name: str) -> None:
        """Wait until the brokers know a topic: the controller says it is there a moment before."""
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + CALL_SECONDS
        while time.monotonic() < deadline:
            try:
                self._description(name).result(timeout=CALL_SECONDS)
            except (KafkaException, TimeoutError):
                time.sleep(_RETRY_SECONDS[0])
            else:
                return

    def result(self, future: Any, *, topic: str = "") -> Any:
        """Wait for an admin call; its errors come as this package's."""
        from confluent_kafka import KafkaException

        try:
            return future.result(timeout=2 * CALL_SECONDS)
        except (KafkaException, TimeoutError) as error:
            raise self.error(error, topic=topic) from None

    def error(self, cause: Exception, *, topic: str = "", look_up: bool = True) -> SdpError:
        """Turn an error of ``confluent_kafka`` into one that names the cluster and the topic.

        ``look_up`` asks the cluster for close matches to an unknown topic.
        """
        from confluent_kafka import KafkaError

        first = cause.args[0] if cause.args else None
        code = first.code() if isinstance(first, KafkaError) else KafkaError._TIMED_OUT  # noqa: SLF001
        if code in {getattr(KafkaError, name) for name in _SILENCE}:
            return self._unreachable()
        if code in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC} and topic:  # noqa: SLF001
            return self._not_found(topic, look_up=look_up)
        where = f"topic {topic!r} on " if topic else ""
        text = first.str() if isinstance(first, KafkaError) else str(cause)
        return TopicError(
            f"Kafka {self.alias!r} refused a call: {where}{self.bootstrap_servers}: {text}",
            hint="check that this user may describe and read the topic"
            if "AUTHORIZATION" in str(getattr(first, "name", lambda: "")())
            else "see the broker's log for the reason",
        )

    def _unreachable(self) -> BrokerUnreachable:
        reason = f": {self._trouble}" if self._trouble else ""
        return BrokerUnreachable(
            f"no broker of Kafka {self.alias!r} answers at {self.bootstrap_servers}{reason}",
            hint=f"check that it runs, and the address, security.protocol and sasl.* of kafka.{self.alias};"
            " the embedded stack starts with `sdp up`",
        )

    def _not_found(self, topic: str, *, look_up: bool) -> TopicNotFound:
        import difflib

        names = sorted(self.metadata().topics) if look_up else []
        close = difflib.get_close_matches(topic, names, n=3) or [
            name for name in names if name.lower() == topic.lower()
        ]
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "%topics lists them"
        return TopicNotFound(f"Kafka {self.alias!r} has no topic {topic!r}", hint=hint)

    def _client(self, make: Any, overrides: Mapping[str, Any]) -> Any:
        from confluent_kafka import KafkaException

        config = {
            **self.settings.client_config(),
            **overrides,
            "error_cb": self._note,
        }
        try:
            return make(config, logger=self.logger)
        except KafkaException as error:
            raise SettingsError(
                f"kafka.{self.alias} is not a usable client configuration: {error.args[0].str()}",
                hint="use librdkafka's property names; Flink gets the same ones",
            ) from None

    def _note(self, error: Any) -> None:
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self._all_down = True
        else:
            self._trouble = error.str()
        self.logger.debug("kafka %s: %s", self.alias, error.str())


def _passing(error: Exception) -> bool:
    from confluent_kafka import KafkaError

    first = error.args[0] if error.args else None
    return isinstance(first, KafkaError) and first.code() in {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
    }
