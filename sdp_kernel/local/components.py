"""The components: what each runs, how it is configured, and when it is ready.

Flink's processes are started with the java command itself in place of the distribution's shell
scripts: each script starts two more JVMs to work out memory sizes, which stand here instead.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import sys
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.errors import StackError
from sdp_kernel.local.artifacts import unpacked
from sdp_kernel.local.processes import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.local.java import Java

DEFAULT = ("kafka", "jobmanager", "taskmanager", "gateway")
OPTIONAL = ("registry",)
NAMES = (*DEFAULT, *OPTIONAL)
GROUPS = {"kafka": ("kafka",), "jobmanager": ("flink", "gateway"), "taskmanager": ("flink",),
          "gateway": ("flink", "gateway"), "registry": ("registry",)}  # fmt: skip
REGISTRY_PATH = "/apis/ccompat/v7"
HOST = "127.0.0.1"
_HTTP_S = 2.0
#: What the slow compiler costs pays off in what rows go through, not in planning ten queries: it
#: takes a method after eight times as many calls as usual, which a row a millisecond makes in a minute.
_SELDOM_COMPILED = [
    "-XX:Tier4InvocationThreshold=40000",
    "-XX:Tier4MinInvocationThreshold=5000",
    "-XX:Tier4CompileThreshold=120000",
]
#: Small heaps that grow, with a young generation that a page of results fits in; the serial
#: collector, and for Kafka and the JobManager the quick compiler alone: both start sooner.
_JVM_FLAGS = {
    "kafka": ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
    "jobmanager": ["-Xms160m", "-Xmx448m", "-XX:NewSize=96m", "-XX:MaxMetaspaceSize=256m",
                   "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
    "taskmanager": ["-Xms224m", "-Xmx640m", "-XX:NewSize=160m", "-XX:MaxDirectMemorySize=320m",
                    "-XX:MaxMetaspaceSize=256m", "-XX:+UseSerialGC", *_SELDOM_COMPILED],
    "gateway": ["-Xms192m", "-Xmx768m", "-XX:NewSize=128m", "-XX:+UseSerialGC", *_SELDOM_COMPILED],
    "registry": ["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Where a stack keeps what."""

    state_dir: Path

    @property
    def root(self) -> Path:
        """Everything of the stack."""
        return self.state_dir / "stack"

    @property
    def conf(self) -> Path:
        """Generated configuration."""
        return self.root / "conf"

    @property
    def data(self) -> Path:
        """Kafka's log and Flink's checkpoints; kept by ``down``."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """One log and one output file a component."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Records, ports and the lock."""
        return self.root / "run"

    @property
    def opt(self) -> Path:
        """FLINK_OPT_DIR: links to the wheel's jars and exactly one gateway jar."""
        return self.root / "opt"

    @property
    def tmp(self) -> Path:
        """The processes' temporary files."""
        return self.root / "tmp"


@dataclass(frozen=True)
class Launch:
    """How to start a component. ``class_path`` and ``flags`` key its CDS archive."""

    main: list[str]
    class_path: list[Path]
    flags: list[str]
    environment: Mapping[str, str]


def flink_home() -> Path:
    """Return the Flink distribution inside the apache-flink wheel.

    Raises
    ------
    StackError
        apache-flink is not installed.
    """
    import importlib.util  # noqa: PLC0415

    spec = importlib.util.find_spec("pyflink")
    if spec is None or spec.origin is None:
        raise StackError("apache-flink is not installed", hint="pip install 'sdp-kernel[local]'")
    return Path(spec.origin).parent


