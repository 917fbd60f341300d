"""``sdp init``: a team's repository, with an example job that was really promoted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import click

from sdp_kernel import settings
from sdp_kernel.errors import PromoteError, SdpError

_CELL_S = 600


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
    """Promote the example of a new repository on its embedded stack; returns the commit.

    The stack is started where it does not run, and then stopped again; its topics stay.

    Raises
    ------
    PromoteError
        It did not run to its end. The repository stands without the job.
    """
    from sdp_kernel.local.examples import seed  # noqa: PLC0415
    from sdp_kernel.local.stack import Stack  # noqa: PLC0415
    from sdp_kernel.local.terminal import stack_progress  # noqa: PLC0415
    from sdp_kernel.repository.init import NOTEBOOK  # noqa: PLC0415

    loaded = settings.load(root)
    stack = Stack(loaded.make_state_dir(), settings=loaded.local)
    running = stack.running()
    started = running is None
    try:
        if running is None:
            with stack_progress() as progress:
                running = stack.up(progress)
        seed(running.kafka or "")
        return run_example(root)
    except SdpError as error:
        raise PromoteError(
            f"the repository is made, its example job is not: {error.message}",
            hint=f"{error.hint}; then run {NOTEBOOK}".removeprefix("; "),
            detail=error.detail,
        ) from None
    finally:
        if started:
            stack.down()


def run_example(root: Path) -> str:
    """Run the example's notebook as Jupyter does, and take in what it promotes; returns the commit.

    Its kernel knows the notebook's path; the file stays as it is.

    Raises
    ------
    SdpError
        A cell failed, with its reason.
    """
    import nbformat  # noqa: PLC0415
    from nbclient import NotebookClient  # noqa: PLC0415
    from nbclient.exceptions import CellExecutionError  # noqa: PLC0415

    from sdp_kernel.repository.init import EXAMPLE_JOB, NOTEBOOK, take_in  # noqa: PLC0415

    notebook = root / NOTEBOOK
    client = NotebookClient(
        nbformat.read(notebook, as_version=4),
        timeout=_CELL_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(notebook.parent)}},
    )
    try:
        client.execute(
            env={**os.environ, "JPY_SESSION_NAME": str(notebook), "JUPYTER_PLATFORM_DIRS": "1"},
            stderr=subprocess.DEVNULL,
        )
    except CellExecutionError as error:
        message, _, hint = error.evalue.partition("\n→ ")
        raise SdpError(f"{error.ename}: {message}", hint=hint, detail=error.traceback) from None
    except (RuntimeError, TimeoutError) as error:
        raise SdpError(f"the notebook did not run: {error}") from None
    return take_in(root, settings.load(root).promote.branch.format(job=EXAMPLE_JOB))
