"""``%%flinkudf``: a cell of Python functions for SQL, which work in the notebook too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from sdp_kernel.notebook.arguments import parsed

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from sdp_kernel.flink.functions import Registration
    from sdp_kernel.notebook.magics import SdpMagics


@magics_class
class UdfMagics(Magics):
    """The magic for Python functions, over the workbench of :class:`SdpMagics`."""

    def __init__(self, shell: InteractiveShell, owner: SdpMagics) -> None:
        super().__init__(shell)
        self._shell = shell
        self._owner = owner

    @magic_arguments()
    @argument("names", nargs="*", help="the functions to register; all decorated ones otherwise")
    @cell_magic
    def flinkudf(self, line: str, cell: str) -> None:
        """Register the cell's Python functions in the session; they work in the notebook too."""
        from sdp_kernel.flink import function_cell  # noqa: PLC0415
        from sdp_kernel.notebook import display  # noqa: PLC0415

        args = parsed(self.flinkudf, line)
        loaded = function_cell.load(cell, args.names, first_line=2)
        done = self._owner.workbench.functions.register(loaded)
        self._shell.user_ns.update(done.exports)
        display.show(*bundle(done))


def bundle(done: Registration) -> tuple[str, str]:
    """Return what a registration shows, as HTML and as text."""
    from sdp_kernel.notebook import html  # noqa: PLC0415

    rows = [
        (f"`{found.name}`" if found.name in done.reserved else found.name, found.signature, found.kind)
        for found in done.functions
    ]
    head = [
        html.chip("registered" if done.fresh else "unchanged", "good"),
        html.fact(str(len(rows)), "for SQL"),
    ]
    header = ("function", "types", "kind")
    note = _NOTE if any("vectorised aggregate" in row[2] for row in rows) else ""
    shown = html.panel(head, html.grid(header, rows), html.note(note))
    return shown, "\n".join(filter(None, [html.text_grid(header, rows), note]))


_NOTE = (
    "A vectorised aggregate runs in batch, over OVER windows, and over GROUP BY TUMBLE(…) and the like; "
    "Flink has none for a plain GROUP BY in streaming."
)
