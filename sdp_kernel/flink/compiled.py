"""The compiled plan of an INSERT or a statement set: Flink's ``COMPILE PLAN``, as plain values.

Flink writes it on the gateway's disk and returns nothing of it, so it can be had where that is this
machine's. What differs from one compilation to the next is cut: the same text gives the same plan.
"""

from __future__ import annotations

import json
import re
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import PlanUnavailable
from sdp_kernel.flink import faults
from sdp_kernel.flink.asking import ask
from sdp_kernel.flink.gateway import GatewayFault
from sdp_kernel.references import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.flink.session import Session

#: Options of tables are no part of the plan: they differ between environments.
_LEAN = {"table.plan.compile.catalog-objects": "IDENTIFIER"}
_SET = re.compile(r"^\s*(?:EXECUTE\s+STATEMENT\s+SET\s+BEGIN|BEGIN\s+STATEMENT\s+SET\s*;)", re.IGNORECASE)
_VOLATILE = re.compile(r"\$[0-9a-f]{6,}|\b[0-9a-f]{32}\b")
_PROBE = "{ this is no plan"
#: Whether a gateway reads this machine's disk, by its address.
_near: dict[str, bool] = {}


def compiled_plan(
    session: Session, insert: str, *, config: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Compile an INSERT or statement set, and return the plan; nothing stays on the disk.

    Parameters
    ----------
    insert
        The statement, parameters filled in; ``EXECUTE STATEMENT SET`` too. What it reads and writes is
        declared in the session.
    config
        Flink configuration for this statement alone.

    Returns
    -------
    dict
        ``flinkVersion``, ``nodes`` and ``edges`` as Flink writes them. Nodes are numbered from 1; table
        options are left out, and what is random in descriptions.

    Raises
    ------
    PlanUnavailable
        The gateway is on another machine, cannot write where this process reads, or Flink compiles no
        plan of such a statement, with its reason.
    """
    if not _reads_our_disk(session):
        raise PlanUnavailable(
            f"there is no compiled plan: the gateway at {session.gateway.url} is on another machine",
            hint="Flink writes compiled plans on the gateway's disk; use the embedded stack for them",
        )
    with tempfile.TemporaryDirectory(prefix="sdp-plan-") as directory:
        file = Path(directory) / "plan.json"
        statement = f"COMPILE PLAN {quote(str(file))} FOR {compilable(insert)}"
        try:
            ask(session, partial(session.runner().text, statement, {**_LEAN, **(config or {})}))
        except GatewayFault as fault:
            reason = faults.read(fault.errors)
            raise PlanUnavailable(
                f"Flink compiles no plan of the statement: {reason.reason}",
                hint="the statement runs all the same; what needs its plan does without",
                detail=reason.stack,
            ) from None
        try:
            return normalised(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise PlanUnavailable(
                f"the compiled plan cannot be read: {error}",
                hint="gateway and workbench have to run on one machine, and as one user",
            ) from None


def compilable(insert: str) -> str:
    """Return a statement as COMPILE PLAN takes it: a statement set is not executed."""
    head = _SET.match(insert)
    return insert if head is None else f"STATEMENT SET BEGIN {insert[head.end() :]}"


def normalised(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan without what differs between compilations: nodes numbered anew, nothing random."""
    ordered = sorted(plan["nodes"], key=lambda node: int(node["id"]))
    number = {node["id"]: at for at, node in enumerate(ordered, start=1)}
    nodes = [{**_plain(node), "id": number[node["id"]]} for node in ordered]
    edges = [
        {**_plain(edge), "source": number[edge["source"]], "target": number[edge["target"]]}
        for edge in plan["edges"]
    ]
    return {"flinkVersion": str(plan["flinkVersion"]), "nodes": nodes, "edges": edges}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _VOLATILE.sub("", value) if isinstance(value, str) else value


def _reads_our_disk(session: Session) -> bool:
    """Whether the gateway sees a file of this process: asked to run what is no plan, it says so."""
    url = session.gateway.url
    if url not in _near:
        with tempfile.TemporaryDirectory(prefix="sdp-plan-") as directory:
            probe = Path(directory) / "probe.json"
            probe.write_text(_PROBE, encoding="utf-8")
            try:
                ask(session, partial(session.runner().text, f"EXECUTE PLAN {quote(str(probe))}"))
            except GatewayFault as fault:
                said = " ".join(fault.errors)
                _near[url] = "this is no plan" in said or "JsonParse" in said
            else:  # pragma: no cover - Flink has taken what is no plan
                _near[url] = False
    return _near[url]
