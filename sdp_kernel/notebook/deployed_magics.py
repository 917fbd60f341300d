"""``%jobs`` where it is about Kubernetes: with ``--profile``, or for what only a resource can do."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from IPython.core.error import UsageError as BadUsage

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sdp_kernel.deploy.deployed import Deployed
    from sdp_kernel.workbench import Workbench

ACTIONS = ("suspend", "resume", "restart", "delete")


def is_meant(args: Namespace) -> bool:
    """Whether the arguments of ``%jobs`` are about Kubernetes."""
    return args.profile is not None or args.action in ACTIONS


def run(args: Namespace, current: Callable[[], Workbench]) -> None:
    """Do what ``%jobs … --profile P`` says, then list the jobs; without a profile, ``current``'s is meant."""
    from sdp_kernel.notebook import deployed_view, display  # noqa: PLC0415
    from sdp_kernel.workbench import connect  # noqa: PLC0415

    if args.drain:
        raise BadUsage("--drain is for jobs of the session cluster: %jobs stop JOB --drain")
    if args.action in {"cancel", "stop"}:
        raise BadUsage(f"%jobs {args.action} is for jobs of the session cluster; here: {', '.join(ACTIONS)}")
    opened: AbstractContextManager[Workbench] = (
        nullcontext(current()) if args.profile is None else connect(args.profile)
    )
    with opened as workbench:
        deployed = workbench.deployed
        if args.action:
            _change(deployed, args)
        jobs = deployed.jobs()
        display.show(
            *deployed_view.bundle(
                jobs,
                deployed.figures(jobs),
                profile=args.profile or workbench.profile.name,
                namespace=deployed.kubernetes.namespace,
            )
        )


def _change(deployed: Deployed, args: Namespace) -> None:
    from sdp_kernel.notebook import display, html  # noqa: PLC0415

    if args.action == "savepoint":
        path = deployed.savepoint(args.job, directory=args.to, confirm=args.yes).path
        head = [html.title("savepoint"), html.chip("written", "good")]
        display.show(html.panel(head, html.pre(path)), path)
        return
    if args.action == "delete":
        said, settled = deployed.delete(args.job, confirm=args.yes, force=args.force), True
    else:
        change = {"suspend": deployed.suspend, "resume": deployed.resume, "restart": deployed.restart}
        verdict = change[args.action](args.job, confirm=args.yes, force=args.force)
        said, settled = verdict.text, verdict.settled
    head = [html.title(args.action), html.chip(args.job, "good" if settled else "warn")]
    display.show(html.panel(head, html.note(said)), said)
