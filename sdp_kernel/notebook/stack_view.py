"""The embedded stack in a notebook: its start, its state, its logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.notebook import display, html
from sdp_kernel.notebook.progress import StackProgress

if TYPE_CHECKING:
    from sdp_kernel.local.stack import StackStatus
    from sdp_kernel.workbench import Workbench

_TONES = {"running": "good", "starting": "run", "stopped": "warn", "died": "bad"}


def up(workbench: Workbench, *more: str) -> None:
    """Start the stack, and components beside the usual ones, with progress; show its state."""
    workbench.start(*more, progress=StackProgress())
    status(workbench)


def down(workbench: Workbench) -> None:
    """Stop the stack, and what leads to session clusters."""
    workbench.down()
    display.show(html.panel([html.title("embedded stack"), html.chip("stopped", "warn")]), "stopped")


def status(workbench: Workbench) -> None:
    """Show each component's state, port and memory."""
    show_status(workbench.stack.status())


def show_status(state: StackStatus) -> None:
    """Draw a status."""
    header = ["component", "state", "port", "memory", "pid"]
    rows = [
        [c.name, c.state, c.port, f"{c.memory / 2**20:.0f} MB" if c.memory else "—", c.pid]
        for c in state.components
    ]
    worst = next(
        (s for s in ("died", "stopped", "starting") if any(c.state == s for c in state.components)), "running"
    )
    head = [
        html.title("embedded stack"),
        html.chip(worst, _TONES[worst]),
        html.fact(f"{state.memory / 2**20:.0f}", "MB"),
    ]
    details = [html.note(f"{c.name}: {c.detail}") for c in state.components if c.detail]
    text = "\n".join(["  ".join(header), *("  ".join(str(value) for value in row) for row in rows)])
    display.show(
        html.panel(head, html.grid(header, rows, right=(False, False, True, True, True)), *details), text
    )


def logs(workbench: Workbench, component: str) -> None:
    """Show the tail of a component's log."""
    text = workbench.stack.logs(component)
    display.show(html.panel([html.title(component)], html.pre(text)), text)
