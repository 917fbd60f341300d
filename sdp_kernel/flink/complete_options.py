"""Completion of options: WITH of a table or catalog, OPTIONS of a hint, SET of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.flink import connectors
from sdp_kernel.flink.complete_scan import (
    Group,
    chain,
    is_name,
    literal,
    name_of,
    split_at_commas,
    symbol,
    word,
)

if TYPE_CHECKING:
    from sdp_kernel.flink.complete_found import Found
    from sdp_kernel.flink.complete_names import Names, Table
    from sdp_kernel.flink.complete_scan import Cursor, Item
    from sdp_kernel.flink.connectors import Option


def in_text(found: Found, cursor: Cursor, names: Names) -> None:
    """Complete inside a text in quotes: a key or a value of an option, or nothing."""
    before = cursor.before
    if option_keys(found, cursor, names):
        return
    previous = before[-1] if before else None
    if symbol(previous) == "=" and len(before) > 1:
        key = literal(before[-2])
        if key is not None:
            _values(found, cursor, names, key)
    elif word(previous) in {"SET", "RESET"} and len(cursor.path) == 1:
        for option in connectors.session_options():
            found.text(option.key, "option", option.detail)


def option_keys(found: Found, cursor: Cursor, names: Names) -> bool:
    """Offer keys where the cursor is at one, and values after ``=``; says whether it is in options."""
    holder = _holder(cursor)
    if holder is None:
        return False
    before = cursor.before
    previous = before[-1] if before else None
    if previous is None or symbol(previous) == ",":
        given = _given(cursor.group)
        for option in _known(cursor, names, holder):
            if option.key not in given:
                found.text(option.key, "option", option.detail, first=option.required)
        return True
    if symbol(previous) == "=" and len(before) > 1 and not cursor.quote:
        key = literal(before[-2])
        if key is not None:
            _values(found, cursor, names, key)
        return True
    return not cursor.quote


def _holder(cursor: Cursor) -> str | None:
    """Return what the cursor's group holds options of: ``WITH``, ``OPTIONS`` or ``SET``."""
    if len(cursor.path) == 1:
        return None
    opener = word(cursor.group.opener)
    first = word(cursor.top[0]) if cursor.top else ""
    if opener == "OPTIONS" or (opener == "WITH" and first == "CREATE"):
        return opener
    return "SET" if opener in {"SET", "RESET"} and first == "ALTER" else None


def _given(group: Group) -> dict[str, str]:
    """Return the options that are in place, as far as they are whole."""
    found: dict[str, str] = {}
    for part in split_at_commas(group.items):
        if len(part) == 3 and symbol(part[1]) == "=":  # noqa: PLR2004 - key = value
            key, value = literal(part[0]), literal(part[2])
            if key is not None and value is not None:
                found[key] = value
    return found


def _known(cursor: Cursor, names: Names, holder: str) -> list[Option]:
    if holder != "WITH":
        table = _table(cursor, names)
        columns = tuple(column.name for column in table.columns) if table is not None else ()
        given = dict(table.options) if table is not None else {}
        return connectors.table_options({**given, **_given(cursor.group)}, columns)
    given = _given(cursor.group)
    if "CATALOG" in [word(item) for item in cursor.top[:3]]:
        return connectors.catalog_options(given)
    return connectors.table_options(given, _defined_columns(cursor.top))


def _table(cursor: Cursor, names: Names) -> Table | None:
    """Return the table that a hint or an ALTER TABLE is about."""
    outside = cursor.path[-2].items
    at = next((i for i, item in enumerate(outside) if item is cursor.group), len(outside)) - 1
    path, _ = chain(outside, at)
    table = names.table(tuple(path)) if path else None
    if table is None and at > 0:
        path, _ = chain(outside, at - 1)
        table = names.table(tuple(path)) if path else None
    return table


def _defined_columns(top: list[Item]) -> tuple[str, ...]:
    first = next((item for item in top if isinstance(item, Group)), None)
    if first is None or word(first.opener) == "WITH":
        return ()
    names = [name_of(part[0]) for part in split_at_commas(first.items) if part and is_name(part[0])]
    return tuple(name for name in names if name.upper() not in {"WATERMARK", "PRIMARY", "CONSTRAINT"})


def _values(found: Found, cursor: Cursor, names: Names, key: str) -> None:
    if key in {"topic", "topic-pattern"}:
        _topics(found, cursor, names)
        return
    if key == "connector":
        for name, roles in connectors.connectors():
            found.text(name, "value", roles)
        return
    holder = _holder(cursor)
    options = _known(cursor, names, holder) if holder is not None else list(connectors.session_options())
    option = next((option for option in options if option.key == key), None)
    if option is None:
        return
    for value in connectors.values(option):
        found.text(
            value, "value", "default" if value == option.default else "", first=value == option.default
        )


def _topics(found: Found, cursor: Cursor, names: Names) -> None:
    typed = cursor.prefix if cursor.quote else ""
    kept = typed[: typed.rfind(";") + 1]
    for alias, topics in names.topics.items():
        for topic in topics:
            if kept:
                found.part(topic, "topic", prefix=kept, detail=alias)
            else:
                found.text(topic, "topic", alias)


def statement_options(items: list[Item]) -> dict[str, str]:
    """Return the options in the WITH of a CREATE TABLE's tokens."""
    for at, item in enumerate(items):
        if isinstance(item, Group) and word(item.opener) == "WITH" and at:
            return _given(item)
    return {}
