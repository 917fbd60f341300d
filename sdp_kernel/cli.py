"""The ``sdp`` command: the workbench's verbs where a notebook is not needed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sdp_kernel import (
    cli_clusters,
    cli_drift,
    cli_init,
    cli_jobs,
    cli_lint,
    cli_pipeline,
    cli_promote,
    cli_run,
    cli_test,
    settings,
)
from sdp_kernel.errors import SdpError
from sdp_kernel.kafka.decode import FORMATS, KEY_FORMATS
from sdp_kernel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sdp_kernel.local.info import ComponentStatus
    from sdp_kernel.local.stack import Stack
    from sdp_kernel.workbench import Workbench

_Command = TypeVar("_Command", bound="Callable[..., Any]")


class _Group(click.Group):
    """Shows the project's own errors as their message; anything else keeps its trace."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SdpError as error:
            click.echo(f"{type(error).__name__}: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sdp")
def main() -> None:
    """Explore Kafka and Flink SQL, and run the embedded stack."""


main.add_command(cli_clusters.clusters)
main.add_command(cli_drift.drift)
main.add_command(cli_init.init)
main.add_command(cli_jobs.apply)
main.add_command(cli_jobs.jobs)
main.add_command(cli_lint.lint)
main.add_command(cli_pipeline.pipeline)
main.add_command(cli_pipeline.report)
main.add_command(cli_promote.verify)
main.add_command(cli_run.rollback)
main.add_command(cli_run.run)
main.add_command(cli_run.shadow)
main.add_command(cli_run.stop)
main.add_command(cli_test.test)


def _stack(*more: str) -> Stack:
    from sdp_kernel.local.stack import Stack  # noqa: PLC0415

    loaded = settings.load()
    return Stack(loaded.make_state_dir(), settings=loaded.local.adding(more))


@main.command()
@click.option(
    "--with",
    "more",
    multiple=True,
    type=click.Choice(settings.LOCAL_EXTRAS),
    help="A schema registry as well.",
)
def up(more: tuple[str, ...] = ()) -> None:
    """Start the embedded stack: Kafka, JobManager, TaskManager, SQL gateway."""
    stack = _stack(*more)
    info = stack.running()
    if info is None:
        from sdp_kernel.local.terminal import stack_progress  # noqa: PLC0415

        with stack_progress() as progress:
            info = stack.up(progress)
    for name in ("kafka", "jobmanager", "gateway", "registry"):
        if (address := getattr(info, name)) is not None:
            click.echo(f"{name:<12} {address}")


@main.command()
@click.option("--purge", is_flag=True, help="Delete the topics and logs as well.")
def down(*, purge: bool) -> None:
    """Stop the embedded stack and what leads to session clusters; nothing is left running."""
    from sdp_kernel.deploy.place import down_all  # noqa: PLC0415

    down_all(settings.load().state_dir, purge=purge)
    _stack().down(purge=purge)
    click.echo("stopped")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(*, as_json: bool) -> None:
    """Show the stack's health, ports and memory; exits with 1 unless all of it runs.

    What leads to session clusters on Kubernetes is shown where it was started.
    """
    from sdp_kernel.deploy.place import places  # noqa: PLC0415

    state = _stack().status()
    remote = {name: place.status() for name, place in places(settings.load().state_dir)}
    if as_json:
        shown = {"components": [_as_json(c) for c in state.components], "memory": state.memory}
        click.echo(
            json.dumps(
                {**shown, "clusters": {k: [_as_json(c) for c in v] for k, v in remote.items()}}, indent=2
            )
        )
    else:
        click.echo(f"{'component':<12} {'state':<9} {'port':>6} {'memory':>8} {'pid':>8}")
        for c in state.components:
            _print_component(c)
        click.echo(f"{'in all':<12} {'':<9} {'':>6} {state.memory / 2**20:.0f} MB")
        for name, components in remote.items():
            click.echo(f"session cluster of profile {name}")
            for c in components:
                _print_component(c)
    if not all(c.healthy for c in state.components):
        sys.exit(1)


