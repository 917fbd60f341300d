"""A statement's plan: its operators, how rows get from one to the next, and what each one keeps.

It comes from one EXPLAIN: the physical plan has changelog modes, the execution plan what is shared, and
the JSON the parallelism. Nothing is declared for it, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from sdp_kernel.errors import SqlError, StatementError
from sdp_kernel.flink import faults
from sdp_kernel.flink.asking import ask
from sdp_kernel.flink.frame_table import without_values
from sdp_kernel.flink.gateway import GatewayFault
from sdp_kernel.flink.parameters import Rendered
from sdp_kernel.flink.places import named
from sdp_kernel.flink.plan_state import State, milliseconds, state_of
from sdp_kernel.flink.plan_tree import Operator, advices, execution, physical, sections, walk
from sdp_kernel.flink.plan_tree import attributes as read_attributes
from sdp_kernel.flink.script import excerpt, offset_at, position_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.flink.session import Session

FORWARD = "forward"
_TTL = "table.exec.state.ttl"
#: Tried in turn: advice is refused in batch mode, JSON where the job cannot be put together.
_DETAILS = (
    "CHANGELOG_MODE, PLAN_ADVICE, JSON_EXECUTION_PLAN",
    "CHANGELOG_MODE, JSON_EXECUTION_PLAN",
    "CHANGELOG_MODE",
)
_SET = re.compile(r"^\s*(?:EXECUTE\s+STATEMENT\s+SET|BEGIN\s+STATEMENT\s+SET\s*;)", re.IGNORECASE)
_NUMBERED = re.compile(r"^\[\d+\]:(.*)$", re.DOTALL)
_AFTER_SOURCE = re.compile(r"(?:^|[.\s-])([^.\s]+?)(?:\[\d+\])?$")


@dataclass(frozen=True)
class Node:
    """An operator.

    ``text`` is Flink's own line; ``changelog`` the kinds of change it sends (I, UB, UA, D), empty in
    batch mode and for a sink; ``table`` what it reads or writes; ``advice`` numbers of advices on it.
    """

    id: int
    name: str
    text: str
    attributes: Mapping[str, str]
    changelog: tuple[str, ...] = ()
    state: State = field(default_factory=State)
    parallelism: int | None = None
    table: str | None = None
    advice: tuple[int, ...] = ()

    @property
    def appends(self) -> bool:
        """Whether it only sends inserts; always in batch mode."""
        return set(self.changelog) <= {"I"}


@dataclass(frozen=True)
class Edge:
    """Rows go from node ``source`` to node ``target``; ``distribution`` as Flink names it."""

    source: int
    target: int
    distribution: str = FORWARD


@dataclass(frozen=True)
class Advice:
    """What Flink advises: ``kind`` is ADVICE or WARNING."""

    number: int
    kind: str
    text: str


@dataclass(frozen=True)
class Plan:
    """A plan. Nodes are in the order of Flink's text, a root before its inputs; ``ttl`` in ms, 0 for none."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    advice: tuple[Advice, ...] = ()
    ttl: int = 0
    batch: bool = False
    text: str = ""

    @property
    def roots(self) -> tuple[Node, ...]:
        """The nodes that no other reads: sinks, or the root of a query."""
        read = {edge.source for edge in self.edges}
        return tuple(node for node in self.nodes if node.id not in read)

    def node(self, number: int) -> Node:
        """Return the node with this id."""
        return next(node for node in self.nodes if node.id == number)

    def inputs(self, node: Node) -> tuple[tuple[Edge, Node], ...]:
        """Return what a node reads, in the plan's order."""
        return tuple((edge, self.node(edge.source)) for edge in self.edges if edge.target == node.id)

    @property
    def unbounded(self) -> tuple[Node, ...]:
        """The nodes whose state can grow as long as the job runs."""
        return tuple(node for node in self.nodes if node.state.kind == "unbounded")


def explain(
    session: Session,
    statement: Rendered | str,
    *,
    config: Mapping[str, str] | None = None,
    source: str | None = None,
    start: int = 0,
    first_line: int = 1,
) -> Plan:
    """Ask Flink for the plan of a statement, with its advice.

    Parameters
    ----------
    statement
        A query, INSERT, statement set or CREATE TABLE … AS, parameters filled in.
    config
        Flink configuration for this statement alone.
    source, start, first_line
        The cell's text, where in it the statement starts, and the cell's line it starts at: for the
        place an error names. Without them it is one in ``statement``.

    Raises
    ------
    StatementError
        Flink rejects the statement.
    """
    rendered = statement if isinstance(statement, Rendered) else Rendered(statement, ())
    head = _SET.match(rendered.text)
    prefix = "STATEMENT SET" if head else ""
    body = rendered.text[head.end() :] if head else rendered.text
    if head and head.group().strip().endswith(";"):
        prefix += " BEGIN"
    config = dict(config or {})

    def answer(text: str) -> str:
        return session.runner().text(text, config)

    for details in _DETAILS:
        opening = f"EXPLAIN {details} {prefix}"
        try:
            explained = ask(session, partial(answer, opening + body))
        except GatewayFault as fault:
            found = faults.to_error(fault.errors, config=config)
            if details != _DETAILS[-1] and not _is_final(found):
                continue
            cut = (head.end() if head else 0) - len(opening)
            raise _placed(found, rendered, opening + body, cut, source, start, first_line) from None
        options = session.gateway.session_config(session.handle) | config
        return read(without_values(explained), ttl=milliseconds(options.get(_TTL, "0")))
    raise AssertionError


