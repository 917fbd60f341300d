"""Questions to a session that start no query, such as EXPLAIN: asked again where it had been lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sdp_kernel.errors import GatewayUnreachable
from sdp_kernel.flink import faults
from sdp_kernel.flink.gateway import GatewayFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.flink.session import Session

T = TypeVar("T")
#: A gateway that was restarted has lost the session too.
_AGAIN = 2


def ask(session: Session, question: Callable[[], T]) -> T:
    """Return what ``question`` does; where the gateway had lost the session, in a new one.

    Raises
    ------
    GatewayUnreachable
        It does not answer, and to start it again is not in this machine's hands.
    GatewayFault
        Flink's answer, for any other reason.
    SessionLost
        A statement that once succeeded does not any more.
    """
    repair = session.recovery.repair
    for _ in range(_AGAIN):
        asked_in = session.handle
        try:
            return question()
        except GatewayUnreachable:
            if repair is None:
                raise
            repair()
        except GatewayFault as fault:
            if faults.what_was_lost(fault.errors) != faults.SESSION:
                raise
            if session.handle == asked_in:
                replayed = session.reopen()
                session.notify(f"{faults.SESSION}: opened a new session, replayed {replayed} statements")
    return question()
