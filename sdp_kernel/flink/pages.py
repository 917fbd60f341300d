"""Fetches the pages of an operation ahead of their decoding, and decides how often to ask.

The gateway hands out pages by token, in order; only the current and the previous one can be asked.
It holds back the query while a page waits to be fetched, so the next is asked for in a thread of
its own while the last is decoded.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError

if TYPE_CHECKING:
    from sdp_kernel.flink.gateway import Gateway

_NOT_READY = b'{"resultType":"NOT_READY"'
_NO_ROWS = b'"data":[]'
_NEXT = re.compile(rb'"nextResultUri":"[^"]*/result/(\d+)[^"/]*"\}$')
_TAIL = 400
_AHEAD = 2
_FIRST_WAIT_S, _GROWTH = 0.003, 1.5
#: Longest wait between two questions: while rows come or may come any moment, and in silence.
_EAGER_S, _QUIET_S = 0.02, 0.1
_EAGER_FOR_S = 2.0
#: After a page with rows the first question waits for this share of the gap before that page.
_GAP_SHARE = 0.4
#: Of a query whose pages stay smaller than this for longer than it is eager, a fifth of a second's rows
#: come together: a view draws no sooner, and every question costs the gateway and the kernel the same.
_TRICKLE_BYTES, _TRICKLE_S = 16_384, 0.2


def next_token(page: bytes) -> int | None:
    """Return the token of the page after this one; None after the last."""
    match = _NEXT.search(page, max(len(page) - _TAIL, 0))
    return int(match.group(1)) if match else None


class Pace:
    """How long to wait before the next question; all in seconds."""

    def __init__(self, now: float) -> None:
        self._wait = _FIRST_WAIT_S
        self._last_rows = now
        self._began: float | None = None
        self._trickles = False

    def after_rows(self, now: float, size: int) -> float:
        """Return the wait after a page with rows, of so many bytes."""
        self._wait = min(max((now - self._last_rows) * _GAP_SHARE, _FIRST_WAIT_S), _EAGER_S)
        self._last_rows = now
        self._began = now if self._began is None else self._began
        self._trickles = size < _TRICKLE_BYTES and now - self._began > _EAGER_FOR_S
        if self._trickles:
            self._wait = _TRICKLE_S
        return self._wait if self._trickles else 0.0

    def after_nothing(self, now: float) -> float:
        """Return the wait after an answer without rows."""
        wait = self._wait
        eager = now + wait - self._last_rows < _EAGER_FOR_S and not self._trickles
        self._wait = min(wait * _GROWTH, _EAGER_S if eager else _TRICKLE_S if self._trickles else _QUIET_S)
        return wait


class Pages:
    """The pages of one operation, fetched ahead.

    Attributes
    ----------
    token
        The token asked for last.
    """

    def __init__(self, gateway: Gateway, session: str, operation: str, token: int = 0) -> None:
        self.token = token
        self._fetch = partial(gateway.fetch, session, operation)
        self._ready: queue.Queue[bytes | SdpError] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="sdp-pages")
        self._thread.start()

    def get(self, timeout: float) -> bytes | None:
        """Return the next page that says something; None after ``timeout`` seconds without one.

        Raises
        ------
        SdpError
            What fetching raised.
        """
        try:
            page = self._ready.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(page, SdpError):
            raise page
        return page

    def stop(self) -> None:
        """Ask for no more pages."""
        self._stopped.set()

    def _run(self) -> None:
        pace, described = Pace(time.monotonic()), False
        while not self._stopped.is_set():
            try:
                page = self._fetch(self.token)
            except SdpError as error:
                self._put(error)
                return
            waiting = page.startswith(_NOT_READY)
            following = None if waiting else next_token(page)
            empty = waiting or _NO_ROWS in page[-_TAIL:]
            if not waiting:
                if not empty or not described or following is None:
                    described = True
                    self._put(page)
                if following is None:
                    return
                self.token = following
            now = time.monotonic()
            wait = pace.after_nothing(now) if empty else pace.after_rows(now, len(page))
            if wait:
                self._stopped.wait(wait)

    def _put(self, item: bytes | SdpError) -> None:
        while not self._stopped.is_set():
            try:
                self._ready.put(item, timeout=0.2)
            except queue.Full:
                continue
            return
