"""JSON behind Confluent's prefix → the columns of ``json``, and the schema's id."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sdp_kernel.kafka.decode_json import JsonDecoder
from sdp_kernel.kafka.wire import PREFIX, known_schema, schema_ids

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
        ids = schema_ids(values, errors)
        for number in np.unique(ids[ids >= 0]).tolist():
            found = known_schema(self._registry, number, "JSON")
            if isinstance(found, str):
                errors.update(dict.fromkeys(np.flatnonzero(ids == number).tolist(), found))
        documents = [
            None if value is None or row in errors else value[PREFIX:] for row, value in enumerate(values)
        ]
        decoded = JsonDecoder().decode(documents)
        return replace(
            decoded,
            errors={**decoded.errors, **errors},
            extra={"_schema_id": pa.array(ids, pa.int32(), mask=ids < 0)},
        )
