"""The magics about topics: ``%topics``, ``%topic``, ``%sample``, ``%table``, ``%produce``."""

from __future__ import annotations

import contextlib
import csv
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError as BadUsage
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from sdp_kernel.notebook.arguments import check_variable, pair, parsed

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

    from sdp_kernel.kafka.offsets import At
    from sdp_kernel.kafka.sample import Sample
    from sdp_kernel.notebook.magics import SdpMagics
    from sdp_kernel.workbench import Workbench

_CLUSTER = argument("--cluster", help="alias of the Kafka cluster")
_YES = argument("--yes", action="store_true", help="confirm; needed on any profile but the embedded stack")


def _reading(method: Any) -> Any:
    """Add the arguments that say which records are read, and how."""
    for one in reversed(
        (
            argument("--head", action="store_true", help="the oldest messages"),
            argument("--tail", action="store_true", help="the newest messages (default)"),
            argument("--random", action="store_true", help="messages at random, uniform over the offsets"),
            argument("--seed", type=int, help="repeats a random choice"),
            argument("--from", dest="since", metavar="TIME", help="2h, 09:30, 2026-01-05T09:30, epoch ms"),
            argument("--until", metavar="TIME", help="likewise; the sample ends before it"),
            argument("--partition", help="only these partitions: 0 or 0,2,5"),
            argument("--offset", type=int, help="start here, with one --partition; -100: from the end"),
            argument("--key", help="only messages with this key"),
            argument(
                "--where", help="only rows for which this holds: --where \"price > 100 AND side = 'BUY'\""
            ),
            argument("--format", help="json, csv, text, bytes, avro, …; detected otherwise"),
            argument("--key-format", help="likewise, of the key"),
            argument("--unwrap", action="store_true", help="the row inside a Debezium or Maxwell envelope"),
            argument("--delimiter", help="of CSV"),
            argument("--header", help="CSV's columns, with commas"),
            argument("--timeout", type=float, default=10.0, help="seconds without a message (10)"),
            _CLUSTER,
        )
    ):
        method = one(method)
    return method


