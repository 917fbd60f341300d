"""A policy applied to Arrow columns: structs, lists, maps and JSON text, whole columns at a time."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sdp_kernel.masking import ANY, REDACTED
from sdp_kernel.masking.text import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.masking import Policy

_REMEMBERED = 100_000
_FIELD = b"sdp.field"
_JSON_TEXT = b"sdp.json_text"
_CELL = b"sdp.cell"
#: About a record, and nothing of what is in it.
_ABOUT = {"_partition", "_offset", "_timestamp", "_schema_id", "_key_schema_id"}
_MAY_BE_JSON = r"^\s*[{\[\"]"
_CONTROL_CELL = "[\x00-\x08\x0e-\x1f]"
_BROKEN_JSON = r"\s*[{\[]"
_CONTROL = "[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]"
_QUOTED = r"\"[^\"]*\"|'[^']*'|`[^`]*`|<[^>]*>"
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError, ArithmeticError)

_load = msgspec.json.Decoder(float_hook=Decimal).decode
_dump = msgspec.json.Encoder(decimal_format="number").encode


class Masker:
    """Masks arrays; one that holds nothing to mask is returned as the same object."""

    def __init__(self, policy: Policy, *, sample: bool) -> None:
        self.policy = policy
        self.sample = sample
        self._mention = policy.mention
        self._mentions = re.compile(policy.mention).search
        self._mentions_in_bytes = re.compile(policy.mention.encode()).search
        self._texts: dict[tuple[tuple[str, ...], str], str | None] = {}

    def rows_to_hide(self, table: pa.Table) -> pa.Array | None:
        """Return which rows of CSV are something else, where a masked field may be in any cell."""
        cells = [
            (notes[_CELL].decode(), column.cast(pa.string()))
            for field, column in zip(table.schema, table.columns, strict=True)
            if _CELL in (notes := field.metadata or {})
        ]
        if not cells:
            return None
        columns = [column for _, column in cells]
        lines = pc.binary_join_element_wise(*columns, cells[0][0], null_handling="replace")
        hidden = pc.or_(
            pc.match_substring_regex(lines, self._mention), pc.match_substring_regex(lines, _CONTROL_CELL)
        ).fill_null(False)  # noqa: FBT003
        return hidden if pc.any(hidden).as_py() else None

    def column(
        self, field: pa.Field, column: pa.ChunkedArray, hidden: pa.Array | None = None
    ) -> tuple[pa.ChunkedArray, pa.Field]:
        """Return a column and its field as they may be shown; ``hidden`` rows of CSV are null."""
        notes = dict(field.metadata or {})
        if hidden is not None and _CELL in notes:
            column = pc.if_else(hidden, pa.scalar(None, column.type), column)
        shown = notes.get(_FIELD, field.name.encode()).decode()
        if self.sample and field.name in _ABOUT:
            return column, field
        if self.sample and field.name == "_raw":
            return pa.chunked_array([pa.nulls(len(column), field.type)]), field
        if self.sample and field.name == "_error":
            return self._chunks(column, _without_quotes), field
        whole = self.sample and field.name.rstrip("_") == "value" and _FIELD not in notes
        action = self.policy.action((shown,)) or self.policy.action((field.name,))
        if action:
            is_json = _JSON_TEXT in notes
            done = self._chunks(column, lambda chunk: self._apply(action, chunk, is_json=is_json))
            notes.pop(_JSON_TEXT, None)
        elif field.name == "_headers" and _is_headers(field.type):
            done = self._chunks(column, self._headers)
        else:
            done = self._chunks(column, lambda chunk: self._inside(chunk, (shown,), whole=whole))
        return done, pa.field(field.name, done.type, metadata=notes or None)

    def _chunks(self, column: pa.ChunkedArray, change: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
        chunks = column.chunks or [pa.array([], column.type)]
        done = [change(chunk) for chunk in chunks]
        return column if all(map(_same, done, chunks)) else pa.chunked_array(done, done[0].type)

    # --- what is not named itself: look inside --------------------------------------------

    def _inside(self, array: pa.Array, path: tuple[str, ...], *, whole: bool = False) -> pa.Array:
        kind = array.type
        if pa.types.is_dictionary(kind):
            plain = array.cast(kind.value_type)
            done = self._inside(plain, path, whole=whole)
            return array if done is plain else done
        if pa.types.is_struct(kind):
            return self._struct(array, path)
        if pa.types.is_map(kind):
            return self._map(array, path)
        if _is_list(kind):
            items = array.flatten()
            done = self._inside(items, path)
            return array if done is items else _relisted(array, done)
        if _is_text(kind):
            return self._json_inside(array, path, whole=whole)
        return self._bytes_inside(array, path, whole=whole) if _is_binary(kind) else array

    def _struct(self, array: pa.Array, path: tuple[str, ...]) -> pa.Array:
        children = array.flatten()
        fields = [array.type.field(i) for i in range(array.type.num_fields)]
        done = [
            self._apply(action, child)
            if (action := self.policy.action((*path, field.name)))
            else self._inside(child, (*path, field.name))
            for field, child in zip(fields, children, strict=True)
        ]
        if all(map(_same, done, children)):
            return array
        new = [pa.field(f.name, d.type, metadata=f.metadata) for f, d in zip(fields, done, strict=True)]
        return pa.StructArray.from_arrays(done, fields=new, mask=array.is_null())

    def _map(self, array: pa.Array, path: tuple[str, ...]) -> pa.Array:
        kind = array.type
        lists = array.cast(pa.list_(pa.struct([kind.key_field, kind.item_field])))  # maps do not flatten
        keys, values = lists.flatten().flatten()
        names = [canonical(key) for key in keys.to_pylist()]
        items = values
        actions = {name: self.policy.action((*path, name)) for name in set(names)}
        if _holds_more(values.type):
            items = self._inside(values, (*path, ANY))
        for action in sorted({a for a in actions.values() if a}):
            chosen = pa.array([actions[name] == action for name in names])
            if action == "hash" and not (_is_text(items.type) or _is_binary(items.type)):
                masked = pa.nulls(len(items), items.type)  # the other keys' values keep their type
            else:
                masked = self._apply(action, items)
            items = pc.if_else(chosen, masked.cast(items.type), items)
        if items is values:
            return array
        return pa.MapArray.from_arrays(_offsets(lists), keys, items)

    def _headers(self, array: pa.Array) -> pa.Array:
        entries = array.flatten()
        names, values = entries.flatten()
        bodies = values.to_pylist()
        changed = False
        for row, (name, body) in enumerate(zip(names.to_pylist(), bodies, strict=True)):
            action = self.policy.action(("_headers", name or ""))
            if body is None:
                continue
            if action:
                new = {"hash": self.policy.hash(body).encode() if action == "hash" else b"",
                       "redact": REDACTED.encode(), "null": None}[action]  # fmt: skip
            else:
                new = self._text_of_bytes(body, ("_headers", name or ""), whole=False)
            if new != body:
                bodies[row], changed = new, True
        if not changed:
            return array
        new_values = pa.array(bodies, values.type)
        return _relisted(array, pa.StructArray.from_arrays([names, new_values], ["key", "value"]))

    def _json_inside(self, array: pa.Array, path: tuple[str, ...], *, whole: bool) -> pa.Array:
        suspect = pc.match_substring_regex(array, _MAY_BE_JSON)
        if whole:
            suspect = pc.or_(suspect, pc.match_substring_regex(array, _CONTROL))
        suspect = pc.or_(suspect, pc.match_substring_regex(array, self._mention)).fill_null(False)  # noqa: FBT003
        texts = array.filter(suspect).to_pylist()
        if not texts:
            return array
        done = [self._json(text, path, whole=whole) for text in texts]
        if done == texts:
            return array
        return pc.replace_with_mask(array, suspect, pa.array(done, array.type))

    def _bytes_inside(self, array: pa.Array, path: tuple[str, ...], *, whole: bool) -> pa.Array:
        values = array.to_pylist()
        done = [v if v is None else self._text_of_bytes(v, path, whole=whole) for v in values]
        return array if done == values else pa.array(done, array.type)

    def _text_of_bytes(self, value: bytes, path: tuple[str, ...], *, whole: bool) -> bytes | None:
        fallback = None if whole or self._mentions_in_bytes(value) else value
        if not re.match(_MAY_BE_JSON.encode(), value):
            return fallback
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return fallback
        done = self._json(text, path, whole=whole)
        return fallback if done == REDACTED else done.encode() if done is not None else None

    def _json(self, text: str, path: tuple[str, ...], *, whole: bool) -> str | None:
        """Mask inside JSON text; text in which nothing is masked stays as it is."""
        known = (path, text)
        if known in self._texts:
            return self._texts[known]
        try:
            value = _load(text.encode())
            new, changed = self._walk(value, () if whole else path)
            # A field named twice is kept once by the parser: then the text has more than was seen.
            same = not changed and len(msgspec.json.format(text.encode(), indent=-1)) == len(_dump(value))
            done = text if same else _dump(new).decode()
        except RecursionError:
            done = None
        except _UNREADABLE:
            broken = whole and (re.match(_BROKEN_JSON, text) or re.search(_CONTROL, text))
            done = None if broken else REDACTED if self._mentions(text) else text
        if len(self._texts) < _REMEMBERED:
            self._texts[known] = done
        return done

    def _walk(self, value: Any, path: tuple[str, ...]) -> tuple[Any, bool]:
        if isinstance(value, dict):
            changed = False
            out = {}
            for name, item in value.items():
                action = self.policy.action((*path, name))
                out[name], new = (
                    (self._one(action, item), True) if action else self._walk(item, (*path, name))
                )
                changed |= new
            return out, changed
        if isinstance(value, list):
            pairs = [self._walk(item, path) for item in value]
            return [item for item, _ in pairs], any(new for _, new in pairs)
        if isinstance(value, str) and (re.match(_MAY_BE_JSON, value) or self._mentions(value)):
            text = self._json(value, path or ("",), whole=False)
            return text, text != value
        return value, False

    # --- actions ---------------------------------------------------------------------------

    def _one(self, action: str, value: Any) -> Any:
        if value is None or action == "null":
            return None
        if action == "redact":
            return REDACTED if isinstance(value, str) else None
        return self.policy.hash(value)

    def _apply(self, action: str, array: pa.Array, *, is_json: bool = False) -> pa.Array:
        if pa.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        kind = array.type
        if action == "redact" and _is_text(kind):
            return pc.if_else(array.is_valid(), pa.scalar(REDACTED, kind), pa.scalar(None, kind))
        if action in {"redact", "null"}:
            return pa.nulls(len(array), kind)
        try:
            coded = array.dictionary_encode()
            distinct, indices = coded.dictionary, coded.indices
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, AttributeError):
            distinct, indices = array, None
        values = distinct.to_pylist()
        if is_json:
            values = [None if v is None else _parsed(v) for v in values]
        hashed = pa.array([None if v is None else self.policy.hash(v) for v in values], pa.string())
        return hashed if indices is None else hashed.take(indices)


def _same(one: Any, other: Any) -> bool:
    return one is other


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_headers(kind: pa.DataType) -> bool:
    return (
        bool(pa.types.is_list(kind))
        and bool(pa.types.is_struct(kind.value_type))
        and [kind.value_type.field(i).name for i in range(kind.value_type.num_fields)] == ["key", "value"]
        and _is_binary(kind.value_type.field(1).type)
    )


def _holds_more(kind: pa.DataType) -> bool:
    return kind.num_fields > 0 or _is_text(kind) or pa.types.is_dictionary(kind)


def _offsets(array: pa.Array) -> pa.Array:
    """Return the offsets of a list or map array into its ``flatten()``, null for a null."""
    ends = [0]
    rows: list[int | None] = []
    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        lengths = [kind.list_size if valid else None for valid in array.is_valid().to_pylist()]
    else:
        lengths = pc.list_value_length(array).to_pylist()
    for length in lengths:
        rows.append(None if length is None else ends[-1])
        ends.append(ends[-1] + (length or 0))
    return pa.array([*rows, ends[-1]], pa.int64() if pa.types.is_large_list(kind) else pa.int32())


def _relisted(array: pa.Array, items: pa.Array) -> pa.Array:
    make = pa.LargeListArray if pa.types.is_large_list(array.type) else pa.ListArray
    return make.from_arrays(_offsets(array), items)


def _without_quotes(reasons: pa.Array) -> pa.Array:
    """Take out what a reason quotes: names at best, values at worst."""
    return pc.replace_substring_regex(reasons, _QUOTED, "…")


def _parsed(text: str) -> Any:
    try:
        return _load(text.encode())
    except _UNREADABLE:
        return text
