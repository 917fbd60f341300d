"""The files of a job definition: SQL for ``templatefile``, a Terraform module block, a receipt."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.repository.notation import hcl_string, template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.flink.ledger import Entry

_JOB = re.compile(r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_FOLDERS = {"TABLE": "tables", "VIEW": "views", "FUNCTION": "functions"}
_PLAIN = re.compile(r"[^A-Za-z0-9_.-]|^\.")


def check_job_name(name: str) -> str:
    """Return ``name`` if Kubernetes takes it for an object's name.

    Raises
    ------
    UsageError
        It does not; the hint has a name that would do.
    """
    if not _JOB.match(name):
        better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:63].rstrip("-") or "job"
        raise UsageError(
            f"{name!r} is not a job name: lower case letters, digits and hyphens, up to 63",
            hint=f"for example {better}",
        )
    return name


def path_of(entry: Entry) -> str:
    """Return the file a declaration belongs in: one a file, shared by jobs."""
    folder = _FOLDERS.get(entry.kind.split()[-1], "other")
    name = _PLAIN.sub(lambda match: f"-{ord(match.group()):x}-", entry.target or "")
    return f"sql/{folder}/{name or 'unnamed'}.sql"


def declaration(entry: Entry, later: Sequence[Entry] = ()) -> str:
    """Return a declaration's file: the CREATE, and the ALTERs after it."""
    return "".join(f"{template(part.text)};\n" for part in (entry, *later))


def job_sql(job: str, settings: Sequence[Entry], insert: str) -> str:
    """Return ``sql/jobs/JOB.sql``: settings, then the one INSERT or statement set."""
    parts = [f"{template(entry.text)};" for entry in settings]
    return "\n".join([f"-- {job}", *parts, f"{template(insert)};", ""])


def terraform(
    job: str,
    *,
    module_source: str,
    session_cluster: str,
    files: Sequence[str],
    arguments: Mapping[str, str],
    aliases: Sequence[str],
) -> str:
    """Return ``terraform/JOB.tf``: one module block.

    The namespace is the environment's, ``var.namespace``. Kafka connections and registries come from
    ``var.kafka``; ``var.functions`` is the directory or
    URI where the cluster reads ``sql/functions``.
    """
    args = [(name, hcl_string(value)) for name, value in sorted(arguments.items())]
    places = ["kafka"] if set(aliases) - {"functions"} else []
    places += ["functions"] if "functions" in aliases else []
    width = max((len(name) for name, _ in args), default=0)
    lines = [
        f"module {hcl_string(job.replace('-', '_'))} {{",
        f"  source = {hcl_string(module_source)}",
        "",
        "  enabled         = true",
        f"  job_name        = {hcl_string(job)}",
        "  namespace       = var.namespace",
        "  parallelism     = 1",
        '  state           = "running"',
        '  upgrade_mode    = "savepoint"',
        f"  session_cluster = {hcl_string(session_cluster)}",
        "",
        "  sql = [",
        *[f'    "${{path.root}}/../{hcl_string(file)[1:-1]}",' for file in files],
        "  ]",
        "",
        "  args = {" + ("" if args else "}"),
        *[f"    {name.ljust(width)} = {value}" for name, value in args],
        *(["  }"] if args else []),
        *([""] if places else []),
        *(f"  {name.ljust(max(map(len, places)))} = var.{name}" for name in places),
        "}",
        "",
    ]
    return "\n".join(lines)


def receipt(content: Mapping[str, Any]) -> str:
    """Return a receipt as JSON."""
    return json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"
