"""The operators that a job runs as, with the ids by which a savepoint knows them.

SQL jobs give their operators no ids (``table.exec.uid.generation`` is PLAN_ONLY: ids come with compiled
plans alone). So Flink makes them of the graph's shape, in ``StreamGraphHasherV2``, which is not to
change: of an operator's place in the order from the sources on, of how many operators are chained to
it, and of the ids of what it reads. The same is done here over ``EXPLAIN JSON_EXECUTION_PLAN``.

Sources of Flink's old interface, such as datagen's, are not told from others: no sink is chained to what
follows them, so that a sink's id, and that of the operator before it, are others than those told here.
"""

from __future__ import annotations

import json
import re
import struct
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import PlanUnavailable
from sdp_kernel.flink import faults
from sdp_kernel.flink.asking import ask
from sdp_kernel.flink.compiled import compilable
from sdp_kernel.flink.gateway import GatewayFault
from sdp_kernel.flink.plan_tree import sections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.flink.session import Session

_NODE = re.compile(r"\[(\d+)\]")
_PHYSICAL = "Physical Execution Plan"
_64 = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


@dataclass(frozen=True)
class StreamOperator:
    """An operator of a job.

    Attributes
    ----------
    id
        Flink's, 32 hexadecimal digits: savepoints and the REST API know it by this.
    name, text
        As Flink shows it; ``text`` is the plan's line, empty where there is none: for connectors.
    kind
        ``Data Source``, ``Operator`` or ``Data Sink``.
    node
        The number of the plan's node that it belongs to, within this graph; None where it has none.
    inputs
        Ids of the operators that it reads.
    """

    id: str
    name: str
    text: str
    kind: str
    node: int | None
    parallelism: int
    inputs: tuple[str, ...] = ()


def operator_graph(
    session: Session, insert: str, *, config: Mapping[str, str] | None = None
) -> tuple[StreamOperator, ...]:
    """Ask Flink for a statement's operators; nothing is run.

    Parameters
    ----------
    insert
        An INSERT or statement set, parameters filled in; what it reads is declared in the session.
    config
        Flink configuration for this statement alone, such as ``parallelism.default``.

    Raises
    ------
    PlanUnavailable
        Flink explains no such statement, with its reason.
    """
    statement = f"EXPLAIN JSON_EXECUTION_PLAN {compilable(insert)}"
    try:
        explained = ask(session, partial(session.runner().text, statement, dict(config or {})))
    except GatewayFault as fault:
        reason = faults.read(fault.errors)
        raise PlanUnavailable(
            f"Flink explains no operators of the statement: {reason.reason}",
            hint="run it in a cell to see where it fails",
            detail=reason.stack,
        ) from None
    try:
        return read(json.loads(sections(explained)[_PHYSICAL])["nodes"])
    except (KeyError, TypeError, ValueError) as error:
        raise PlanUnavailable(
            f"the operators of the statement cannot be read: {error!r}",
            hint="this version of Flink explains them otherwise; what needs them does without",
        ) from None


def read(nodes: Sequence[Mapping[str, Any]]) -> tuple[StreamOperator, ...]:
    """Read the nodes of an execution plan, and give each the id that Flink gives it."""
    ordered = sorted(nodes, key=lambda node: int(node["id"]))
    ids = {number: value.hex() for number, value in _hashes(ordered).items()}
    return tuple(
        StreamOperator(
            ids[node["id"]],
            str(node["type"]),
            _line(str(node["contents"])),
            str(node["pact"]),
            _node_of(node),
            int(node["parallelism"]),
            tuple(ids[one["id"]] for one in node.get("predecessors", ())),
        )
        for node in ordered
    )


def _line(contents: str) -> str:
    found = _NODE.match(contents)
    return contents[found.end() + 1 :] if found and contents[found.end() :].startswith(":") else ""


def _node_of(node: Mapping[str, Any]) -> int | None:
    for text in (str(node["contents"]), str(node["type"])):
        found = _NODE.match(text) or next(iter(reversed(list(_NODE.finditer(text)))), None)
        if found is not None:
            return int(found.group(1))
    return None


def _hashes(nodes: Sequence[Mapping[str, Any]]) -> dict[int, bytes]:
    """Walk from the sources on, breadth first; an operator waits until all that it reads has an id."""
    known = {node["id"]: node for node in nodes}
    inputs = {number: [one["id"] for one in node.get("predecessors", ())] for number, node in known.items()}
    children: dict[int, list[int]] = {number: [] for number in known}
    for number in known:
        for one in inputs[number]:
            children[one].append(number)
    waiting = deque(number for number in known if not inputs[number])
    visited, hashes = set(waiting), dict[int, bytes]()
    while waiting:
        number = waiting.popleft()
        if any(one not in hashes for one in inputs[number]):
            visited.discard(number)
            continue
        chained = sum(_chains(known[number], known[child]) for child in children[number])
        mixed = murmur3_128(struct.pack("<i", len(hashes)) * (1 + chained))
        for one in inputs[number]:
            mixed = bytes(ours * 37 & 0xFF ^ theirs for ours, theirs in zip(mixed, hashes[one], strict=True))
        hashes[number] = mixed
        for child in children[number]:
            if child not in visited:
                waiting.append(child)
                visited.add(child)
    return hashes


def _chains(node: Mapping[str, Any], child: Mapping[str, Any]) -> bool:
    """Whether a child runs in the same task: it reads this alone, row by row where it came from."""
    reads = child["predecessors"]
    forwards = len(reads) == 1 and str(reads[0]["ship_strategy"]).startswith("FORWARD")
    return forwards and node["parallelism"] == child["parallelism"]


def murmur3_128(data: bytes) -> bytes:
    """Return Murmur3's hash of 128 bits with the seed 0, in the byte order of Guava."""
    one = two = 0
    whole = len(data) - len(data) % 16
    for at in range(0, whole, 16):
        low, high = struct.unpack_from("<QQ", data, at)
        one = (_rotated(one ^ _first(low), 27) + two) * 5 + 0x52DCE729 & _64
        two = (_rotated(two ^ _second(high), 31) + one) * 5 + 0x38495AB5 & _64
    low, high = struct.unpack("<QQ", data[whole:].ljust(16, b"\0"))
    one, two = one ^ _first(low) ^ len(data), two ^ _second(high) ^ len(data)
    one = one + two & _64
    two = two + one & _64
    one, two = _mixed(one), _mixed(two)
    one = one + two & _64
    return struct.pack("<QQ", one, two + one & _64)


def _first(value: int) -> int:
    return _rotated(value * _C1 & _64, 31) * _C2 & _64


def _second(value: int) -> int:
    return _rotated(value * _C2 & _64, 33) * _C1 & _64


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> 64 - by) & _64


def _mixed(value: int) -> int:
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & _64
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & _64
    return value ^ value >> 33