def _as_json(c: ComponentStatus) -> dict[str, Any]:
    return {"name": c.name, "state": c.state, "healthy": c.healthy, "port": c.port, "pid": c.pid,
            "memory": c.memory, "detail": c.detail}  # fmt: skip


def _print_component(c: ComponentStatus) -> None:
    memory = f"{c.memory / 2**20:.0f} MB" if c.memory else "-"
    click.echo(f"{c.name:<12} {c.state:<9} {c.port or '-':>6} {memory:>8} {c.pid or '-':>8}")
    if c.detail:
        click.echo(f"  {c.detail}")


@main.command()
@click.argument("component")
@click.option("-n", "lines", default=50, show_default=True, help="Lines from the end.")
def logs(component: str, lines: int) -> None:
    """Print the tail of a component's log."""
    click.echo(_stack().logs(component, lines=lines))


@main.command()
def seed() -> None:
    """Write the example topics (orders, quotes, customers) into the embedded stack's Kafka."""
    from sdp_kernel.local.examples import seed as seed_examples  # noqa: PLC0415

    info = _stack().running() or _stack().up()
    for name, count in seed_examples(info.kafka or "").items():
        click.echo(f"{name:<12} {count} messages")


@main.command()
@click.argument("notebook", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--no-browser", is_flag=True, help="Open no browser; the address is printed.")
@click.option("--examples/--no-examples", default=True, help="Seed the example topics.")
@click.pass_context
def lab(ctx: click.Context, notebook: Path | None, *, no_browser: bool, examples: bool) -> None:
    """Start the stack, then JupyterLab, on NOTEBOOK where given."""
    ctx.invoke(up)
    if examples:
        ctx.invoke(seed)
    executable = Path(sys.executable).parent / "jupyter-lab"
    command = [str(executable) if executable.exists() else shutil.which("jupyter-lab") or "jupyter-lab"]
    if notebook is not None:
        command.append(str(notebook))
    if no_browser or not _has_browser():
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - the terminal becomes JupyterLab's


def _has_browser() -> bool:
    import webbrowser  # noqa: PLC0415

    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _profile(command: _Command) -> _Command:
    for option in (
        click.option("--cluster", help="Alias of the Kafka cluster."),
        click.option("--profile", default="local", show_default=True),
    ):
        command = option(command)
    return command


def _reading(command: _Command) -> _Command:
    """Add the options that say which records are read, and how; they are ``Workbench.sample``'s."""
    for option in reversed(
        (
            click.option("--head", "at", flag_value="head", help="The oldest messages."),
            click.option("--tail", "at", flag_value="tail", default="tail", help="The newest (default)."),
            click.option("--random", "at", flag_value="random", help="At random, uniform over the offsets."),
            click.option("--seed", type=int, help="Repeats a random choice."),
            click.option("--from", "since", metavar="TIME", help="2h, 09:30, 2026-01-05T09:30, epoch ms."),
            click.option("--until", metavar="TIME", help="Likewise."),
            click.option("--partition", type=int, multiple=True, help="Only this partition; repeatable."),
            click.option("--offset", type=int, help="Start here in the partition; -100: from the end."),
            click.option("--key", help="Only messages with this key."),
            click.option("--where", help="Only rows for which this SQL condition holds."),
            click.option("--format", type=click.Choice(FORMATS), help="Detected otherwise."),
            click.option("--key-format", type=click.Choice(KEY_FORMATS), help="Likewise, of the key."),
            click.option("--unwrap", is_flag=True, help="The row inside a Debezium or Maxwell envelope."),
            click.option("--delimiter", help="Of CSV."),
            click.option("--header", help="CSV's columns, with commas."),
            click.option("--timeout", default=10.0, show_default=True, help="Seconds without a message."),
        )
    ):
        command = option(command)
    return _profile(command)


def _chosen(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options as ``Workbench.sample`` takes them."""
    header = options.pop("header")
    return {
        **options,
        "partition": options["partition"] or None,
        "header": next(csv.reader([header])) if header else None,
    }


def _confirmed(command: _Command) -> _Command:
    return _profile(
        click.option("--yes", "confirm", is_flag=True, help="Needed on any profile but the embedded stack.")(
            command
        )
    )


@contextmanager
def _workbench(profile: str) -> Iterator[Workbench]:
    from sdp_kernel.workbench import connect  # noqa: PLC0415

    with connect(profile) as workbench:
        yield workbench


@main.command()
@click.argument("pattern", required=False)
@click.option("--sort", default="name", show_default=True, help="Or messages, size, rate, last, partitions.")
@click.option("--internal", is_flag=True, help="List internal topics too.")
@_profile
def topics(pattern: str | None, profile: str, **options: Any) -> None:
    """List topics; PATTERN is a part of the name, or has * and ?."""
    with _workbench(profile) as wb:
        frame = wb.topics(pattern, **options)
    for note in frame.attrs["notes"]:
        click.echo(note, err=True)
    click.echo(frame.drop(columns=["last", "key_schema"]).to_string(index=False, na_rep="-"))


@main.command()
@click.argument("topic")
@click.option("-n", default=10, show_default=True, help="Messages to read.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
@_reading
def sample(topic: str, profile: str, *, as_json: bool, **options: Any) -> None:
    """Sample a topic. Joins no group, commits nothing."""
    with _workbench(profile) as wb:
        result = wb.sample(topic, **_chosen(options))
    if result.stopped:
        click.echo(f"incomplete: {result.stopped}", err=True)
    if as_json:
        from sdp_kernel.kafka.encode_json import json_lines  # noqa: PLC0415

        for line in json_lines(result.table):
            click.echo(line)
    else:
        click.echo(result.df.to_string(index=False))


@main.command()
@click.argument("topic")
@click.option("-n", default=1000, show_default=True, help="Messages to look at.")
@click.option("--name", help="The table's name; the topic's otherwise.")
@click.option("--startup", default="earliest-offset", show_default=True, help="scan.startup.mode.")
@click.option("--upsert", is_flag=True, help="An upsert-kafka table: the newest record of each key.")
@_reading
def table(topic: str, profile: str, **options: Any) -> None:
    """Print a CREATE TABLE inferred from a topic."""
    with _workbench(profile) as wb:
        click.echo(wb.table(topic, **_chosen(options)).ddl)


@main.group()
def topic() -> None:
    """Create, delete or clear a topic."""


@topic.command()
@click.argument("name")
@click.option("--partitions", default=1, show_default=True)
@click.option("--replication", default=-1, help="The brokers' default otherwise.")
@click.option("--config", multiple=True, metavar="NAME=VALUE", help="Configuration; repeatable.")
@_confirmed
def create(name: str, profile: str, *, config: tuple[str, ...], **options: Any) -> None:
    """Create a topic."""
    pairs = [text.partition("=") for text in config]
    if wrong := [text for text, (_, equals, _) in zip(config, pairs, strict=True) if not equals]:
        raise click.BadParameter(f"NAME=VALUE, not {wrong[0]!r}", param_hint="--config")
    with _workbench(profile) as wb:
        wb.create_topic(name, config={key: value for key, _, value in pairs}, **options)
    click.echo(f"{name}: created")


@topic.command()
@click.argument("name")
@_confirmed
def delete(name: str, profile: str, **options: Any) -> None:
    """Delete a topic with all its records."""
    with _workbench(profile) as wb:
        wb.delete_topic(name, **options)
    click.echo(f"{name}: deleted")


@topic.command()
@click.argument("name")
@_confirmed
def clear(name: str, profile: str, **options: Any) -> None:
    """Delete the records a topic has now; the topic stays."""
    with _workbench(profile) as wb:
        cleared = wb.clear_topic(name, **options)
    click.echo(f"{name}: {cleared.records} records deleted")


if __name__ == "__main__":
    main()
