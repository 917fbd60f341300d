"""A new output topic as Terraform: ``terraform/topic.NAME.tf``, one call of the module ``kafka-topic``.

A file for each topic, so that jobs that write to different topics do not meet in one. Job names have
neither dots nor underscores, so neither the file nor the module is ever a job's.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from sdp_kernel.errors import UsageError
from sdp_kernel.repository.notation import hcl_string

if TYPE_CHECKING:
    from collections.abc import Mapping

_RETENTION = re.compile(r"^\s*(\d{1,9})\s*(ms|s|min|h|d)\s*\Z")
_MILLISECONDS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
#: Terraform reads such files last, and lets them change what others say.
_OVERRIDE = "_override"


def retention_ms(text: str) -> str:
    """Return a time such as ``7 d`` in milliseconds, as Kafka's ``retention.ms`` has it.

    Raises
    ------
    UsageError
        It is no such time.
    """
    match = _RETENTION.match(text)
    if match is None:
        raise UsageError(
            f"{text!r} is not a time to keep records for", hint="write it as 7 d, 12 h or 30 min"
        )
    return str(int(match[1]) * _MILLISECONDS[match[2]])


def path_of(topic: str) -> str:
    """Return the file a topic belongs in."""
    safe = f"{topic.removesuffix(_OVERRIDE)}-5f-override" if topic.endswith(_OVERRIDE) else topic
    return f"terraform/topic.{safe}.tf"


def module_of(topic: str) -> str:
    """Return the name of a topic's module: no two topics have one of one name."""
    plain = topic.replace(".", "--")
    digest = f"-{hashlib.sha256(topic.encode()).hexdigest()[:8]}" if "--" in topic else ""
    return f"topic-{plain}{digest}"


def text(topic: str, *, module_source: str, cluster: str, partitions: int, config: Mapping[str, str]) -> str:
    """Return the file.

    Parameters
    ----------
    cluster
        The Kafka's name in Kubernetes, or ``NAMESPACE/NAME`` where it is not in the module's own default.
    """
    namespace, _, name = cluster.rpartition("/")
    given = [("name", hcl_string(topic)), ("cluster", hcl_string(name))]
    given += [("namespace", hcl_string(namespace))] if namespace else []
    given += [("partitions", str(partitions))]
    width = max(len(key) for key, _ in given)
    lines = [
        f"module {hcl_string(module_of(topic))} {{",
        f"  source = {hcl_string(module_source)}",
        "",
        *(f"  {key.ljust(width)} = {value}" for key, value in given),
    ]
    if config:
        keys = {key: hcl_string(key) for key in sorted(config)}
        wide = max(map(len, keys.values()))
        lines += ["", "  config = {"]
        lines += [f"    {quoted.ljust(wide)} = {hcl_string(config[key])}" for key, quoted in keys.items()]
        lines += ["  }"]
    return "\n".join([*lines, "}", ""])