def free_ports(count: int) -> list[int]:
    """Return distinct free loopback ports."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for held in sockets:
            held.bind((HOST, 0))
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()


def listening(port: int) -> bool:
    """Whether something accepts connections at a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def released(port: int, *, within: float = 3.0) -> bool:
    """Whether nothing listens at a port; a killed process's last threads may hold it for a moment."""
    deadline = time.monotonic() + within
    while listening(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def write_configuration(
    layout: Layout, ports: Mapping[str, int], *, task_slots: int, more: Mapping[str, str | None] | None = None
) -> None:
    """Write Flink's, Kafka's and log4j's configuration.

    ``more`` of Flink's goes before its own; a key that is None there is left out.
    """
    for directory in (layout.conf, layout.data, layout.logs, layout.tmp, layout.opt):
        directory.mkdir(parents=True, exist_ok=True)
    flink: dict[str, object] = {
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": ports["jobmanager_rpc"],
        "jobmanager.bind-host": HOST,
        "jobmanager.memory.heap.size": "448m",
        "jobmanager.memory.off-heap.size": "128m",
        "jobmanager.memory.jvm-metaspace.size": "256m",
        "jobmanager.memory.jvm-overhead.min": "192m",
        "jobmanager.memory.jvm-overhead.max": "192m",
        "jobmanager.execution.failover-strategy": "region",
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": ports["jobmanager"],
        "web.upload.dir": layout.tmp,
        "web.tmpdir": layout.tmp,
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "taskmanager.numberOfTaskSlots": task_slots,
        "taskmanager.cpu.cores": task_slots,
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.framework.off-heap.size": "128m",
        "taskmanager.memory.task.heap.size": "512m",
        "taskmanager.memory.task.off-heap.size": "0b",
        "taskmanager.memory.network.min": "128m",
        "taskmanager.memory.network.max": "128m",
        # of 512 buffers for each exchange, a batch query of nine of them would find too few
        "taskmanager.network.sort-shuffle.min-buffers": 32,
        "taskmanager.memory.managed.size": "512m",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "192m",
        "taskmanager.memory.jvm-overhead.max": "192m",
        "sql-gateway.endpoint.rest.address": HOST,
        "sql-gateway.endpoint.rest.bind-address": HOST,
        "sql-gateway.endpoint.rest.port": ports["gateway"],
        "sql-gateway.endpoint.rest.bind-port": ports["gateway"],
        "sql-gateway.session.idle-timeout": "1min",
        "sql-gateway.session.check-interval": "10s",
        "execution.checkpointing.dir": f"file://{layout.data / 'checkpoints'}",
        "execution.checkpointing.savepoint-dir": f"file://{layout.data / 'savepoints'}",
        "io.tmp.dirs": layout.tmp,
        # a dead TaskManager is struck off after two unanswered heartbeats
        "heartbeat.interval": "2s",
        # a job is given its slots at once, where Flink gathers requests for a twentieth of a second
        "slotmanager.requirement-check.delay": "0 ms",
        "parallelism.default": 1,
        # what a live table shows of its job is as old as this
        "web.refresh-interval": "1s",
        "metrics.fetcher.update-interval": "2s",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        **(more or {}),
    }
    # a JSON string is a YAML string: a path may hold " #"
    text = "".join(f"{key}: {_yaml_value(value)}\n" for key, value in flink.items() if value is not None)
    (layout.conf / "config.yaml").write_text(text, encoding="utf-8")
    kafka = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"{HOST}:{ports['kafka_controller']}",
        "listeners": f"PLAINTEXT://{HOST}:{ports['kafka']},CONTROLLER://{HOST}:{ports['kafka_controller']}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": layout.data / "kafka",
        "num.partitions": 1,
        "auto.create.topics.enable": "true",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 400,
        "message.max.bytes": 32 * 2**20,
        "replica.fetch.max.bytes": 32 * 2**20,
        "log.segment.bytes": 256 * 2**20,
        # records come with the times of their events, which may be long ago
        "log.retention.ms": -1,
    }
    text = "".join(f"{key}={_properties_value(value)}\n" for key, value in kafka.items())
    (layout.conf / "server.properties").write_text(text, encoding="ascii")
    registry = {
        "quarkus.http.host": HOST,
        "quarkus.http.port": ports["registry"],
        "quarkus.management.host": HOST,
        "quarkus.management.port": ports["registry_management"],
        "quarkus.log.file.enable": "true",
        "quarkus.log.file.path": layout.logs / "registry.log",
        "quarkus.http.access-log.enabled": "false",
        "apicurio.storage.kind": "sql",
        "apicurio.storage.sql.kind": "h2",
        "apicurio.datasource.url": f"jdbc:h2:file:{layout.data / 'registry' / 'schemas'}",
    }
    text = "".join(f"{key}={_properties_value(value)}\n" for key, value in registry.items())
    (layout.conf / "registry.properties").write_text(text, encoding="ascii")
    (layout.conf / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")


def _yaml_value(value: object) -> str:
    return str(value) if isinstance(value, int) else json.dumps(str(value), ensure_ascii=False)


def _properties_value(value: object) -> str:
    """Escape for ``java.util.Properties``, which reads ISO-8859-1."""
    return json.dumps(str(value))[1:-1].replace('\\"', '"')


#: Each Flink job makes several Kafka clients, and each tells its whole configuration at INFO.
_LOG4J = """monitorInterval = 0
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
logger.clients.name = org.apache.flink.kafka.shaded.org.apache.kafka
logger.clients.level = WARN
appender.file.name = file
appender.file.type = RollingFile
appender.file.append = false
appender.file.fileName = ${sys:log.file}
appender.file.filePattern = ${sys:log.file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1} - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
"""


def link_opt(layout: Layout, gateway_jar: Path) -> None:
    """Fill FLINK_OPT_DIR: SqlDriver looks there for exactly one flink-sql-gateway jar."""
    wanted = {jar.name: jar for jar in [*(flink_home() / "opt").glob("*.jar"), gateway_jar]}
    for link in layout.opt.iterdir():
        if link.name not in wanted or link.resolve() != wanted[link.name].resolve():
            link.unlink()
    for name, jar in wanted.items():
        if not (layout.opt / name).exists():
            (layout.opt / name).symlink_to(jar)


def launch(name: str, layout: Layout, jars: Mapping[str, list[Path]], identity: str = "") -> Launch:
    """Return how to start a component; ``jars`` by group, ``identity`` a TaskManager's resource ID."""
    log = [
        f"-Dlog.file={layout.logs / name}.log",
        f"-Dlog4j2.configurationFile={(layout.conf / 'log4j2.properties').as_uri()}",
        f"-Djava.io.tmpdir={layout.tmp}",
        mark(layout.state_dir),
    ]
    if name == "kafka":
        flags = _JVM_FLAGS[name]
        main = ["kafka.Kafka", str(layout.conf / "server.properties")]
        return Launch([*log, main[0], *main[1:]], jars["kafka"], flags, {"MALLOC_ARENA_MAX": "2"})
    if name == "registry":
        where = f"-Dquarkus.config.locations={(layout.conf / 'registry.properties').as_uri()}"
        main = ["io.quarkus.bootstrap.runner.QuarkusEntryPoint"]
        class_path = [unpacked(jars["registry"][0]) / "quarkus-run.jar"]
        return Launch([*log, where, *main], class_path, _JVM_FLAGS[name], {"MALLOC_ARENA_MAX": "2"})
    home = flink_home()
    opens = _module_options(home)
    lib = sorted((home / "lib").glob("*.jar"), key=lambda jar: (jar.name.startswith("flink-dist"), jar.name))
    # SqlDriver compiles Python functions in the JobManager; a TaskManager that has the jar of its own does
    # not load its classes anew for each job, which filled the metaspace after some forty jobs
    python = sorted((home / "opt").glob("flink-python*.jar"))
    class_path = [*jars["flink"], *lib, *python]
    environment = {
        "FLINK_CONF_DIR": str(layout.conf),
        "FLINK_LIB_DIR": str(home / "lib"),
        "FLINK_OPT_DIR": str(layout.opt),
        "FLINK_PLUGINS_DIR": str(layout.root / "plugins"),
        "FLINK_LOG_DIR": str(layout.logs),
        "MALLOC_ARENA_MAX": "2",
    }
    configured = ["--configDir", str(layout.conf)]
    flags = _JVM_FLAGS[name]
    if name == "jobmanager":
        main = ["org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint", *configured]
    elif name == "taskmanager":
        main = ["org.apache.flink.runtime.taskexecutor.TaskManagerRunner", *configured]
        main += [f"-Dtaskmanager.resource-id={identity}"] if identity else []
    else:
        main = ["org.apache.flink.table.gateway.SqlGateway"]
        class_path += jars["gateway"]
    return Launch([*log, *main], class_path, [*flags, *opens], environment)


def _module_options(home: Path) -> list[str]:
    """Read the --add-exports and --add-opens that Flink needs from the wheel's own configuration."""
    text = (home / "conf" / "config.yaml").read_text(encoding="utf-8")
    match = re.search(r"^\s+all:\s*(--add.*)$", text, re.MULTILINE)
    return match.group(1).split() if match else []


def format_command(layout: Layout, java: Java, jars: list[Path], flags: list[str]) -> list[str]:
    """Return the command that formats Kafka's log directory (KRaft)."""
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return [
        str(java.executable), *flags, mark(layout.state_dir), "-cp", ":".join(map(str, jars)),
        "kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={cluster_id}",
        "-c", str(layout.conf / "server.properties"),
    ]  # fmt: skip


def ready_checks(ports: Mapping[str, int], taskmanager: str = "") -> dict[str, Callable[[], bool]]:
    """Return, by component, the question whether it serves.

    ``taskmanager`` is the resource ID that has to be the only one: the JobManager goes on listing a
    killed TaskManager, and gives work to it, until its heartbeats are missed.
    """
    return {
        "kafka": lambda: listening(ports["kafka"]) and _kafka_answers(ports["kafka"]),
        "jobmanager": lambda: _get(ports["jobmanager"], "/overview") is not None,
        "taskmanager": lambda: _registered(ports["jobmanager"], taskmanager),
        "gateway": lambda: _get(ports["gateway"], "/v3/info") is not None,
        "registry": lambda: _get(ports["registry"], f"{REGISTRY_PATH}/subjects") is not None,
    }


def _get(port: int, path: str) -> bytes | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{HOST}:{port}{path}", timeout=_HTTP_S) as answer:
            return bytes(answer.read())
    except (OSError, urllib.error.URLError):
        return None


def _registered(port: int, identity: str) -> bool:
    answer = _get(port, "/taskmanagers")
    listed = [row["id"] for row in json.loads(answer)["taskmanagers"]] if answer else []
    return listed == [identity] if identity else bool(listed)


def _kafka_answers(port: int) -> bool:
    from confluent_kafka import KafkaException  # noqa: PLC0415
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    try:
        metadata = AdminClient({"bootstrap.servers": f"{HOST}:{port}", "log_level": 0}).list_topics(timeout=1)
    except KafkaException:
        return False
    return bool(metadata.brokers)
