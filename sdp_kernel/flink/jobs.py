"""The JobManager's REST API: jobs, their state and root cause, cancelling, jars."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sdp_kernel.errors import SdpError, Unreachable
from sdp_kernel.flink import faults

_STARTING = ("CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING")
TERMINAL = frozenset({"FINISHED", "CANCELED", "FAILED", "SUSPENDED"})


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
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(60, connect=5),
            transport=transport,
            trust_env=not self.url.startswith(("http://127.", "http://localhost")),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def overview(self) -> dict[str, Any]:
        """``GET /overview``: task managers, slots, jobs, version."""
        return dict(self._call("GET", "/overview"))

    def jobs(self) -> list[Job]:
        """``GET /jobs/overview``, newest first."""
        jobs = [
            Job(j["jid"], j["name"], j["state"], j["start-time"], j["duration"])
            for j in self._call("GET", "/jobs/overview")["jobs"]
        ]
        return sorted(jobs, key=lambda job: -job.start_ms)

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
        return any(vertex["tasks"].get(state) for vertex in vertices for state in _STARTING)

    def cancel(self, job_id: str) -> None:
        """``PATCH /jobs/:id?mode=cancel``."""
        self._call("PATCH", f"/jobs/{job_id}?mode=cancel")

    def root_cause(self, job_id: str) -> str:
        """``GET /jobs/:id/exceptions``: the reason a job failed or restarts; empty for none."""
        history = self._call("GET", f"/jobs/{job_id}/exceptions").get("exceptionHistory", {})
        entries = history.get("entries", [])
        return faults.read([entries[0]["stacktrace"]]).reason if entries else ""

    def upload_jar(self, jar: Path) -> str:
        """``POST /jars/upload``; returns the jar id."""
        with jar.open("rb") as file:
            files = {"jarfile": (jar.name, file, "application/x-java-archive")}
            answer = self._call("POST", "/jars/upload", files=files)
        return Path(answer["filename"]).name

    def run_jar(self, jar_id: str, *, entry_class: str, arguments: list[str],
                config: dict[str, str] | None = None) -> str:  # fmt: skip
        """``POST /jars/:id/run``; returns the job id."""
        body = {
            "entryClass": entry_class,
            "programArgsList": arguments,
            "flinkConfiguration": config or {},
        }
        return str(self._call("POST", f"/jars/{jar_id}/run", json=body)["jobid"])

    def delete_jar(self, jar_id: str) -> None:
        """``DELETE /jars/:id``."""
        self._call("DELETE", f"/jars/{jar_id}")

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        return self._checked(self._send(method, path, **options))

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unreachable(
                f"no JobManager answers at {self.url}: {error or type(error).__name__}",
                hint="check the profile's jobmanager in sdp.toml; for the embedded stack: sdp up",
            ) from None

    def _checked(self, response: httpx.Response) -> dict[str, Any]:
        if response.is_success:
            return dict(response.json()) if response.content else {}
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


def _is_unknown(response: httpx.Response) -> bool:
    """Whether the JobManager does not know the job: a 404, or a 500 that says so, by endpoint."""
    return response.status_code == httpx.codes.NOT_FOUND or (
        not response.is_success and "Could not find Flink job" in response.text
    )
