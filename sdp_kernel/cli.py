"""The ``sdp`` command: the workbench's verbs where a notebook is not needed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sdp_kernel import settings
from sdp_kernel.errors import SdpError
from sdp_kernel.version import __version__

if TYPE_CHECKING:
    from sdp_kernel.local.stack import Stack


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


def _stack() -> Stack:
    from sdp_kernel.local.stack import Stack  # noqa: PLC0415

    loaded = settings.load()
    return Stack(loaded.make_state_dir(), settings=loaded.local)


@main.command()
def up() -> None:
    """Start the embedded stack: Kafka, JobManager, TaskManager, SQL gateway."""
    stack = _stack()
    info = stack.running()
    if info is None:
        from sdp_kernel.local.terminal import stack_progress  # noqa: PLC0415

        with stack_progress() as progress:
            info = stack.up(progress)
    for name, address in (("kafka", info.kafka), ("jobmanager", info.jobmanager), ("gateway", info.gateway)):
        click.echo(f"{name:<12} {address}")


@main.command()
@click.option("--purge", is_flag=True, help="Delete the topics and logs as well.")
def down(*, purge: bool) -> None:
    """Stop the embedded stack; nothing is left running."""
    _stack().down(purge=purge)
    click.echo("stopped")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(*, as_json: bool) -> None:
    """Show the stack's health, ports and memory; exits with 1 unless all of it runs."""
    state = _stack().status()
    if as_json:
        rows = [
            {"name": c.name, "state": c.state, "healthy": c.healthy, "port": c.port, "pid": c.pid,
             "memory": c.memory, "detail": c.detail}
            for c in state.components
        ]  # fmt: skip
        click.echo(json.dumps({"components": rows, "memory": state.memory}, indent=2))
    else:
        click.echo(f"{'component':<12} {'state':<9} {'port':>6} {'memory':>8} {'pid':>8}")
        for c in state.components:
            memory = f"{c.memory / 2**20:.0f} MB" if c.memory else "-"
            click.echo(f"{c.name:<12} {c.state:<9} {c.port or '-':>6} {memory:>8} {c.pid or '-':>8}")
            if c.detail:
                click.echo(f"  {c.detail}")
        click.echo(f"{'in all':<12} {'':<9} {'':>6} {state.memory / 2**20:.0f} MB")
    if not all(c.healthy for c in state.components):
        sys.exit(1)


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


@main.command()
@click.option("--profile", default="local", show_default=True)
@click.option("--cluster", help="Alias of the Kafka cluster.")
def topics(profile: str, cluster: str | None) -> None:
    """List topics."""
    from sdp_kernel.workbench import connect  # noqa: PLC0415

    with connect(profile) as wb:
        frame = wb.topics(cluster=cluster)
    click.echo(frame.drop(columns=["size"]).to_string(index=False))


@main.command()
@click.argument("topic")
@click.option("-n", default=10, show_default=True, help="Messages to read.")
@click.option("--head", is_flag=True, help="The oldest messages; the newest otherwise.")
@click.option("--format", "format_", type=click.Choice(["json", "text", "bytes"]), help="Detected otherwise.")
@click.option("--profile", default="local", show_default=True)
@click.option("--cluster", help="Alias of the Kafka cluster.")
def sample(topic: str, n: int, *, head: bool, format_: str | None, profile: str, cluster: str | None) -> None:
    """Sample a topic."""
    from sdp_kernel.workbench import connect  # noqa: PLC0415

    with connect(profile) as wb:
        result = wb.sample(topic, n=n, at="head" if head else "tail", format=format_, cluster=cluster)
    click.echo(result.df.to_string(index=False))


@main.command()
@click.argument("topic")
@click.option("--name", help="The table's name; the topic's otherwise.")
@click.option("--profile", default="local", show_default=True)
@click.option("--cluster", help="Alias of the Kafka cluster.")
def table(topic: str, name: str | None, profile: str, cluster: str | None) -> None:
    """Print a CREATE TABLE inferred from a topic."""
    from sdp_kernel.workbench import connect  # noqa: PLC0415

    with connect(profile) as wb:
        click.echo(wb.table(topic, name=name, cluster=cluster).ddl)


if __name__ == "__main__":
    main()
