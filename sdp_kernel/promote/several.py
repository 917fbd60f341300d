"""Several cells as one job: the union of their slices, one statement set, the evidence of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SliceError, UsageError
from sdp_kernel.flink.query import Query
from sdp_kernel.flink.script import significant
from sdp_kernel.promote.objects import Slice, setting_of
from sdp_kernel.repository.receipt import sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.promote.request import Request
    from sdp_kernel.promote.sink import Sink


@dataclass(frozen=True)
class Piece:
    """One cell's share of a job: its slice, its INSERT or statement set as written, its output.

    ``output`` is None where the cell names its own.
    """

    query: Query
    part: Slice
    statement: str
    output: Sink | None = None


def queries_of(query: Query | Sequence[Query]) -> tuple[Query, ...]:
    """Return what is promoted, one query or several.

    Raises
    ------
    UsageError
        There is none, or one is named twice.
    """
    found = (query,) if isinstance(query, Query) else tuple(query)
    if not found:
        raise UsageError("there is no cell to promote", hint="name one, as in %%flinksql NAME")
    twice = [q.name for q in found if sum(other is q for other in found) > 1]
    if twice:
        raise UsageError(f"the cell {twice[0]} is named twice", hint="name each cell once")
    return found


def targets(queries: Sequence[Query], request: Request) -> tuple[str | None, ...]:
    """Return the output asked for, for each query: the SELECTs' in their order, None for an INSERT.

    Raises
    ------
    UsageError
        There are more or fewer outputs than SELECTs, two SELECTs have one output, or a key is given
        for several.
    """
    given = list(request.outputs)
    selects = [query for query in queries if query.statement.is_query]
    if len(queries) == 1:
        if len(given) > 1:
            raise UsageError(f"one cell has one output, and {len(given)} are given", hint=f"--to {given[0]}")
        return (given[0] if given else None,)
    names = ", ".join(query.name or "a cell" for query in selects) or "none"
    if len(given) != len(selects):
        raise UsageError(
            f"{len(selects)} of the cells are SELECTs ({names}), and {len(given)} outputs are given",
            hint="--to takes an output for each SELECT, in their order, with commas; INSERTs name their own",
        )
    if twice := [to for to in given if given.count(to) > 1]:
        raise UsageError(
            f"two of the cells would write to {twice[0]}",
            hint="give each its own output, or write UNION ALL in one cell",
        )
    if request.key and len(selects) > 1:
        raise UsageError("--key is for one SELECT, and there are several", hint="leave it out")
    left = iter(given)
    return tuple(next(left) if query.statement.is_query else None for query in queries)


def joined(pieces: Sequence[Piece], ledger: Sequence[Entry]) -> tuple[Slice, str]:
    """Return the union of the pieces' slices in the ledger's order, and their one statement.

    Raises
    ------
    SliceError
        Two of them need different values of a setting, or one name for different objects.
    """
    if len(pieces) == 1:
        return pieces[0].part, pieces[0].statement
    order = {id(entry): number for number, entry in enumerate(ledger)}

    def at(entry: Entry) -> int:
        return order.get(id(entry), len(order))

    settings = {id(e): e for piece in pieces for e in piece.part.settings}
    chosen: dict[str, str] = {}
    for entry in settings.values():
        option = setting_of(entry.text) if entry.kind == "SET" else ""
        if option and chosen.setdefault(option, entry.text) != entry.text:
            raise SliceError(
                f"two of the cells ran with different values of {option}",
                hint="SET it once, and run both cells again",
            )
    objects: dict[tuple[str, str | None], tuple[Entry, ...]] = {}
    for piece in pieces:
        for group in piece.part.objects:
            known = objects.setdefault((group[0].kind, group[0].target), group)
            if known[0] != group[0]:
                raise SliceError(
                    f"two of the cells use different {group[0].kind.split()[-1].lower()}s {group[0].target}",
                    hint="give one of them another name, and run both cells again",
                )
    return (
        Slice(
            tuple(sorted(settings.values(), key=at)),
            tuple(entry for group in objects.values() for entry in group),
        ),
        statement_set([piece.statement for piece in pieces]),
    )


def statement_set(statements: Sequence[str]) -> str:
    """Join INSERTs, and those within statement sets, into one statement set."""
    inserts = [insert for statement in statements for insert in _inserts(statement)]
    body = "".join(f"{insert};\n" for insert in inserts)
    return f"EXECUTE STATEMENT SET BEGIN\n{body}END"


def _inserts(statement: str) -> list[str]:
    tokens = significant(statement)
    if not ({"STATEMENT", "SET"} <= {token.upper for token in tokens[:3]}):
        return [statement]
    begin = next(n for n, token in enumerate(tokens) if token.upper == "BEGIN")
    inside = tokens[(begin or 2) + 1 : -1]
    found, run = [], []
    for token in inside:
        if token.text != ";":
            run.append(token)
        elif run:
            found.append(statement[run[0].start : run[-1].end])
            run = []
    return [*found, statement[run[0].start : run[-1].end]] if run else found


def receipt(receipts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one receipt of several cells': ``cells`` has each one's, the rest is of the job.

    ``cell`` and ``run`` sum them up, so that what reads the receipt of one cell reads this one too.
    """
    first = dict(receipts[0])
    if len(receipts) == 1:
        return first
    cells = [{**found["cell"], "run": found["run"]} for found in receipts]
    hashes = "".join(cell["sha256"] for cell in cells)
    runs = [cell["run"] for cell in cells]
    states = list(dict.fromkeys(run["state"] for run in runs))
    first["cell"] = {
        **receipts[0]["cell"],
        "name": ", ".join(cell["name"] or "a cell" for cell in cells),
        "sha256": sha256(hashes),
    }
    first["run"] = {
        **receipts[0]["run"],
        "state": ", ".join(states),
        "job_id": None,
        "started": min(run["started"] for run in runs),
        "seconds": round(sum(run["seconds"] for run in runs), 3),
        **{key: _sum([run[key] for run in runs]) for key in ("rows", "changes", "records") if key in runs[0]},
        "columns": None,
    }
    return {**first, "cells": cells}


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
