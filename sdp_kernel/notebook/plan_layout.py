"""Where the boxes of a plan go: layers from sources at the top to sinks at the bottom.

Own code because plans are small and nearly trees: the layout libraries for Python are either large
(networkx with Graphviz) or no longer kept up (grandalf).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sdp_kernel.flink.plan import Edge, Plan

_SWEEPS = 24
_BEND_WIDTH = 24.0

#: A box by its node's id, or a bend of an edge by the edge's number and layer.
Place = tuple[str, int, int]


@dataclass(frozen=True)
class Layout:
    """Centres and layers of nodes; for each edge of the plan, the points it goes through between its ends."""

    centres: Mapping[int, float]
    layers: Mapping[int, int]
    bends: Mapping[int, tuple[tuple[float, int], ...]]
    width: float
    depth: int


def arrange(plan: Plan, width_of: Callable[[int], float], gap: float) -> Layout:
    """Place the nodes of a plan.

    Parameters
    ----------
    width_of
        The width of a node's box, in px.
    gap
        Between boxes of one layer, in px.
    """
    layers = _layers(plan)
    depth = max(layers.values(), default=0)
    rows: list[list[Place]] = [[] for _ in range(depth + 1)]
    links: dict[Place, list[Place]] = {}
    for node in plan.nodes:
        _put(rows, links, ("node", node.id, layers[node.id]))
    for number, edge in enumerate(plan.edges):
        chain = _chain(number, edge, layers)
        for place in chain[1:-1]:
            _put(rows, links, place)
        for above, below in pairwise(chain):
            links[above].append(below)
            links[below].append(above)
    _order(plan, rows)
    widths = {
        place: width_of(place[1]) if place[0] == "node" else _BEND_WIDTH for row in rows for place in row
    }
    centres = _centres(rows, links, widths, gap)
    left = min((centres[place] - widths[place] / 2 for place in centres), default=0.0)
    right = max((centres[place] + widths[place] / 2 for place in centres), default=0.0)
    bends = {
        number: tuple((centres[place] - left, place[2]) for place in _chain(number, edge, layers)[1:-1])
        for number, edge in enumerate(plan.edges)
    }
    boxes = {place[1]: x - left for place, x in centres.items() if place[0] == "node"}
    return Layout(boxes, layers, bends, right - left, depth)


def _layers(plan: Plan) -> dict[int, int]:
    """Count layers from the top; an operator stands as close above its reader as it can."""
    height: dict[int, int] = {}
    readers: dict[int, list[int]] = {node.id: [] for node in plan.nodes}
    for edge in plan.edges:
        readers[edge.source].append(edge.target)

    def above_root(node: int) -> int:
        if node not in height:
            height[node] = 1 + max((above_root(reader) for reader in readers[node]), default=-1)
        return height[node]

    deepest = max((above_root(node.id) for node in plan.nodes), default=0)
    return {node: deepest - up for node, up in height.items()}


def _put(rows: list[list[Place]], links: dict[Place, list[Place]], place: Place) -> None:
    rows[place[2]].append(place)
    links[place] = []


def _chain(number: int, edge: Edge, layers: Mapping[int, int]) -> list[Place]:
    start, end = layers[edge.source], layers[edge.target]
    bends: list[Place] = [("bend", number, layer) for layer in range(start + 1, end)]
    return [("node", edge.source, start), *bends, ("node", edge.target, end)]


def _order(plan: Plan, rows: list[list[Place]]) -> None:
    """Order each layer as a walk from the roots meets it: inputs from left to right."""
    met: dict[tuple[str, int], int] = {}
    numbered: dict[int, list[tuple[int, Edge]]] = {}
    for number, edge in enumerate(plan.edges):
        numbered.setdefault(edge.target, []).append((number, edge))

    def visit(node: int) -> None:
        if ("node", node) in met:
            return
        met["node", node] = len(met)
        for number, edge in numbered.get(node, []):
            met["bend", number] = len(met)
            visit(edge.source)

    for root in plan.roots:
        visit(root.id)
    for row in rows:
        row.sort(key=lambda place: met.get((place[0], place[1]), 0))


def _centres(
    rows: Sequence[Sequence[Place]],
    links: Mapping[Place, Sequence[Place]],
    widths: Mapping[Place, float],
    gap: float,
) -> dict[Place, float]:
    """Move each place towards the middle of those it is linked with, boxes never overlapping."""
    centres: dict[Place, float] = {}
    for row in rows:
        x = 0.0
        for place in row:
            centres[place] = x + widths[place] / 2
            x += widths[place] + gap
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_middle(place, links, centres) for place in row]
            _settle(row, wanted, centres, widths, gap)
    return centres


def _middle(place: Place, links: Mapping[Place, Sequence[Place]], centres: Mapping[Place, float]) -> float:
    near = [centres[other] for other in links[place]]
    return sum(near) / len(near) if near else centres[place]


def _settle(
    row: Sequence[Place],
    wanted: Sequence[float],
    centres: dict[Place, float],
    widths: Mapping[Place, float],
    gap: float,
) -> None:
    """Give each place what it wants, pushing neighbours apart evenly where they collide."""
    groups: list[tuple[list[int], float]] = []  # places that touch, and where the first one's centre is
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (widths[left] + widths[right]) / 2 + gap)
    for index in range(len(row)):
        members = [index]
        start = wanted[index] - offsets[index]
        while groups and groups[-1][1] > start:
            before, _ = groups.pop()
            members = before + members
            start = sum(wanted[one] - offsets[one] for one in members) / len(members)
        groups.append((members, start))
    for members, start in groups:
        for one in members:
            centres[row[one]] = start + offsets[one]
