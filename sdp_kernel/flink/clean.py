"""A session beside another one: on the same gateway, with its profile, and nothing declared in it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sdp_kernel.flink.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def clean_session(like: Session) -> Iterator[Session]:
    """Open a session of its own on the same gateway, with the same profile, and close it."""
    session = Session(
        like.gateway.url,
        jobmanager=like.jobmanager.url if like.jobmanager else None,
        properties=like.properties,
        fragments=like.fragments,
        defaults=like.defaults,
    )
    try:
        yield session
    finally:
        session.close()
