"""What a workbench does with jobs on Kubernetes: look after those that are deployed, apply one."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sdp_kernel.deploy.apply import Applied, Change
    from sdp_kernel.deploy.deployed import Deployed
    from sdp_kernel.deploy.resources import DeployedJob
    from sdp_kernel.masking import Policy
    from sdp_kernel.settings import Profile, Settings


class DeploySide:
    """The part of a workbench that asks Kubernetes."""

    settings: Settings
    _profile: Profile

    @property
    def masking(self) -> Policy:
        """What is hidden."""
        raise NotImplementedError

    @cached_property
    def deployed(self) -> Deployed:
        """The jobs in the profile's namespace: ``deployed.jobs()``, ``deployed.suspend(name, confirm=True)``.

        Raises
        ------
        UsageError
            The profile is not on Kubernetes.
        """
        from sdp_kernel.deploy.deployed import Deployed  # noqa: PLC0415
        from sdp_kernel.flink.veil import Veil  # noqa: PLC0415

        return Deployed(self._profile, self.settings, veil=Veil() if self.masking else None)

    def apply(
        self,
        job: str,
        *,
        repository: Path | None = None,
        dry_run: bool = False,
        force_conflicts: bool = False,
        confirm: bool = False,
        wait: float = 60.0,
        on_plan: Callable[[Change], None] | None = None,
        on_look: Callable[[DeployedJob], None] | None = None,
    ) -> Applied:
        """Apply ``terraform/JOB.tf`` to the profile's namespace without Terraform, for development.

        The FlinkSessionJob is what Terraform would apply, byte for byte. It is applied on the server's
        side, as the field manager ``sdp``.

        Parameters
        ----------
        job
            The job: its file's name.
        repository
            The team's repository; that of ``[promote]``, or the project's directory, by default.
        dry_run
            Only ask the server what would change.
        force_conflicts
            Take fields over from another manager, such as Terraform.
        confirm
            Needed unless it is a dry run.
        wait
            Seconds to wait for what the operator makes of it; 0 does not wait.
        on_plan, on_look
            Called with what will change, before it does; and with each state of the job.

        Raises
        ------
        UsageError, ParameterError
            The file has what only Terraform evaluates, or what the module refuses. Nothing is contacted.
        ReadOnly
            The profile is read-only or without ``apply = true``, or nobody confirmed.
        Conflict, ResourceNotFound, MissingCrd, Forbidden, Expired, KubernetesError
            As their names say; nothing has been changed.
        JobFailed
            The operator could not run it.
        """
        return self.deployed.apply(
            job, repository=repository, dry_run=dry_run, force_conflicts=force_conflicts, confirm=confirm,
            wait=wait, on_plan=on_plan, on_look=on_look,
        )  # fmt: skip
