"""What a profile may do with jobs on its Kubernetes: list them, change them, apply one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sdp_kernel.deploy import apply as applying
from sdp_kernel.deploy import operations, resources
from sdp_kernel.deploy.figures import Figures, figures
from sdp_kernel.deploy.kubernetes import FLINK_SESSION_JOB, Api
from sdp_kernel.deploy.manifest import Manifest, read_manifest
from sdp_kernel.deploy.module_arguments import check_job_name
from sdp_kernel.deploy.verdict import await_verdict
from sdp_kernel.errors import ReadOnly, UsageError
from sdp_kernel.kafka.admin import may_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sdp_kernel.deploy.operations import Savepoint
    from sdp_kernel.deploy.resources import DeployedJob
    from sdp_kernel.deploy.verdict import Verdict
    from sdp_kernel.flink.veil import Veil
    from sdp_kernel.settings import KubernetesSettings, Profile, Settings


class Deployed:
    """The jobs in the namespace of a profile. Each call opens a connection of its own.

    Changes need a profile that is not read-only, and ``confirm=True``.

    Raises
    ------
    UsageError
        The profile is not on Kubernetes.
    """

    def __init__(self, profile: Profile, settings: Settings, *, veil: Veil | None = None) -> None:
        if profile.kubernetes is None:
            known = ", ".join(sorted(n for n, p in settings.profiles.items() if p.kubernetes)) or "none"
            raise UsageError(
                f"the profile {profile.name} is not on Kubernetes",
                hint=f"profiles that are: {known}; add [profiles.{profile.name}.kubernetes] to sdp.toml",
            )
        self.kubernetes: KubernetesSettings = profile.kubernetes
        self._profile = profile
        self._settings = settings
        self._veil = veil

    @contextmanager
    def _api(self) -> Iterator[Api]:
        with Api(self.kubernetes) as api:
            yield api

    def _changing(self, what: str, *, confirm: bool) -> None:
        may_change(self._profile, what, confirmed=confirm)

    def jobs(self) -> list[DeployedJob]:
        """List the FlinkSessionJobs, and the FlinkDeployments with a job, by name."""
        with self._api() as api:
            return resources.deployed_jobs(api, veil=self._veil)

    def resources(self) -> list[dict[str, Any]]:
        """List the FlinkSessionJobs as the server has them."""
        with self._api() as api:
            return list(api.list(FLINK_SESSION_JOB))

    def figures(self, jobs: list[DeployedJob]) -> Figures:
        """Return the vital signs of those that run, as far as their clusters can be reached."""
        with self._api() as api:
            return figures(api, jobs)

    def suspend(
        self,
        name: str,
        *,
        confirm: bool = False,
        force: bool = False,
        wait: float = operations.WAIT_S,
        on_look: Callable[[DeployedJob], None] | None = None,
    ) -> Verdict:
        """Stop a job as its ``upgradeMode`` says, so that it can go on later.

        Parameters
        ----------
        name
            The resource's name, or ``KIND/NAME``.
        force
            Also where Terraform manages the job.
        wait
            Seconds to wait for the operator.
        on_look
            Called with each new state.

        Raises
        ------
        ReadOnly, Conflict, JobFailed, ResourceNotFound, KubernetesError
            As :func:`sdp_kernel.deploy.operations.set_state`.
        """
        self._changing(f"suspend the job {name!r}", confirm=confirm)
        with self._api() as api:
            return operations.set_state(
                api, name, "suspended", force=force, seconds=wait, on_look=on_look, veil=self._veil
            )

    def resume(
        self,
        name: str,
        *,
        confirm: bool = False,
        force: bool = False,
        wait: float = operations.WAIT_S,
        on_look: Callable[[DeployedJob], None] | None = None,
    ) -> Verdict:
        """Let a suspended job go on; as :meth:`suspend`."""
        self._changing(f"resume the job {name!r}", confirm=confirm)
        with self._api() as api:
            return operations.set_state(
                api, name, "running", force=force, seconds=wait, on_look=on_look, veil=self._veil
            )

    def restart(
        self,
        name: str,
        *,
        confirm: bool = False,
        force: bool = False,
        wait: float = operations.WAIT_S,
        on_look: Callable[[DeployedJob], None] | None = None,
    ) -> Verdict:
        """Restart a job; as :meth:`suspend`."""
        self._changing(f"restart the job {name!r}", confirm=confirm)
        with self._api() as api:
            return operations.restart(api, name, force=force, seconds=wait, on_look=on_look, veil=self._veil)

    def savepoint(
        self,
        name: str,
        *,
        directory: str | None = None,
        confirm: bool = False,
        wait: float = operations.SAVEPOINT_S,
    ) -> Savepoint:
        """Take a savepoint of a job that goes on; it stays until somebody deletes its files.

        Raises
        ------
        ReadOnly, JobFailed, ResourceNotFound, KubernetesError
            As :func:`sdp_kernel.deploy.operations.savepoint`.
        """
        self._changing(f"take a savepoint of the job {name!r}", confirm=confirm)
        with self._api() as api:
            return operations.savepoint(api, name, directory=directory, seconds=wait, veil=self._veil)

    def delete(
        self, name: str, *, confirm: bool = False, force: bool = False, wait: float = operations.WAIT_S
    ) -> str:
        """Delete a job; returns a line on what became of it. Raises as :meth:`suspend`."""
        self._changing(f"delete the job {name!r}", confirm=confirm)
        with self._api() as api:
            return operations.delete(api, name, force=force, seconds=wait)

    def manifest(self, job: str, *, repository: Path | None = None) -> Manifest:
        """Build what ``terraform/JOB.tf`` of the repository gives Kubernetes; nothing is contacted.

        Raises
        ------
        UsageError, ParameterError
            The file has what only Terraform evaluates, or what the module refuses.
        """
        check_job_name(job)
        root = self._settings.repository(repository)
        return read_manifest(
            root / "terraform",
            job,
            kafka=self._profile.kafka,
            functions=self._profile.functions,
            namespace=self.kubernetes.namespace,
            module_source=self._settings.promote.module_source,
        )

    def apply(
        self,
        job: str,
        *,
        repository: Path | None = None,
        dry_run: bool = False,
        force_conflicts: bool = False,
        confirm: bool = False,
        wait: float = operations.WAIT_S,
        on_plan: Callable[[applying.Change], None] | None = None,
        on_look: Callable[[DeployedJob], None] | None = None,
    ) -> applying.Applied:
        """Apply ``terraform/JOB.tf`` without Terraform; see :meth:`sdp_kernel.Workbench.apply`."""
        manifest = self.manifest(job, repository=repository)
        if not dry_run:
            self._may_apply(job, confirm=confirm)
        with self._api() as api:
            change = applying.plan(api, manifest, force=force_conflicts)
            if on_plan is not None:
                on_plan(change)
            if dry_run:
                return applying.Applied(change, dry_run=True)
            resource = applying.carry_out(api, change, force=force_conflicts)
            if wait <= 0:
                return applying.Applied(change, dry_run=False)
            verdict = await_verdict(
                api, FLINK_SESSION_JOB, resource, before=change.before, seconds=wait, on_look=on_look
            )
        return applying.Applied(change, dry_run=False, verdict=verdict)

    def _may_apply(self, job: str, *, confirm: bool) -> None:
        name = self._profile.name
        if not self._profile.read_only and not self.kubernetes.apply:
            raise ReadOnly(
                f"the profile {name!r} takes no jobs from here: its namespace is Terraform's",
                hint=f"merge terraform/{job}.tf; for development, set apply = true in "
                f"[profiles.{name}.kubernetes]",
            )
        self._changing(f"apply the job {job!r}", confirm=confirm)
