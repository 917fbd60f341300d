"""The JobManager's REST API: jobs and what becomes of them, metrics, savepoints, jars.

How its answers about one job are read is in :mod:`sdp_kernel.flink.job_detail`.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from sdp_kernel.errors import JobFailed, SdpError, Unreachable
from sdp_kernel.flink import faults
from sdp_kernel.flink import job_detail as detail
from sdp_kernel.flink.job_detail import STARTING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sdp_kernel.flink.job_detail import Backpressure, Checkpoints, Failure, JobDetail, Metric
    from sdp_kernel.flink.veil import Veil

TERMINAL = frozenset({"FINISHED", "CANCELED", "FAILED", "SUSPENDED"})
_SAVEPOINT_S, _POLL_S = 120.0, 0.1
#: Flink's web.refresh-interval is 3 s unless it is set.
_CACHED_S = 5.0
#: A request that was cut off may still be on its way.
_UNDERWAY_S = 3.0
#: Netty refuses a request line of more than 4096 bytes.
_LINE_BYTES = 2_000
_NO_DIRECTORY = re.compile(r"Config key \[[\w.-]+\] is not set")
_NAMES_S, _NAMES_MOST = 10.0, 500


@dataclass(frozen=True)
class Job:
    """A job as ``GET /jobs/overview`` shows it. Times are epoch milliseconds."""

    id: str
    name: str
    state: str
    start_ms: int
    duration_ms: int

    @property
    def done(self) -> bool:
        """Whether the state is terminal."""
        return self.state in TERMINAL


class JobManager:
    """A session cluster's JobManager.

    Parameters
    ----------
    url
        ``http://host:port`` of its REST endpoint.
    veil
        Hides values in why jobs failed.
    """

    def __init__(
        self, url: str, *, veil: Veil | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.veil = veil
        self._names: dict[tuple[str, str], tuple[float, tuple[str, ...]]] = {}
        here = self.url.startswith(("http://127.", "http://localhost"))
        self._client = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(60, connect=5),
            transport=transport,
            trust_env=not here,
            verify=not here,  # reading certificates takes a tenth of a second
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def overview(self) -> dict[str, Any]:
        """``GET /overview``: task managers, slots, jobs, version."""
        return dict(self._call("GET", "/overview"))

    def class_path(self) -> list[str]:
        """``GET /jobmanager/environment``: the jars that the JobManager runs with."""
        return [str(entry) for entry in self._call("GET", "/jobmanager/environment")["classpath"]]

    def jobs(self) -> list[Job]:
        """``GET /jobs/overview``, newest first."""
        jobs = [
            Job(j["jid"], j["name"], j["state"], j["start-time"], j["duration"])
            for j in self._call("GET", "/jobs/overview")["jobs"]
        ]
        return sorted(jobs, key=lambda job: -job.start_ms)

    def states(self) -> dict[str, str]:
        """``GET /jobs``: id → state of all jobs."""
        return {job["id"]: job["status"] for job in self._call("GET", "/jobs")["jobs"]}

    def state(self, job_id: str) -> str:
        """``GET /jobs/:id/status``: RUNNING, FINISHED, FAILED, …; UNKNOWN where it is not known."""
        response = self._send("GET", f"/jobs/{job_id}/status")
        return "UNKNOWN" if _is_unknown(response) else str(self._checked(response)["status"])

    def tasks(self, job_id: str) -> tuple[str, int, dict[str, int]] | None:
        """``GET /jobs/:id``: state, milliseconds since it began, tasks by state; None where not known."""
        response = self._send("GET", f"/jobs/{job_id}")
        if _is_unknown(response):
            return None
        answer = self._checked(response)
        counts: dict[str, int] = {}
        for vertex in answer["vertices"]:
            for state, count in vertex["tasks"].items():
                counts[state] = counts.get(state, 0) + count
        return answer["state"], answer["duration"], {state: n for state, n in counts.items() if n}

    def starting(self, job_id: str) -> bool:
        """Whether a task of the job is being deployed or initialised (``GET /jobs/:id``)."""
        vertices = self._call("GET", f"/jobs/{job_id}")["vertices"]
        return any(vertex["tasks"].get(state) for vertex in vertices for state in STARTING)

    def cancel(self, job_id: str) -> None:
        """``PATCH /jobs/:id?mode=cancel``."""
        self._call("PATCH", f"/jobs/{job_id}?mode=cancel")

    def root_cause(self, job_id: str) -> str:
        """Return the newest reason of :meth:`causes`; empty for none."""
        causes = self.causes(job_id)
        return causes[0].reason if causes else ""

    def causes(self, job_id: str) -> tuple[Failure, ...]:
        """:meth:`failures` of a job that has failed or restarts, waited for: at most 5 s.

        The state is told at once, the failures from a cache as old as ``web.refresh-interval``.
        """
        deadline = time.monotonic() + _CACHED_S
        while not (failures := self.failures(job_id)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return failures

    def failures(self, job_id: str) -> tuple[Failure, ...]:
        """``GET /jobs/:id/exceptions``: why the job failed or restarted, the newest first."""
        return detail.read_failures(self._call("GET", f"/jobs/{job_id}/exceptions"), self.veil)

    def detail(self, job_id: str) -> JobDetail | None:
        """``GET /jobs/:id``: vertices with their tasks and records; None where it is not known."""
        response = self._send("GET", f"/jobs/{job_id}")
        return None if _is_unknown(response) else detail.read_detail(self._checked(response))

    def settings(self, job_id: str) -> dict[str, str]:
        """``GET /jobs/:id/config``: what whoever started the job has left with it."""
        config = self._call("GET", f"/jobs/{job_id}/config").get("execution-config") or {}
        return {str(name): str(value) for name, value in (config.get("user-config") or {}).items()}

    def plan(self, job_id: str) -> dict[str, Any]:
        """``GET /jobs/:id/plan``: the job's vertices, each with the lines of its operators."""
        return dict(self._call("GET", f"/jobs/{job_id}/plan")["plan"])

    def checkpoints(self, job_id: str) -> Checkpoints:
        """``GET /jobs/:id/checkpoints``: counts, and the last completed and failed one."""
        return detail.read_checkpoints(self._call("GET", f"/jobs/{job_id}/checkpoints"), self.veil)

    def checkpoint_interval(self, job_id: str) -> int | None:
        """``GET /jobs/:id/checkpoints/config``: milliseconds between checkpoints; None for no checkpoints."""
        interval = self._call("GET", f"/jobs/{job_id}/checkpoints/config").get("interval")
        return int(interval) if isinstance(interval, int) and 0 < interval < 2**62 else None

    def backpressure(self, job_id: str, vertex: str) -> Backpressure | None:
        """``GET /jobs/:id/vertices/:v/backpressure``; None where it has not been measured yet."""
        return detail.read_backpressure(self._call("GET", f"/jobs/{job_id}/vertices/{vertex}/backpressure"))

    def watermarks(self, job_id: str, vertex: str) -> tuple[int | None, ...]:
        """``GET /jobs/:id/vertices/:v/watermarks``: the input watermark of each subtask, in epoch ms.

        Empty for a source, which has no input, and until the first metrics have come.
        """
        entries = self._entries(f"/jobs/{job_id}/vertices/{vertex}/watermarks")
        values = (detail.number(entry["value"]) for entry in entries)
        return tuple(None if value is None else detail.watermark(value) for value in values)

    def metric_names(self, job_id: str, vertex: str) -> tuple[str, ...]:
        """``GET /jobs/:id/vertices/:v/subtasks/metrics``: the names of what is measured, kept for 10 s."""
        now, key = time.monotonic(), (job_id, vertex)
        at, known = self._names.get(key, (0.0, ()))
        if known and now - at < _NAMES_S:
            return known
        names = tuple(e["id"] for e in self._entries(f"/jobs/{job_id}/vertices/{vertex}/subtasks/metrics"))
        if len(self._names) >= _NAMES_MOST:
            self._names.clear()
        self._names[key] = (now, names)
        return names

    def metrics(self, job_id: str, vertex: str, names: Iterable[str]) -> dict[str, Metric]:
        """Ask for metrics of a vertex's subtasks by name; those that are not measured are left out.

        The JobManager collects them every ``metrics.fetcher.update-interval``, ten seconds by default.
        Its answer is empty where one of the names is not measured, so names are looked up first.
        """
        measured = set(self.metric_names(job_id, vertex))
        found: dict[str, Metric] = {}
        path = f"/jobs/{job_id}/vertices/{vertex}/subtasks/metrics"
        for some in _requests(name for name in names if name in measured):
            for entry in self._entries(path, get=some, agg="min,max,sum"):
                low, high, total = (detail.number(entry.get(name)) for name in ("min", "max", "sum"))
                if low is not None and high is not None and total is not None:
                    found[entry["id"]] = detail.Metric(low, high, total)
        return found

    def job_metrics(self, job_id: str, names: Iterable[str]) -> dict[str, float]:
        """``GET /jobs/:id/metrics?get=…``, such as ``numRestarts``; what is not measured is left out."""
        entries = self._entries(f"/jobs/{job_id}/metrics", get=",".join(names))
        values = {entry["id"]: detail.number(entry.get("value")) for entry in entries}
        return {name: value for name, value in values.items() if value is not None}

    def heap(self) -> tuple[int, int] | None:
        """``GET /taskmanagers/metrics``: bytes of heap used and at most, of all TaskManagers together."""
        names = ("Status.JVM.Memory.Heap.Used", "Status.JVM.Memory.Heap.Max")
        entries = self._entries("/taskmanagers/metrics", get=",".join(names), agg="sum")
        values = {entry["id"]: detail.number(entry.get("sum")) for entry in entries}
        used, most = (values.get(name) for name in names)
        return None if used is None or most is None else (int(used), int(most))

    def savepoint(self, job_id: str, directory: str | None = None, *, timeout: float = _SAVEPOINT_S) -> str:
        """Take a savepoint of a job that goes on (``POST /jobs/:id/savepoints``); returns its path.

        Parameters
        ----------
        directory
            Where to write it, as the cluster sees it; None for the cluster's own place.
        timeout
            Seconds to wait for it.

        Raises
        ------
        JobFailed
            The savepoint failed, or did not end in time; with the reason.
        SdpError
            The job is not known, or the cluster has no place for savepoints.
        """
        body: dict[str, Any] = {"cancel-job": False}
        if directory is not None:
            body["target-directory"] = directory
        return self._await_savepoint(job_id, f"/jobs/{job_id}/savepoints", body, timeout)

    def stop(
        self,
        job_id: str,
        directory: str | None = None,
        *,
        drain: bool = False,
        timeout: float = _SAVEPOINT_S,
        trigger: str | None = None,
    ) -> str:
        """Stop a job with a savepoint (``POST /jobs/:id/stop``); returns the savepoint's path.

        Parameters
        ----------
        drain
            Send the last watermark first: open windows fire, and the job is not meant to go on.
        trigger
            What the savepoint is asked for by, 32 hexadecimal digits: :meth:`savepoint_path` tells what
            becomes of it where this call is cut off.

        Raises
        ------
        JobFailed, SdpError
            As :meth:`savepoint`; the job then goes on, or has failed for the reason given. Where the
            savepoint has not ended in time it may still complete, and the job then ends.
        """
        body: dict[str, Any] = {"drain": drain}
        if trigger is not None:
            body["triggerId"] = trigger
        if directory is not None:
            body["targetDirectory"] = directory
        return self._await_savepoint(job_id, f"/jobs/{job_id}/stop", body, timeout)

    def _await_savepoint(self, job_id: str, path: str, body: dict[str, Any], timeout: float) -> str:
        state = self.state(job_id)
        if state in TERMINAL | {"UNKNOWN"}:
            what = "is not known to the JobManager" if state == "UNKNOWN" else f"is {state}"
            raise SdpError(f"no savepoint of job {job_id}: it {what}", hint="%jobs lists the jobs that run")
        response = self._send("POST", path, json=body)
        if not response.is_success and _NO_DIRECTORY.search(response.text):
            raise SdpError(
                f"no savepoint of job {job_id}: the cluster has no directory for savepoints",
                hint="name a directory that the cluster can write, or set "
                "execution.checkpointing.savepoint-dir on the cluster",
            )
        trigger = str(self._checked(response)["request-id"])
        found, failed = self._poll_savepoint(job_id, trigger, timeout)
        if found is not None:
            return found
        raise JobFailed(
            f"the savepoint of job {job_id} has not ended within {timeout:g} s{failed}",
            job_id=job_id,
            hint="the job may be held up by back pressure: %jobs shows it; the savepoint may still complete",
        )

    def savepoint_path(self, job_id: str, trigger: str, *, timeout: float = _SAVEPOINT_S) -> str | None:
        """Wait for a savepoint that was asked for; returns its path, None where it has not ended in time.

        Raises
        ------
        JobFailed
            The savepoint failed.
        SdpError
            The JobManager knows of none by that trigger.
        """
        return self._poll_savepoint(job_id, trigger, timeout)[0]

    def _poll_savepoint(self, job_id: str, trigger: str, timeout: float) -> tuple[str | None, str]:
        """Ask for a savepoint until it has ended; returns its path, or why the last answer did not come."""
        began = time.monotonic()
        while True:
            passed, failed, unknown = time.monotonic() - began, "", False
            try:
                response = self._send("GET", f"/jobs/{job_id}/savepoints/{trigger}")
                unknown = response.status_code == httpx.codes.NOT_FOUND and passed > _UNDERWAY_S
                answer = self._checked(response)
            except SdpError as error:
                if unknown:
                    raise
                failed = f": {error.message}"
            else:
                if answer["status"]["id"] == "COMPLETED":
                    return _location(job_id, answer.get("operation") or {}, self.veil), ""
            if passed >= timeout:
                return None, failed
            time.sleep(_POLL_S)

    def upload_jar(self, jar: Path) -> str:
        """``POST /jars/upload``; returns the jar id."""
        with jar.open("rb") as file:
            files = {"jarfile": (jar.name, file, "application/x-java-archive")}
            answer = self._call("POST", "/jars/upload", files=files)
        return Path(answer["filename"]).name

    def run_jar(self, jar_id: str, *, entry_class: str, arguments: list[str],
                config: dict[str, str] | None = None, savepoint: str | None = None,
                allow_non_restored_state: bool = False) -> str:  # fmt: skip
        """``POST /jars/:id/run``; returns the job id. ``savepoint`` is where its state comes from."""
        body: dict[str, Any] = {
            "entryClass": entry_class,
            "programArgsList": arguments,
            "flinkConfiguration": config or {},
        }
        if savepoint is not None:
            body |= {"savepointPath": savepoint, "allowNonRestoredState": allow_non_restored_state}
        return str(self._call("POST", f"/jars/{jar_id}/run", json=body)["jobid"])

    def delete_jar(self, jar_id: str) -> None:
        """``DELETE /jars/:id``."""
        self._call("DELETE", f"/jars/{jar_id}")

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        return dict(self._checked(self._send(method, path, **options)))

    def _entries(self, path: str, **params: str) -> list[dict[str, Any]]:
        return list(self._checked(self._send("GET", path, params=params)))

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **options)
        except (httpx.TransportError, RuntimeError) as error:
            if not (self._client.is_closed or isinstance(error, httpx.TransportError)):
                raise
            raise Unreachable(
                f"no JobManager answers at {self.url}: {error or type(error).__name__}",
                hint="check the profile's jobmanager in sdp.toml; for the embedded stack: sdp up",
            ) from None

    def _checked(self, response: httpx.Response) -> Any:
        if response.is_success:
            return response.json() if response.content else {}
        try:
            errors = [str(error) for error in response.json()["errors"]]
        except (ValueError, KeyError):
            errors = [response.text]
        fault = faults.read(errors)
        raise SdpError(
            f"the JobManager at {self.url} refused {response.request.method} "
            f"{response.request.url.path}: {fault.reason}",
            hint=faults.hint(fault.reason, fault.stack),
            detail=fault.stack,
        )


def _location(job_id: str, operation: dict[str, Any], veil: Veil | None) -> str:
    cause = operation.get("failure-cause")
    if cause is None:
        return str(operation["location"])
    fault = faults.read([cause.get("stack-trace") or cause.get("class", "")], veil)
    raise JobFailed(
        f"the savepoint of job {job_id} failed: {fault.reason}",
        job_id=job_id,
        hint=faults.hint(fault.reason, fault.stack) or "every task has to run: %jobs shows the job's state",
        detail=fault.stack,
    )


def _requests(names: Iterable[str]) -> list[str]:
    """Join names by commas, into as many texts as one request line each can bear."""
    requests: list[str] = []
    for name in names:
        if "," in name:
            continue
        if requests and len(requests[-1]) + len(name) < _LINE_BYTES:
            requests[-1] += f",{name}"
        else:
            requests.append(name)
    return requests


def _is_unknown(response: httpx.Response) -> bool:
    """Whether the JobManager does not know the job: a 404, or a 500 that says so, by endpoint."""
    return response.status_code == httpx.codes.NOT_FOUND or (
        not response.is_success and "Could not find Flink job" in response.text
    )
