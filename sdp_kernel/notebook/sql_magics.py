"""The magics about SQL and jobs: ``%%flinksql``, ``%queries``, ``%jobs``, ``%why``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError as BadUsage
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from sdp_kernel.notebook import deployed_magics
from sdp_kernel.notebook.arguments import check_variable, pairs, parsed

if TYPE_CHECKING:
    from argparse import Namespace

    from IPython.core.interactiveshell import InteractiveShell

    from sdp_kernel.flink.query import Query
    from sdp_kernel.notebook.magics import SdpMagics
    from sdp_kernel.notebook.query_view import Drawn

DEFAULT_LIMIT = 10_000
DEFAULT_KEEP = 100_000


@magics_class
class SqlMagics(Magics):
    """The magics about SQL of one shell; they share the workbench of ``main``."""

    def __init__(self, shell: InteractiveShell, main: SdpMagics) -> None:
        super().__init__(shell)
        self._main = main

    @magic_arguments()
    @argument("name", nargs="?", help="variable for the Query; also its name for %%promote")
    @argument("--limit", type=int, help="stop a SELECT at so many rows (10000; 0: none; none with -b)")
    @argument("--timeout", type=float, help="stop a SELECT after so many seconds")
    @argument("--idle", type=float, help="stop a SELECT when nothing changed for so many seconds")
    @argument("-b", "--background", action="store_true", help="go on while other cells run")
    @argument("--keep", type=int, help="newest rows kept of a query that only appends (with -b: 100000)")
    @argument("--chart", nargs="+", metavar="MARK", help="a live chart: line x=COLUMN y=COLUMN color=COLUMN")
    @argument("--from", dest="start", metavar="TIME", help="read Kafka from: 2h, a time, earliest, latest")
    @argument("--until", dest="until", metavar="TIME", help="read Kafka until: now, a time")
    @argument("--batch", action="store_true", help="run in batch mode: one answer over what is there")
    @argument("--with", dest="frames", action="append", metavar="NAME", help="a DataFrame to use as a table")
    @argument("--explain", action="store_true", help="draw the plan, run nothing")
    @argument("--advice", action="store_true", help="draw the plan with Flink's advice, run nothing")
    @argument("--from-savepoint", dest="savepoint", metavar="PATH", help="start from a savepoint")
    @argument("--set", action="append", metavar="KEY=VALUE", help="Flink configuration for this cell alone")
    @argument("--param", action="append", metavar="NAME=VALUE", help="a value for ${NAME}")
    @cell_magic
    def flinksql(self, line: str, cell: str) -> None:
        """Run Flink SQL; rows show as they come."""
        args = parsed(self.flinksql, line)
        check_variable(args.name)
        params = pairs(args.param, "--param")
        if args.explain or args.advice:
            self._explain(args, cell, params)
            return
        limit = args.limit if args.limit is not None else 0 if args.background else DEFAULT_LIMIT
        self.run(
            cell,
            name=args.name,
            chart=args.chart,
            limit=limit or None,
            keep=args.keep or (DEFAULT_KEEP if args.background else None),
            timeout=args.timeout,
            idle=args.idle,
            background=args.background,
            batch=args.batch,
            start=args.start,
            until=args.until,
            **self._frames(args.frames),
            savepoint=args.savepoint,
            config=pairs(args.set, "--set"),
            params=params,
            first_line=2,
        )

    def run(self, text: str, *, name: str | None, chart: list[str] | None = None, **options: Any) -> None:
        """Run SQL and draw what comes."""
        from sdp_kernel.notebook.query_view import chart_spec, view_of  # noqa: PLC0415

        spec = chart_spec(chart)
        view: Drawn | None = None

        def start(query: Query) -> None:
            nonlocal view
            self.keep(name or "_query", query)
            view = view_of(query, self._main.workbench, spec)
            view.draw()

        def redraw(_query: Query) -> None:
            if view is not None:
                view.update()

        def end(_query: Query) -> None:
            if view is not None:
                view.end()

        self._main.workbench.sql(
            text, name=name, on_start=start, on_update=redraw, on_statement=end, **options
        )

    def keep(self, name: str, value: Any) -> None:
        """Put a value into the user's name space."""
        self._main.keep(name, value)

    def _frames(self, texts: list[str] | None) -> dict[str, Any]:
        """Return the frames to use as tables, and their keys: ``[TABLE=]VARIABLE[:KEY,KEY]``."""
        frames, keys = {}, {}
        for text in texts or ():
            table, _, rest = text.rpartition("=")
            variable, _, key = rest.partition(":")
            if variable not in self._main.namespace:
                raise BadUsage(f"--with {text}: there is no variable {variable!r}")
            frames[table or variable] = self._main.namespace[variable]
            if key:
                keys[table or variable] = [column.strip() for column in key.split(",")]
        return {"frames": frames, "frame_keys": keys}

    def _explain(self, args: Namespace, cell: str, params: dict[str, str]) -> None:
        from sdp_kernel.notebook import display, plan_view  # noqa: PLC0415

        plan = self._main.workbench.explain(
            cell,
            params=params,
            batch=args.batch,
            start=args.start,
            until=args.until,
            **self._frames(args.frames),
            config=pairs(args.set, "--set"),
            first_line=2,
        )
        display.show(*plan_view.bundle(plan, advice=args.advice, name=args.name or "plan"))

    @magic_arguments()
    @argument("action", nargs="?", choices=["stop"], help="stop queries")
    @argument("name", nargs="?", help="the query's name; all that run without one")
    @line_magic
    def queries(self, line: str) -> None:
        """List this notebook's queries; ``%queries stop [NAME]`` stops one, or all that run."""
        from sdp_kernel.notebook import display, jobs_view  # noqa: PLC0415

        args = parsed(self.queries, line)
        workbench = self._main.workbench
        if args.action == "stop":
            workbench.stop(args.name)
        listed = [q for q in workbench.session.queries if q.statement.is_query or q.statement.runs_job]
        for query in listed:
            query.look()
        display.show(*jobs_view.queries_bundle(listed, workbench.jobmanager.url, workbench.cluster_vitals()))

    @magic_arguments()
    @argument(
        "action",
        nargs="?",
        help="what to do with a job",
        choices=["cancel", "stop", "savepoint", *deployed_magics.ACTIONS],
    )
    @argument("job", nargs="?", help="the job's id or its beginning, its name, or a query's name")
    @argument("--profile", metavar="NAME", help="the jobs on a profile's Kubernetes, by their resources")
    @argument("--yes", action="store_true", help="confirm a change on Kubernetes")
    @argument("--force", action="store_true", help="change what Terraform manages as well")
    @argument("--to", metavar="DIRECTORY", help="where savepoints are written; the cluster's own otherwise")
    @argument("--drain", action="store_true", help="stop: let windows fire first, as at the end of the data")
    @line_magic
    def jobs(self, line: str) -> None:
        """List the session cluster's jobs, or those on Kubernetes; end one, or take a savepoint of it."""
        from sdp_kernel.notebook import display, html, jobs_view  # noqa: PLC0415

        args = parsed(self.jobs, line)
        if args.drain and args.action != "stop":
            raise BadUsage("--drain goes with %jobs stop JOB alone")
        if args.to and args.action not in {"stop", "savepoint"}:
            raise BadUsage("--to goes with %jobs stop JOB and %jobs savepoint JOB alone")
        if args.action and not args.job:
            raise BadUsage(f"%jobs {args.action} JOB")
        if deployed_magics.is_meant(args):
            deployed_magics.run(args, lambda: self._main.workbench)
            return
        workbench = self._main.workbench
        if args.action == "cancel":
            workbench.cancel(args.job)
        elif args.action:
            paths = workbench.savepoint(
                args.job, directory=args.to, stop=args.action == "stop", drain=args.drain
            )
            for path in paths:
                display.show(html.panel([html.title("savepoint"), html.chip("written", "good")],
                                        html.pre(path)), path)  # fmt: skip
        jobs = workbench.jobs()
        vitals, cluster = workbench.vitals(jobs), workbench.cluster_vitals()
        display.show(*jobs_view.jobs_bundle(jobs, vitals, workbench.jobmanager.url, cluster))

    @magic_arguments()
    @argument("name", nargs="?", help="the query's name; the last one without it")
    @line_magic
    def why(self, line: str) -> None:
        """Say from evidence why a query shows no rows."""
        from sdp_kernel.notebook import diagnose_view, display  # noqa: PLC0415

        args = parsed(self.why, line)
        workbench = self._main.workbench
        asked = [q for q in workbench.session.queries if q.statement.is_query or q.statement.runs_job]
        if args.name is None and not asked:
            raise BadUsage("no query has run yet: %%flinksql NAME runs one")
        query = workbench.query(args.name) if args.name else asked[-1]
        display.show(*diagnose_view.bundle(workbench.why(query)))
