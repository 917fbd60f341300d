"""The magics: they parse, call the workbench, and hand over to display. Nothing else.

``%sdp`` and ``%promote``; those about SQL and jobs are in ``sql_magics``, about topics in ``topic_magics``.
"""

from __future__ import annotations

import atexit
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError as BadUsage
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from sdp_kernel.notebook.arguments import parsed
from sdp_kernel.notebook.arguments import words as split
from sdp_kernel.notebook.source import current_cell, notebook_path
from sdp_kernel.notebook.sql_magics import SqlMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from sdp_kernel.flink.query import Query
    from sdp_kernel.workbench import Workbench

_MAGICS: dict[int, SdpMagics] = {}


def register(ipython: InteractiveShell) -> None:
    """Register the magics with a shell, complete what they take, and answer while cells run."""
    if id(ipython) in _MAGICS:
        return
    magics = _MAGICS[id(ipython)] = SdpMagics(ipython)
    atexit.register(magics.at_exit)
    from sdp_kernel.notebook import busy, completion  # noqa: PLC0415
    from sdp_kernel.notebook.topic_magics import TopicMagics  # noqa: PLC0415
    from sdp_kernel.notebook.udf_magics import UdfMagics  # noqa: PLC0415

    ipython.register_magics(magics, magics.sql, TopicMagics(ipython, magics), UdfMagics(ipython, magics))
    completion.register(ipython, magics)
    busy.install(ipython)


def unregister(ipython: InteractiveShell) -> None:
    """Close the shell's workbench."""
    magics = _MAGICS.pop(id(ipython), None)
    if magics is not None:
        from sdp_kernel.notebook import busy, completion  # noqa: PLC0415

        busy.uninstall(ipython)
        completion.unregister(ipython)
        atexit.unregister(magics.at_exit)
        magics.close()


@magics_class
class SdpMagics(Magics):
    """The magics of one shell, over one workbench."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shell = shell
        self._workbench: Workbench | None = None
        self._profile = "local"
        self.sql = SqlMagics(shell, self)

    @property
    def workbench(self) -> Workbench:
        """The shell's workbench, on the profile chosen by ``%sdp connect``."""
        if self._workbench is None:
            from sdp_kernel.notebook.progress import StackProgress  # noqa: PLC0415
            from sdp_kernel.workbench import connect  # noqa: PLC0415

            self._workbench = connect(
                self._profile,
                notify=_notify,
                progress=StackProgress(),
                owners=_owners(self._shell),
                on_taken_over=self._taken_over,
            )
        return self._workbench

    @property
    def opened(self) -> Workbench | None:
        """The workbench where one is open; asking opens none."""
        return self._workbench

    def _taken_over(self, query: Query) -> None:
        if query.name is not None:
            self.keep(query.name, query)

    def at_exit(self) -> None:
        """Close at the process's end; where the kernel restarts, background queries wait for it."""
        if self._workbench is not None:
            self._workbench.close(leave_background=_restarts(self._shell))
            self._workbench = None

    def close(self) -> None:
        """Close the workbench, if one is open."""
        if self._workbench is not None:
            self._workbench.close()
            self._workbench = None

    @line_magic
    def sdp(self, line: str) -> Any:
        """``%sdp up [--with registry] | down | status | logs COMPONENT | connect PROFILE | workbench``."""
        from sdp_kernel.notebook import stack_view  # noqa: PLC0415

        words = split(line)
        match words:
            case ["connect", profile]:
                from sdp_kernel.workbench import connect  # noqa: PLC0415

                connect(profile).close()
                self.close()
                self._profile = profile
                return self.workbench
            case ["workbench"]:
                return self.workbench
            case ["up"]:
                stack_view.up(self.workbench)
            case ["up", "--with", more]:
                stack_view.up(self.workbench, more)
            case ["down"]:
                self.close()
                stack_view.down(self.workbench)
                self.close()
            case [] | ["status"]:
                stack_view.status(self.workbench)
            case ["logs", component]:
                stack_view.logs(self.workbench, component)
            case _:
                raise BadUsage("%sdp up | down | status | logs COMPONENT | connect PROFILE | workbench")
        return None

    def keep(self, name: str, value: Any) -> None:
        """Put a value into the user's name space."""
        self._shell.user_ns[name] = value

    @property
    def namespace(self) -> dict[str, Any]:
        """The user's variables."""
        return dict(self._shell.user_ns)

    def run(self, text: str, *, name: str | None) -> None:
        """Run SQL and draw what comes."""
        self.sql.run(text, name=name)

    @magic_arguments()
    @argument("name", help="the NAME of a %%%%flinksql cell")
    @argument("--job", required=True, help="the job's name")
    @argument("--to", metavar="TOPIC", help="the output topic of a SELECT")
    @argument("--key", help="key columns of the output, with commas; the planner's otherwise")
    @argument("--repository", help="the git repository; [promote] repository or this one otherwise")
    @argument("--plan", action="store_true", help="show the plan, write nothing")
    @argument("--run", action="store_true", help="start the job on the session cluster")
    @argument("--replace", action="store_true", help="replace a job of that name")
    @line_magic
    def promote(self, line: str) -> Any:
        """Turn a validated cell into a job definition on a branch of the team's repository."""
        from sdp_kernel.notebook import display  # noqa: PLC0415

        args = parsed(self.promote, line)
        notebook = notebook_path(self._shell.user_ns)
        ran = self.workbench.queries.get(args.name)
        plan = self.workbench.promote(
            args.name,
            job=args.job,
            to=args.to,
            key=[column.strip() for column in args.key.split(",")] if args.key else None,
            repository=Path(args.repository).expanduser() if args.repository else None,
            current_text=current_cell(notebook, args.name, since=ran.started) if notebook and ran else None,
            notebook=notebook.name if notebook else None,
            replace=args.replace,
        )
        display.show(plan.to_html(), plan.to_text())
        if args.plan:
            return plan
        applied = plan.apply(run=args.run)
        display.show(applied.to_html(), applied.to_text())
        return None


def _owners(shell: InteractiveShell) -> tuple[str, ...]:
    """Return what a kernel has in common with the one after its restart: connection file, notebook."""
    file = getattr(getattr(getattr(shell, "kernel", None), "parent", None), "connection_file", "")
    notebook = notebook_path(shell.user_ns)
    return tuple(str(path) for path in (file, notebook) if path)


def _restarts(shell: InteractiveShell) -> bool:
    """Whether the kernel ends in order to start again: what ipykernel was told, where it was told."""
    message = getattr(getattr(shell, "kernel", None), "_shutdown_message", None) or {}
    return bool(message.get("content", {}).get("restart"))


def _notify(line: str) -> None:
    from sdp_kernel.notebook import display, html  # noqa: PLC0415

    display.show(html.panel([html.chip("note", "warn")], html.note(line)), line)
