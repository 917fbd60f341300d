"""Calls that may hang, held to a deadline: each runs in a daemon thread that is left behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Late(Exception):  # noqa: N818
    """The call had not ended at its deadline."""


class Call(Generic[T]):
    """A call that runs; ``result`` waits for it no longer than it is told."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._value: T
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="sdp-diagnose")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            self._error = error

    def result(self, deadline: float) -> T:
        """Return the result.

        Parameters
        ----------
        deadline
            In ``time.monotonic()``.

        Raises
        ------
        Late
            It has not ended by then.
        """
        self._thread.join(max(deadline - time.monotonic(), 0))
        if self._thread.is_alive():
            raise Late
        if self._error is not None:
            raise self._error
        return self._value
