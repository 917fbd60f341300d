"""The embedded stack: Kafka, Flink, SQL gateway, schema registry, on loopback, under one directory.

``up`` and ``down`` may be called by any process at any time; a lock lets one through. What runs is
asked of the operating system, never only of a file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.errors import ComponentError, StackError, UsageError
from sdp_kernel.local import processes
from sdp_kernel.local.components import (
    DEFAULT,
    GROUPS,
    NAMES,
    OPTIONAL,
    REGISTRY_PATH,
    Layout,
    format_command,
    free_ports,
    launch,
    link_opt,
    listening,
    ready_checks,
    released,
    write_configuration,
)
from sdp_kernel.local.info import ComponentStatus, Progress, StackInfo, StackStatus
from sdp_kernel.local.logs import cause, cause_in, keep_previous, tail
from sdp_kernel.settings import LocalSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.local.java import Java

_START_S = 120.0
_CORE_PORTS = ("kafka", "kafka_controller", "jobmanager", "jobmanager_rpc", "gateway")
#: What a stack has ports for.
PORTS = (*_CORE_PORTS, "registry", "registry_management")
_ORDER = ("kafka", "gateway", "jobmanager", "taskmanager", "registry")
_READ_AS_SEVERAL = (",", os.pathsep)
_OTHER_DATA = re.compile(
    r"meta\.properties|node\.?id|cluster\.?id|metadata\.version|Inconsistent|formatted", re.IGNORECASE
)


class Stack:
    """The embedded stack of a state directory.

    Parameters
    ----------
    state_dir
        Holds everything; made if need be.
    components
        Which of kafka, jobmanager, taskmanager, gateway, registry it has; by default all but the
        registry, and what ``settings`` add.
    ports
        Fixed ports by name; free ones are taken for the rest, and kept from start to start.
    configuration
        Flink configuration beside the usual one; None leaves a key out.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        components: tuple[str, ...] | None = None,
        settings: LocalSettings | None = None,
        ports: Mapping[str, int] | None = None,
        configuration: Mapping[str, str | None] | None = None,
    ) -> None:
        self.settings = settings or LocalSettings()
        components = (*DEFAULT, *self.settings.with_) if components is None else components
        unknown = set(components) - set(NAMES)
        if unknown:
            raise UsageError(f"no component {', '.join(sorted(unknown))}", hint=f"known: {', '.join(NAMES)}")
        self.layout = Layout(Path(state_dir).expanduser().resolve())
        self.components = tuple(name for name in NAMES if name in components)
        self._fixed = dict(ports or {})
        self._configuration = dict(configuration or {})

    def running(self) -> StackInfo | None:
        """Return the addresses if all components run; a check that starts and waits for nothing."""
        records = processes.recorded(self.layout.run)
        for name in self.components:
            record = records.get(name)
            if record is None or processes.alive(record, self.layout.state_dir) is None:
                return None
            if not (self.layout.run / f"{name}.ready").exists():
                return None
        ports = self._known_ports()
        if not ports or any(ports.get(name) != port for name, port in self._fixed.items()):
            return None
        if not all(listening(ports.get(name, 0)) for name in self.components if name != "taskmanager"):
            return None
        return self._info(ports)

    def up(self, progress: Callable[[Progress], None] | None = None) -> StackInfo:
        """Start what does not run, and return when all of it serves.

        Raises
        ------
        ArtifactError
            A jar is missing and cannot be fetched.
        ComponentError
            A component did not start; what this call started is stopped again.
        StackError
            The state directory's path cannot be used.
        """
        running = self.running()
        if running is not None:
            return running
        from filelock import FileLock  # noqa: PLC0415 - only where something has to start

        self.layout.run.mkdir(parents=True, exist_ok=True)
        with FileLock(self.layout.run / "lock"):
            return self.running() or self._start(progress or (lambda _step: None))

    def down(self, *, purge: bool = False) -> None:
        """Stop every process of the stack; ``purge`` deletes topics, state and logs as well.

        The lock file stays: another process may be waiting at it.
        """
        if not self.layout.root.exists():
            return
        from filelock import FileLock  # noqa: PLC0415

        self.layout.run.mkdir(parents=True, exist_ok=True)
        with FileLock(self.layout.run / "lock"):
            while left := processes.marked(self.layout.state_dir):
                processes.stop(left)
            for pattern in ("*.json", "*.ready", "*.part", *(["ports"] if purge else [])):
                for path in self.layout.run.glob(pattern):
                    path.unlink(missing_ok=True)
            doomed = self.layout.root.iterdir() if purge else [self.layout.tmp]
            for path in doomed:
                if path != self.layout.run:
                    shutil.rmtree(path, ignore_errors=True)

    def status(self) -> StackStatus:
        """Return each component's state, as the operating system and its port tell it."""
        records = processes.recorded(self.layout.run)
        ports = self._known_ports()
        checks = self._checks(ports, records) if ports else {}
        found = []
        for name in (n for n in NAMES if n in self.components or (n in OPTIONAL and n in records)):
            record = records.get(name)
            process = processes.alive(record, self.layout.state_dir) if record else None
            port = ports.get(name)
            if process is not None and record is not None:
                found.append(
                    ComponentStatus(
                        name,
                        "running" if ports and checks[name]() else "starting",
                        process.pid,
                        port,
                        process.memory_info().rss,
                        time.time() - record.created,
                    )
                )
            elif record is not None:
                found.append(ComponentStatus(name, "died", port=port, detail=self._cause(name)))
            else:
                found.append(ComponentStatus(name, "stopped", port=port))
        return StackStatus(tuple(found))

    def logs(self, component: str, lines: int = 50) -> str:
        """Return the last lines of a component's log and of what it printed.

        The run before is kept beside them, as ``COMPONENT.previous.log``.
        """
        if component not in NAMES:
            raise UsageError(f"no component {component!r}", hint=f"known: {', '.join(NAMES)}")
        return tail(self.layout.logs, component, lines)

    def _start(self, progress: Callable[[Progress], None]) -> StackInfo:
        from sdp_kernel.local import artifacts, java  # noqa: PLC0415

        self._check_path()
        runtime = java.find()
        jars = artifacts.by_group(
            sorted({group for name in self.components for group in GROUPS[name]}),
            mirror=self.settings.maven,
            progress=lambda done, total: progress(Progress("jars", done, total)),
        )
        alive = self._clean()
        ports = self._choose_ports(alive)
        more = {**self.settings.flink, **self._configuration}
        write_configuration(self.layout, ports, task_slots=self.settings.task_slots, more=more)
        if "gateway" in jars:
            link_opt(self.layout, jars["gateway"][0])
        started: list[str] = []
        try:
            for name in sorted(self.components, key=_ORDER.index):
                if name not in alive:
                    started.append(name)
                    self._spawn(name, runtime, jars, ports)
            self._await(ports, progress)
        except BaseException:
            for name in started:
                (self.layout.run / f"{name}.json").unlink(missing_ok=True)
            self._clean()
            raise
        for name in self.components:
            (self.layout.run / f"{name}.ready").touch()
        self._archive_later(runtime, jars)
        return self._info(ports)

    def _check_path(self) -> None:
        found = [mark for mark in _READ_AS_SEVERAL if mark in str(self.layout.root)]
        if found:
            raise StackError(
                f"the state directory {self.layout.state_dir} has {found[0]!r} in its path, "
                "which Kafka and Flink read as several paths",
                hint="move or rename the project",
            )

    def _clean(self) -> set[str]:
        """Stop marked processes that no record names, drop stale records; return what runs.

        What runs, but not at the ports it should, counts as stale. So does a TaskManager whose
        JobManager is gone, and its jobs with it: it would look for the new one only when heartbeats
        time out, after 50 s.
        """
        records = processes.recorded(self.layout.run)
        ports = self._known_ports()
        moved = {name.split("_")[0] for name, port in self._fixed.items() if ports.get(name) != port}
        alive = {
            name
            for name, record in records.items()
            if ports and name not in moved and processes.alive(record, self.layout.state_dir) is not None
        }
        if "jobmanager" not in alive:
            alive.discard("taskmanager")
        known = processes.family(records[name].pid for name in alive)
        processes.stop([p for p in processes.marked(self.layout.state_dir) if p.pid not in known])
        for name in set(records) - alive:
            (self.layout.run / f"{name}.json").unlink(missing_ok=True)
            (self.layout.run / f"{name}.ready").unlink(missing_ok=True)
        return alive

    def _choose_ports(self, alive: set[str]) -> dict[str, int]:
        """Take the ports of the last start again, unless something else has them now."""
        before = self._known_ports()
        fresh = iter(free_ports(len(PORTS)))
        ports = {}
        for name in PORTS:
            kept = before.get(name)
            owner = name.split("_")[0]
            usable = kept is not None and (owner in alive or released(kept))
            ports[name] = self._fixed.get(name) or (kept if usable and kept else next(fresh))
        self.layout.run.mkdir(parents=True, exist_ok=True)
        part = self.layout.run / "ports.part"
        part.write_text(json.dumps(ports), encoding="utf-8")
        part.replace(self.layout.run / "ports")
        return ports

    def _known_ports(self) -> dict[str, int]:
        """Return the ports of the last start; none unless all are known."""
        try:
            ports = dict(json.loads((self.layout.run / "ports").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}
        return ports if all(isinstance(ports.get(name), int) for name in _CORE_PORTS) else {}

    def _spawn(
        self, name: str, runtime: Java, jars: Mapping[str, list[Path]], ports: Mapping[str, int]
    ) -> None:
        from sdp_kernel.local import java  # noqa: PLC0415

        identity = f"taskmanager-{uuid.uuid4().hex[:8]}" if name == "taskmanager" else ""
        how = launch(name, self.layout, jars, identity)
        archive = java.archive_path(runtime, name, how.flags, how.class_path)
        sharing = java.share(archive)
        port = ports.get(name, 0)
        if name != "taskmanager" and listening(port):
            raise ComponentError(
                name,
                f"{name} cannot start: port {port} is taken by another process",
                hint="choose another port, or stop what uses it",
            )
        if name == "kafka" and not (self.layout.data / "kafka" / "meta.properties").exists():
            self._format(format_command(self.layout, runtime, how.class_path, [*how.flags, *sharing]))
        keep_previous(self.layout.logs, name)
        class_path = ":".join(map(str, how.class_path))
        command = [str(runtime.executable), *how.flags, *sharing, "-cp", class_path, *how.main]
        processes.spawn(
            name,
            command,
            port=port,
            environment=how.environment,
            output=self.layout.logs / f"{name}.out",
            records=self.layout.run,
            state_dir=self.layout.state_dir,
            identity=identity,
        )

    def _format(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ComponentError(
                "kafka",
                "kafka's log directory cannot be formatted",
                hint="sdp down --purge deletes it",
                detail=(done.stdout + done.stderr)[-2000:],
            )

    def _checks(
        self, ports: Mapping[str, int], records: Mapping[str, processes.Record]
    ) -> dict[str, Callable[[], bool]]:
        taskmanager = records.get("taskmanager")
        return ready_checks(ports, taskmanager.identity if taskmanager else "")

    def _await(self, ports: Mapping[str, int], progress: Callable[[Progress], None]) -> None:
        """Wait until all serve; those that ran before as well, since they have to find the new ones."""
        records = processes.recorded(self.layout.run)
        checks = self._checks(ports, records)
        ready: list[str] = []
        total = len(self.components)
        deadline = time.monotonic() + _START_S
        progress(Progress("start", 0, total))
        while len(ready) < total:
            for name in self.components:
                if name in ready:
                    continue
                if processes.alive(records[name], self.layout.state_dir) is None:
                    raise self._failure(name, "died while starting")
                if checks[name]():
                    ready.append(name)
                    progress(Progress("start", len(ready), total, tuple(ready)))
            if time.monotonic() > deadline:
                late = next(name for name in self.components if name not in ready)
                raise self._failure(late, f"did not serve within {_START_S:.0f} s")
            time.sleep(0.05)

    def _failure(self, name: str, what: str) -> ComponentError:
        reason = self._cause(name)
        hint = f"the whole log: sdp logs {name} -n 500"
        if name == "kafka" and _OTHER_DATA.search(reason):
            hint = (
                f"the data in {self.layout.data / 'kafka'} may come from another broker or version; "
                f"sdp down --purge deletes it. {hint[0].upper()}{hint[1:]}"
            )
        return ComponentError(
            name,
            f"{name} {what}: {reason}",
            hint=hint,
            detail=self.logs(name, lines=15),
        )

    def _cause(self, name: str) -> str:
        return cause_in(self.layout.logs, name)

    def _info(self, ports: Mapping[str, int]) -> StackInfo:
        def address(name: str, form: str) -> str | None:
            return form.format(ports[name]) if name in self.components else None

        return StackInfo(
            state_dir=self.layout.state_dir,
            kafka=address("kafka", "127.0.0.1:{}"),
            jobmanager=address("jobmanager", "http://127.0.0.1:{}"),
            gateway=address("gateway", "http://127.0.0.1:{}"),
            registry=f"http://127.0.0.1:{ports['registry']}{REGISTRY_PATH}"
            if "registry" in self.components or self._runs("registry")
            else None,
        )

    def _runs(self, name: str) -> bool:
        record = processes.recorded(self.layout.run).get(name)
        return record is not None and processes.alive(record, self.layout.state_dir) is not None

    def archived(self) -> bool:
        """Whether every component's classes are archived, so that a start takes its least time."""
        from sdp_kernel.local import artifacts, java  # noqa: PLC0415

        groups = {group for name in set(self.components) & set(DEFAULT) for group in GROUPS[name]}
        jars = artifacts.by_group(groups, mirror=self.settings.maven)
        return not self._unarchived(java.find(), jars)

    def _unarchived(self, runtime: Java, jars: Mapping[str, list[Path]]) -> dict[str, str]:
        """Return the components without an archive, and where theirs belongs."""
        from sdp_kernel.local import java  # noqa: PLC0415

        missing = {}
        for name in set(self.components) & set(DEFAULT):  # Quarkus loads classes by itself
            how = launch(name, self.layout, jars)
            archive = java.archive_path(runtime, name, how.flags, how.class_path)
            if not archive.exists():
                missing[name] = str(archive)
        return missing

    def _archive_later(self, runtime: Java, jars: Mapping[str, list[Path]]) -> None:
        """Archive the classes of components that have no archive yet, in the background."""
        missing = self._unarchived(runtime, jars)
        if missing and runtime.jcmd is not None:
            from sdp_kernel.local import archive  # noqa: PLC0415

            archive.begin(self.layout.state_dir, runtime.jcmd, missing, self.layout.logs / "archive.out")


__all__ = ["ComponentStatus", "Progress", "Stack", "StackError", "StackInfo", "StackStatus", "cause"]
