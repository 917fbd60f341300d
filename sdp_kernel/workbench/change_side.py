"""What a workbench does with jobs that the repository has: pull one back, find what has drifted."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import RepositoryError, SdpError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sdp_kernel.deploy.deployed import Deployed
    from sdp_kernel.flink.functions import Functions
    from sdp_kernel.flink.jobs import JobManager
    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.pull import Pulled
    from sdp_kernel.repository.drift import Drift, Edge, Running
    from sdp_kernel.repository.git import Repository
    from sdp_kernel.repository.job import CommittedJob
    from sdp_kernel.settings import Profile, Settings


class ChangeSide:
    """The part of a workbench that goes on with committed jobs."""

    settings: Settings
    _profile: Profile
    _pulled: dict[str, Pulled]

    @property
    def session(self) -> Session:
        """The gateway session."""
        raise NotImplementedError

    @property
    def profile(self) -> Profile:
        """The profile."""
        raise NotImplementedError

    @property
    def jobmanager(self) -> JobManager:
        """The session cluster's JobManager."""
        raise NotImplementedError

    @property
    def functions(self) -> Functions:
        """The session's Python functions."""
        raise NotImplementedError

    if TYPE_CHECKING:

        @property
        def deployed(self) -> Deployed:
            """The jobs on Kubernetes."""
            raise NotImplementedError

    def pull(self, job: str, *, repository: Path | None = None) -> Pulled:
        """Bring a committed job back into the session: run what it declares, and return its cell.

        It is read as it is on the job's branch where that is ahead of what is checked out, else as it is
        checked out. Promoting the cell again, as ``pulled.command`` says, changes nothing; what is changed
        in it is shown as a change of that job, and needs no ``replace``.

        Parameters
        ----------
        repository
            In place of ``[promote] repository``.

        Raises
        ------
        UsageError, ParameterError
            There is no such job, or it cannot be read. Nothing has been run.
        PromoteError
            The session has something else under a name that the job declares. Nothing has been run.
        StatementError
            Flink refuses a statement; those before it keep their effect.
        """
        from sdp_kernel.promote import change  # noqa: PLC0415
        from sdp_kernel.promote.pull import pull  # noqa: PLC0415
        from sdp_kernel.repository import job as jobs  # noqa: PLC0415

        found = self._repository(repository)
        base, _ = found.base_for(self.settings.promote.branch.format(job=job))
        with tempfile.TemporaryDirectory(prefix="sdp-pull-") as scratch:
            root = found.export(base, Path(scratch))
            jobs.check_known(root, job)
            pulled = pull(
                self._committed(root, job),
                self.session,
                self.functions,
                commit=base,
                receipt=_receipt(root, job),
                fingerprint=change.fingerprint(found, base, job),
            )
        self._pulled[job] = pulled
        return pulled

    def drift(self, *names: str, repository: Path | None = None) -> Drift:
        """Compare jobs three ways: notebook cell, repository as checked out, and the profile's cluster.

        Reads only. What cannot be compared is ``unknown``, with the reason.

        Parameters
        ----------
        names
            Jobs of the repository; all of them by default.
        repository
            In place of ``[promote] repository``.

        Raises
        ------
        UsageError
            The repository has no such job.
        RepositoryError
            There is no repository, or it has no commit.
        """
        from sdp_kernel.repository import drift, report  # noqa: PLC0415
        from sdp_kernel.repository import job as jobs  # noqa: PLC0415

        found = self._repository(repository)
        commit = found.git("rev-parse", "HEAD")
        with tempfile.TemporaryDirectory(prefix="sdp-drift-") as scratch:
            root = found.export(commit, Path(scratch))
            wanted = [jobs.check_known(root, name) for name in names] or list(jobs.names(root))
            cluster = self._cluster()
            looked = []
            for name in wanted:
                try:
                    job = self._committed(root, name)
                except SdpError as error:
                    edge = drift.Edge(drift.UNKNOWN, error.message)
                    looked.append(drift.JobDrift(name, edge, edge))
                    continue
                problem = report.evidence_of(root, name).problem
                find = _notebooks(found, self.settings.root)
                cell = drift.of_cell(job, _receipt(root, name), problem, find)
                looked.append(drift.JobDrift(name, cell, cluster.edge(job)))
            others = () if names else drift.others(cluster.running, jobs.names(root))
        return drift.Drift(commit, cluster.place, tuple(looked), others)

    def _repository(self, given: Path | None) -> Repository:
        from sdp_kernel.repository.git import Repository  # noqa: PLC0415

        return Repository.find(self.settings.repository(given))

    def _committed(self, root: Path, name: str) -> CommittedJob:
        from sdp_kernel.repository import job as jobs  # noqa: PLC0415

        kubernetes = self._profile.kubernetes
        return jobs.read(
            root,
            name,
            kafka=self.profile.kafka,
            functions=self.profile.functions or str(root / "sql" / "functions"),
            namespace=kubernetes.namespace if kubernetes else "default",
            module_source=self.settings.promote.module_source,
        )

    def _cluster(self) -> _Cluster:
        if self._profile.kubernetes is not None:
            return _Kubernetes(self.deployed)
        return _SessionCluster(self.jobmanager, self.session)


