"""Runs a SQL job on a session cluster: Flink's own ``SqlDriver``, carried by an empty jar."""

from __future__ import annotations

import contextlib
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.deploy.script_mark import marked
from sdp_kernel.errors import JobFailed, SdpError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.flink.jobs import JobManager

DRIVER = "org.apache.flink.table.runtime.application.SqlDriver"
_START_S = 60.0
_STEADY_S = 1.5
_TURN_S = 0.1


def run_sql_job(
    jobmanager: JobManager,
    script: str,
    *,
    name: str,
    savepoint: str | None = None,
    allow_non_restored_state: bool = False,
    config: Mapping[str, str] | None = None,
    functions: str = "",
) -> str:
    """Start a script on a session cluster; returns the job id once the job runs or has finished.

    The script holds its parameters filled in, since SqlDriver substitutes nothing. The cluster's
    JobManager needs exactly one flink-sql-gateway jar in its FLINK_OPT_DIR.

    Parameters
    ----------
    savepoint
        Where its state comes from; None to begin without.
    allow_non_restored_state
        Leave out state of the savepoint that has no place in the job.
    config
        More of Flink's configuration, for this job alone.
    functions
        The hash of its Python functions' text, where it is known: a mark that the job carries.

    Raises
    ------
    JobFailed
        The job failed, or did not get to run within a minute; or one of that name runs already,
        and a second would write everything twice.
    SdpError
        The JobManager refused the script.
    """
    running = next((job for job in jobmanager.jobs() if job.name == name and not job.done), None)
    if running is not None:
        raise JobFailed(
            f"a job {name} already runs on the session cluster: {running.id}",
            job_id=running.id,
            hint=f"sdp run {name} --upgrade puts one in its place, with its state; or %jobs cancel {name}",
        )
    with tempfile.TemporaryDirectory(prefix="sdp-run-") as directory:
        jar = Path(directory) / f"{name}.jar"
        with zipfile.ZipFile(jar, "w") as archive:
            archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n\n")
        jar_id = jobmanager.upload_jar(jar)
    try:
        job_id = jobmanager.run_jar(
            jar_id,
            entry_class=DRIVER,
            arguments=["--script", script],
            config=marked(
                {**(config or {}), "pipeline.name": name}, script, given=config, functions=functions
            ),
            savepoint=savepoint,
            allow_non_restored_state=allow_non_restored_state,
        )
    finally:
        with contextlib.suppress(SdpError):
            jobmanager.delete_jar(jar_id)
    _await_running(jobmanager, job_id, name)
    return job_id


def _await_running(jobmanager: JobManager, job_id: str, name: str) -> None:
    deadline = time.monotonic() + _START_S
    steady_since: float | None = None
    while True:
        state = jobmanager.state(job_id)
        if state == "FINISHED":
            return
        if state in {"FAILED", "FAILING", "CANCELED", "RESTARTING"}:
            cause = jobmanager.root_cause(job_id)
            raise JobFailed(
                f"the job {name} is {state}: {cause}", job_id=job_id, hint="%sdp logs taskmanager has more"
            )
        running = state == "RUNNING" and not jobmanager.starting(job_id)
        steady_since = (steady_since or time.monotonic()) if running else None
        if steady_since is not None and time.monotonic() - steady_since > _STEADY_S:
            return
        if time.monotonic() > deadline:
            raise JobFailed(
                f"the job {name} does not run after {_START_S:.0f} s: {state}",
                job_id=job_id,
                hint="look for free task slots in the Flink UI; the job is still submitted",
            )
        time.sleep(_TURN_S)
