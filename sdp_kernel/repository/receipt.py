"""Receipts as they are committed: where they are, what they must say, and how they are read.

Their schema is published as ``receipt.schema.json`` beside this file.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 2
SCHEMA = Path(__file__).with_name("receipt.schema.json")
_MOST = 3


def path_of(job: str) -> str:
    """Return where a job's receipt is in the repository."""
    return f"sql/jobs/{job}.receipt.json"


def plan_path_of(job: str) -> str:
    """Return where a job's compiled plan is in the repository."""
    return f"sql/jobs/{job}.plan.json"


def is_evidence(path: str) -> bool:
    """Whether a file says something of a job, and is no part of it: another of it is no other job."""
    return path.startswith("sql/jobs/") and path.endswith((".receipt.json", ".plan.json"))


def sha256(text: str) -> str:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def plan_text(plan: Mapping[str, Any]) -> str:
    """Return a compiled plan as its file has it."""
    return json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def notebook_sha256(notebook: Path) -> str | None:
    """Return the hash of the sources of a notebook's code cells; None where it cannot be read.

    Running cells again changes outputs and counters, and not this.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
        return sha256("\0".join("".join(s) if isinstance(s, list) else s for s in sources))
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema of receipts."""
    return dict(json.loads(SCHEMA.read_text(encoding="utf-8")))


def faults(receipt: object) -> list[str]:
    """Return in what a receipt breaks its schema, the first few; none where it does not.

    Values of the receipt are not quoted.
    """
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # noqa: PLC0415

    if isinstance(receipt, dict) and receipt.get("version") not in {VERSION, None}:
        return [f"it is of version {str(receipt['version'])[:20]}, not {VERSION}"]
    found = sorted(
        Draft202012Validator(schema()).iter_errors(receipt), key=lambda error: list(map(str, error.path))
    )
    said = [f"{_where(error.absolute_path)} {_what(error)}" for error in found[:_MOST]]
    return said + ([f"and {len(found) - _MOST} more"] if len(found) > _MOST else [])


def _where(path: Any) -> str:
    return ".".join(map(str, path)) or "the receipt"


def _what(error: Any) -> str:
    """Say what a schema wants, by its keyword."""
    wanted = error.validator_value
    if error.validator == "required":
        missing = [name for name in wanted if name not in error.instance]
        return f"has no {', '.join(missing)}"
    if error.validator == "type":
        return f"is not {' or '.join([wanted] if isinstance(wanted, str) else wanted)}"
    return f"is not as {error.validator} says: {json.dumps(wanted)[:80]}"
