"""Who manages a resource's fields, as server-side apply keeps it in ``metadata.managedFields``.

Terraform's provider calls itself ``kubectl``, and cannot be told to do otherwise.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sdp_kernel.errors import Conflict

MANAGER = "sdp"
_TERRAFORM = {"kubectl", "terraform", "Terraform"}
_QUOTED_MANAGER = 'conflict with "'


def appliers(resource: Mapping[str, Any], *path: str) -> tuple[str, ...]:
    """Return the other managers that apply a field, such as ``spec, job, state``; of a part of it too."""
    found = []
    for entry in resource["metadata"].get("managedFields") or []:
        fields = entry.get("fieldsV1") or {}
        for name in path:
            fields = fields.get(f"f:{name}") if fields else None
        if fields is not None and entry.get("operation") == "Apply" and entry.get("manager") != MANAGER:
            found.append(str(entry["manager"]))
    return tuple(dict.fromkeys(found))


def specification(resource: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what is another once the specification has changed, or who manages a field of it."""
    meta = resource["metadata"]
    entries = [(entry, entry.get("fieldsV1") or {}) for entry in meta.get("managedFields") or []]
    managed = [(entry["manager"], fields["f:spec"]) for entry, fields in entries if "f:spec" in fields]
    return meta["uid"], meta["generation"], managed


def known_as(managers: Iterable[str]) -> str:
    """Return managers as messages name them: ``Terraform (field manager kubectl)``."""
    return ", ".join(
        f"Terraform (field manager {name})" if name in _TERRAFORM else name
        for name in dict.fromkeys(managers)
    )


def conflicts(error: Conflict) -> dict[str, list[str]]:
    """Return a refused apply's conflicts: fields by the manager that has them."""
    found: dict[str, list[str]] = {}
    for cause in json.loads(error.detail or "{}").get("causes") or []:
        message = str(cause.get("message", ""))
        if cause.get("reason") == "FieldManagerConflict" and message.startswith(_QUOTED_MANAGER):
            manager = message.removeprefix(_QUOTED_MANAGER).split('"', 1)[0]
            found.setdefault(manager, []).append(str(cause.get("field", "")).lstrip("."))
    return found
