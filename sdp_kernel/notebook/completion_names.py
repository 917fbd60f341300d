"""What completion knows in a notebook: the session's catalog, topics, parameters, queries.

Only what is open is looked at: no session is opened and no stack started because somebody presses a key.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.complete_names import Field, Names, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.flink.catalog import Catalog
    from sdp_kernel.notebook.magics import SdpMagics
    from sdp_kernel.workbench import Workbench

_TOPICS_FOR_S = 5.0
_IN_HEAD = re.compile(r"--(param|with)[ =]+(?:(\w+)=)?(\w+)?")
_QUALIFIED = re.compile(r"(?:(\w+)\.)?(\w+)\.\w*\Z")


class NameCache:
    """Names for completion, from whatever of the workbench is open."""

    def __init__(self, magics: SdpMagics) -> None:
        self._magics = magics
        self._catalog: tuple[Any, Catalog] | None = None
        self._topics: dict[str, tuple[str, ...]] = {}
        self._topics_of: object = None
        self._topics_at = 0.0
        self._reading: threading.Thread | None = None
        self._warm = False

    @property
    def workbench(self) -> Workbench | None:
        """The workbench, if one is open."""
        return self._magics._workbench  # noqa: SLF001 - the property would open one

    def refresh(self) -> None:
        """Start reading what has changed; returns at once."""
        if not self._warm:
            self._warm = True
            threading.Thread(target=_load, daemon=True, name="sdp-load").start()
        catalog = self.catalog
        if catalog is not None:
            catalog.refresh()
        _ = self.topics

    @property
    def catalog(self) -> Catalog | None:
        """The catalog of the open session."""
        workbench = self.workbench
        session = workbench._session if workbench is not None else None  # noqa: SLF001
        if session is None:
            return None
        if self._catalog is None or self._catalog[0] is not session:
            from sdp_kernel.flink.catalog import Catalog  # noqa: PLC0415

            self._catalog = (session, Catalog(session))
        return self._catalog[1]

    def names(self) -> Names:
        """Return what is known now."""
        catalog = self.catalog
        names = catalog.names if catalog is not None else Names()
        workbench = self.workbench
        if workbench is None or catalog is None:
            return replace(names, topics=self.topics)
        session = workbench.session
        return replace(
            names,
            topics=self.topics,
            parameters=dict(session.defaults),
            fragments=tuple(session.fragments),
        )

    def for_text(self, text: str, offset: int) -> Names:
        """Return what is known, and ask for the database that is named before the cursor."""
        names = self.names()
        named = _QUALIFIED.search(text[:offset])
        if named is not None and self.catalog is not None:
            catalog = named[1] or names.catalog
            known = names.databases.get(catalog, ())
            if named[2] in known and (catalog, named[2]) != (names.catalog, names.database):
                self.catalog.want(catalog, named[2])
        return names

    @property
    def aliases(self) -> tuple[str, ...]:
        """The Kafka clusters of the open profile."""
        workbench = self.workbench
        if workbench is None or not workbench._resolved:  # noqa: SLF001 - the property starts the stack
            return ()
        return tuple(workbench.profile.kafka)

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles of the settings in use."""
        workbench = self.workbench
        return tuple(workbench.settings.profiles) if workbench is not None else ()

    @property
    def queries(self) -> dict[str, str]:
        """The queries that have a name, with their states."""
        workbench = self.workbench
        return {name: q.state for name, q in workbench.queries.items()} if workbench is not None else {}

    @property
    def topics(self) -> dict[str, tuple[str, ...]]:
        """Topics by cluster alias, as last read; older than 5 seconds, they are read again."""
        workbench = self.workbench
        if workbench is not self._topics_of:
            self._topics, self._topics_of, self._topics_at = {}, workbench, 0.0
        stale = not self._topics_at or time.monotonic() - self._topics_at > _TOPICS_FOR_S
        if self.aliases and stale and (self._reading is None or not self._reading.is_alive()):
            self._reading = threading.Thread(target=self._read_topics, daemon=True, name="sdp-topics")
            self._reading.start()
        return self._topics

    def _read_topics(self) -> None:
        workbench = self.workbench
        if workbench is None:
            return
        found = {}
        for alias in self.aliases:
            try:
                topics = workbench.cluster(alias).metadata().topics
            except SdpError:
                continue
            found[alias] = tuple(sorted(topic for topic in topics if not topic.startswith("__")))
        self._topics, self._topics_at = found, time.monotonic()


def with_head(names: Names, head: str, variables: Mapping[str, Any]) -> Names:
    """Add what a cell's first line makes known in it: ``--param NAME=VALUE``, ``--with FRAME``."""
    parameters, tables = dict(names.parameters), dict(names.tables)
    for option, left, right in _IN_HEAD.findall(head):
        if option == "param" and left:
            parameters[left] = right
        elif option == "with" and right in variables:
            table = left or right
            tables[table] = Table(table, _columns(variables[right]), options={"connector": "frame"})
    return replace(names, parameters=parameters, tables=tables)


def _columns(frame: Any) -> tuple[Field, ...]:
    """Return the columns of a DataFrame or an Arrow table, without looking at its data."""
    schema = getattr(frame, "schema", None)
    if schema is not None and hasattr(schema, "names") and hasattr(schema, "types"):
        return tuple(
            Field(str(name), str(type_)) for name, type_ in zip(schema.names, schema.types, strict=True)
        )
    columns, types = getattr(frame, "columns", ()), getattr(frame, "dtypes", ())
    return tuple(Field(str(name), str(type_)) for name, type_ in zip(columns, types, strict=False))


def _load() -> None:
    """Load what the first completion needs, so that it does not wait for it."""
    from sdp_kernel.flink import connectors  # noqa: PLC0415
    from sdp_kernel.flink.complete import complete  # noqa: PLC0415

    connectors.session_options()
    complete("SELECT ", 7)
