"""Questions to the planner about tables that are not there: temporary ones, gone with the answer."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.keys import OWN_PLACE
from sdp_kernel.flink.script import identifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.flink.session import Session


def refusal(session: Session, body: str, insert: Callable[[str], str], *, shown: str) -> str | None:
    """Return why the planner refuses to write to a table; None where it takes the rows.

    Parameters
    ----------
    body
        The table's declaration from its columns on, everything filled in.
    insert
        Returns the INSERT into a table of that name, as SQL.
    shown
        What the table is called in the reason.
    """
    name = uuid.uuid4().hex
    table = f"{OWN_PLACE}.{identifier(name)}"
    runner = session.runner()
    try:
        runner.declare(f"CREATE TEMPORARY TABLE {table} {body}")
        runner.text(f"EXPLAIN {insert(table)}")
    except SdpError as error:
        return error.message.replace(f"__sdp.__sdp.{name}", shown)
    finally:
        with contextlib.suppress(SdpError):
            runner.declare(f"DROP TEMPORARY TABLE IF EXISTS {table}")
    return None
