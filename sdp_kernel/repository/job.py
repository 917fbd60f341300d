"""A job of the repository: what its Terraform file calls, and the SQL that it runs.

``terraform/JOB.tf`` is read as ``sdp apply`` reads it, so a job means here what it means to Terraform.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.deploy.manifest import render
from sdp_kernel.deploy.module_arguments import checked
from sdp_kernel.deploy.module_call import read_call
from sdp_kernel.errors import UsageError
from sdp_kernel.flink.script import split
from sdp_kernel.repository.notation import untemplate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sdp_kernel.connection import KafkaCluster
    from sdp_kernel.flink.script import Statement

JOBS, TERRAFORM, TESTS = "sql/jobs", "terraform", "tests"


@dataclass(frozen=True)
class CommittedJob:
    """A job definition, as it stands in a directory that holds the repository's files.

    Attributes
    ----------
    root
        The repository's top, or a copy of it at some commit.
    arguments
        The module's, checked, with its defaults filled in; ``args`` are the job's parameters.
    files
        Of its script, by their path from ``root``, in the order they run.
    script
        What runs: the files with everything filled in. It holds no secrets, only references to them.
    """

    name: str
    root: Path
    arguments: Mapping[str, Any] = field(repr=False)
    files: tuple[str, ...]
    script: str = field(repr=False)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The script's statements, in order; the last starts the job."""
        return tuple(split(self.script))

    @property
    def written(self) -> str:
        """The files' text as a cell has it: parameters and connections by name."""
        return "\n".join(untemplate(self.text(file)) for file in self.files)

    def text(self, file: str) -> str:
        """Return a file's text."""
        return (self.root / file).read_text(encoding="utf-8")


def names(root: Path) -> tuple[str, ...]:
    """Return the repository's jobs: those with a file in ``sql/jobs`` and a module call."""
    found = (path.name.removesuffix(".sql") for path in (root / JOBS).glob("*.sql"))
    return tuple(sorted(name for name in found if (root / TERRAFORM / f"{name}.tf").is_file()))


def check_known(root: Path, name: str) -> str:
    """Return ``name`` if the repository has a job of that name.

    Raises
    ------
    UsageError
        It has not; the hint names those it has.
    """
    if name not in names(root):
        known = ", ".join(names(root)) or "none"
        raise UsageError(f"{root} has no job {name}", hint=f"jobs: {known}; %promote makes one of a cell")
    return name


def read(
    root: Path,
    name: str,
    *,
    kafka: Mapping[str, KafkaCluster],
    functions: str | None = None,
    namespace: str = "default",
    module_source: str = "",
) -> CommittedJob:
    """Read a job from a directory that holds the repository's files.

    Parameters
    ----------
    kafka, functions, namespace
        What ``var.kafka``, ``var.functions`` and ``var.namespace`` are, as for the pipeline's environment.
    module_source
        A source that is the SQL job module too: ``[promote] module_source``.

    Raises
    ------
    UsageError, ParameterError
        There is no such job, or its file has what only Terraform evaluates or what the module refuses;
        or its SQL has no statement.
    StatementError
        Its SQL cannot be cut into statements.
    """
    check_known(root, name)
    terraform = root / TERRAFORM
    variables = {
        "kafka": {alias: dict(cluster.properties) for alias, cluster in kafka.items()},
        "functions": functions,
        "namespace": namespace,
    }
    call = read_call(terraform / f"{name}.tf", variables, module_source=module_source)
    values = checked(call.arguments, terraform, file=f"{name}.tf")
    files = tuple(_from_root(file, root) for file in values["sql"])
    job = CommittedJob(name, root, values, files, render(values, terraform))
    if not job.statements:
        raise UsageError(
            f"the job {name} does nothing: {files[-1]} has no statement",
            hint=f"promote a cell as {name}, or take the job out of {TERRAFORM}/",
        )
    return job


def _from_root(file: str, root: Path) -> str:
    path = (root / TERRAFORM / file).resolve()
    if not path.is_relative_to(root.resolve()):
        raise UsageError(f"{file} is outside the repository {root}", hint="a job's SQL is kept under sql/")
    return path.relative_to(root.resolve()).as_posix()
