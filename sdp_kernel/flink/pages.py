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


def next_token(page: bytes) -> int | None:
    """Return the token of the page after this one; None after the last."""
    match = _NEXT.search(page, max(len(page) - _TAIL, 0))
    return int(match.group(1)) if match else None


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
        wait, last_rows, described = _FIRST_WAIT_S, time.monotonic(), False
        while not self._stopped.is_set():
            try:
                page = self._fetch(self.token)
            except SdpError as error:
                self._put(error)
                return
            waiting = page.startswith(_NOT_READY)
            following = None if waiting else next_token(page)
            if not waiting:
                empty = _NO_ROWS in page[-_TAIL:]
                if not empty or not described or following is None:
                    described = True
                    self._put(page)
                if following is None:
                    return
                self.token = following
                if not empty:
                    now = time.monotonic()
                    wait = min(max((now - last_rows) * _GAP_SHARE, _FIRST_WAIT_S), _EAGER_S)
                    last_rows = now
                    continue
            self._stopped.wait(wait)
            eager = time.monotonic() - last_rows < _EAGER_FOR_S
            wait = min(wait * _GROWTH, _EAGER_S if eager else _QUIET_S)

    def _put(self, item: bytes | SdpError) -> None:
        while not self._stopped.is_set():
            try:
                self._ready.put(item, timeout=0.2)
            except queue.Full:
                continue
            return
