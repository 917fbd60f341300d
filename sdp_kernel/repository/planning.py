"""A job's script up to its last statement, carried out where it declares and does nothing else."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sdp_kernel.errors import SqlError, UsageError
from sdp_kernel.flink.clean import clean_session
from sdp_kernel.repository.guard import check_planned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sdp_kernel.flink.session import Session


class NotDeclared(SqlError):  # noqa: N818
    """A statement before a job's last does not run in a clean session."""


@contextlib.contextmanager
def declared(like: Session, texts: Sequence[str], called: str = "the job") -> Iterator[Session]:
    """Yield a clean session in which all statements but the last have been carried out.

    Parameters
    ----------
    texts
        The script's statements, filled in.
    called
        What it is, for messages.

    Raises
    ------
    UsageError
        The script is empty, or a statement before the last would do more than declare; nothing has been
        carried out.
    NotDeclared
        One of them does not run; the message ends in its first line.
    """
    if not texts:
        raise UsageError(
            f"{called} has no statement", hint="its SQL file ends in an INSERT or a statement set"
        )
    check_planned(texts, called)
    with clean_session(like) as clean:
        for text in texts[:-1]:
            try:
                clean.runner().declare(text)
            except SqlError as error:
                raise NotDeclared(
                    f"{error.message}\n  {text.splitlines()[0]}", hint=error.hint, detail=error.detail
                ) from None
        yield clean
