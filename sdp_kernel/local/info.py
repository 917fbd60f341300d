"""What the embedded stack tells: progress, addresses, the state of its components. Data only."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from sdp_kernel.settings import KafkaCluster

if TYPE_CHECKING:
    from pathlib import Path

    from sdp_kernel.settings import Profile


@dataclass(frozen=True)
class Progress:
    """A step of ``up``: what happens, and how far it is; ``title`` is of what is started."""

    stage: str
    done: int = 0
    total: int = 0
    ready: tuple[str, ...] = ()
    title: str = "embedded stack"

    def __str__(self) -> str:
        if self.stage == "forward":
            return "looking for the JobManager, opening a port-forward"
        if self.stage == "jars":
            return f"fetching jars: {self.done} of {self.total}"
        waiting = f"starting, {self.done} of {self.total} ready"
        return f"{waiting}: {', '.join(self.ready)}" if self.ready else waiting


@dataclass(frozen=True)
class StackInfo:
    """A running stack's addresses; None for a component that is not part of it."""

    state_dir: Path
    kafka: str | None
    jobmanager: str | None
    gateway: str | None
    registry: str | None = None

    def to_profile(self, profile: Profile) -> Profile:
        """Fill the addresses into a profile, as ``kafka.main``, gateway and JobManager."""
        clusters = dict(profile.kafka)
        if self.kafka is not None:
            properties = {"bootstrap.servers": self.kafka}
            if self.registry is not None:
                properties["schema.registry.url"] = self.registry
            clusters["main"] = KafkaCluster("main", MappingProxyType(properties))
        return dataclasses.replace(
            profile, gateway=self.gateway, jobmanager=self.jobmanager, kafka=MappingProxyType(clusters)
        )


@dataclass(frozen=True)
class ComponentStatus:
    """A component's state: running, starting, stopped or died. ``memory`` is RSS in bytes."""

    name: str
    state: str
    pid: int | None = None
    port: int | None = None
    memory: int = 0
    uptime: float = 0.0
    detail: str = ""

    @property
    def healthy(self) -> bool:
        """Whether it serves."""
        return self.state == "running"


@dataclass(frozen=True)
class StackStatus:
    """All components."""

    components: tuple[ComponentStatus, ...]

    @property
    def memory(self) -> int:
        """Resident memory in all, in bytes."""
        return sum(component.memory for component in self.components)
