"""The magics: they parse, call the workbench, and hand over to display. Nothing else.

``%sdp`` and ``%promote``; those about SQL and jobs are in ``sql_magics``, about topics in ``topic_magics``.
"""

from __future__ import annotations

import atexit
import json
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
    from argparse import Namespace

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
        """``%sdp up [--with registry] | down | status | logs COMPONENT | connect PROFILE | workbench``.

        And what ``sdp`` does with committed jobs: ``%sdp test | lint | verify | drift | shadow | run | stop |
        rollback``, with the options of the command line.
        """
        from sdp_kernel.notebook import job_commands, stack_view  # noqa: PLC0415

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
            case [name, *arguments] if name in job_commands.NAMES:
                job_commands.run(self.workbench, name, arguments)
            case _:
                raise BadUsage(
                    "%sdp up | down | status | logs COMPONENT | connect PROFILE | workbench | "
                    + " | ".join(job_commands.NAMES)
                )
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
    @argument(
        "names", metavar="name", nargs="*", help="the NAME of a %%%%flinksql cell; several become one job"
    )
    @argument("--job", help="the job's name")
    @argument("--from-job", metavar="JOB", help="go on from a committed job: its query, in the next cell")
    @argument(
        "--to", metavar="OUTPUT", help="a SELECT's topic, table or s3:// path; for several, with commas"
    )
    @argument("--key", help="key columns of the output, with commas; the planner's otherwise")
    @argument("--format", help="of files: parquet, json, csv or debezium-json")
    @argument("--partition-by", help="columns whose values are folders of files, with commas")
    @argument("--partitions", type=int, help="of a new topic; as many as the largest read otherwise")
    @argument("--retention", help="for how long a new topic keeps records, such as 7d")
    @argument("--with-test", action="store_true", help="freeze a test: masked input, and the output it gives")
    @argument("--rows", type=int, metavar="N", help="of the test: the newest records of each source; 50")
    @argument("--test-ignore", metavar="COLUMNS", help="of the output, not compared by the test, with commas")
    @argument("--fix", nargs="?", const="", metavar="CODES", help="mend findings: all, or SDP001,SDP004")
    @argument("--repository", help="the git repository; [promote] repository or this one otherwise")
    @argument("--plan", action="store_true", help="show the plan, write nothing")
    @argument("--json", action="store_true", help="print plan and outcome as JSON")
    @argument("--push", action="store_true", help="push the branch, and offer it for review")
    @argument("--run", action="store_true", help="start the job on the session cluster")
    @argument(
        "--from-savepoint", metavar="QUERY|PATH", help="its state: a savepoint, or a query stopped for it"
    )
    @argument(
        "--allow-non-restored-state", action="store_true", help="leave out state that has no place in the job"
    )
    @argument("--replace", action="store_true", help="replace a job of that name")
    @line_magic
    def promote(self, line: str) -> Any:
        """Turn a validated cell into a job definition on a branch of the team's repository."""
        from sdp_kernel.notebook import display  # noqa: PLC0415

        args = parsed(self.promote, line)
        if args.from_job:
            self._pull(args)
            return None
        if not (args.names and args.job):
            raise BadUsage("the cell's name and --job: %promote NAME --job JOB, or %promote --from-job JOB")
        notebook = notebook_path(self._shell.user_ns)
        several = len(args.names) > 1
        plan = self.workbench.promote(
            args.names,
            job=args.job,
            to=_listed(args.to) if args.to and several else args.to,
            key=_listed(args.key) or None,
            format=args.format,
            partition_by=_listed(args.partition_by),
            partitions=args.partitions,
            retention=args.retention,
            with_test=args.with_test,
            test_rows=args.rows,
            test_ignore=_listed(args.test_ignore),
            repository=Path(args.repository).expanduser() if args.repository else None,
            current_text=[self._text_now(name, notebook) for name in args.names],
            notebook=str(notebook) if notebook else None,
            replace=args.replace,
            from_savepoint=args.from_savepoint,
            allow_non_restored_state=args.allow_non_restored_state,
            fix=args.fix is not None and (_listed(args.fix) or True),
        )
        if not args.json:
            display.show(plan.to_html(), plan.to_text())
        applied = None if args.plan else plan.apply(run=args.run, push=args.push)
        if args.json:
            said = {"plan": plan.to_json(), "applied": None if applied is None else applied.to_json()}
            print(json.dumps(said, indent=2, ensure_ascii=False, default=str))  # noqa: T201
        elif applied is not None:
            display.show(applied.to_html(), applied.to_text())
        return plan if args.plan and not args.json else None

    def _text_now(self, name: str, notebook: Path | None) -> str | None:
        ran = self.workbench.queries.get(name)
        return current_cell(notebook, name, since=ran.started) if notebook and ran else None

    def _pull(self, args: Namespace) -> None:
        """Bring a committed job back, and put its cell below this one."""
        from sdp_kernel.notebook import display, html  # noqa: PLC0415

        if args.names or args.job:
            raise BadUsage("%promote --from-job JOB takes no cell and no --job")
        where = Path(args.repository).expanduser() if args.repository else None
        pulled = self.workbench.pull(args.from_job, repository=where)
        self._shell.set_next_input(pulled.cell)
        said = f"Ran {len(pulled.ran)} statements of {pulled.job}, as at {pulled.commit[:10]}."
        then = f"Run the cell below, then: {pulled.command}"
        shown = html.panel([html.title(pulled.job)], html.note(said), html.note(then))
        display.show(shown, f"{said}\n{then}")


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


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
