"""Drift: a job in its notebook's cell, in the repository, and on the cluster, held against each other.

What is asked of a cluster is not asked here: this compares what was found, and says what cannot be known.
"""

from __future__ import annotations

import dataclasses
import difflib
import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.deploy.outline import outline
from sdp_kernel.deploy.script_mark import config_hash, names_functions
from sdp_kernel.errors import SdpError
from sdp_kernel.flink.ledger import text_hash
from sdp_kernel.flink.script import split
from sdp_kernel.repository import drift_view
from sdp_kernel.repository.notebooks import cell_bodies, query_of
from sdp_kernel.repository.run_record import config_of, functions_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sdp_kernel.deploy.manifest import Manifest
    from sdp_kernel.repository.job import CommittedJob

SAME, CHANGED, ONLY, UNKNOWN = "same", "changed", "only", "unknown"
_LINE = re.compile(r"(?<![^\s>-])\[\d+\]:(.*?)(?=<br/>|$)", re.DOTALL)
#: What a job's resource may have beyond what Terraform says, and is no drift.
_WHOLE = frozenset({"flinkConfiguration", "args"})


@dataclass(frozen=True)
class Edge:
    """How a job is in two places.

    ``state`` is ``same``, ``changed``, ``only`` (one place has it, the other has not) or ``unknown``; ``why``
    says it in words, ``diff`` what differs, from the first place to the second.
    """

    state: str
    why: str = ""
    diff: str = ""

    @property
    def drifted(self) -> bool:
        """Whether the places are known to differ."""
        return self.state in {CHANGED, ONLY}


@dataclass(frozen=True)
class JobDrift:
    """A job: ``cell`` is from its cell to the repository, ``cluster`` from the repository to the cluster."""

    job: str
    cell: Edge
    cluster: Edge

    @property
    def drifted(self) -> bool:
        """Whether any two places are known to differ."""
        return self.cell.drifted or self.cluster.drifted


@dataclass(frozen=True)
class Drift:
    """All jobs that were looked at.

    Attributes
    ----------
    commit
        The repository's, compared with.
    place
        The cluster, in words.
    jobs
        The repository's, by name.
    others
        Jobs that run on the cluster and are no job of the repository: their names with their ids. They are
        listed, and are no drift of any job.
    """

    commit: str
    place: str
    jobs: tuple[JobDrift, ...]
    others: tuple[tuple[str, str], ...] = field(default=())

    @property
    def drifted(self) -> bool:
        """Whether a job of the repository is known to differ anywhere."""
        return any(job.drifted for job in self.jobs)

    def to_text(self) -> str:
        """Show it as text."""
        return drift_view.text(self)

    def to_html(self) -> str:
        """Show it as HTML; everything in it is escaped."""
        return drift_view.html(self)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**dataclasses.asdict(self), "drifted": self.drifted}


@dataclass(frozen=True)
class Running:
    """A job that runs on a session cluster.

    Attributes
    ----------
    script
        The hash of the script it was started with, where whoever started it left that behind.
    operators
        Its operators' lines.
    config, functions
        The hashes of its configuration and of its Python functions' text, where they were left behind.
    """

    id: str
    name: str
    state: str
    script: str | None
    operators: tuple[str, ...]
    config: str | None = None
    functions: str | None = None


