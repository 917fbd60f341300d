"""What a pipeline meets of GitLab: its Terraform state, its merge requests' notes, and the running of jobs.

GitLab itself cannot run here. The two APIs are kept in memory; jobs run as a runner runs them: each in a
clone of its own, with the artifacts of the jobs before it.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from pathlib import Path

_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


@dataclass
class GitLab:
    """The two APIs, served. ``states`` by name, ``notes`` by id; ``locked`` are the states in use.

    Only a maintainer may lock a state or write it.
    """

    token: str
    states: dict[str, bytes] = field(default_factory=dict)
    notes: dict[int, dict[str, Any]] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    maintainer: bool = True
    url: str = ""

    def answer(self, method: str, path: str, body: bytes, token: str | None) -> tuple[int, bytes]:
        state = re.fullmatch(r"/api/v4/projects/7/terraform/state/([\w-]+)(/lock)?", path)
        if state:
            return self._state(method, state[1], body, lock=bool(state[2]))
        note = re.fullmatch(r"/api/v4/projects/7/merge_requests/3/notes(?:/(\d+))?", path)
        if note is None:
            return 404, b"{}"
        if token != self.token:
            return 401, b'{"message": "401 Unauthorized"}'
        return self._note(method, int(note[1] or 0), body)

    def _state(self, method: str, name: str, body: bytes, *, lock: bool) -> tuple[int, bytes]:
        if not self.maintainer and (lock or method != "GET"):
            return 403, b"{}"
        if lock:
            if method == "POST" and name in self.locked:
                return 423, b"{}"
            (self.locked.add if method == "POST" else self.locked.discard)(name)
        elif method == "GET":
            return (200, self.states[name]) if name in self.states else (404, b"")
        else:
            self.states[name] = body
        return 200, b""

    def _note(self, method: str, number: int, body: bytes) -> tuple[int, bytes]:
        if method == "GET":
            return 200, json.dumps(list(self.notes.values())).encode()
        number = number or len(self.notes) + 1
        self.notes[number] = {"id": number, **self.notes.get(number, {}), **json.loads(body)}
        return (201 if method == "POST" else 200), json.dumps(self.notes[number]).encode()


@contextlib.contextmanager
def serving(gitlab: GitLab):
    """Serve the two APIs on loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            code, answer = gitlab.answer(self.command, path, body, self.headers.get("PRIVATE-TOKEN"))
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        gitlab.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield gitlab
        finally:
            server.shutdown()


@dataclass
class JobFailedError(Exception):
    """A job of a pipeline ended with an error; ``output`` is its log."""

    job: str
    output: str

    def __str__(self) -> str:
        return f"{self.job}: {self.output}"


@dataclass
class Runner:
    """Runs a repository's pipeline."""

    repository: Path
    work: Path
    variables: dict[str, str]
    logs: dict[str, str] = field(default_factory=dict)

    def run(self, commit: str, *, merge_request: bool) -> list[str]:
        """Run the jobs of a commit's pipeline in the order of their stages; returns their names."""
        self.work.mkdir(parents=True)
        text = self._git("show", f"{commit}:.gitlab-ci.yml")
        pipeline = YAML(typ="safe").load(text)
        jobs = {
            name: {**pipeline.get(job.get("extends"), {}), **job}
            for name, job in pipeline.items()
            if isinstance(job, dict) and "script" in job
        }
        kept, ran = self.work / "artifacts", []
        for stage in pipeline["stages"]:
            for name, job in jobs.items():
                if job["stage"] != stage or (merge_request and "rules" in job):
                    continue
                self._job(name, job, pipeline["variables"], commit, kept)
                ran.append(name)
        return ran

    def _job(self, name: str, job: dict[str, Any], shared: dict[str, str], commit: str, kept: Path) -> None:
        clone = self.work / re.sub(r"\W", "-", name)
        subprocess.run(["git", "clone", "-q", self.repository, clone], check=True)
        subprocess.run(["git", "checkout", "-q", commit], cwd=clone, check=True)
        if kept.exists():
            shutil.copytree(kept, clone, dirs_exist_ok=True)
        environment = {**os.environ, **self.variables}
        for key, value in {**shared, **job.get("variables", {})}.items():
            environment[key] = _VARIABLE.sub(lambda found: environment.get(found[1], ""), value)
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", "\n".join(job["script"])],
            cwd=clone, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.logs[name] = done.stdout + done.stderr
        if done.returncode:
            raise JobFailedError(name, self.logs[name])
        artifacts = job.get("artifacts", {})
        for path in [*artifacts.get("paths", []), *artifacts.get("reports", {}).values()]:
            (kept / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(clone / path, kept / path)

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.repository, capture_output=True, text=True, check=True
        ).stdout
