"""Ends a query's job on the cluster, whatever state it is in, and its operation in the gateway.

A collect sink that is cancelled while its task initialises fails in a way that Flink 2.3 takes for
fatal: the whole TaskManager ends ("this.bufferLock" is null, CollectSinkFunction). So a job is
cancelled before its tasks are deployed or once they run, never in between.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.jobs import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.flink.gateway import Gateway
    from sdp_kernel.flink.jobs import JobManager

_POLL_S = 0.05
#: How long a job may take to appear, or its tasks to start, before it is cancelled all the same.
_APPEARS_S, _STARTS_S, _ENDS_S = 6.0, 10.0, 10.0
#: Nobody saw a job appear this long after the gateway was told to give up.
_GIVES_UP_S = 0.5
#: Where the gateway has given up, a job that it was submitting then is there a tenth of a second later.
_LATEST_S = 1.5
#: Tasks that still wait for a slot after so long will not be deployed in the moment they are cancelled.
_WAITS_MS = 1000
_DEPLOYED = ("DEPLOYING", "INITIALIZING")
_WAITING = ("CREATED", "SCHEDULED")


class Stop:
    """The end of one query; ``job_id`` is known from before it was submitted.

    ``collects``: the job may have a collect sink, as every SELECT's has. ``then`` is called at the end.

    Attributes
    ----------
    quiet
        Set when nothing of the query runs: its job has ended, or the gateway gave up before there was
        one. Should one appear all the same, it is still seen to.
    """

    def __init__(
        self,
        gateway: Gateway,
        session: str,
        operation: str | None,
        jobmanager: JobManager | None,
        job_id: str | None,
        *,
        appears: float = _APPEARS_S,
        collects: bool = True,
        then: Callable[[], None] | None = None,
    ) -> None:
        self.gateway = gateway
        self.session = session
        self.operation = operation
        self.jobmanager = jobmanager
        self.job_id = job_id
        self.appears = appears
        self.collects = collects
        self.then = then
        self.quiet = threading.Event()
        self._told_at: float | None = None
        self._gives_up = False

    def run(self) -> None:
        """End the job and close the operation; returns when the job has ended. Raises nothing."""
        if self.jobmanager is not None and self.job_id is not None:
            with contextlib.suppress(SdpError, OSError):
                end_job(
                    self.jobmanager,
                    self.job_id,
                    absent=self._cancel_operation,
                    appears=self.appears,
                    collects=self.collects,
                )
        with contextlib.suppress(SdpError, OSError):
            if self.operation is not None:
                self.gateway.close_operation(self.session, self.operation)
        if self.then is not None:
            self.then()
        self.quiet.set()

    def _cancel_operation(self) -> bool:
        """Tell the gateway to give up what it still plans; returns whether no job can come any more."""
        if self._told_at is None:
            if self.operation is not None:
                with contextlib.suppress(SdpError, OSError):
                    self.gateway.cancel_operation(self.session, self.operation)
                    self._gives_up = True
            self._told_at = time.monotonic()
            return False
        since = time.monotonic() - self._told_at
        if since > _GIVES_UP_S:
            self.quiet.set()
        return self._gives_up and since > _LATEST_S


def end_job(
    jobmanager: JobManager,
    job_id: str,
    *,
    absent: Callable[[], bool] | None = None,
    appears: float = _APPEARS_S,
    collects: bool = True,
) -> bool:
    """Cancel a job as soon as that is safe, and wait until it has ended.

    Parameters
    ----------
    absent
        Called while the job is not known to the JobManager, which may be before it is submitted; says
        whether it never will be.
    appears
        Seconds to wait for a job that is not known.
    collects
        Whether it may have a collect sink; a job without one is cancelled at any moment.

    Returns
    -------
    bool
        Whether there was a job to cancel.
    """
    began = time.monotonic()
    while True:
        state = jobmanager.state(job_id)
        elapsed = time.monotonic() - began
        if state == "UNKNOWN":
            if (absent is not None and absent()) or elapsed >= appears:
                return False
        elif state in TERMINAL:
            return False
        elif not collects or elapsed > _STARTS_S or _safe(jobmanager.tasks(job_id)):
            break
        time.sleep(_POLL_S)
    jobmanager.cancel(job_id)
    until = time.monotonic() + _ENDS_S
    while time.monotonic() < until and jobmanager.state(job_id) not in TERMINAL | {"UNKNOWN"}:
        time.sleep(_POLL_S)
    return True


def end_unread(jobmanager: JobManager | None, job_id: str | None) -> bool:
    """End a job that nobody reads any more, if the cluster still knows it; raises nothing.

    Returns
    -------
    bool
        Whether there was a job to cancel.
    """
    with contextlib.suppress(SdpError, OSError):
        return jobmanager is not None and job_id is not None and end_job(jobmanager, job_id, appears=0)
    return False


def _safe(known: tuple[str, int, dict[str, int]] | None) -> bool:
    """Whether no task is being deployed or initialised, or about to."""
    if known is None:
        return False
    state, duration_ms, tasks = known
    if state in {"INITIALIZING", "CREATED"} or any(tasks.get(name) for name in _DEPLOYED):
        return False
    return not any(tasks.get(name) for name in _WAITING) or duration_ms > _WAITS_MS