def _is_final(error: SqlError) -> bool:
    """Whether Flink names a place in the text: other details would not help."""
    return isinstance(error, StatementError) and error.position is not None


def _placed(
    error: SqlError, rendered: Rendered, sent: str, cut: int, source: str | None, start: int, first_line: int
) -> SqlError:
    if not isinstance(error, StatementError):
        return error
    text = rendered.text if source is None else source
    found = error.position or named(error.message, sent)
    if found is not None:
        offset = max(offset_at(sent, found) + cut, 0)
        place = position_at(text, offset if source is None else start + rendered.source_offset(offset))
        error.excerpt = excerpt(text, place)
        error.position = replace(place, line=place.line + first_line - 1)
    error.statement = rendered.text
    return error


def read(explained: str, *, ttl: int = 0) -> Plan:
    """Read the text of an EXPLAIN with changelog modes; advice and parallelism where they are in it.

    Parameters
    ----------
    ttl
        ``table.exec.state.ttl`` in ms.
    """
    parts = sections(explained)
    title = next((name for name in parts if name.startswith("Optimized Physical Plan")), "")
    roots = physical(parts.get(title, ""))
    shown = execution(parts.get("Optimized Execution Plan", ""))
    streaming = any("changelogMode" in operator.attributes for operator in walk(roots))
    builder = _Builder(
        ttl, streaming=streaming, parallelism=_parallelism(parts.get("Physical Execution Plan", ""))
    )
    for number, root in enumerate(roots):
        builder.add(root, shown[number] if len(shown) == len(roots) else None)
    found = tuple(Advice(*advice) for advice in advices(parts.get(title, "")))
    return Plan(
        tuple(builder.nodes.values()), tuple(builder.edges), found, ttl, not streaming, parts.get(title, "")
    )


class _Builder:
    """Puts nodes and edges together; an operator of the execution plan becomes one node."""

    def __init__(self, ttl: int, *, streaming: bool, parallelism: Mapping[str, int]) -> None:
        self.nodes: dict[int, Node] = {}
        self.edges: list[Edge] = []
        self._ids: dict[int, int] = {}
        self._kept: list[Operator] = []
        self._ttl = ttl
        self._streaming = streaming
        self._parallelism = parallelism

    def add(self, planned: Operator, shown: Operator | None) -> int:
        """Add an operator and what it reads; ``shown`` is the same one in the execution plan."""
        if shown is not None and len(shown.inputs) != len(planned.inputs):
            shown = None
        identity = shown if shown is not None else planned
        if id(identity) in self._ids:
            return self._ids[id(identity)]
        number = self._ids[id(identity)] = len(self._ids)
        self._kept.append(identity)
        self.nodes[number] = Node(number, planned.name, planned.text, planned.attributes)
        inputs: list[int] = []
        for index, one in enumerate(planned.inputs):
            other = shown.inputs[index] if shown is not None else None
            distribution, below, below_shown = _through_exchange(one, other)
            source = self.add(below, below_shown)
            inputs.append(source)
            self.edges.append(Edge(source, number, distribution))
        self.nodes[number] = self._node(number, planned, shown, inputs)
        return number

    def _node(self, number: int, planned: Operator, shown: Operator | None, inputs: list[int]) -> Node:
        name = shown.name if shown is not None else planned.name
        text = shown.text if shown is not None else planned.text
        attributes = {**planned.attributes}
        if shown is not None and "'" not in shown.text:
            attributes |= read_attributes(shown.text)
        mode = tuple(
            part for part in attributes.get("changelogMode", "").split(",") if part not in {"", "NONE"}
        )
        state = State()
        if self._streaming:
            appends = [self.nodes[one].appends for one in inputs]
            state = state_of(name, attributes, appends=appends, ttl=self._ttl)
        table = _table(attributes)
        return Node(
            number,
            name,
            text,
            attributes,
            changelog=mode,
            state=state,
            parallelism=self._parallelism.get(text, self._parallelism.get(f"\0{table}")),
            table=table,
            advice=tuple(int(n) for n in re.findall(r"\d+", attributes.get("advice", ""))),
        )


def _through_exchange(planned: Operator, shown: Operator | None) -> tuple[str, Operator, Operator | None]:
    """Skip exchanges: they are how rows get to the next operator, not operators on the way."""
    distribution = FORWARD
    while planned.name.endswith("Exchange") and len(planned.inputs) == 1:
        distribution = planned.attributes.get("distribution", distribution)
        planned = planned.inputs[0]
        if shown is not None and shown.name.endswith("Exchange"):
            shown = shown.inputs[0] if len(shown.inputs) == 1 else None
    return distribution, planned, shown


def _table(attributes: Mapping[str, str]) -> str | None:
    """Return the last part of the name in ``table=[[catalog, database, name, …]]`` or ``[a.b.name]``."""
    text = attributes.get("table")
    if text is None:
        return None
    if text.startswith("["):
        return (text[1:].rstrip("]").split(", ") + [""] * 3)[2] or None
    return text.rpartition(".")[2]


def _parallelism(text: str) -> dict[str, int]:
    """Read operators' parallelism by their line, and sources' and sinks' by their table, marked so."""
    found: dict[str, int] = {}
    with contextlib.suppress(ValueError, KeyError, TypeError):
        for node in json.loads(text)["nodes"]:
            line = _NUMBERED.match(node["contents"])
            if line:
                found.setdefault(line.group(1), node["parallelism"])
            kind = node["type"].removesuffix(": Writer")
            if (line is None or kind.startswith("Source")) and (name := _AFTER_SOURCE.search(kind)):
                found.setdefault(f"\0{name.group(1)}", node["parallelism"])
    return found
