"""A slice and its INSERT become files, and the script they are when the module runs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import PlanUnavailable, SdpError, SliceError, UsageError
from sdp_kernel.flink import parameters
from sdp_kernel.flink.compiled import compiled_plan
from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.script import split
from sdp_kernel.promote import functions, render
from sdp_kernel.promote.slice import Slice, explain
from sdp_kernel.repository import notation
from sdp_kernel.repository.planning import NotDeclared, declared
from sdp_kernel.settings import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.several import Piece
    from sdp_kernel.promote.sink import Sink
    from sdp_kernel.settings import Settings

_OF_THE_JOB = ("table.", "execution.runtime-mode")


@dataclass(frozen=True)
class Composed:
    """A job's files by path, in the order they run, and what they are with values filled in.

    ``texts`` are the statements as written, ``statements`` as run; ``python`` the files of its
    functions; ``compiled`` the compiled plan, or ``not_compiled`` why there is none.
    """

    contents: Mapping[str, str]
    texts: tuple[str, ...]
    script: str
    statements: tuple[str, ...]
    plan: str
    python: Mapping[str, str] = field(default_factory=dict)
    compiled: Mapping[str, Any] | None = None
    not_compiled: str | None = None


def with_profile(part: Slice, properties: Mapping[str, str]) -> tuple[Slice, tuple[str, ...]]:
    """Put the profile's planner settings before the cell's own SETs; returns what is left out too.

    The query ran under them, and the job's cluster has its own configuration. Settings of the
    place, such as parallelism, stay with the place.
    """
    said = " ".join(entry.text for entry in part.sets)
    ours = [key for key in sorted(properties) if f"'{key}'" not in said]
    taken = [key for key in ours if key.startswith(_OF_THE_JOB)]
    sets = [
        f"SET {quote(key)} = {quote(properties[key])}".replace("${", "$${").replace("$$${", "$${")
        for key in taken
    ]
    entries = tuple(Entry(text, "SET") for text in sets)
    left = tuple(key for key in ours if key not in taken)
    return Slice((*entries, *part.settings), part.declarations), left


def values_of(part: Slice, pieces: Sequence[Piece], session: Session) -> dict[str, str]:
    """Return the parameters the job's statements ran with: the module has one value for each.

    Raises
    ------
    SliceError
        Two statements ran with different values of one name.
    UsageError
        A name cannot stand in the module's ``args``.
    """
    values: dict[str, str] = {}
    ran = [(entry.text, entry.parameters) for entry in part.entries]
    for piece in pieces:
        texts = (piece.statement, piece.output.ddl if piece.output else "")
        ran += [(text, piece.query.parameters) for text in texts]
    for text, given in ran:
        for name in sorted(parameters.names(text) - session.fragments.keys()):
            value = str({**session.defaults, **given}.get(name, ""))
            if "." in name or name in {"kafka", "registry", functions.FRAGMENT}:
                raise UsageError(
                    f"${{{name}}} cannot be a parameter of a job: that name belongs to the connections",
                    hint="give the parameter another name, and run its cell again",
                )
            if values.setdefault(name, value) != value:
                raise SliceError(
                    f"${{{name}}} had another value in another statement of the job",
                    hint="give one of them another name, or run them again with the same value",
                )
    return values


def compose(
    job: str,
    part: Slice,
    statement: str,
    *,
    outputs: Sequence[Sink] = (),
    values: Mapping[str, str],
    settings: Settings,
    session: Session,
    shared: str | None = None,
) -> Composed:
    """Write the files of a job, and prove them: run in their order, they give the INSERT's plan.

    Parameters
    ----------
    shared
        Where the session cluster reads Python files, if not on this machine.

    Raises
    ------
    SliceError
        A file does not run in a clean session.
    """
    contents: dict[str, str] = {}
    directory = settings.make_state_dir() / "functions"
    carried = functions.carry(part, session.ledger.shaping, directory)
    part, fragments = carried.part, dict(session.fragments)
    if carried.files:
        fragments[functions.FRAGMENT] = carried.materialise(directory, shared)
    surroundings = (*filter(None, [carried.setting]), *part.surroundings)
    if surroundings:
        contents[f"sql/jobs/{job}.session.sql"] = render.declaration(*_first_and_rest(surroundings))
    for group in part.objects:
        contents[render.path_of(group[0])] = render.declaration(*_first_and_rest(group))
    for output in outputs:
        if output.ddl:
            file = render.path_of(Entry("", "CREATE TABLE", output.table))
            contents[file] = f"{notation.template(output.ddl)};\n"
    contents[f"sql/jobs/{job}.sql"] = render.job_sql(job, part.sets, statement)
    written = notation.untemplate("\n".join(contents.values()))
    script = parameters.render(written, {**session.defaults, **values}, fragments).text
    statements = tuple(found.text for found in split(script))
    plan, compiled, not_compiled = prove(session, statements)
    used = parameters.names(written)
    contents[f"terraform/{job}.tf"] = render.terraform(
        job,
        module_source=settings.promote.module_source,
        session_cluster=settings.promote.session_cluster,
        files=list(contents),
        arguments={name: values[name] for name in sorted(used & values.keys())},
        aliases=sorted(used & fragments.keys()),
    )
    texts = tuple(found.text for found in split(written))
    return Composed(contents, texts, script, statements, plan, carried.files, compiled, not_compiled)


def _first_and_rest(entries: tuple[Entry, ...]) -> tuple[Entry, tuple[Entry, ...]]:
    return entries[0], entries[1:]


def prove(session: Session, statements: Sequence[str]) -> tuple[str, dict[str, Any] | None, str | None]:
    """Run a script in a clean session up to its last statement, and have that one planned.

    Returns
    -------
    tuple
        The text of its plan; the compiled plan, None where there is none; and why.

    Raises
    ------
    SliceError
        A statement does not run there.
    UsageError
        One before the last would do more than declare; nothing has been carried out.
    """
    try:
        with declared(session, statements) as clean:
            return _planned(clean, statements[-1])
    except NotDeclared as error:
        raise SliceError(
            f"the job does not run in a clean session: {error.message}",
            hint="run that statement's cell again in a fresh session, and then the query's",
        ) from None


def _planned(clean: Session, statement: str) -> tuple[str, dict[str, Any] | None, str | None]:
    try:
        plan = explain(clean, statement)
    except SdpError as error:
        raise SliceError(
            f"the job's INSERT does not compile: {error.message}",
            hint="if the output's table is an older one of yours, DROP it and promote again",
        ) from None
    try:
        return plan, compiled_plan(clean, statement), None
    except PlanUnavailable as error:
        return plan, None, error.message
