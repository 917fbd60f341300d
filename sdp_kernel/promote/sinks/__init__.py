"""From SELECT to INSERT: finds or declares the output.

``kafka`` declares topics' tables, ``files`` those over a file system; ``existing`` takes a table that is
there, and fits the result to its columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.errors import UsageError
from sdp_kernel.promote.sink import check_output, scheme_of
from sdp_kernel.promote.sinks import existing, files, kafka

if TYPE_CHECKING:
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.objects import Slice
    from sdp_kernel.promote.request import Request
    from sdp_kernel.promote.sink import Sink

_OF_FILES = (("format", "--format"), ("partition_by", "--partition-by"))
_OF_TOPICS = (("partitions", "--partitions"), ("retention", "--retention"))


def make(query: Query, session: Session, part: Slice, *, to: str, request: Request, reads: Slice) -> Sink:
    """Find or declare the output of a SELECT.

    A path becomes a table over files. A table of the session, or of a catalog, is taken as it is: one of
    that name, or declared over that topic. Else a topic's table is declared.

    Parameters
    ----------
    part
        What the query needs.
    reads
        What any query of the job needs: the output may be none of it.

    Raises
    ------
    PromoteError
        The planner does not take the rows as they are, or the output is what the job reads.
    UsageError
        What was asked for cannot be: with what to say instead.
    """
    check_output(to)
    if scheme_of(to) is not None:
        _refuse(request, "files", (("key", "--key"), *_OF_TOPICS))
        return files.make(query, session, reads, path=to, request=request)
    _refuse(request, to, _OF_FILES)
    found = kafka.declared(session, reads, to) or existing.in_catalog(session, to)
    if found is None:
        return kafka.make(query, session, part, topic=to, key=request.key)
    _refuse(request, f"the table {found.table}", (("key", "--key"), *_OF_TOPICS))
    return existing.fitted(query, session, found)


def _refuse(request: Request, what: str, options: tuple[tuple[str, str], ...]) -> None:
    if len(request.outputs) > 1:  # an option is for those outputs that can have it
        return
    for name, option in options:
        if getattr(request, name):
            raise UsageError(f"{what} cannot have {option}: it is not declared with one", hint="leave it out")
