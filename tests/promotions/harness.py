"""From a notebook's table to the same table out of the repository: explore, promote, clone, replay, compare."""

from __future__ import annotations

import http.server
import json
import multiprocessing
import re
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sdp_kernel
from sdp_kernel.errors import JobFailed, SdpError
from sdp_kernel.flink import function_cell
from sdp_kernel.flink.script import split
from sdp_kernel.repository.retarget import tables
from sdp_kernel.repository.tables import FinalTable, diff
from tests.promotions import corpus, replay, topics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sdp_kernel.flink.query import Query
    from sdp_kernel.repository.retarget import JobTable
    from sdp_kernel.workbench import Workbench
    from tests.promotions.corpus import Cell
    from tests.promotions.replay import Place

_QUERY_S = 120.0


@dataclass(frozen=True)
class Outcome:
    """What became of a query; ``problem`` is empty where the repository gave the notebook's table."""

    name: str
    rows: int
    problem: str

    @property
    def same(self) -> bool:
        """Whether the two tables are equal."""
        return not self.problem


class Notebook:
    """What an analyst has open: one session for all their cells.

    Parameters
    ----------
    directory
        For repositories and clones.
    given
        Values for the parameters that every cell may use.
    """

    def __init__(self, workbench: Workbench, directory: Path, given: dict[str, str]) -> None:
        self.workbench = workbench
        self.directory = directory
        self.given = given
        self._declared: set[str] = set()

    def see(self, cell: Cell) -> dict[str, FinalTable]:
        """Run a cell; returns the tables that the notebook shows of it, by name ("" for a SELECT)."""
        params = {**self.given, **cell.params}
        for name, declaration in cell.tables.items():
            if name not in self._declared:
                self.workbench.sql(declaration, params=params)
                self._declared.add(name)
        if cell.functions:
            self.workbench.functions.register(function_cell.load(cell.functions))
        if cell.declarations:
            self.workbench.sql(cell.declarations, params=params)
        try:
            query = self._run(cell, params)
        except JobFailed as error:  # a machine too busy takes a job's slot away
            sys.stderr.write(f"{cell.name} runs again: {error.message}\n")
            query = self._run(cell, params)
        if query.statement.is_query:
            return {"": FinalTable(query.arrow)}
        replay.await_end(self.workbench.jobmanager, query.job_id or "", cell.name)
        sinks = [table for table in tables(split(f"{cell.declarations};\n{cell.text}")) if table.is_sink]
        return {sink.name: self._look(sink) for sink in sinks}

    def _run(self, cell: Cell, params: dict[str, str]) -> Query:
        return self.workbench.sql(
            cell.text, name=cell.name.replace("-", "_"), params=params, until="now", timeout=_QUERY_S
        )

    def _look(self, sink: JobTable) -> FinalTable:
        reach = {"start": "earliest", "until": "now"} if sink.is_kafka else {}
        shown = self.workbench.sql(f"SELECT * FROM {sink.quoted}", timeout=_QUERY_S, **reach)
        return FinalTable(shown.arrow)

    def promote(self, cell: Cell) -> tuple[Path, str]:
        """Promote a cell into a repository of its own; returns a clone of the commit, and the job's name."""
        query = self.workbench.queries[cell.name.replace("-", "_")]
        job = f"{self.given['prefix']}-{cell.name}"
        repository = team_repository(self.directory / cell.name / "team")
        to = f"{self.given['prefix']}.promoted.{cell.name}" if query.statement.is_query else None
        applied = self.workbench.promote(query, job=job, to=to, repository=repository).apply()
        clone = self.directory / cell.name / "clone"
        _git(repository, "clone", "--quiet", "--branch", applied.branch, str(repository), str(clone))
        return clone, job


