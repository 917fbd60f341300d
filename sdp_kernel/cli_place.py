"""Where a command is given: in a terminal, or on a notebook's line, whose workbench carries it out."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import click
from click.core import ParameterSource

from sdp_kernel import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sdp_kernel.workbench import Workbench


class Shown(Protocol):
    """What is found, as text and as HTML."""

    def to_text(self) -> str:
        """Show it as text."""
        ...

    def to_html(self) -> str:
        """Show it as HTML, in which all is escaped."""
        ...


@dataclass(frozen=True)
class Notebook:
    """A notebook that gives a command: its workbench, and what draws a result, as HTML and as text."""

    workbench: Workbench
    draw: Callable[[str, str], None]


def notebook() -> Notebook | None:
    """Return the notebook that gives the command; None in a terminal."""
    return click.get_current_context().find_object(Notebook)


@contextmanager
def opened(profile: str, progress: Callable[[Any], None] | None = None) -> Iterator[Workbench]:
    """Give the notebook's workbench, which stays open; in a terminal one on ``profile``, closed at the end.

    Raises
    ------
    click.UsageError
        A notebook is on another profile than the one that was asked for.
    """
    from sdp_kernel.workbench import connect  # noqa: PLC0415

    asking = notebook()
    if asking is None:
        with connect(profile, progress=progress) as workbench:
            yield workbench
        return
    given = click.get_current_context().get_parameter_source("profile") is ParameterSource.COMMANDLINE
    here = asking.workbench.profile.name if given else profile
    if profile != here:
        raise click.UsageError(f"this notebook is on profile {here!r}: %sdp connect {profile} changes that")
    yield asking.workbench


def loaded() -> settings.Settings:
    """Return the settings of the project, or of the notebook's workbench."""
    asking = notebook()
    return settings.load() if asking is None else asking.workbench.settings


def tell(found: Shown) -> None:
    """Draw what was found in the notebook, print it in a terminal."""
    asking = notebook()
    if asking is None:
        click.echo(found.to_text())
    else:
        asking.draw(found.to_html(), found.to_text())


def say(line: object) -> None:
    """Tell of progress: a terminal's output is left to the result."""
    click.echo(str(line), err=notebook() is None)
