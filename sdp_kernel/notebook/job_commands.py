"""``%sdp test``, ``drift``, ``shadow`` and the like: the command line's own words, in a notebook.

Options are those of the command; the notebook's workbench carries it out, with its session and profile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.error import UsageError as BadUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    from sdp_kernel.workbench import Workbench

NAMES = ("test", "lint", "verify", "drift", "shadow", "run", "stop", "rollback")


def commands() -> dict[str, click.Command]:
    """Return the commands about committed jobs, by name."""
    from sdp_kernel import cli_drift, cli_lint, cli_promote, cli_run, cli_test  # noqa: PLC0415

    known = (
        cli_test.test, cli_lint.lint, cli_promote.verify, cli_drift.drift,
        cli_run.shadow, cli_run.run, cli_run.stop, cli_run.rollback,
    )  # fmt: skip
    return {str(command.name): command for command in known}


def options(name: str) -> list[tuple[str, str, str]]:
    """Return a command's options as candidates of a completion: text, kind, and what it is for."""
    import click  # noqa: PLC0415

    return [
        (text, "option", option.help or "")
        for option in commands()[name].params
        if isinstance(option, click.Option)
        for text in option.opts
    ]


def run(workbench: Workbench, name: str, arguments: Sequence[str]) -> None:
    """Carry out a command.

    Raises
    ------
    BadUsage
        The arguments are not the command's.
    SdpError
        As the workbench's.
    """
    import click  # noqa: PLC0415

    from sdp_kernel.cli_place import Notebook  # noqa: PLC0415
    from sdp_kernel.notebook import display  # noqa: PLC0415

    try:
        with commands()[name].make_context(
            f"%sdp {name}",
            list(arguments),
            obj=Notebook(workbench, display.show),
            help_option_names=["-h", "--help"],  # a command keeps those that it was first called with
        ) as context:
            context.command.invoke(context)
    except click.exceptions.Exit:
        pass  # --help, or an exit code: what it is about has been shown
    except click.ClickException as error:
        raise BadUsage(f"%sdp {name}: {error.format_message()} — %sdp {name} --help lists all") from None
