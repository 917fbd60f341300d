"""A job's Terraform file → the FlinkSessionJob that Terraform would apply, byte for byte.

It is built as the modules ``flink/sql-job``, ``session-job`` and ``sql-script`` build it, without
Terraform: read the call, check its arguments, render the script, write the manifest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.deploy.jsonencode import jsonencode
from sdp_kernel.deploy.module_arguments import checked
from sdp_kernel.deploy.module_call import read_call
from sdp_kernel.deploy.templatefile import templatefile
from sdp_kernel.errors import UsageError
from sdp_kernel.references import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DRIVER = "org.apache.flink.table.runtime.application.SqlDriver"
API_VERSION = "flink.apache.org/v1beta1"
#: etcd keeps 1.5 MiB of an object, and the operator writes a job's spec twice more into its status.
MOST_BYTES = 400_000
#: YAML has none of these, and a module's manifest goes through YAML.
_CONTROL = re.compile("[\x7f-\x84\x86-\x9f\ufffe\uffff]")


@dataclass(frozen=True)
class Manifest:
    """A FlinkSessionJob to apply, with the text that Terraform gives Kubernetes.

    ``enabled`` is False where the file says that the job is not to exist; ``files`` are those of its
    script, in their order.
    """

    job: str
    namespace: str
    session_cluster: str
    content: Mapping[str, Any] = field(repr=False)
    text: str = field(repr=False)
    script: str = field(repr=False)
    files: tuple[str, ...] = ()
    enabled: bool = True


def read_manifest(
    terraform: Path,
    job: str,
    *,
    kafka: Mapping[str, KafkaCluster],
    functions: str | None,
    namespace: str,
    module_source: str = "",
) -> Manifest:
    """Build the manifest of ``JOB.tf`` in a Terraform root.

    Parameters
    ----------
    terraform
        The root's directory; ``path.root`` is it.
    kafka, functions, namespace
        What ``var.kafka``, ``var.functions`` and ``var.namespace`` are.
    module_source
        A source that is the SQL job module too.

    Raises
    ------
    UsageError, ParameterError
        The file has something that only Terraform evaluates, or an argument that the module refuses.
    """
    file = f"{job}.tf"
    variables = {
        "kafka": {alias: dict(cluster.properties) for alias, cluster in kafka.items()},
        "functions": functions,
        "namespace": namespace,
    }
    call = read_call(terraform / file, variables, module_source=module_source)
    values = checked(call.arguments, terraform, file=file)
    if values["job_name"] != job:
        raise UsageError(
            f"{file} is of the job {values['job_name']!r}, not {job!r}",
            hint="the file is called as its job: rename one of them",
        )
    return build(values, terraform)


def build(values: Mapping[str, Any], terraform: Path) -> Manifest:
    """Build the manifest of checked arguments.

    Raises
    ------
    UsageError, ParameterError
        A file cannot be rendered, or the manifest is larger than Kubernetes takes.
    """
    script = render(values, terraform)
    content = _session_job(values, script)
    text = jsonencode(content)
    _check_size(text, values["sql"], terraform)
    if control := _CONTROL.search(text):
        raise UsageError(
            f"the job's manifest holds the control character U+{ord(control.group()):04X}",
            hint=f"take it out of {', '.join(values['sql'])}, or of the arguments",
        )
    return Manifest(
        values["job_name"],
        values["namespace"],
        values["session_cluster"],
        content,
        text,
        script,
        tuple(values["sql"]),
        values["enabled"],
    )


def render(values: Mapping[str, Any], terraform: Path) -> str:
    """Return the script: the files in their order, filled in."""
    clusters = [KafkaCluster(alias, properties) for alias, properties in values["kafka"].items()]
    fragments = {f"kafka.{cluster.alias}": cluster.sql_fragment() for cluster in clusters}
    fragments |= {
        f"registry.{c.alias}": quote(c.registry_url) for c in clusters if c.registry_url is not None
    }
    if values["functions"] is not None:
        fragments["functions"] = values["functions"]
    return "\n".join(
        templatefile(terraform / file, values["args"], fragments, shown=file) for file in values["sql"]
    )


def _session_job(values: Mapping[str, Any], script: str) -> dict[str, Any]:
    name = values["job_name"]
    configuration = {**_checkpoints(values), **values["flink_configuration"]}
    job = {
        "entryClass": DRIVER,
        "args": ["--script", script],
        "parallelism": values["parallelism"],
        "state": values["state"],
        "upgradeMode": values["upgrade_mode"],
        "initialSavepointPath": values["initial_savepoint_path"],
        "allowNonRestoredState": values["allow_non_restored_state"],
        "savepointTriggerNonce": values["savepoint_trigger_nonce"],
        "savepointRedeployNonce": values["savepoint_redeploy_nonce"],
    }
    spec = {
        "deploymentName": values["session_cluster"],
        "flinkConfiguration": configuration or None,
        "restartNonce": values["restart_nonce"],
        "job": _present(job),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "FlinkSessionJob",
        "metadata": {
            "name": name,
            "namespace": values["namespace"],
            "labels": {
                **values["labels"],
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": "sdp",
                "sdp.job": name,
            },
        },
        "spec": _present(spec),
    }


def _checkpoints(values: Mapping[str, Any]) -> dict[str, str]:
    config = values["checkpoint_config"]
    if config is None:
        return {}
    place = None
    if config["s3_path"] is not None:
        place = f"{config['s3_path'].removesuffix('/')}/{values['job_name']}"
    return _present(
        {
            "execution.checkpointing.interval": config["interval"],
            "execution.checkpointing.timeout": config["timeout"],
            "execution.checkpointing.dir": place and f"{place}/checkpoints",
            "execution.checkpointing.savepoint-dir": place and f"{place}/savepoints",
        }
    )


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _check_size(text: str, files: list[str], terraform: Path) -> None:
    size = -(-len(text.encode()) // 3) * 3  # as the module counts, by base64
    if size < MOST_BYTES:
        return
    largest = max(files, key=lambda file: (terraform / file).stat().st_size)
    raise UsageError(
        f"the job's manifest has {size} bytes, and may have no more than {MOST_BYTES}, since the operator "
        f"writes it twice more into the status of the same object: the script is most of it, and its "
        f"largest file is {largest}",
        hint="move what the job does not need out of it",
    )
