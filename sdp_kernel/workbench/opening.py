"""Opens the workbench's session: a new one, or the one of the kernel before."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.record import Records, SessionRecord
    from sdp_kernel.flink.session import Session
    from sdp_kernel.settings import Profile


def open_session(
    profile: Profile,
    state_dir: Path,
    *,
    fragments: Mapping[str, str],
    notify: Callable[[str], None] | None,
    mask: Callable[[pa.Table], pa.Table],
    veiled: bool,
    repair: Callable[[], None] | None,
    owners: tuple[str, ...],
    shared_disk: bool,
    reconnect: Callable[[], None] | None = None,
    touch: Callable[[], None] | None = None,
) -> tuple[Session, tuple[Query, ...]]:
    """Return a session on a profile, and the queries it took over.

    A record of it is kept under ``state_dir`` while it is open. Records of dead processes are taken
    over where one of ``owners`` is theirs too; else their SELECT jobs are ended. ``shared_disk`` says that
    the cluster sees this machine's files; ``touch`` is called every few seconds while the session is open.
    Files that no kernel uses any more are deleted.
    """
    from sdp_kernel.flink.ledger import Ledger  # noqa: PLC0415 - loaded when a session opens
    from sdp_kernel.flink.leftovers import sweep  # noqa: PLC0415
    from sdp_kernel.flink.record import Records  # noqa: PLC0415
    from sdp_kernel.flink.resume import running  # noqa: PLC0415
    from sdp_kernel.flink.session import Session  # noqa: PLC0415

    name = f"{profile.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    records = Records(state_dir / "sessions", name, owners)
    spool = state_dir / "spool" / name

    def write() -> None:
        if touch is not None:
            touch()
        if session.opened:
            records.write(
                gateway=session.gateway.url,
                handle=session.handle,
                ledger=session.ledger.path,
                queries=lambda: running(session),
            )

    def forget() -> None:
        records.forget()
        shutil.rmtree(spool, ignore_errors=True)

    session = Session(
        profile.gateway or "",
        jobmanager=profile.jobmanager,
        properties=profile.session,
        fragments=fragments,
        defaults=profile.parameters,
        ledger=Ledger(state_dir / "ledgers" / f"{name}.jsonl"),
        read_only=profile.read_only,
        notify=notify,
        mask=mask,
        veiled=veiled,
        repair=repair,
        reconnect=reconnect,
        spool=spool if shared_disk else None,
        on_change=write,
        on_close=forget,
    )
    queries = _look_after_the_dead(session, records, spool.parent)
    sweep(state_dir, session.jobmanager if shared_disk else None)
    return session, queries


def _look_after_the_dead(session: Session, records: Records, spools: Path) -> tuple[Query, ...]:
    """Take over what a kernel before this one left; end what others left and nobody took over."""
    from sdp_kernel.flink.record import name_of  # noqa: PLC0415
    from sdp_kernel.flink.resume import end_orphans  # noqa: PLC0415

    queries: tuple[Query, ...] = ()
    taken = False
    for path, found in records.orphans(session.gateway.url):
        mine = records.is_mine(found)
        if not (mine or found.given_up):
            continue
        with records.claim(path) as record:
            if record is None:
                continue
            if mine and not taken:
                taken = True
                queries = _succeed(session, record)
            else:
                with contextlib.suppress(SdpError):
                    count = end_orphans(session, record)
                    if count:
                        session.notify(f"ended {count} queries that a kernel before had left running")
            shutil.rmtree(spools / name_of(path), ignore_errors=True)
    return queries


def _succeed(session: Session, record: SessionRecord) -> tuple[Query, ...]:
    from sdp_kernel.flink.resume import take_over  # noqa: PLC0415

    try:
        taken = take_over(session, record)
    except SdpError as error:
        session.notify(f"the session of the kernel before cannot be taken over: {error}")
        return ()
    session.notify("; ".join(taken.lines))
    return taken.queries
