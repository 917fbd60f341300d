"""``sdp.toml`` → frozen settings: profiles, Kafka clusters by alias, secret references.

The file is found upward from the working directory, as ``pyproject.toml`` is. Without one
there is the profile ``local``: the embedded stack. Secrets are references (``env:NAME``,
``file:PATH``); their values are read when a client is made and are kept nowhere.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.errors import SettingsError
from sdp_kernel.references import REFERENCE, names_secret, quote, resolve_secret
from sdp_kernel.settings_lint import LintSettings
from sdp_kernel.settings_lint import read as read_lint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "KafkaCluster", "KubernetesSettings", "LocalSettings", "MaskingSettings", "Profile", "PromoteSettings",
    "Settings", "find_file", "load", "quote", "resolve_secret",
]  # fmt: skip

FILE_NAME = "sdp.toml"
STATE_DIR_NAME = ".sdp"
_PROFILE_KEYS = {"gateway", "jobmanager", "kafka", "session", "parameters", "read_only", "functions",
                 "kubernetes"}  # fmt: skip
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_KAFKA_NAME = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\Z")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def _frozen(values: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    return MappingProxyType(dict(values or {}))


@dataclass(frozen=True)
class KubernetesSettings:
    """``[profiles.NAME.kubernetes]``: a namespace, and the Flink session cluster in it.

    ``context`` is None for the kubeconfig's current one, or where there is no kubeconfig, the service
    account of the pod this runs in; ``kubeconfig`` is None for ``KUBECONFIG`` or ``~/.kube/config``.
    ``deployment`` is the name of a FlinkDeployment; None where the profile is only deployed to.
    ``apply`` lets jobs be applied from here, past Terraform and its reviews: for development.
    """

    namespace: str
    context: str | None = None
    deployment: str | None = None
    kubeconfig: Path | None = None
    apply: bool = False


@dataclass(frozen=True)
class Profile:
    """Where the workbench works: a gateway or a session cluster, Kafka clusters, session properties.

    ``gateway`` is None for the embedded stack, and for a session cluster on Kubernetes, whose gateway
    runs on this machine. ``jobmanager`` is the JobManager's REST address;
    where it is not given it is asked of the gateway's session. ``functions`` is a place for Python
    functions that the gateway and the cluster can read, where they run on another machine.
    """

    name: str
    gateway: str | None = None
    jobmanager: str | None = None
    kafka: Mapping[str, KafkaCluster] = field(default_factory=_frozen)
    session: Mapping[str, str] = field(default_factory=_frozen)
    parameters: Mapping[str, str] = field(default_factory=_frozen)
    read_only: bool = False
    functions: str | None = None
    kubernetes: KubernetesSettings | None = None

    @property
    def embedded(self) -> bool:
        """Whether this profile is the embedded stack."""
        return self.gateway is None and self.kubernetes is None


@dataclass(frozen=True)
class PromoteSettings:
    """``[promote]``: the team repository and what the generated files refer to.

    ``module_source`` is the Terraform source of the SQL job module; ``branch`` may hold
    ``{job}``. ``kafka_cluster`` names, by alias, the Kafka in Kubernetes that new topics are declared in
    (``NAME`` or ``NAMESPACE/NAME``), as calls of ``topic_module_source``.
    """

    repository: Path | None = None
    module_source: str = "./modules/flink/sql-job"
    session_cluster: str = "session"
    branch: str = "sdp/{job}"
    topic_module_source: str = "./modules/kafka-topic"
    kafka_cluster: Mapping[str, str] = field(default_factory=_frozen)


LOCAL_EXTRAS = ("registry",)


@dataclass(frozen=True)
class LocalSettings:
    """``[local]``: the embedded stack.

    ``maven`` is a mirror to fetch jars from; ``with_`` (``with`` in the file) names components to
    start beside the usual ones; ``flink`` is more of Flink's configuration, which goes before its own.
    """

    maven: str | None = None
    task_slots: int = 32
    with_: tuple[str, ...] = ()
    flink: Mapping[str, str] = field(default_factory=_frozen)

    def adding(self, names: Iterable[str]) -> LocalSettings:
        """Return these settings with more components."""
        return replace(self, with_=tuple(dict.fromkeys([*self.with_, *names])))


MASKING_ACTIONS = ("hash", "redact", "null")


@dataclass(frozen=True)
class MaskingSettings:
    """``[masking]``: what is never shown. ``columns`` maps name patterns to an action.

    ``key`` is a secret reference for the action ``hash``; None takes a random one that is kept in
    the state directory.
    """

    columns: Mapping[str, str] = field(default_factory=_frozen)
    key: str | None = None


@dataclass(frozen=True)
class Settings:
    """Everything ``sdp.toml`` says; ``root`` is the directory it governs."""

    root: Path
    file: Path | None = None
    profiles: Mapping[str, Profile] = field(default_factory=_frozen)
    promote: PromoteSettings = field(default_factory=PromoteSettings)
    local: LocalSettings = field(default_factory=LocalSettings)
    masking: MaskingSettings = field(default_factory=MaskingSettings)
    lint: LintSettings = field(default_factory=LintSettings)

    @property
    def state_dir(self) -> Path:
        """The project's state: the running stack, ledgers. Not for git."""
        return self.root / STATE_DIR_NAME

    def repository(self, given: Path | None = None) -> Path:
        """Return ``given``, else ``[promote] repository``, else the project's own directory."""
        return given or self.promote.repository or self.root

    def make_state_dir(self) -> Path:
        """Make the state directory, with a ``.gitignore`` that keeps all of it out of git."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        ignore = self.state_dir / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        return self.state_dir

    def profile(self, name: str) -> Profile:
        """Return the profile of that name; ``local`` always exists."""
        if name in self.profiles:
            return self.profiles[name]
        if name == "local":
            return Profile("local")
        known = ", ".join(sorted({*self.profiles, "local"}))
        raise SettingsError(
            f"there is no profile {name!r} in {self.file or FILE_NAME}",
            hint=f"use one of: {known}; or add [profiles.{name}]",
        )


def find_file(start: Path | None = None) -> Path | None:
    """Find ``sdp.toml`` upward from ``start`` (the working directory)."""
    here = (start or Path.cwd()).resolve()
    return next((d / FILE_NAME for d in (here, *here.parents) if (d / FILE_NAME).is_file()), None)


def load(start: Path | None = None) -> Settings:
    """Read the settings that govern ``start``.

    Raises
    ------
    SettingsError
        The file is not TOML, has an unknown key, or holds a literal secret.
    """
    path = find_file(start)
    if path is None:
        return Settings(root=(start or Path.cwd()).resolve())
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}", hint="check its permissions"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", hint="mend the line it names") from None
    reader = _Reader(path)
    reader.only(data, "", {"profiles", "promote", "local", "masking", "lint"})
    return Settings(
        root=path.parent,
        file=path,
        profiles=_frozen(
            {
                name: reader.profile(name, reader.table(table, f"profiles.{name}"))
                for name, table in reader.table(data.get("profiles", {}), "profiles").items()
            }
        ),
        promote=reader.promote(reader.table(data.get("promote", {}), "promote")),
        local=reader.local(reader.table(data.get("local", {}), "local")),
        masking=reader.masking(reader.table(data.get("masking", {}), "masking")),
        lint=read_lint(reader.table(data.get("lint", {}), "lint"), path),
    )


class _Reader:
    """Checks the raw tables; every complaint names the file and the key."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fail(self, key: str, what: str, hint: str) -> SettingsError:
        return SettingsError(f"{self.path}: {key} {what}", hint=hint)

    def only(self, table: dict[str, Any], where: str, known: set[str]) -> None:
        for key in table:
            if key not in known:
                raise self.fail(
                    f"{where}.{key}".lstrip("."),
                    "is not a setting",
                    f"known here: {', '.join(sorted(known))}",
                )

    def table(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(where, "must be a table", f"write it as [{where}]")
        return value

    def get(self, table: dict[str, Any], where: str, key: str, kind: type, default: Any) -> Any:
        value = table.get(key, default)
        if value is not default and not (
            isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        ):
            raise self.fail(f"{where}.{key}", f"must be a {kind.__name__}", f"it is {value!r}")
        return value

    def strings(self, table: dict[str, Any], where: str) -> dict[str, str]:
        out: dict[str, str] = {}
        for key, value in table.items():
            if isinstance(value, dict):  # a dotted key written without quotes
                out.update({f"{key}.{k}": v for k, v in self.strings(value, f"{where}.{key}").items()})
            elif isinstance(value, bool):
                out[key] = str(value).lower()
            elif isinstance(value, (str, int, float)):
                out[key] = str(value)
            else:
                raise self.fail(f"{where}.{key}", "must be text, a number or a boolean", "mend the value")
        return out

    def profile(self, name: str, table: dict[str, Any]) -> Profile:
        where = f"profiles.{name}"
        self.only(table, where, _PROFILE_KEYS)
        gateway = self.get(table, where, "gateway", str, None)
        jobmanager = self.get(table, where, "jobmanager", str, None)
        for key, url in (("gateway", gateway), ("jobmanager", jobmanager)):
            if url is not None and not re.match(r"^https?://[^/\s]+", url):
                raise self.fail(
                    f"{where}.{key}", f"is not an http(s) address: {url!r}", "write http://host:port"
                )
        kubernetes = self.kubernetes(table, where) if "kubernetes" in table else None
        if gateway is None and kubernetes is None and name != "local":
            raise self.fail(
                where, "has neither gateway nor kubernetes",
                f'add gateway = "http://host:8083", or [{where}.kubernetes] with namespace and deployment',
            )  # fmt: skip
        clusters = {}
        for alias, properties in self.table(table.get("kafka", {}), f"{where}.kafka").items():
            clusters[alias] = self.kafka(alias, properties, f"{where}.kafka.{alias}")
        return Profile(
            name=name,
            gateway=gateway.rstrip("/") if gateway else None,
            jobmanager=jobmanager.rstrip("/") if jobmanager else None,
            kafka=_frozen(clusters),
            session=_frozen(self.strings(self.table(table.get("session", {}), where), f"{where}.session")),
            parameters=_frozen(
                self.strings(self.table(table.get("parameters", {}), where), f"{where}.parameters")
            ),
            read_only=self.get(table, where, "read_only", bool, False),
            functions=self.get(table, where, "functions", str, None),
            kubernetes=kubernetes,
        )

    def kubernetes(self, profile: dict[str, Any], profile_key: str) -> KubernetesSettings:
        where = f"{profile_key}.kubernetes"
        table = self.table(profile["kubernetes"], where)
        self.only(table, where, {"context", "namespace", "deployment", "kubeconfig", "apply"})
        for key in ("gateway", "jobmanager"):
            if key in profile:
                raise self.fail(
                    profile_key, f"has both {key} and kubernetes",
                    f"leave {key} out: a session cluster on Kubernetes is reached through its API server",
                )  # fmt: skip
        found: dict[str, str | None] = {
            key: self.get(table, where, key, str, None) for key in ("context", "deployment", "kubeconfig")
        }
        namespace: str | None = self.get(table, where, "namespace", str, None)
        if namespace is None:
            raise self.fail(where, "has no namespace", 'add namespace = "flink"')
        for key, value in {**found, "namespace": namespace}.items():
            if value is not None and not value.strip():
                raise self.fail(f"{where}.{key}", "is empty", "leave it out, or name one")
        for key, name in (("namespace", namespace), ("deployment", found["deployment"])):
            if name is not None and not _LABEL.match(name):
                raise self.fail(
                    f"{where}.{key}", f"is not a name that Kubernetes takes: {name!r}",
                    "lower-case letters, digits and -, at most 63",
                )  # fmt: skip
        kubeconfig = found["kubeconfig"]
        return KubernetesSettings(
            namespace,
            found["context"],
            found["deployment"],
            self.path.parent / Path(kubeconfig).expanduser() if kubeconfig else None,
            self.get(table, where, "apply", bool, False),
        )

    def kafka(self, alias: str, value: Any, where: str) -> KafkaCluster:
        if not _ALIAS.match(alias):
            raise self.fail(where, "is not a usable alias", "use letters, digits and underscores")
        properties = self.strings(self.table(value, where), where)
        if "bootstrap.servers" not in properties:
            raise self.fail(where, "has no bootstrap.servers", 'add "bootstrap.servers" = "host:9092"')
        for key, text in properties.items():
            if names_secret(key) and not REFERENCE.match(text):
                raise self.fail(f"{where}.{key}", "holds a literal secret", f'write "{key}" = "env:NAME"')
        return KafkaCluster(alias, _frozen(properties))

    def promote(self, table: dict[str, Any]) -> PromoteSettings:
        known = {"repository", "module_source", "session_cluster", "branch"}
        self.only(table, "promote", known | {"topic_module_source", "kafka_cluster"})
        defaults = PromoteSettings()
        repository = self.get(table, "promote", "repository", str, None)
        branch = self.get(table, "promote", "branch", str, defaults.branch)
        try:
            branch.format(job="job")
        except (LookupError, ValueError, AttributeError):
            raise self.fail(
                "promote.branch", f"is not a branch name: {branch!r}", "the one name in braces is {job}"
            ) from None
        source = self.get(table, "promote", "module_source", str, defaults.module_source)
        beside = re.sub(r"flink/sql-job(?=/?(\?|\Z))", "kafka-topic", source)
        return PromoteSettings(
            repository=(self.path.parent / Path(repository).expanduser()) if repository else None,
            module_source=source,
            topic_module_source=self.get(table, "promote", "topic_module_source", str, beside),
            kafka_cluster=self.kafka_clusters(table.get("kafka_cluster", {})),
            session_cluster=self.get(table, "promote", "session_cluster", str, defaults.session_cluster),
            branch=branch,
        )

    def kafka_clusters(self, given: Any) -> Mapping[str, str]:
        where = "promote.kafka_cluster"
        names = self.strings(self.table({"main": given} if isinstance(given, str) else given, where), where)
        for name in names.values():
            if not _KAFKA_NAME.match(name):
                raise self.fail(where, f"is {name!r}", "write NAME or NAMESPACE/NAME, as Kubernetes has them")
        return _frozen(names)

    def local(self, table: dict[str, Any]) -> LocalSettings:
        self.only(table, "local", {"maven", "task_slots", "with", "flink"})
        defaults = LocalSettings()
        more = self.get(table, "local", "with", list, [])
        if any(name not in LOCAL_EXTRAS for name in more):
            raise self.fail("local.with", f"is {more!r}", f"known: {', '.join(LOCAL_EXTRAS)}")
        return LocalSettings(
            maven=self.get(table, "local", "maven", str, None),
            task_slots=self.get(table, "local", "task_slots", int, defaults.task_slots),
            with_=tuple(more),
            flink=MappingProxyType(
                self.strings(self.table(table.get("flink", {}), "local.flink"), "local.flink")
            ),
        )

    def masking(self, table: dict[str, Any]) -> MaskingSettings:
        self.only(table, "masking", {"columns", "key"})
        columns = self.strings(self.table(table.get("columns", {}), "masking.columns"), "masking.columns")
        for pattern, action in columns.items():
            if action not in MASKING_ACTIONS:
                raise self.fail(
                    f"masking.columns.{pattern}",
                    f"has no action {action!r}",
                    f"use one of: {', '.join(MASKING_ACTIONS)}",
                )
        key = self.get(table, "masking", "key", str, None)
        if key is not None and not REFERENCE.match(key):
            raise SettingsError(
                f"{self.path}: masking.key holds a literal secret", hint='write key = "env:NAME"'
            )
        return MaskingSettings(_frozen(columns), key)
