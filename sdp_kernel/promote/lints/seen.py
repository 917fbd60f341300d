"""Rules on what was seen of the cell: how many jobs it starts, and whether its rows fit the output."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sdp_kernel.promote.lints.finding import found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sdp_kernel.flink.query import Query
    from sdp_kernel.promote.lints.finding import Finding
    from sdp_kernel.promote.sink import Sink

_UNNAMED = re.compile(r"^EXPR\$\d+$")
_ENFORCER = "table.exec.sink.not-null-enforcer"


def check(query: Query, sink: Sink | None, settings: Mapping[str, str]) -> Iterator[Finding]:
    """Look over what ran.

    Parameters
    ----------
    sink
        The output of a SELECT; None for an INSERT.
    settings
        The job's SETs.
    """
    jobs = sum(s.runs_job for s in query.statements) + query.statement.is_query
    if jobs > 1:
        yield found(
            "SDP008",
            f"the cell starts {jobs} jobs, and a job definition holds one",
            "split the cell, or join its INSERTs: EXECUTE STATEMENT SET BEGIN … END",
            "the cell",
        )
    if sink is not None:
        yield from _columns(query)
        if _ENFORCER not in settings:
            yield from _keys(query, sink)


def _columns(query: Query) -> Iterator[Finding]:
    for column in query.columns:
        if _UNNAMED.match(column.name):
            yield found(
                "SDP009",
                f"a column has no name: it is written as {column.name}",
                f"name it in the query: … AS {column.name.replace('EXPR$', 'column_')}",
            )


def _keys(query: Query, sink: Sink) -> Iterator[Finding]:
    table = query.arrow
    for name in (name for name in sink.key if name in table.column_names):
        nulls = table.column(name).null_count
        if nulls:
            yield found(
                "SDP011",
                f"{nulls:,} of the {len(table):,} rows seen have no {name}, which is the output's key: "
                "the job would fail",
                f"WHERE {name} IS NOT NULL, or SET '{_ENFORCER}' = 'DROP'",
            )
