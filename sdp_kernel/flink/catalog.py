"""The names of a session, kept for completion: tables with their columns, functions, databases.

They are read with SHOW and DESCRIBE in the user's own session, where temporary tables are seen too;
the gateway answers these in about 10 ms beside a query that runs. Reading happens in a thread: who
asks gets what is known at once. The ledger says what has changed, so only that is read again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.complete_names import Field, Names, Table
from sdp_kernel.flink.complete_options import statement_options
from sdp_kernel.flink.complete_scan import scan
from sdp_kernel.flink.script import identifier

if TYPE_CHECKING:
    from sdp_kernel.flink.session import Session

#: After this long everything is read again: others may have changed a shared catalog.
_STALE_S = 300.0
#: A reading that failed is not tried again before.
_PAUSE_S = 5.0
_SHAPING = ("CREATE", "DROP", "ALTER", "USE", "LOAD", "UNLOAD", "ADD", "REMOVE")


@dataclass
class _Known:
    """What was read; ``columns`` and ``options`` by table of the current database."""

    names: Names = field(default_factory=Names)
    entries: int = 0
    handle: str | None = None
    at: float = 0.0


class Catalog:
    """The names of one session.

    Parameters
    ----------
    session
        The session; one that is not open yet is not opened.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known = _Known()
        self._wanted: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._reading: threading.Thread | None = None
        self._failed = 0.0

    @property
    def names(self) -> Names:
        """What is known now; starts reading where something has changed. Never waits."""
        self.refresh()
        return self._known.names

    def want(self, catalog: str, database: str) -> None:
        """Say that the tables of another database are asked for: they come with the next reading."""
        if (catalog, database) not in self._known.names.elsewhere:
            self._wanted.add((catalog, database))

    def refresh(self) -> None:
        """Start reading in a thread, where something has changed and none is under way."""
        with self._lock:
            if self._reading is not None and self._reading.is_alive():
                return
            if self._is_fresh() or time.monotonic() - self._failed < _PAUSE_S:
                return
            self._reading = threading.Thread(target=self._read, daemon=True, name="sdp-catalog")
            self._reading.start()

    def settle(self, timeout: float = 30.0) -> Names:
        """Wait until everything known to have changed is read; for tests and tools."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            self.refresh()
            reading = self._reading
            if reading is None or not reading.is_alive():
                break
            reading.join(max(until - time.monotonic(), 0.0))
        return self._known.names

    def _is_fresh(self) -> bool:
        session, known = self._session, self._known
        if not session.opened:
            return True
        return (
            known.entries == len(session.ledger.entries)
            and known.handle == session.handle
            and not self._wanted
            and time.monotonic() - known.at < _STALE_S
        )

    def _read(self) -> None:
        try:
            self._read_all()
        except (SdpError, OSError, KeyError, ValueError, RuntimeError):
            self._failed = time.monotonic()

    def _read_all(self) -> None:
        session, known = self._session, self._known
        handle, entries = session.handle, session.ledger.entries
        new = entries[known.entries :] if known.entries <= len(entries) else entries
        stale = time.monotonic() - known.at >= _STALE_S or known.entries == 0
        if not stale and not self._wanted and not any(entry.kind.startswith(_SHAPING) for entry in new):
            self._known = replace(known, entries=len(entries), handle=handle)
            return
        changed = {entry.target.split(".")[-1] for entry in new if entry.target is not None}
        names = self._places(known.names)
        same = (names.catalog, names.database) == (known.names.catalog, known.names.database)
        kept = {} if stale or not same else dict(known.names.tables)
        listed = self._list()
        tables = {name: kept[name] for name in listed if name in kept and name not in changed}
        names = replace(names, tables=tables, functions=self._column("SHOW USER FUNCTIONS"))
        self._known = replace(known, names=names)
        declared = {
            entry.target.split(".")[-1]: entry.text
            for entry in entries
            if entry.kind == "CREATE TABLE" and entry.target is not None
        }
        for name, is_view in listed.items():
            if name not in tables:
                tables = {**tables, name: self._table(name, is_view=is_view, declared=declared.get(name))}
                self._known = replace(self._known, names=replace(names, tables=tables))
        names = replace(names, tables=tables, elsewhere=self._elsewhere(names))
        self._known = _Known(names, len(entries), handle, time.monotonic())

    def _places(self, before: Names) -> Names:
        (catalog,) = self._column("SHOW CURRENT CATALOG")
        (database,) = self._column("SHOW CURRENT DATABASE")
        databases = dict.fromkeys(self._column("SHOW CATALOGS"), ())
        found: dict[str, tuple[str, ...]] = {}
        for name in databases:
            with contextlib.suppress(SdpError):
                found[name] = self._column(f"SHOW DATABASES FROM {identifier(name)}")
        return replace(before, catalog=catalog, database=database, databases={**databases, **found})

    def _list(self, where: str = "") -> dict[str, bool]:
        """Return the tables and views, and which are views."""
        views = set(self._column(f"SHOW VIEWS{where}"))
        return {name: name in views for name in self._column(f"SHOW TABLES{where}")}

    def _elsewhere(self, names: Names) -> dict[tuple[str, str], dict[str, Table]]:
        wanted = self._wanted | set(names.elsewhere)
        self._wanted = set()
        found: dict[tuple[str, str], dict[str, Table]] = {}
        for catalog, database in wanted:
            where = f"{identifier(catalog)}.{identifier(database)}"
            found[catalog, database] = {}
            with contextlib.suppress(SdpError):
                for name, is_view in self._list(f" FROM {where}").items():
                    found[catalog, database][name] = self._table(name, is_view=is_view, where=f"{where}.")
        return found

    def _table(self, name: str, *, is_view: bool, declared: str | None = None, where: str = "") -> Table:
        path = where + identifier(name)
        columns: tuple[Field, ...] = ()
        options: dict[str, str] = {}
        with contextlib.suppress(SdpError):
            rows = self._session.runner().table(f"DESCRIBE {path}")
            columns = tuple(Field(str(row["name"]), str(row["type"])) for row in rows)
        if not is_view:
            with contextlib.suppress(SdpError):
                options = _options(declared or self._session.runner().text(f"SHOW CREATE TABLE {path}"))
        return Table(name, columns, is_view, options)

    def _column(self, statement: str) -> tuple[str, ...]:
        """Return the first column of a SHOW."""
        return tuple(str(next(iter(row.values()))) for row in self._session.runner().table(statement))


def _options(declaration: str) -> dict[str, str]:
    """Return the options of a CREATE TABLE that say what others it may have; no connection settings."""
    cursor = scan(f"{declaration} ", len(declaration) + 1)
    given = statement_options(cursor.top) if cursor is not None else {}
    return {key: given[key] for key in ("connector", "format", "key.format", "value.format") if key in given}
