"""Vital signs of jobs on Kubernetes, from the JobManagers that can be reached; notes on those that cannot."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdp_kernel.deploy.tunnel import tunnel
from sdp_kernel.errors import SdpError
from sdp_kernel.flink import vitals
from sdp_kernel.flink.jobs import JobManager

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.deploy.kubernetes import Api
    from sdp_kernel.deploy.resources import DeployedJob
    from sdp_kernel.flink.vitals import Vitals

#: So many jobs of a cluster are asked about, the rest are listed without figures.
_MOST = 50


@dataclass(frozen=True)
class Figures:
    """Vital signs by job id; a note for each cluster that was not reached."""

    vitals: Mapping[str, Vitals] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def figures(api: Api, jobs: Sequence[DeployedJob]) -> Figures:
    """Ask each cluster's JobManager about its jobs that run, by a port-forward. Raises nothing."""
    by_cluster: dict[str, list[DeployedJob]] = {}
    for job in jobs:
        if job.running:
            by_cluster.setdefault(job.cluster, []).append(job)
    found: dict[str, Vitals] = {}
    notes = []
    for cluster, running in sorted(by_cluster.items()):
        try:
            with tunnel(api, cluster) as url, contextlib.closing(JobManager(url)) as jobmanager:
                for job in running[:_MOST]:
                    found[job.job_id] = vitals.read(jobmanager, job.job_id)
        except SdpError as error:
            notes.append(f"no figures of {cluster}: {error.message}")
    return Figures(found, tuple(notes))
