"""Runs a query in its own thread to its end: prepared, through losses, recorded.

How its statement is submitted and read is in :mod:`sdp_kernel.flink.runner`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdp_kernel.errors import GatewayUnreachable, SdpError, StatementError
from sdp_kernel.flink import faults, places
from sdp_kernel.flink.gateway import GatewayFault
from sdp_kernel.flink.query import Lost
from sdp_kernel.flink.veil import Veil

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.flink.parameters import Rendered
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.runner import Runner
    from sdp_kernel.flink.session import Session


@dataclass
class Task:
    """A query to run, and what is needed to say where it went wrong.

    ``prepare`` changes the text before it is submitted; it may ask the cluster, so it belongs to the
    query's thread too. ``prepared`` is set when that is done, ``refused`` where it failed.
    """

    query: Query
    rendered: Rendered
    first_line: int = 1
    on_end: Callable[[Query], None] | None = None
    #: The page to go on with, for an operation that runs already.
    token: int | None = None
    prepare: Callable[[Rendered], Rendered] | None = None
    prepared: threading.Event = field(default_factory=threading.Event)
    refused: BaseException | None = None


def run(session: Session, task: Task) -> None:
    """Run a query to its end; what goes wrong is the query's ``error``."""
    query = task.query
    try:
        if _prepare(task):
            _carry_out(session, task)
    finally:
        query.left.set()
    session.on_change()
    if query.background and task.on_end is not None:
        task.on_end(query)


def _prepare(task: Task) -> bool:
    query = task.query
    try:
        if task.prepare is not None:
            task.rendered = task.prepare(task.rendered)
        query.sql = task.rendered.text
    except BaseException as error:  # noqa: BLE001 - raised again where the query is waited for
        task.refused = error
        query.finish("failed", error)
        return False
    finally:
        task.prepared.set()
    return True


def _carry_out(session: Session, task: Task) -> None:
    query = task.query
    veil = Veil(query.text, query.sql) if session.veiled else None
    try:
        state = _through_losses(session, task)
    except BaseException as error:  # noqa: BLE001 - raised again where the query is waited for
        if query.stopping is not None and _tells_a_loss(error):
            query.finish(query.stopping)
        elif isinstance(error, (GatewayFault, StatementError)):
            query.finish("failed", _placed(error, task, veil))
        else:
            query.finish("failed", error if veil is None else veil.error(error))
        return
    if query.statement.is_query or query.took_effect:
        session.ledger.record(
            query.statement, cell=query.name, source=query.text, parameters=query.parameters
        )
    query.finish(state)


def _through_losses(session: Session, task: Task) -> str:
    query, token = task.query, task.token
    runner: Runner | None = None
    while query.stopping is None:
        lost = session.handle if session.opened else ""
        try:
            runner = session.runner()
            lost = query.session = runner.session
            session.on_change()
            return runner.run(query, task.rendered.text, token=token)
        except Exception as error:
            what = session.recovery.what_is_lost(error, query)
            if what is None:
                raise
        if not session.recovery.recover(what, lost, query):
            break
        token = None
        query.runs += 1
        query.begin()
    if runner is not None:
        runner.stop(query, None, appears=0)
    return query.stopping or "stopped"


def _tells_a_loss(error: BaseException) -> bool:
    """Whether something under the query went away, which one that is asked to end need not report."""
    lost = isinstance(error, GatewayFault) and faults.what_was_lost(error.errors) is not None
    return lost or isinstance(error, (GatewayUnreachable, Lost))


def _placed(fault: GatewayFault | StatementError, task: Task, veil: Veil | None = None) -> SdpError:
    """Turn a fault in a rendered statement into an error at the cell's own line and column."""
    query = task.query
    error: SdpError = fault
    if isinstance(fault, GatewayFault):
        error = faults.to_error(fault.errors, job_id=query.job_id, veil=veil, config=query.config)
    if not isinstance(error, StatementError):
        return error
    return places.placed(error, query, task.rendered, task.first_line)
