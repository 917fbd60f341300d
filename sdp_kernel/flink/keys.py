"""The upsert key of a query, asked of the planner.

Flink 2.3 refuses an INSERT into a table whose primary key does not hold the query's upsert key, and
names that key in the refusal. A table over ``blackhole`` is declared for the question and dropped: a
temporary one, in a catalog that does not exist, so that no SHOW TABLES finds it.
"""

from __future__ import annotations

import contextlib
import re
import uuid
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.script import identifier

if TYPE_CHECKING:
    from collections.abc import Collection

    from sdp_kernel.flink.runner import Runner
    from sdp_kernel.flink.types import Column

#: Where the workbench's own tables are: a catalog that does not exist, so that no SHOW TABLES finds them.
OWN_PLACE = "`__sdp`.`__sdp`"
_NAMED = re.compile(r"upsert key: (.*?)\.?(?: This can lead|$)", re.DOTALL)
_ONE = re.compile(r"\[([^\[\]]+)\]")
_NO_KEYS = frozenset({"ARRAY", "MAP", "MULTISET", "ROW", "STRUCTURED_TYPE", "VARIANT", "RAW", "NULL"})


def upsert_key(runner: Runner, sql: str, columns: tuple[Column, ...]) -> tuple[str, ...]:
    """Return the shortest upsert key of a query that updates; empty where it has none.

    A query of one row, such as ``SELECT COUNT(*)``, has none either: any column would do.
    """
    names = {column.name for column in columns}
    usable = [column for column in columns if column.type.root not in _NO_KEYS]
    accepted: list[str] = []
    for column in usable[:2]:
        refusal = _refusal(runner, sql, columns, column.name)
        if refusal is None:
            accepted.append(column.name)
            continue
        known = named_keys(refusal, names)
        return min(known, key=len) if known else ()
    return (accepted[0],) if len(accepted) == 1 and len(columns) > 1 else ()


def named_keys(refusal: str, columns: Collection[str]) -> list[tuple[str, ...]]:
    """Return the upsert keys that a refusal names; names with a comma or bracket are left out."""
    match = _NAMED.search(refusal)
    keys = [tuple(key.split(", ")) for key in _ONE.findall(match.group(1))] if match else []
    return [key for key in keys if set(key) <= set(columns)]


def _refusal(runner: Runner, sql: str, columns: tuple[Column, ...], key: str) -> str | None:
    """Return the planner's refusal of a sink with this primary key; None where it takes it."""
    table = f"{OWN_PLACE}.{identifier(uuid.uuid4().hex)}"
    fields = ", ".join(
        f"{identifier(column.name)} {column.type.sql().removesuffix(' NOT NULL')}"
        + (" NOT NULL" if column.name == key else "")
        for column in columns
    )
    runner.declare(
        f"CREATE TEMPORARY TABLE {table} ({fields}, PRIMARY KEY ({identifier(key)}) NOT ENFORCED) "
        "WITH ('connector' = 'blackhole')"
    )
    try:
        runner.text(f"EXPLAIN INSERT INTO {table}\n{sql}")
    except SdpError as error:
        return error.message
    finally:
        with contextlib.suppress(SdpError):
            runner.declare(f"DROP TEMPORARY TABLE {table}")
    return None
