"""The start of the embedded stack, or of the way to a session cluster, as one line that is redrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdp_kernel.local.stack import Progress
    from sdp_kernel.notebook.display import View


class StackProgress:
    """Takes the stack's progress and redraws a line; quiet where nothing has to start."""

    def __init__(self) -> None:
        self._view: View | None = None

    def __call__(self, progress: Progress) -> None:
        """Redraw for one step."""
        from sdp_kernel.notebook import display, html  # noqa: PLC0415

        if self._view is None:
            self._view = display.View()
        text = str(progress)
        self._view.show(html.panel([html.title(progress.title), html.note(text)]), text, last=False)
