"""The stack's progress in a terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sdp_kernel.local.stack import Progress


@contextmanager
def stack_progress() -> Iterator[Callable[[Progress], None]]:
    """Show progress as a status line, on standard error; plain lines where it is no terminal."""
    console = Console(stderr=True)
    with console.status("embedded stack") as status:
        last = ""

        def show(progress: Progress) -> None:
            nonlocal last
            text = str(progress)
            status.update(text)
            if not console.is_terminal and text != last:
                console.print(text, highlight=False)
            last = text

        yield show