class _Cluster:
    """Where jobs run: asked once for all that it has."""

    place = ""
    running: Sequence[Running] = ()

    def edge(self, job: CommittedJob) -> Edge:
        """Compare a job of the repository with what runs."""
        raise NotImplementedError


class _SessionCluster(_Cluster):
    def __init__(self, jobmanager: JobManager, session: Session) -> None:
        self.place = f"session cluster at {jobmanager.url}"
        self._session = session
        self._jobmanager = jobmanager
        self.running = tuple(self._look())

    def _look(self) -> Iterator[Running]:
        from sdp_kernel.deploy.script_mark import CONFIG, FUNCTIONS, SCRIPT  # noqa: PLC0415
        from sdp_kernel.repository.drift import Running, operators_of  # noqa: PLC0415

        for job in self._jobmanager.jobs():
            if not job.done:
                with contextlib.suppress(SdpError):  # one that has just ended
                    marks = self._jobmanager.settings(job.id)
                    script, config, functions = map(marks.get, (SCRIPT, CONFIG, FUNCTIONS))
                    lines = operators_of(self._jobmanager.plan(job.id))
                    yield Running(job.id, job.name, job.state, script, lines, config, functions)

    def edge(self, job: CommittedJob) -> Edge:
        from sdp_kernel.deploy.script_mark import script_hash  # noqa: PLC0415
        from sdp_kernel.repository.drift import of_session  # noqa: PLC0415

        mine = [one for one in self.running if one.name == job.name]
        return of_session(job, mine, script_hash, lambda: self._expected(job))

    def _expected(self, job: CommittedJob) -> Sequence[str] | str:
        from sdp_kernel.flink.operator_graph import operator_graph  # noqa: PLC0415
        from sdp_kernel.repository.planning import declared  # noqa: PLC0415

        texts = [found.text for found in job.statements]
        try:
            with declared(self._session, texts, job.name) as clean:
                return [one.text for one in operator_graph(clean, texts[-1]) if one.text]
        except SdpError as error:
            return error.message


class _Kubernetes(_Cluster):
    def __init__(self, deployed: Deployed) -> None:
        from sdp_kernel.repository.drift import Running  # noqa: PLC0415

        where = deployed.kubernetes
        self.place = f"namespace {where.namespace}"
        self._live = {one["metadata"]["name"]: one for one in deployed.resources()}
        self.running = tuple(Running(where.namespace, name, "", None, ()) for name in sorted(self._live))

    def edge(self, job: CommittedJob) -> Edge:
        from sdp_kernel.deploy.manifest import build  # noqa: PLC0415
        from sdp_kernel.repository.drift import UNKNOWN, Edge, of_resource  # noqa: PLC0415

        try:
            manifest = build(job.arguments, job.root / "terraform")
        except SdpError as error:
            return Edge(UNKNOWN, error.message)
        return of_resource(manifest, self._live.get(job.name))


def _receipt(root: Path, job: str) -> dict[str, Any] | None:
    try:
        found = json.loads((root / "sql" / "jobs" / f"{job}.receipt.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _notebooks(repository: Repository, project: Path) -> Callable[[str], Path | None]:
    """Return what finds a notebook: from the repository's top, or by a file name that only one has."""

    def find(name: str) -> Path | None:
        for top in (repository.root, project):
            path = (top / name).resolve()
            if path.is_file() and path.is_relative_to(top.resolve()):
                return path
        with contextlib.suppress(RepositoryError):
            listed = repository.git("ls-files", "--cached", "--others", "--exclude-standard", "*.ipynb")
            found = [one for one in listed.splitlines() if Path(one).name == name]
            if len(found) == 1 and (repository.root / found[0]).is_file():
                return repository.root / found[0]
        return None

    return find
