"""What the operators of a compiled plan keep: the layout of their state, and what it means.

Columns have numbers in a plan, and names that nothing hangs on. So a column is followed to what it is
computed from, up to the tables that are read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import PlanUnavailable
from sdp_kernel.flink.script import split_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.flink.operator_graph import StreamOperator

_TYPE = re.compile(r"^(?:stream|batch)-exec-(.+?)_\d+$")
_STATELESS = frozenset(
    {"calc", "python-calc", "async-calc", "correlate", "python-correlate", "async-correlate", "exchange",
     "union", "expand", "values", "drop-update-before", "watermark-assigner", "mini-batch-assigner",
     "delta-join", "local-group-aggregate", "local-window-aggregate", "window-table-function",
     "ml-predict-table-function", "vector-search-table-function", "multiple-input"}
)  # fmt: skip
#: Their first columns are those of their input.
_PASSING = frozenset(
    {"exchange", "union", "watermark-assigner", "mini-batch-assigner", "drop-update-before",
     "changelog-normalize", "deduplicate", "rank", "window-rank", "window-deduplicate",
     "window-table-function", "lookup-join", "temporal-join", "over-aggregate", "temporal-sort",
     "sort-limit", "limit", "sort"}
)  # fmt: skip
_JOINS = frozenset({"join", "interval-join", "window-join"})
_GROUPED = frozenset({"group-aggregate", "global-group-aggregate", "incremental-group-aggregate"})
#: What says nothing about state: names, places, and how changes are sent on.
_IDLE = frozenset(
    {"id", "type", "description", "inputProperties", "outputType", "configuration", "state",
     "generateUpdateBefore", "name", "dynamicTableSink", "inputChangelogMode", "requiredDistribution"}
)  # fmt: skip
_PARTS = (("SinkMaterializer", "keyed"), ("Writer", "sink"), ("Committer", "sink"))


@dataclass(frozen=True)
class Stateful:
    """An operator that keeps state.

    Attributes
    ----------
    kind
        What it is: state of another kind is of no use to it.
    role
        ``keyed``, ``source`` (offsets) or ``sink`` (transactions).
    layout
        What Flink compares when it reads the state.
    meaning
        What the state stands for.
    feed
        The operators before it, conditions included.
    """

    id: str
    name: str
    kind: str
    role: str
    layout: tuple[str, ...]
    meaning: tuple[str, ...]
    feed: tuple[str, ...]
    ttl: str


def kind_of(node: Mapping[str, Any]) -> str:
    """Return ``group-aggregate`` of ``stream-exec-group-aggregate_1``."""
    found = _TYPE.match(str(node["type"]))
    return found.group(1) if found else str(node["type"])


def title(node: Mapping[str, Any]) -> str:
    """Return a node's name as plans show it: ``GroupAggregate``."""
    return str(node.get("description", "")).partition("(")[0] or kind_of(node)


def stateful(
    plan: Mapping[str, Any], operators: Sequence[StreamOperator], places: Mapping[str, str] | None = None
) -> dict[str, Stateful]:
    """Return the operators that keep state, by id.

    Parameters
    ----------
    places
        Where tables read, by name.

    Raises
    ------
    PlanUnavailable
        A node that keeps state has no operator by its name.
    """
    reading = _Reading(plan, places or {})
    scans, nodes = reading.scans(), reading.by_number(operators)
    found, matched = {}, set()
    for operator in operators:
        if operator.kind == "Data Source":
            node = _scan_of(operator, scans)
        else:
            node = None if operator.node is None else nodes.get(operator.node)
            if (
                node is not None
                and kind_of(node) != "sink"
                and operator.text.partition("(")[0] != title(node)
            ):
                continue
        if node is None:
            continue
        matched.add(node["id"])
        state = reading.state_of(operator, node)
        if state is not None:
            found[operator.id] = state
    for number, node in reading.nodes.items():
        if node.get("state") and number not in matched:
            raise PlanUnavailable(
                f"no operator of the job is found for {title(node)} of its compiled plan",
                hint="what becomes of its state is not known; try it on a copy, from a savepoint",
            )
    return found


def _scan_of(
    operator: StreamOperator, scans: list[tuple[str, Mapping[str, Any]]]
) -> Mapping[str, Any] | None:
    """Take the scan that a source is of: sources are named after their connector and table."""
    for at, (table, _) in enumerate(scans):
        if re.search(rf"[.\s-]{re.escape(table)}(?:\[\d+\])?$", operator.name):
            return scans.pop(at)[1]
    return scans.pop(0)[1] if scans else None


