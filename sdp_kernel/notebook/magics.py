"""The magics: they parse, call the workbench, and hand over to display. Nothing else.

``%sdp``, ``%%flinksql``, ``%jobs``, ``%promote``; those about topics are in ``topic_magics``.
"""

from __future__ import annotations

import atexit
import keyword
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError as BadUsage
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from sdp_kernel.notebook.arguments import pair, parsed
from sdp_kernel.notebook.arguments import words as split

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from sdp_kernel.flink.query import Query
    from sdp_kernel.workbench import Workbench

DEFAULT_LIMIT = 10_000
_MAGICS: dict[int, SdpMagics] = {}


def register(ipython: InteractiveShell) -> None:
    """Register the magics with a shell."""
    if id(ipython) not in _MAGICS:
        _MAGICS[id(ipython)] = SdpMagics(ipython)
        atexit.register(_MAGICS[id(ipython)].close)
        from sdp_kernel.notebook.topic_magics import TopicMagics  # noqa: PLC0415

        magics = _MAGICS[id(ipython)]
        ipython.register_magics(magics, TopicMagics(ipython, magics))


def unregister(ipython: InteractiveShell) -> None:
    """Close the shell's workbench."""
    magics = _MAGICS.pop(id(ipython), None)
    if magics is not None:
        atexit.unregister(magics.close)
        magics.close()


def _params(pairs: list[str] | None) -> dict[str, str]:
    return dict(pair(text, "--param") for text in pairs or [])


def check_variable(name: str | None) -> None:
    """Refuse what cannot be a variable's name."""
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise BadUsage(f"{name!r} cannot be a variable's name")


@magics_class
class SdpMagics(Magics):
    """The magics of one shell, over one workbench."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shell = shell
        self._workbench: Workbench | None = None
        self._profile = "local"

    @property
    def workbench(self) -> Workbench:
        """The shell's workbench, on the profile chosen by ``%sdp connect``."""
        if self._workbench is None:
            from sdp_kernel.notebook.progress import StackProgress  # noqa: PLC0415
            from sdp_kernel.workbench import connect  # noqa: PLC0415

            self._workbench = connect(self._profile, notify=_notify, progress=StackProgress())
        return self._workbench

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

    @magic_arguments()
    @argument("name", nargs="?", help="variable for the Query; also its name for %%promote")
    @argument(
        "--limit", type=int, default=DEFAULT_LIMIT, help="stop a SELECT at so many rows (10000; 0: none)"
    )
    @argument("--timeout", type=float, help="stop a SELECT after so many seconds")
    @argument("--idle", type=float, help="stop a SELECT when nothing changed for so many seconds")
    @argument("--param", action="append", metavar="NAME=VALUE", help="a value for ${NAME}")
    @cell_magic
    def flinksql(self, line: str, cell: str) -> None:
        """Run Flink SQL; rows show as they come."""
        args = parsed(self.flinksql, line)
        check_variable(args.name)
        params = _params(args.param)
        self.run(
            cell,
            name=args.name,
            limit=args.limit or None,
            timeout=args.timeout,
            idle=args.idle,
            params=params,
            first_line=2,
        )

    def run(self, text: str, *, name: str | None, **options: Any) -> None:
        """Run SQL and draw what comes."""
        from sdp_kernel.notebook import display  # noqa: PLC0415

        view = display.View()

        def start(query: Query) -> None:
            nonlocal view
            view = display.View()
            self.keep(name or "_query", query)
            if query.statement.is_query:
                display.query(view, query)

        def redraw(query: Query) -> None:
            if query.statement.is_query:
                display.query(view, query)

        def end(query: Query) -> None:
            display.query(view, query)

        self.workbench.sql(text, name=name, on_start=start, on_update=redraw, on_statement=end, **options)

    def keep(self, name: str, value: Any) -> None:
        """Put a value into the user's name space."""
        self._shell.user_ns[name] = value

    @magic_arguments()
    @argument("action", nargs="?", choices=["cancel"], help="cancel a job")
    @argument("job", nargs="?", help="the job's id, or its name")
    @line_magic
    def jobs(self, line: str) -> None:
        """List the session cluster's jobs; ``%jobs cancel JOB`` cancels one."""
        from sdp_kernel.notebook import display  # noqa: PLC0415

        args = parsed(self.jobs, line)
        if args.action == "cancel":
            if not args.job:
                raise BadUsage("%jobs cancel JOB")
            self.workbench.cancel(args.job)
        display.jobs(self.workbench.jobs(), url=self.workbench.jobmanager.url)

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
        from sdp_kernel.notebook.source import current_cell, notebook_path  # noqa: PLC0415

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


def _notify(line: str) -> None:
    from sdp_kernel.notebook import display, html  # noqa: PLC0415

    display.show(html.panel([html.chip("note", "warn")], html.note(line)), line)
