"""What a job's script may do before its last statement where it is not deployed: planned, tested or shadowed.

Planning carries out everything but the last statement, and a run beside the job everything; so nothing
before the last may write, and nothing of another catalog may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.declared import pairs
from sdp_kernel.flink.script import significant, split
from sdp_kernel.repository import retarget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sdp_kernel.flink.script import Statement

#: The catalog a session begins in; it ends with the session.
IN_MEMORY = "default_catalog"
_JOBS = ("INSERT", "STATEMENT SET")
_VERBS = ("CREATE", "ALTER", "DROP")
_OBJECTS = ("TABLE", "VIEW", "FUNCTION", "MODEL", "DATABASE")
_DDL = frozenset(f"{verb} {what}" for verb in _VERBS for what in _OBJECTS)
_CATALOGS = frozenset(f"{verb} CATALOG" for verb in _VERBS)
#: What changes a session and nothing else, as long as no other catalog is meant.
_HARMLESS = _DDL | {
    "SET", "RESET", "USE", "ADD JAR", "REMOVE JAR", "LOAD", "UNLOAD", "SHOW", "DESCRIBE", "EXPLAIN",
}  # fmt: skip
_DECLARE = "declare it with CREATE TABLE in the job's files"
_WHOLE = 3  # catalog.database.name


def check_planned(texts: Sequence[str], called: str = "the job") -> None:
    """Refuse a script whose last statement cannot be planned without carrying out more than declarations.

    CREATE CATALOG and USE CATALOG are a job's own good right. In a catalog that outlives the session a
    job may only CREATE … IF NOT EXISTS.

    Parameters
    ----------
    texts
        The script's statements, filled in.
    called
        What it is, for messages.

    Raises
    ------
    UsageError
        A statement before the last would write, or change another catalog. Nothing has been carried out.
    """
    current, in_memory = IN_MEMORY, {IN_MEMORY}
    for statement in (one for text in texts[:-1] for one in split(text)):
        if statement.runs_job or statement.kind not in _HARMLESS | _CATALOGS:
            raise UsageError(
                f"{called} cannot be planned without being run: {_shown(statement)} stands before its "
                "last statement, and would be carried out",
                hint="a job declares, and ends in one INSERT or one statement set; nothing was carried out",
            )
        if statement.kind == "CREATE CATALOG":
            tokens = significant(statement.text)
            is_ours = pairs(tokens).get("type") == "generic_in_memory"
            name = ".".join(retarget.parts_at(tokens, _after_object(statement)))
            in_memory = in_memory | {name} if is_ours else in_memory - {name}
        current = _current(statement, current)
        if statement.kind not in _DDL or _is_temporary(statement):
            continue
        catalog = _catalog(statement) or current
        if catalog not in in_memory and not _if_not_exists(statement):
            raise UsageError(
                f"{called} cannot be planned without changing the catalog {catalog}: {_shown(statement)} "
                "would be carried out there",
                hint="write CREATE … IF NOT EXISTS, which leaves what is there, or CREATE TEMPORARY …; "
                "ALTER and DROP in such a catalog are no part of a job",
            )


def check_apart(statements: Sequence[Statement], called: str = "the job") -> None:
    """Refuse a job that cannot be run beside itself: it is to have nothing but tables of its own session.

    Parameters
    ----------
    statements
        The script's; the last one starts the job.
    called
        What it is, for messages.

    Raises
    ------
    UsageError
        It does more than declare and write, names another catalog, or writes a table that it does not
        declare.
    """
    if not statements or statements[-1].kind not in _JOBS:
        raise UsageError(
            f"the last statement of {called} starts no job that can be run beside it",
            hint="a job ends in one INSERT or one statement set",
        )
    declarations, job = statements[:-1], statements[-1]
    elsewhere = f"{called} keeps its tables in a catalog of its own, where a change would stay"
    hint = "only jobs whose tables live in their session can be run beside themselves"
    moves, declared_at = 0, dict[str, int]()
    for statement in declarations:
        away = statement.kind == "CREATE CATALOG" or _current(statement, IN_MEMORY) != IN_MEMORY
        if away or any(catalog != IN_MEMORY for catalog in _named(statement)):
            raise UsageError(f"{elsewhere}: {_shown(statement)}", hint=hint)
        if statement.runs_job or statement.kind not in _HARMLESS:
            raise UsageError(
                f"{called} does more than declare: {_shown(statement)}",
                hint="only a job that declares, and then writes, can be run beside itself",
            )
        moves += statement.kind == "USE"
        if statement.kind == "CREATE TABLE" and statement.target:
            name = retarget.parts_at(significant(statement.text), _after_object(statement))[-1]
            if declared_at.setdefault(name, moves) != moves:
                raise UsageError(
                    f"{called} declares {name} before and after a USE: which one is meant is not certain",
                    hint="give one of the tables another name",
                )
    tables = retarget.tables(statements)
    for parts in retarget.written(job):
        if len(parts) >= _WHOLE and parts[0] != IN_MEMORY:
            raise UsageError(
                f"{called} writes to {'.'.join(parts)}, a table of the catalog {parts[0]}",
                hint=f"{_DECLARE}: a table of a catalog would be written to",
            )
        if not any(retarget.same(table.parts, parts) for table in tables):
            raise UsageError(
                f"{called} writes to {'.'.join(parts)}, which its files do not declare",
                hint=f"{_DECLARE}: a table of a catalog would be written to",
            )
    for parts in retarget.read(statements):
        if len(parts) >= _WHOLE and parts[0] != IN_MEMORY:
            raise UsageError(
                f"{called} reads {'.'.join(parts)}, a table of the catalog {parts[0]}",
                hint=f"{_DECLARE}: what its declaration says is not known here",
            )


def _named(statement: Statement) -> Iterator[str]:
    """Yield the catalogs that a declaration names: of what it changes, and of what it is LIKE."""
    if statement.kind not in _DDL:
        return
    catalog = _catalog(statement)
    if catalog:
        yield catalog
    tokens = significant(statement.text)
    for at, token in retarget.outside(tokens):
        is_base = statement.kind == "CREATE TABLE" and token.upper == "LIKE"
        is_new_name = token.upper == "TO" and tokens[at - 1].upper == "RENAME"
        if token.kind == "word" and (is_base or is_new_name):
            parts = retarget.parts_at(tokens, at + 1)
            if len(parts) >= _WHOLE:
                yield parts[0]


def _after_object(statement: Statement) -> int:
    """Return the number of the token that a name begins with, behind IF EXISTS and IF NOT EXISTS."""
    tokens = significant(statement.text)
    what = statement.kind.split()[-1]
    words = [token.upper if token.kind == "word" else "" for token in tokens]
    at = words.index(what) + 1
    for condition in (["IF", "NOT", "EXISTS"], ["IF", "EXISTS"]):
        if words[at : at + len(condition)] == condition:
            return at + len(condition)
    return at


def _catalog(statement: Statement) -> str:
    """Return the catalog that a CREATE, ALTER or DROP names; empty where it names none."""
    parts = retarget.parts_at(significant(statement.text), _after_object(statement))
    return parts[0] if len(parts) >= _WHOLE - statement.kind.endswith("DATABASE") else ""


def _is_temporary(statement: Statement) -> bool:
    tokens = significant(statement.text)[1 : _after_object(statement)]
    return any(token.kind == "word" and token.upper == "TEMPORARY" for token in tokens)


def _if_not_exists(statement: Statement) -> bool:
    at = _after_object(statement)
    words = [token.upper for token in significant(statement.text)[max(at - 3, 0) : at]]
    return statement.kind.startswith("CREATE") and words == ["IF", "NOT", "EXISTS"]


def _current(statement: Statement, before: str) -> str:
    """Return the current catalog behind a statement."""
    tokens = significant(statement.text)[1:]
    if statement.kind != "USE" or not tokens or _is_word(tokens[0].text, "MODULES"):
        return before
    if _is_word(tokens[0].text, "CATALOG"):
        return ".".join(retarget.parts_at(tokens, 1))
    parts = retarget.parts_at(tokens, 0)
    return parts[0] if len(parts) > 1 else before


def _is_word(text: str, word: str) -> bool:
    return text.upper() == word


def _shown(statement: Statement) -> str:
    """Say which statement it is, without what it has in it."""
    if statement.kind in {"OTHER", "QUERY"}:
        return " ".join(token.upper for token in significant(statement.text)[:1])
    return f"{statement.kind} {statement.target or ''}".rstrip()
