"""``sdp init``: a team's repository, with an example job that was really promoted."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdp_kernel import settings
from sdp_kernel.errors import PromoteError, SdpError

if TYPE_CHECKING:
    from sdp_kernel.local.stack import Stack

_CELL_S = 180
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@click.command("init")
@click.argument("directory", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="The heading of its README; the directory's name otherwise.")
@click.option("--environments", default="dev,prod", show_default=True, help="Profiles on Kubernetes.")
@click.option("--namespace", default="flink", show_default=True, help="Of the environments, to begin with.")
@click.option("--session-cluster", default="session", show_default=True, help="Their FlinkDeployment.")
@click.option("--modules", metavar="SOURCE", help="Terraform source of the SQL job module; a copy otherwise.")
@click.option("--example/--no-example", default=True, help="Promote an example on the embedded stack.")
def init(
    directory: Path,
    name: str | None,
    environments: str,
    namespace: str,
    session_cluster: str,
    modules: str | None,
    *,
    example: bool,
) -> None:
    """Make a team's repository: layout, settings, Terraform root, pipeline, README, an example job.

    Nothing is written over. Outside of a repository one is made, with a first commit.
    """
    from sdp_kernel.repository import init as new  # noqa: PLC0415

    root = directory.resolve()
    team = new.Team(
        name or root.name or "Streaming jobs",
        tuple(filter(None, (word.strip() for word in environments.split(",")))),
        modules,
        namespace,
        session_cluster,
        example,
    )
    files = new.contents(team, root)
    ground = new.survey(root)
    commit = new.create(ground, files)
    for path in dict.fromkeys(map(_shown, files)):
        click.echo(f"wrote {path}")
    if commit is None:
        click.echo(f"{root} has commits already: look at the files, and commit them yourself")
    else:
        click.echo(f"committed {commit[:10]}")
    if example and commit is None:
        click.echo(f"the example is {new.NOTEBOOK}: once they are committed, run it for its job")
    elif example:
        click.echo("promoting the example on the embedded stack …")
        click.echo(f"job {new.EXAMPLE_JOB}: {promote_example(root)[:10]}")
    click.echo("next: fill in the environments in sdp.toml, then `sdp pipeline --force`; `sdp lab` to begin")


def _shown(path: str) -> str:
    """Return a file's path, or its folder's where that tells enough."""
    folder = path.rpartition("/")[0]
    return f"{folder}/" if path.endswith("/.gitkeep") or "/modules/" in path else path


def promote_example(root: Path) -> str:
    """Run the example's notebook in a new repository, and take in what it promotes; returns the commit.

    The stack is started where it does not run, and then stopped again; its topics stay.

    Raises
    ------
    PromoteError
        It did not run to its end. The repository stands without the job.
    """
    from sdp_kernel.repository import init as new  # noqa: PLC0415
    from sdp_kernel.repository.git import Repository  # noqa: PLC0415

    loaded = settings.load(root)
    try:
        with_stack = loaded.profile("local").embedded
        stack, started = _stack(loaded) if with_stack else (None, False)
        try:
            _execute(root / new.NOTEBOOK)
        finally:
            if stack is not None and started:
                stack.down()
        new.take_in(root, loaded.promote.branch.format(job=new.EXAMPLE_JOB))
    except SdpError as error:
        raise PromoteError(
            f"the repository is made, its example job is not: {error.message}",
            hint=f"{error.hint}; then run {new.NOTEBOOK}".removeprefix("; "),
            detail=error.detail,
        ) from None
    return Repository(root).git("rev-parse", "HEAD")


def _stack(loaded: settings.Settings) -> tuple[Stack, bool]:
    """Return the seeded stack of a repository, and whether it was started for this."""
    from sdp_kernel.local.examples import seed  # noqa: PLC0415
    from sdp_kernel.local.stack import Stack  # noqa: PLC0415
    from sdp_kernel.local.terminal import stack_progress  # noqa: PLC0415

    stack = Stack(loaded.make_state_dir(), settings=loaded.local)
    info, started = stack.running(), False
    if info is None:
        with stack_progress() as progress:
            info, started = stack.up(progress), True
    seed(info.kafka or "")
    return stack, started


def _execute(notebook: Path) -> None:
    """Run a notebook as Jupyter does, in a kernel that knows its path; its file stays as it is."""
    import nbformat  # noqa: PLC0415
    from nbclient import NotebookClient  # noqa: PLC0415
    from nbclient.exceptions import CellExecutionError  # noqa: PLC0415

    client = NotebookClient(
        nbformat.read(notebook, as_version=4),
        timeout=_CELL_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(notebook.parent)}},
    )
    try:
        client.execute(env={**os.environ, "JPY_SESSION_NAME": str(notebook), "JUPYTER_PLATFORM_DIRS": "1"})
    except CellExecutionError as error:
        lines = [line for line in _COLOURS.sub("", error.traceback).splitlines() if line.strip()]
        raise SdpError(lines[-1] if lines else error.ename, detail=error.traceback) from None
    except (RuntimeError, TimeoutError) as error:
        raise SdpError(f"the notebook did not run: {error}") from None