def operators_of(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the operators' lines of ``GET /jobs/:id/plan``."""
    nodes = plan.get("plan", plan).get("nodes", ())
    return tuple(
        html.unescape(line).strip()
        for node in nodes
        for line in _LINE.findall(str(node.get("description", "")).replace("\n", " "))
    )


def of_cell(
    job: CommittedJob,
    receipt: Mapping[str, Any] | None,
    problem: str | None,
    find: Callable[[str], Path | None],
) -> Edge:
    """Compare the cell that a job was promoted from, as it stands on disk, with the repository.

    Parameters
    ----------
    receipt, problem
        The job's receipt, and why it does not prove the repository's SQL; None where it does.
    find
        Returns a notebook by what the receipt calls it; None where there is none.
    """
    cell = (receipt or {}).get("cell")
    if not isinstance(cell, dict):
        return Edge(UNKNOWN, problem or "it has no receipt: it was not promoted from a cell")
    name, notebook = cell.get("name"), cell.get("notebook")
    if not isinstance(name, str) or not isinstance(notebook, str):
        return Edge(UNKNOWN, "the receipt names no cell of a notebook")
    path = find(notebook)
    bodies = None if path is None else cell_bodies(path, name)
    if path is None:
        return Edge(ONLY, f"only in the repository: {notebook} is not there")
    if bodies is None:
        return Edge(UNKNOWN, f"{notebook} cannot be read as a notebook")
    if not bodies:
        return Edge(ONLY, f"only in the repository: {notebook} has no cell {name}")
    if len(bodies) > 1:
        return Edge(UNKNOWN, f"{notebook} has {len(bodies)} cells called {name}")
    committed, _ = query_of(split(job.written)[-1], receipt)
    try:
        now = [found.text for found in split(bodies[0])][-1:]
    except SdpError:
        now = []
    if text_hash(bodies[0]) == cell.get("sha256"):
        if problem is None:
            return Edge(SAME, f"cell {name} of {notebook}")
        return Edge(CHANGED, problem, _diff("\n".join(now), committed, f"cell {name}", "repository"))
    diff = _diff("\n".join(now), committed, f"cell {name}", "repository")
    return Edge(CHANGED, f"cell {name} of {notebook} was edited since it was promoted", diff)


def of_session(
    job: CommittedJob,
    running: Sequence[Running],
    hash_of: Callable[[str], str],
    expected: Callable[[], Sequence[str] | str],
) -> Edge:
    """Compare a job of the repository with what runs under its name on a session cluster.

    Parameters
    ----------
    running
        The jobs of that name that have not ended.
    hash_of
        Of a script, as it is left behind with a job that is started.
    expected
        Returns the lines of the operators that the committed script gives, or why they are not known;
        asked only where the hash does not settle it.
    """
    wanted = bool(job.arguments["enabled"]) and job.arguments["state"] == "running"
    if not running:
        if not wanted:
            return Edge(SAME, "not to run, and does not")
        return Edge(ONLY, "only in the repository: no job of that name runs")
    if len(running) > 1:
        return Edge(
            CHANGED, f"{len(running)} jobs run under that name: {', '.join(one.id for one in running)}"
        )
    (one,) = running
    if not wanted:
        return Edge(ONLY, f"runs as {one.id}, and the repository says that it is not to")
    if one.script == hash_of(job.script):
        return _of_marks(job, one)
    lines = expected()
    if isinstance(lines, str):
        known = "runs another script" if one.script else "nothing says which script it runs"
        return Edge(CHANGED if one.script else UNKNOWN, f"{known}; its operators are not known: {lines}")
    diff = _diff("\n".join(lines), "\n".join(one.operators), "repository", one.id)
    if sorted(lines) != sorted(one.operators):
        return Edge(CHANGED, f"{one.id} runs other operators than the committed script has", diff)
    if one.script:
        return Edge(
            CHANGED, f"{one.id} runs another script, of the same operators: settings or options differ"
        )
    return Edge(
        UNKNOWN, f"{one.id} has the operators of the committed script; options of its tables are not known"
    )


def _of_marks(job: CommittedJob, one: Running) -> Edge:
    """Compare what goes with the committed script that a job runs: configuration, Python functions."""
    if one.config and one.config != config_hash(config_of(job)):
        return Edge(CHANGED, f"{one.id} runs the committed script with another configuration or parallelism")
    if names_functions(job.script):
        committed = functions_of(job)
        if not committed or not one.functions:
            return Edge(
                UNKNOWN,
                f"{one.id} runs the committed script; nothing says which text its Python functions have",
            )
        if one.functions != committed:
            return Edge(
                CHANGED, f"{one.id} runs the committed script with other text of its Python functions"
            )
    return Edge(SAME, f"runs the committed script, as {one.id}")


def of_resource(manifest: Manifest, live: Mapping[str, Any] | None) -> Edge:
    """Compare what Terraform would apply with the resource that is there; None for none.

    What only the server has, such as defaults, is left out; configuration and arguments are compared whole.
    """
    if not manifest.enabled:
        if live is None:
            return Edge(SAME, "not to be there, and is not")
        return Edge(ONLY, f"{manifest.namespace} has it, and the repository says that it is not to")
    if live is None:
        return Edge(ONLY, f"only in the repository: {manifest.namespace} has no such FlinkSessionJob")
    theirs = _projected(live, manifest.content)
    before, after = outline(manifest.content), outline(theirs)
    if before == after:
        status = (live.get("status") or {}).get("jobStatus") or {}
        return Edge(SAME, f"as in the repository; its job is {status.get('state') or 'not there yet'}")
    diff = "\n".join(difflib.unified_diff(before, after, "repository", manifest.namespace, lineterm="", n=1))
    return Edge(CHANGED, f"its resource in {manifest.namespace} is another", diff)


def _projected(live: Any, wanted: Any) -> Any:
    """Return of a resource what the wanted one has as well."""
    if not (isinstance(live, dict) and isinstance(wanted, dict)):
        return live
    return {
        key: live[key] if key in _WHOLE else _projected(live[key], value)
        for key, value in wanted.items()
        if key in live
    } | {key: live[key] for key in _WHOLE & live.keys()}


def others(running: Iterable[Running], known: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return name and id of the running jobs that no name is of."""
    names = set(known)
    return tuple((one.name, one.id) for one in running if one.name not in names)


def _diff(old: str, new: str, first: str, second: str) -> str:
    return "\n".join(
        difflib.unified_diff(old.splitlines(), new.splitlines(), first, second, lineterm="", n=1)
    )
