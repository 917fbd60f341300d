"""JSON behind Confluent's prefix → the columns of ``json``, and the schema's id."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sdp_kernel.kafka.decode_json import JsonDecoder
from sdp_kernel.kafka.wire import PREFIX, by_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sdp_kernel.kafka.decode import Decoded, Options
    from sdp_kernel.kafka.registry import Registry


class JsonSchemaDecoder:
    """Documents as they are: a schema is looked up, and does not change how they are read."""

    format = "json-schema"

    def __init__(self, *, options: Options | None = None, registry: Registry | None = None) -> None:
        assert registry is not None  # noqa: S101 - `decoder` sees to it
        del options
        self._registry = registry

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; what has no prefix, or an id of no JSON Schema, has an error."""
        errors: dict[int, str] = {}
        ids, _ = by_schema(values, self._registry, "JSON", lambda schema, _: schema, errors)
        documents = [
            None if value is None or row in errors else value[PREFIX:] for row, value in enumerate(values)
        ]
        decoded = JsonDecoder().decode(documents)
        return replace(
            decoded,
            errors={**decoded.errors, **errors},
            extra={"_schema_id": ids},
        )