class _Reading:
    """A compiled plan, with the nodes that each one reads."""

    def __init__(self, plan: Mapping[str, Any], places: Mapping[str, str]) -> None:
        self.places = places
        self.nodes: dict[int, Mapping[str, Any]] = {node["id"]: node for node in plan["nodes"]}
        self.inputs: dict[int, list[int]] = {number: [] for number in self.nodes}
        for edge in plan["edges"]:
            self.inputs[edge["target"]].append(edge["source"])

    def scans(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the nodes that read something, with the table's name."""
        nodes = [node for number, node in self.nodes.items() if not self.inputs[number]]
        return [(self.table(node), node) for node in nodes]

    def by_number(self, operators: Sequence[StreamOperator]) -> dict[int, Mapping[str, Any]]:
        """Return the nodes by the numbers that operators name them by.

        Both are in Flink's order, and their numbers are not: it counts on for all that it plans meanwhile.
        """
        named: dict[int, set[str]] = {}
        for one in operators:
            if one.node is not None and one.kind != "Data Source":
                sink = any(part in one.name for part, _ in _PARTS)
                named.setdefault(one.node, set()).add("Sink" if sink else one.text.partition("(")[0])
        left, found = [self.nodes[number] for number in sorted(self.nodes)], {}
        for number in sorted(named):
            names = {"Sink"} if "Sink" in named[number] else named[number]
            at = next((at for at, node in enumerate(left) if title(node) in names), None)
            if at is not None:
                found[number] = left[at]
                left = left[at + 1 :]
        return found

    def state_of(self, operator: StreamOperator, node: Mapping[str, Any]) -> Stateful | None:
        kind = kind_of(node)
        ttl = ", ".join(f"{state.get('ttl', '')}" for state in node.get("state", ()))
        if kind == "sink":
            role = next((role for part, role in _PARTS if part in operator.name), None)
            if role is None:
                return None
            part = "materializer" if role == "keyed" else operator.name.rpartition(": ")[2].lower()
            layout = tuple(self.types(self.inputs[node["id"]][0])) if role == "keyed" else ()
            keys = tuple(str(key) for key in node.get("inputUpsertKey") or ()) if role == "keyed" else ()
            table = self.table(node)
            return Stateful(
                operator.id, f"Sink({table})", f"sink {part} {table}", role, layout, keys, (), ttl
            )
        if kind == "table-source-scan":
            table = self.table(node)
            place = (self.places.get(table, ""),)
            return Stateful(operator.id, f"Source({table})", f"source {table}", "source", (), place, (), "")
        if operator.kind == "Data Source":
            return Stateful(operator.id, title(node), f"source {kind}", "source", (), (), (), "")
        if kind in _STATELESS or (kind == "lookup-join" and not node.get("state")):
            return None
        layout, meaning = self.grouped(node) if kind in _GROUPED else self.whole(node)
        names = tuple(f"state {state.get('name', '')}" for state in node.get("state", ()))
        feed = tuple(sorted(self.before(node["id"])))
        return Stateful(operator.id, title(node), kind, "keyed", (*names, *layout), meaning, feed, ttl)

    def table(self, node: Mapping[str, Any]) -> str:
        """Return the name of the table that a scan or sink is over."""
        for spec in ("scanTableSource", "dynamicTableSink"):
            identifier = node.get(spec, {}).get("table", {}).get("identifier")
            if identifier:
                return str(identifier).rpartition(".")[2].strip("`")
        return title(node)

    def grouped(self, node: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return layout and meaning of an aggregate by keys: it keeps accumulators, and no rows."""
        first = self.first_phase(node)
        (source,) = self.inputs[first["id"]]
        types = dict(enumerate(self.types(source)))
        keys = list(first.get("grouping", ()))
        calls = node.get("aggCalls", ())
        layout = [f"key {types.get(key, key)}" for key in keys]
        layout += [_call(call, [str(types.get(at, at)) for at in call.get("argList", ())]) for call in calls]
        retracts = node.get("needRetraction") or node.get("aggCallNeedRetractions") or False
        layout += (
            ["retractions"] if retracts is True or (isinstance(retracts, list) and any(retracts)) else []
        )
        meaning = [f"by {self.column(source, key)}" for key in keys]
        for call in calls:
            values = [self.column(source, at) for at in call.get("argList", ())]
            condition = call.get("filterArg", -1)
            values += [f"where {self.column(source, condition)}"] if condition >= 0 else []
            meaning.append(_call(call, values))
        return tuple(layout), tuple(meaning)

    def first_phase(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the local aggregate before a global one, whose arguments are in its terms; or the node."""
        at = node
        while len(self.inputs[at["id"]]) == 1:
            at = self.nodes[self.inputs[at["id"]][0]]
            if kind_of(at) == "local-group-aggregate":
                return at
            if kind_of(at) not in {"exchange", "incremental-group-aggregate"}:
                break
        return node

    def whole(self, node: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return layout and meaning of any other operator: its rows, and all that it is told to do."""
        layout, meaning = [], []
        for number, source in enumerate(self.inputs[node["id"]], start=1):
            types = self.types(source)
            side = f"input {number} " if len(self.inputs[node["id"]]) > 1 else ""
            layout.append(f"{side}({', '.join(types)})")
            columns = ", ".join(self.column(source, at) for at in range(len(types)))
            meaning.append(f"{side}({columns})")
        told = _told(node)
        meaning += [f"{key} {json.dumps(told[key])}" for key in sorted(told)]
        return tuple(layout), tuple(meaning)

    def before(self, number: int) -> set[str]:
        """Return what stands before a node, without what does not change rows."""
        found = set()
        for source in self.inputs[number]:
            node = self.nodes[source]
            if kind_of(node) not in {"exchange", "mini-batch-assigner"}:
                found.add(f"{kind_of(node)} {json.dumps(_told(node))}")
            found |= self.before(source)
        return found

    def types(self, number: int) -> list[str]:
        """Return the types of a node's columns."""
        return [kind for _, kind in self.fields(number)]

    def fields(self, number: int) -> list[tuple[str, str]]:
        """Return names and types of a node's columns."""
        row = self.nodes[number].get("outputType", "")
        if isinstance(row, dict):
            return [(str(f["name"]), json.dumps(f["fieldType"])) for f in row.get("fields", ())]
        return row_fields(str(row))

    def column(self, number: int, at: int) -> str:
        """Return what a column is computed from."""
        node, kind = self.nodes[number], kind_of(self.nodes[number])
        sources, fields = self.inputs[number], self.fields(number)
        name = fields[at][0] if at < len(fields) else str(at)
        if kind == "table-source-scan":
            return f"{self.table(node)}.{name}"
        if kind.endswith("calc") and at < len(node.get("projection", ())):
            return self.expression(node["projection"][at], sources[0])
        if kind in _PASSING and sources and at < len(self.fields(sources[0])):
            return self.column(sources[0], at)
        if kind in _JOINS:
            left = len(self.fields(sources[0]))
            return self.column(sources[0], at) if at < left else self.column(sources[1], at - left)
        if kind.endswith("aggregate") and at < len(node.get("grouping", ())):
            return self.column(sources[0], node["grouping"][at])
        if kind in _GROUPED:
            _, meaning = self.grouped(node)
            return f"[{'; '.join(meaning)}][{at}]"
        calls = node.get("aggCalls", ())
        called = at - len(node.get("grouping", ()))
        if kind.startswith("local-") and called < len(calls):
            arguments = [self.column(sources[0], one) for one in calls[called].get("argList", ())]
            return _call(calls[called], arguments)
        return f"{title(node)}.{name}"

    def expression(self, rex: Any, source: int) -> str:
        """Write an expression, columns followed to where they come from."""
        if not isinstance(rex, dict):
            return json.dumps(rex)
        if rex.get("kind") == "INPUT_REF":
            return self.column(source, int(rex["inputIndex"]))
        if rex.get("kind") == "FIELD_ACCESS":
            return f"{self.expression(rex['expr'], source)}.{rex.get('name')}"
        if rex.get("kind") == "LITERAL":
            told = {key: rex[key] for key in sorted(rex) if key not in {"kind", "type"}}
            return json.dumps(told["value"] if told.keys() == {"value"} else told, ensure_ascii=False)
        name = str(
            rex.get("internalName") or rex.get("systemName") or rex.get("catalogName") or rex.get("kind")
        )
        inner = [self.expression(one, source) for one in rex.get("operands", ())]
        if not inner:
            return f"{name} {json.dumps({k: rex[k] for k in sorted(rex)})}" if len(rex) > len("ab") else name
        made = f" {rex['type']}" if "CAST" in name.upper() else ""
        return f"{name.strip('$').partition('$')[0]}({', '.join(inner)}{made})"


def _call(call: Mapping[str, Any], values: Sequence[str]) -> str:
    name = str(call.get("internalName") or call.get("systemName") or call.get("catalogName") or "aggregate")
    name = name.strip("$").partition("$")[0]
    distinct = "DISTINCT " if call.get("distinct") else ""
    return f"{name}({distinct}{', '.join(values)})"


def _told(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node's attributes without those that say nothing about its state."""
    return {key: _nameless(node[key]) for key in sorted(node) if key not in _IDLE}


def _nameless(value: Any) -> Any:
    """Return an attribute without the names of aggregate calls: those are their columns' names."""
    if isinstance(value, dict):
        called = "argList" in value
        return {key: _nameless(value[key]) for key in sorted(value) if not (called and key == "name")}
    return [_nameless(item) for item in value] if isinstance(value, list) else value


def row_fields(row: str) -> list[tuple[str, str]]:
    """Read the columns of a type as Flink writes it: ```ROW<`a` INT, `b` VARCHAR(9)>```."""
    if not row.startswith("ROW<") or ">" not in row:
        return []
    fields = split_fields(row[len("ROW<") : row.rindex(">")])
    return [_field(text.strip()) for text in fields if text.strip()]


def _field(text: str) -> tuple[str, str]:
    found = re.match(r"`((?:[^`]|``)*)`\s+(.*)\Z", text, re.DOTALL)
    return (found.group(1).replace("``", "`"), found.group(2)) if found else (text, "")


def steps(plan: Mapping[str, Any]) -> list[str]:
    """Return a plan's operators as Flink describes them, in order, exchanges left out."""
    shown = [node for node in plan["nodes"] if kind_of(node) != "exchange"]
    return [str(node.get("description") or title(node)) for node in shown]