@magics_class
class TopicMagics(Magics):
    """The magics about topics, over the workbench of ``main``."""

    def __init__(self, shell: InteractiveShell, main: SdpMagics) -> None:
        super().__init__(shell)
        self._shell = shell
        self._main = main

    @property
    def workbench(self) -> Workbench:
        """The shell's workbench."""
        return self._main.workbench

    @magic_arguments()
    @argument("pattern", nargs="?", help="part of the name, or a pattern with * and ?")
    @argument("--sort", default="name", help="name, messages, size, rate, last or partitions")
    @argument("--internal", action="store_true", help="list internal topics too")
    @_CLUSTER
    @line_magic
    def topics(self, line: str) -> None:
        """List topics: messages, size, rate, formats, schema, retention, age of the last record."""
        from sdp_kernel.notebook import topic_view  # noqa: PLC0415
        from sdp_kernel.notebook.display import View  # noqa: PLC0415

        args = parsed(self.topics, line)
        found = self.workbench.looks(
            args.pattern, cluster=args.cluster, internal=args.internal, sort=args.sort
        )
        topic_view.topics(View(), found)

    @magic_arguments()
    @argument("words", nargs="+", metavar="TOPIC", help="TOPIC | create TOPIC | delete TOPIC | clear TOPIC")
    @argument("--partitions", type=int, help="of a new topic (1)")
    @argument("--replication", type=int, help="of a new topic; the brokers' default otherwise")
    @argument("--config", action="append", metavar="NAME=VALUE", help="configuration of a new topic")
    @_YES
    @_CLUSTER
    @line_magic
    def topic(self, line: str) -> None:
        """Show one topic: partitions, consumer groups, schemas, configuration; or change one."""
        from sdp_kernel.notebook import display, html, topic_view  # noqa: PLC0415

        args = parsed(self.topic, line)
        where = {"cluster": args.cluster, "confirm": args.yes}
        match args.words:
            case [("create" | "delete" | "clear") as verb]:
                raise BadUsage(f"%topic {verb} needs the topic's name")
            case [_, *_] if args.words[0] != "create" and (
                args.partitions is not None or args.replication is not None or args.config
            ):
                raise BadUsage("--partitions, --replication and --config belong to %topic create")
            case [name]:
                display.show(*topic_view.topic_bundle(self.workbench.topic(name, cluster=args.cluster)))
                return
            case ["create", name]:
                config = dict(pair(text, "--config") for text in args.config or [])
                partitions = 1 if args.partitions is None else args.partitions
                replication = -1 if args.replication is None else args.replication
                self.workbench.create_topic(
                    name, partitions=partitions, replication=replication, config=config, **where
                )
                text = f"created with {partitions} partition{'' if partitions == 1 else 's'}"
            case ["delete", name]:
                gone = self.workbench.delete_topic(name, **where)
                text = f"deleted, with {gone.partitions} partition{'' if gone.partitions == 1 else 's'}"
            case ["clear", name]:
                cleared = self.workbench.clear_topic(name, **where)
                text = f"cleared of {html.number(cleared.records)} records"
            case _:
                raise BadUsage("%topic TOPIC | create TOPIC | delete TOPIC | clear TOPIC")
        display.show(html.panel([html.title(name), html.chip(text, "good")]), f"{name}: {text}")

    @magic_arguments()
    @argument("topic")
    @argument("-n", type=int, default=100, help="messages to read (100)")
    @_reading
    @argument("--follow", action="store_true", help="show what comes, until interrupted")
    @argument("--seconds", type=float, help="with --follow: stop after so many seconds")
    @argument("--event-time", metavar="COLUMN", help="the column of event times, for lateness")
    @argument("--as", dest="variable", metavar="NAME", help="keep the DataFrame in this variable")
    @line_magic
    def sample(self, line: str) -> pd.DataFrame:
        """Sample a topic into a DataFrame. Joins no group, commits nothing."""
        from sdp_kernel.notebook import display, sample_view  # noqa: PLC0415

        args = parsed(self.sample, line)
        check_variable(args.variable)
        chosen = _chosen(args)
        if args.seconds is not None and not args.follow:
            raise BadUsage("--seconds belongs to --follow; --timeout says how long to wait for a message")
        if args.follow:
            sample = self._follow(args, chosen)
        else:
            with _Reading(args.topic) as progress:
                sample = self.workbench.sample(args.topic, n=args.n, on_progress=progress, **chosen)
            display.show(
                *sample_view.profile_bundle(self.workbench.describe(sample, event_time=args.event_time))
            )
        frame = sample.df
        if args.variable:
            self._main.keep(args.variable, frame)
        return frame

    def _follow(self, args: Namespace, chosen: dict[str, Any]) -> Sample:
        from sdp_kernel.notebook import sample_view  # noqa: PLC0415
        from sdp_kernel.notebook.display import View  # noqa: PLC0415

        if args.head or args.random or any(chosen[name] is not None for name in ("since", "until", "offset")):
            raise BadUsage(
                "--follow begins at the end: leave out --head, --random, --from, --until, --offset"
            )
        for name in ("at", "since", "until", "offset", "seed", "timeout"):
            chosen.pop(name)
        view = View()
        last: list[Any] = []

        def draw(following: Any) -> None:
            last[:] = [following]
            view.show(*sample_view.following_bundle(following, running=True), last=False)

        sample = self.workbench.follow(args.topic, n=args.n, seconds=args.seconds, on_update=draw, **chosen)
        view.show(*sample_view.following_bundle(last[0], running=False))
        return sample

    @magic_arguments()
    @argument("topic")
    @argument("-n", type=int, default=1000, help="messages to look at (1000)")
    @_reading
    @argument("--name", help="the table's name; the topic's otherwise")
    @argument("--startup", default="earliest-offset", help="scan.startup.mode (earliest-offset)")
    @argument("--upsert", action="store_true", help="an upsert-kafka table: the newest record of each key")
    @argument("--no-metadata", action="store_true", help="leave out the record's time, partition, offset")
    @argument("--no-changelog", action="store_true", help="show change envelopes as they are")
    @argument("--run", action="store_true", help="run it at once, in place of a table of that name")
    @line_magic
    def table(self, line: str) -> None:
        """Infer a CREATE TABLE from a topic and put it into the next cell to edit."""
        from sdp_kernel.notebook import display  # noqa: PLC0415

        args = parsed(self.table, line)
        with _Reading(args.topic) as progress:
            sketch = self.workbench.table(
                args.topic, n=args.n, name=args.name, startup=args.startup, upsert=args.upsert,
                metadata=not args.no_metadata, changelog=not args.no_changelog, on_progress=progress,
                **_chosen(args),
            )  # fmt: skip
        display.sketch(sketch)
        if args.run:
            name = sketch.name.replace("`", "``")
            self.workbench.sql(f"DROP TABLE IF EXISTS `{name}`")
            self._main.run(sketch.ddl, name=None)
        else:
            self._shell.set_next_input(f"%%flinksql\n{sketch.ddl}")

    @magic_arguments()
    @argument("topic")
    @argument("frame", help="a variable: a DataFrame, an Arrow table, a list of dicts")
    @argument("--key", help="columns for the key, with commas; _key where there is one")
    @argument("--format", help="json, csv, text, bytes, avro, …")
    @argument("--key-format", help="likewise, of the key")
    @argument("--register", action="store_true", help="register a schema made from the columns if need be")
    @argument("--partition", help="a number, or the name of a column")
    @argument(
        "--tombstones", action="store_true", help="write a row without any value as a tombstone of its key"
    )
    @argument("--timestamp", help="a time, or the name of a column")
    @_YES
    @_CLUSTER
    @line_magic
    def produce(self, line: str) -> None:
        """Write each row of a frame as a message. All is checked before the first one is sent."""
        from sdp_kernel.notebook import display, sample_view  # noqa: PLC0415

        args = parsed(self.produce, line)
        if args.frame not in self._shell.user_ns:
            raise BadUsage(f"there is no variable {args.frame!r}")
        partition = args.partition
        made = self.workbench.produce(
            args.topic,
            self._shell.user_ns[args.frame],
            key=[name.strip() for name in args.key.split(",")] if args.key else None,
            format=args.format,
            key_format=args.key_format,
            register=args.register,
            tombstones=True if args.tombstones else None,
            partition=int(partition) if partition is not None and partition.isdigit() else partition,
            timestamp=args.timestamp,
            cluster=args.cluster,
            confirm=args.yes,
        )
        display.show(*sample_view.produced_bundle(made))


