"""An operator of a plan in a few words: a title, and lines that say what it does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sdp_kernel.flink.plan_state import in_words
from sdp_kernel.flink.plan_tree import split_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.flink.plan import Node

_MINUS = "\N{MINUS SIGN}"
KINDS = {
    "I": ("+I", "inserts"),
    "UB": (f"{_MINUS}U", "takes back the row before an update"),
    "UA": ("+U", "updates: the row after"),
    "D": (f"{_MINUS}D", "deletes"),
}
_TYPED = re.compile(
    r"_UTF-16LE(?=')|:(?:VARCHAR|CHAR)\(\d+\) CHARACTER SET \"UTF-16LE\"|(?<=\d):[A-Z]+(?:\(\d+\))?\b"
)
_AS_OF = re.compile(r"^\((.*) AND __TEMPORAL_JOIN_CONDITION\(([^,]+),.*\)$", re.DOTALL)
_SPAN = re.compile(r"(\d+):INTERVAL (?:DAY|HOUR|MINUTE|SECOND)(?: TO \w+)?")
_WINDOW = re.compile(r"^(\w+)\((.*)\)$", re.DOTALL)
_SIZE = re.compile(r"(size|slide|gap|max_size|step|offset)=\[([^\]]+)\]")
_JOIN = re.compile(r"(Inner|Left|Right|Full|LeftSemi|LeftAnti)(?:Outer)?(?:Join)?$", re.IGNORECASE)


def title(node: Node) -> str:
    """Name an operator: a table where it reads or writes one, else Flink's own word."""
    return node.table or node.name


def subtitle(node: Node) -> str:
    """Say beside a title what kind of operator it is, where the title does not."""
    if node.table:
        return "sink" if node.name.endswith("Sink") else "source" if node.name.endswith("Scan") else node.name
    join = _JOIN.match(node.attributes.get("joinType", ""))
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", join.group(1)).lower() if join else ""


def mode(node: Node) -> tuple[str, str]:
    """Write what a node sends, and explain it."""
    if not node.changelog:
        return "", ""
    signs = " ".join(KINDS[kind][0] for kind in node.changelog if kind in KINDS)
    meaning = "; ".join(f"{KINDS[kind][0]} {KINDS[kind][1]}" for kind in node.changelog if kind in KINDS)
    return (f"append {signs}" if node.appends else f"updates {signs}"), meaning


def lines(node: Node) -> list[str]:
    """Say what an operator does, the most telling first."""
    return [_plain(line) for line in _lines(node.name, node.attributes) if line]


def _plain(text: str) -> str:
    """Leave out types of literals, and write intervals as people do."""
    return _TYPED.sub("", _SPAN.sub(lambda match: in_words(int(match.group(1))), text))


def _lines(name: str, attributes: Mapping[str, str]) -> list[str]:
    columns = attributes.get("select", attributes.get("fields", ""))
    if "Rank" in name or name in {"SortLimit", "Limit"}:
        return [_top(attributes), columns]
    if name == "Deduplicate" or name.endswith("WindowDeduplicate"):
        keys = attributes.get("key", attributes.get("partitionKeys", ""))
        keep = "first" if attributes.get("keep") == "FirstRow" else "last"
        return [f"{keep} row per {keys}" if keys else f"{keep} row", _window(attributes)]
    if "Aggregate" in name:
        return [_window(attributes), _aggregate(attributes)]
    if "Join" in name:
        condition = attributes.get("where", attributes.get("joinConditions", attributes.get("lookup", "")))
        condition = _AS_OF.sub(r"\1 as of \2", condition)
        return [
            f"on {condition}" if condition and condition != "true" else "every row with every row",
            columns,
        ]
    if name == "WatermarkAssigner":
        return [f"{attributes.get('rowtime', '')}: {attributes.get('watermark', '')}"]
    if name == "WindowTableFunction":
        return [_window(attributes)]
    if name.endswith("Calc"):
        where = attributes.get("where", "")
        return [f"where {where}" if where else "", columns]
    if name == "Union":
        return ["all rows of its inputs"]
    if name == "ChangelogNormalize":
        return [f"by {attributes.get('key', '')}"]
    if name == "Match":
        return [
            f"by {attributes['partitionBy']}" if attributes.get("partitionBy") else "",
            attributes.get("pattern", ""),
        ]
    if name.endswith(("Correlate", "TableFunctionScan")):
        return [attributes.get("invocation", ""), columns]
    if name == "Values":
        return [attributes.get("tuples", "")]
    if name.endswith(("Scan", "Sink")):
        return [columns]
    return [", ".join(f"{key} {value}" for key, value in attributes.items() if key != "changelogMode")]


def _top(attributes: Mapping[str, str]) -> str:
    ends = re.search(r"rankEnd=(\d+)", attributes.get("rankRange", ""))
    count = ends.group(1) if ends else attributes.get("fetch", "")
    parts = [f"first {count}" if count else "rank"]
    if attributes.get("partitionBy"):
        parts.append(f"per {attributes['partitionBy']}")
    if attributes.get("orderBy"):
        parts.append(f"by {attributes['orderBy']}")
    return " ".join(parts)


def _window(attributes: Mapping[str, str]) -> str:
    """Write ``TUMBLE(time_col=[ts], size=[1 min])`` as ``TUMBLE 1 min``; a frame of OVER as it is."""
    text = attributes.get("window", "").strip()
    match = _WINDOW.match(text)
    if match is None:
        return text
    sizes = [
        value if key in {"size", "gap", "max_size"} else f"{key} {value}"
        for key, value in _SIZE.findall(text)
    ]
    return f"{match.group(1)} {', '.join(sizes)}" if sizes else text


def _aggregate(attributes: Mapping[str, str]) -> str:
    keys = attributes.get("groupBy", attributes.get("partitionBy", ""))
    names = set(split_list(keys))
    calls = [call for call in split_list(attributes.get("select", "")) if call not in names]
    return f"{f'by {keys}' if keys else 'all rows'}: {', '.join(calls)}" if calls else f"by {keys}"
