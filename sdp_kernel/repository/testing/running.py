"""Runs tests of jobs, many at once: each job as it stands, on topics of its own, bounded.

A test's job goes through the SQL gateway in a session of its own, in streaming mode, and ends with its
input. Input is written for the first few tests, then for the rest while those run; all output is read by one
consumer.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import JobFailed, SdpError, StackError, TopicError
from sdp_kernel.flink import faults
from sdp_kernel.flink.gateway import Gateway, GatewayFault
from sdp_kernel.flink.jobs import TERMINAL, JobManager
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.read import read as read_ranges
from sdp_kernel.repository.testing import lookups, outcome, topics
from sdp_kernel.repository.testing.prepare import aliases, prepare
from sdp_kernel.repository.testing.result import Result, Table, failure, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from sdp_kernel.connection import KafkaCluster
    from sdp_kernel.kafka.read import Records
    from sdp_kernel.repository.testing.case import Case
    from sdp_kernel.repository.testing.prepare import Prepared

#: So many jobs are planned at once; they run as task slots are free.
_AT_ONCE = 4
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.05, 0.15
_NOT_READY = b'{"resultType":"NOT_READY"'
_TOLD = 60
_READ_S = 60.0
#: A hundred years: watermarks then come with the end of the input alone.
_NEVER = "36500 d"
#: Generated code is cut into short methods for the sake of long runs; a third of planning is that. Of
#: this length, in characters, a method is far below Java's limit of 64 KB.
_SESSION = {
    "execution.runtime-mode": "streaming",
    "table.local-time-zone": "UTC",
    "table.generated-code.max-length": "50000",
}
#: Of each job, whatever its own settings are: it stays small, ends with its input, and fails at once.
_JOB = {
    "parallelism.default": "1",
    "table.dml-sync": "false",
    "restart-strategy.type": "none",
    "execution.checkpointing.checkpoints-after-tasks-finish": "false",
}


@dataclass(frozen=True)
class Place:
    """Where tests run: a gateway, its JobManager, one Kafka, and a disk that they share with this process.

    ``session`` are properties of the gateway session; ``state_dir`` is where files go that Flink reads.
    """

    gateway: str
    jobmanager: str
    kafka: KafkaCluster
    state_dir: Path
    session: Mapping[str, str] = field(default_factory=dict)
    at_once: int = _AT_ONCE


def run(
    cases: Sequence[Case],
    place: Place,
    *,
    module_source: str = "",
    on_result: Callable[[Result], None] | None = None,
) -> tuple[Result, ...]:
    """Run tests at once and hold what the jobs gave against what is expected; returns their results.

    Parameters
    ----------
    module_source
        A source that is the SQL job module too: ``[promote] module_source``.
    on_result
        Called with each result, in the order of the tests.

    Raises
    ------
    BrokerUnreachable, GatewayUnreachable, Unreachable
        A part of the stack does not answer.
    StackError
        There is no free task slot.
    """
    if not cases:
        return ()
    place.state_dir.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="tests-", dir=place.state_dir))
    gateway, jobmanager = Gateway(place.gateway), JobManager(place.jobmanager)
    try:
        with lookups.server() as server:
            results = _Run(cases, place, gateway, jobmanager, directory, module_source, server).results()
    finally:
        gateway.close()
        jobmanager.close()
        shutil.rmtree(directory, ignore_errors=True)
    for result in results:
        if on_result is not None:
            on_result(result)
    return results


@dataclass
class _Started:
    """A test under way: what was prepared, its job, how long that took, and why it gave nothing.

    ``written`` is set once its input is; ``begun`` and ``until``, when it has to have ended, are of the
    monotonic clock.
    """

    prepared: Prepared
    job_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    written: threading.Event = field(default_factory=threading.Event)
    begun: float = 0.0
    until: float = float("inf")
    submitted: bool = False
    ended: bool = False
    seconds: float = 0.0
    error: SdpError | None = None

    def end(self, error: SdpError | None) -> None:
        """Note that its job has ended, or never began."""
        self.seconds = time.monotonic() - self.begun
        self.error = error
        self.ended = True


class _Run:
    def __init__(
        self,
        cases: Sequence[Case],
        place: Place,
        gateway: Gateway,
        jobmanager: JobManager,
        directory: Path,
        module_source: str,
        server: lookups.Server,
    ) -> None:
        self.cases, self.place, self.gateway, self.jobmanager = cases, place, gateway, jobmanager
        self.directory, self.module_source, self.server = directory, module_source, server
        self.cluster = Cluster(place.kafka)
        self.stopped = threading.Event()

    def results(self) -> tuple[Result, ...]:
        found: dict[int, Result] = {}
        started: dict[int, _Started] = {}
        try:
            self._run(found, started)
            outputs = self._outputs([one.prepared for one in started.values() if one.error is None])
        finally:
            topics.delete(self.cluster, [name for one in started.values() for name in one.prepared.topics])
        for number, one in started.items():
            found[number] = self._result(one, outputs)
        return tuple(found[number] for number in range(len(self.cases)))

    def _run(self, found: dict[int, Result], started: dict[int, _Started]) -> None:
        """Run the jobs: a few threads declare them while others are read, and begin each with its input."""
        free = self._free_slots()
        slots = threading.Semaphore(free)
        at_once = min(len(self.cases), self.place.at_once, free)
        with ThreadPoolExecutor(at_once, "sdp-test") as pool:
            futures = []
            tests = self._prepared(found)
            try:
                for some in (itertools.islice(tests, at_once), tests):
                    lot = []
                    for number, made in some:
                        started[number] = _Started(made)
                        lot.append(started[number])
                        futures.append(pool.submit(self._begin, started[number], slots))
                    self._fill(lot)
                self._watch(list(started.values()), futures, slots)
            finally:
                self.stopped.set()
                for one in started.values():
                    one.written.set()
                    if one.submitted and not one.ended:
                        self._cancel(one)

    def _fill(self, lot: Sequence[_Started]) -> None:
        """Write the input of tests."""
        topics.fill(self.cluster, [one.prepared for one in lot])
        for one in lot:
            one.written.set()

    def _prepared(self, found: dict[int, Result]) -> Iterator[tuple[int, Prepared]]:
        """Yield the tests that can run, by their number; ``found`` gets those that cannot."""
        prefix = f"sdp-test-{uuid.uuid4().hex[:8]}"
        known = {root: aliases(root) for root in {case.root for case in self.cases}}
        for number, case in enumerate(self.cases):
            try:
                made = prepare(
                    case,
                    known[case.root],
                    bootstrap=self.place.kafka.bootstrap_servers,
                    prefix=f"{prefix}-{number}",
                    directory=self.directory / str(number),
                    lookups=self.server.url,
                    module_source=self.module_source,
                )
            except SdpError as error:
                found[number] = failure(case, error)
                continue
            for path, rows in made.served.items():
                self.server.serve(path, rows)
            yield number, made

    def _free_slots(self) -> int:
        overview = self.jobmanager.overview()
        free = int(overview.get("slots-available", 0))
        if free < 1:
            raise StackError(
                f"no task slot is free: {overview.get('jobs-running', 0)} jobs run on the stack",
                hint="%jobs lists them; cancel one, or raise [local] task_slots in sdp.toml",
            )
        return free

    def _begin(self, one: _Started, slots: threading.Semaphore) -> None:
        """Declare a test's tables in a session of its own, and start its job."""
        one.begun = time.monotonic()
        handle = self.gateway.open_session("sdp-test", {**self.place.session, **_SESSION})
        took = False
        try:
            for statement in one.prepared.script.declarations:
                with _telling(statement):
                    self.gateway.configure_session(handle, statement)
            one.written.wait()
            while not (took := slots.acquire(timeout=_LONGEST_WAIT_S)) and not self.stopped.is_set():
                pass
            if self.stopped.is_set():
                return
            with _telling(one.prepared.script.job):
                self._submit(handle, one)
            one.submitted = True
            if self.stopped.is_set():  # while it was planned; whoever stopped the run did not see it
                self._cancel(one)
        except SdpError as error:
            one.end(error)
            if took:
                slots.release()
        finally:
            with contextlib.suppress(SdpError):
                self.gateway.close_session(handle)

    def _submit(self, handle: str, one: _Started) -> None:
        """Submit a job and wait until it is planned, and the JobManager has it."""
        options = one.prepared.options
        config = {
            **_JOB,
            "$internal.pipeline.job-id": one.job_id,
            "pipeline.name": f"test {one.prepared.case}",
            **({"pipeline.auto-watermark-interval": _NEVER} if options.watermarks == "end" else {}),
        }
        operation = self.gateway.submit(handle, one.prepared.script.job, config)
        wait = _SHORTEST_WAIT_S
        while self.gateway.fetch(handle, operation, 0).startswith(_NOT_READY):
            time.sleep(wait)
            wait = min(wait * 1.5, 2 * _LONGEST_WAIT_S)
        one.until = time.monotonic() + options.timeout

    def _watch(
        self, started: Sequence[_Started], futures: Sequence[Future[None]], slots: threading.Semaphore
    ) -> None:
        """Wait until all jobs have ended, or were too long about it."""
        wait = _SHORTEST_WAIT_S
        while True:
            for future in futures:
                if future.done():
                    future.result()  # raises where the gateway is gone
            running = [one for one in started if one.submitted and not one.ended]
            states = self.jobmanager.states() if running else {}
            for one in running:
                error = self._state(one, states.get(one.job_id, "UNKNOWN"))
                if error is not None or states.get(one.job_id) == "FINISHED":
                    one.end(error)
                    slots.release()
            if all(one.ended for one in started):
                return
            time.sleep(wait)
            wait = min(wait * 1.1, _LONGEST_WAIT_S)

    def _state(self, one: _Started, state: str) -> JobFailed | None:
        """Return why a job has ended that should not have; None while it may go on, or where it is done."""
        if state not in TERMINAL:
            if time.monotonic() < one.until:
                return None
            self._cancel(one)
            return JobFailed(
                f"the job has not ended within {one.prepared.options.timeout:g} s: it is {state}",
                job_id=one.job_id,
                hint="it ends with its input, unless a source has no end; test.toml may set timeout",
            )
        if state == "FINISHED":
            return None
        causes = self.jobmanager.causes(one.job_id)
        reason = causes[0].reason if causes else f"it is {state}"
        return JobFailed(f"the job failed: {reason}", job_id=one.job_id, hint=faults.hint(reason))

    def _cancel(self, one: _Started) -> None:
        with contextlib.suppress(SdpError):
            self.jobmanager.cancel(one.job_id)

    def _outputs(self, done: Sequence[Prepared]) -> dict[str, Records]:
        """Read what was written to all sinks' topics; one that was not read to its end is left out."""
        counts = {
            sink.topic: topics.partitions(one.topics[sink.topic])
            for one in done
            for sink in one.script.sinks
            if sink.topic
        }
        wanted = topics.ends(self.cluster, counts)
        found = read_ranges(self.cluster, wanted, timeout=_READ_S)
        return {name: records for name, records in found.items() if not topics.unread(records, wanted[name])}

    def _result(self, one: _Started, outputs: Mapping[str, Records]) -> Result:
        case, notes = one.prepared.case, one.prepared.script.notes
        try:
            if one.error is not None:
                raise one.error
            tables = {sink.table: _table(sink, outputs) for sink in one.prepared.script.sinks}
            return judge(case, tables, one.seconds, notes)
        except SdpError as error:
            return failure(case, error, one.seconds, notes)


@contextlib.contextmanager
def _telling(statement: str) -> Iterator[None]:
    """Name the statement in what the gateway says of it."""
    try:
        yield
    except GatewayFault as fault:
        error = faults.to_error(fault.errors)
        first = " ".join(statement.split())[:_TOLD]
        raise SdpError(f"{error.message}\n  in: {first}", hint=error.hint, detail=error.detail) from None


def _table(sink: Any, outputs: Mapping[str, Records]) -> Table:
    if not sink.topic:
        return Table(tuple(outcome.of_files(sink)))
    if sink.topic not in outputs:
        raise TopicError(
            f"what the job wrote to {sink.table} could not be read to its end: Kafka gave nothing more "
            f"within {_READ_S:g} s",
            hint="sdp status shows whether Kafka is well; run the test again",
        )
    rows, key = outcome.of_topic(outputs[sink.topic], sink)
    return Table(tuple(rows), key)