def run(
    info: Any, directory: Path, names: Sequence[str], *, prefix: str, notebooks: int = 2, replays: int = 2
) -> list[Outcome]:
    """Promote queries, and replay each from a clone in another process.

    Parameters
    ----------
    info
        The running stack.
    directory
        Empty; for settings, repositories, clones, files.
    prefix
        Of topics and jobs: lower case letters and digits, and nothing else on the stack has it.
    notebooks, replays
        How many work side by side.
    """
    place = replay.Place(info.gateway, info.jobmanager, info.kafka)
    topics.produce(info.kafka, prefix)
    waiting, outcomes, lock = list(names), [], threading.Lock()
    spawned = multiprocessing.get_context("spawn")
    with (
        _service() as service,
        ProcessPoolExecutor(replays, mp_context=spawned) as elsewhere,
        ThreadPoolExecutor(notebooks) as exploring,
        ThreadPoolExecutor(len(names)) as comparing,
    ):
        given = {
            "prefix": prefix,
            "service": service,
            "directory": str(directory),
        }

        def work(number: int) -> None:
            with _workbench(directory / f"notebook-{number}", place) as workbench:
                notebook = Notebook(workbench, directory, given)
                while True:
                    with lock:
                        name = waiting.pop(0) if waiting else None
                    if name is None:
                        return
                    outcomes.append(comparing.submit(_compared, *_promoted(notebook, name), place, elsewhere))

        for done in [exploring.submit(work, number) for number in range(notebooks)]:
            done.result()
        return sorted((outcome.result() for outcome in outcomes), key=lambda outcome: outcome.name)


def _promoted(notebook: Notebook, name: str) -> tuple[str, dict[str, FinalTable], tuple[Path, str] | str]:
    seen: dict[str, FinalTable] = {}
    try:
        cell = corpus.read(name)
        seen = notebook.see(cell)
        return name, seen, notebook.promote(cell)
    except (SdpError, subprocess.CalledProcessError) as error:
        return name, seen, f"{type(error).__name__}: {error}"


def _compared(
    name: str,
    seen: dict[str, FinalTable],
    promoted: tuple[Path, str] | str,
    place: Place,
    elsewhere: ProcessPoolExecutor,
) -> Outcome:
    rows = sum(table.data.num_rows for table in seen.values())
    if isinstance(promoted, str):
        return Outcome(name, rows, promoted)
    found = elsewhere.submit(replay.attempt, *promoted, place).result()
    if isinstance(found, str):
        return Outcome(name, rows, found)
    if set(seen) == {""}:
        seen = dict.fromkeys(found, seen[""])
    if set(seen) != set(found):
        return Outcome(name, rows, f"the job writes {sorted(found)}, the cell wrote {sorted(seen)}")
    differences = [
        diff(table, seen[table], found[table], labels=("notebook", "repository")) for table in seen
    ]
    problem = "\n".join(difference.to_text() for difference in differences if difference.differs)
    return Outcome(name, rows, problem or ("" if rows else "the query has no rows, which compares nothing"))


@contextmanager
def _workbench(directory: Path, place: Place) -> Iterator[Workbench]:
    directory.mkdir(parents=True)
    (directory / "sdp.toml").write_text(
        f'[profiles.local]\ngateway = "{place.gateway}"\njobmanager = "{place.jobmanager}"\n'
        f'[profiles.local.kafka.main]\n"bootstrap.servers" = "{place.kafka}"\n',
        encoding="utf-8",
    )
    with sdp_kernel.connect("local", directory=directory) as workbench:
        yield workbench


def team_repository(root: Path) -> Path:
    """Make a repository with one commit."""
    root.mkdir(parents=True)
    _git(root, "init", "--quiet", "--initial-branch", "main")
    _git(root, "config", "user.name", "Ada")
    _git(root, "config", "user.email", "ada@example.com")
    _git(root, "commit", "--quiet", "--allow-empty", "--message", "Begin")
    return root


def _git(where: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=where, check=True, capture_output=True)


@contextmanager
def _service() -> Iterator[str]:
    """Serve what the web service of the lookup join knows: a customer for each number."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = int(re.search(r"customer_id=(\d+)", self.path)[1])
            body = json.dumps({
                "customer_id": number, "segment": ("home", "office")[number % 2],
                "address": {"city": f"City {number % 5}", "zip": f"{1000 + number}"},
            }).encode()  # fmt: skip
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/customers"
        finally:
            server.shutdown()