def _chosen(args: Namespace) -> dict[str, Any]:
    """Return the arguments of ``Workbench.sample`` that a magic's line gives."""
    places: list[At] = [at for at in ("head", "tail", "random") if getattr(args, at)]
    if len(places) > 1:
        raise BadUsage("only one of --head, --tail, --random")
    try:
        partition = [int(number) for number in args.partition.split(",")] if args.partition else None
    except ValueError:
        raise BadUsage(f"--partition takes numbers, not {args.partition!r}") from None
    return {
        "at": places[0] if places else "tail",
        "since": args.since,
        "until": args.until,
        "partition": partition,
        "offset": args.offset,
        "key": args.key,
        "where": args.where,
        "seed": args.seed,
        "format": args.format,
        "key_format": args.key_format,
        "unwrap": args.unwrap,
        "delimiter": None if args.delimiter is None else args.delimiter.replace("\\t", "\t"),
        "header": next(csv.reader([args.header])) if args.header else None,
        "timeout": args.timeout,
        "cluster": args.cluster,
    }


class _Reading(contextlib.AbstractContextManager["Callable[[Any], None]"]):
    """Shows how far a sample is, once it takes longer than a moment; gone when it is there."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._view: Any = None
        self._calls = 0

    def __enter__(self) -> Callable[[Any], None]:
        return self._draw

    def _draw(self, progress: Any) -> None:
        from sdp_kernel.notebook import sample_view  # noqa: PLC0415
        from sdp_kernel.notebook.display import View  # noqa: PLC0415

        self._calls += 1
        if self._calls < 3:  # noqa: PLR2004 - about half a second
            return
        self._view = self._view or View()
        self._view.show(*sample_view.progress_bundle(self._topic, progress), last=False)

    def __exit__(self, *_: object) -> None:
        if self._view is not None:
            self._view.show("", "", last=False)
