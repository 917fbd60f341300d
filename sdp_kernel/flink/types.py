"""Flink's logical types: from the gateway's JSON to msgspec, to Arrow, and back to SQL.

The JSON is that of ``LogicalTypeJsonSerializer`` in flink-sql-gateway (REST, ``rowFormat=JSON``).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Optional, TypedDict, Union

import pyarrow as pa

from sdp_kernel.flink.script import identifier

_INTEGERS = {
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
}
_TEXT = {"CHAR", "VARCHAR"}
_BYTES = {"BINARY", "VARBINARY"}
_TIMESTAMPS = {"TIMESTAMP_WITHOUT_TIME_ZONE", "TIMESTAMP_WITH_LOCAL_TIME_ZONE"}
_MAX_LENGTH = 2147483647
_MILLI, _MICRO = 3, 6


@dataclass(frozen=True)
class LogicalType:
    """A Flink logical type.

    ``root`` is the type root's name (``VARCHAR``, ``ROW`` …), ``children`` the element, key and
    value, or field types with ``names`` for the fields of a ROW.
    """

    root: str
    nullable: bool = True
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    resolution: str | None = None
    children: tuple[LogicalType, ...] = ()
    names: tuple[str, ...] = ()
    #: The map came as a list of entries, because JSON objects have text keys only.
    as_entries: bool = False

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LogicalType:
        """Read the gateway's JSON."""
        fields = data.get("fields") or []
        inner = [data[key] for key in ("elementType", "keyType", "valueType") if key in data]
        return cls(
            root=data["type"],
            nullable=data.get("nullable", True),
            length=data.get("length"),
            precision=data.get("precision"),
            scale=data.get("scale"),
            resolution=data.get("resolution"),
            children=tuple(cls.from_json(child) for child in inner)
            or tuple(cls.from_json(field["fieldType"]) for field in fields),
            names=tuple(field["name"] for field in fields),
        )

    def json_type(self) -> Any:
        """Return the type msgspec decodes a JSON value of this type to."""
        return Optional[self._json_type()]  # noqa: UP045

    def _json_type(self) -> Any:
        root = self.root
        if root in _INTEGERS or root.startswith("INTERVAL"):
            return int
        if root == "BOOLEAN":
            return bool
        if root in {"DOUBLE", "FLOAT"}:
            return Union[float, str]  # noqa: UP007
        if root == "DECIMAL":
            return Decimal
        if root in _BYTES:
            return bytes
        if root == "ARRAY":
            return list[self.children[0].json_type()]  # type: ignore[misc]
        if root in {"MAP", "MULTISET"}:
            value = self.children[1].json_type() if root == "MAP" else int
            if self.as_entries:
                entry = {"key": self.children[0].json_type(), "value": value}
                return list[TypedDict("entry", entry)]  # type: ignore[operator,misc]
            return dict[str, value]  # type: ignore[valid-type]
        if root in {"ROW", "STRUCTURED_TYPE"}:
            fields = {n: c.json_type() for n, c in zip(self.names, self.children, strict=True)}
            return TypedDict("row", fields)  # type: ignore[operator]
        if root in _TEXT or root in _TIMESTAMPS or root in {"DATE", "TIME_WITHOUT_TIME_ZONE", "TIME"}:
            return str
        return Any

    def arrow(self) -> pa.DataType:
        """Return the Arrow type; nothing is lost in it."""
        root = self.root
        if root in _INTEGERS:
            return _INTEGERS[root]
        if root == "BOOLEAN":
            return pa.bool_()
        if root == "DOUBLE":
            return pa.float64()
        if root == "FLOAT":
            return pa.float32()
        if root == "DECIMAL":
            return pa.decimal128(self.precision or 10, self.scale or 0)
        if root in _BYTES:
            return pa.binary()
        if root == "DATE":
            return pa.date32()
        if root in {"TIME_WITHOUT_TIME_ZONE", "TIME"}:
            return pa.time32("ms") if (self.precision or 0) <= _MILLI else pa.time64("ns")
        if root in _TIMESTAMPS:
            zone = "UTC" if root == "TIMESTAMP_WITH_LOCAL_TIME_ZONE" else None
            return pa.timestamp(self._unit(), tz=zone)
        if root == "INTERVAL_DAY_TIME":
            return pa.duration("ms")
        if root == "INTERVAL_YEAR_MONTH":
            return pa.month_day_nano_interval()
        if root == "ARRAY":
            return pa.list_(self.children[0].arrow())
        if root == "MAP":
            return pa.map_(self.children[0].arrow(), self.children[1].arrow())
        if root == "MULTISET":
            return pa.map_(self.children[0].arrow(), pa.int32())
        if root in {"ROW", "STRUCTURED_TYPE"}:
            pairs = zip(self.names, self.children, strict=True)
            return pa.struct([pa.field(name, child.arrow()) for name, child in pairs])
        if root == "NULL":
            return pa.null()
        return pa.string()

    def _unit(self) -> str:
        precision = _MICRO if self.precision is None else self.precision
        return "ms" if precision <= _MILLI else "us" if precision <= _MICRO else "ns"

    def sql(self) -> str:
        """Return the type as it is written in DDL."""
        return self._sql() + ("" if self.nullable else " NOT NULL")

    def _sql(self) -> str:
        root = self.root
        if root in {"CHAR", "VARCHAR", "BINARY", "VARBINARY"}:
            if self.length == _MAX_LENGTH:
                return "STRING" if root in _TEXT else "BYTES"
            return f"{root}({self.length or 1})"
        if root == "DECIMAL":
            return f"DECIMAL({self.precision}, {self.scale})"
        if root == "INTEGER":
            return "INT"
        if root in {"TIME_WITHOUT_TIME_ZONE", "TIME"}:
            return f"TIME({self.precision or 0})"
        if root in _TIMESTAMPS:
            name = "TIMESTAMP_LTZ" if "LOCAL" in root else "TIMESTAMP"
            return f"{name}({_MICRO if self.precision is None else self.precision})"
        if root == "INTERVAL_DAY_TIME":
            return "INTERVAL DAY TO SECOND(3)"
        if root == "INTERVAL_YEAR_MONTH":
            return "INTERVAL YEAR TO MONTH"
        if root in {"ARRAY", "MULTISET"}:
            return f"{root}<{self.children[0].sql()}>"
        if root == "MAP":
            return f"MAP<{self.children[0].sql()}, {self.children[1].sql()}>"
        if root in {"ROW", "STRUCTURED_TYPE"}:
            pairs = zip(self.names, self.children, strict=True)
            return "ROW<" + ", ".join(f"{identifier(n)} {c.sql()}" for n, c in pairs) + ">"
        return root

    @property
    def json_safe(self) -> bool:
        """Whether the gateway can write values of this type as JSON.

        It cannot for maps whose keys are not text, for MULTISET of non-text and for VARIANT: the
        page fails with "Could not map response to JSON" (Flink 2.3).
        """
        if self.root in {"MAP", "MULTISET"} and self.children[0].root not in _TEXT:
            return False
        return self.root not in {"VARIANT", "RAW"} and all(child.json_safe for child in self.children)


@dataclass(frozen=True)
class Column:
    """A result column."""

    name: str
    type: LogicalType

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Column:
        """Read the gateway's JSON."""
        return cls(data["name"], LogicalType.from_json(data["logicalType"]))


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """Return the Arrow schema of ``columns``."""
    return pa.schema([pa.field(column.name, column.type.arrow()) for column in columns])
