from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from sdp_kernel.frames import to_pandas

BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([{"a": BIG}, {"a": None}, None], None),
        ([[BIG, None], None], None),
        ([{"a": [{"b": BIG}]}, {"a": [{"b": None}]}], None),
        ([[{"a": BIG}, {"a": None}], []], None),
        ([[("x", BIG), ("y", None)]], pa.map_(pa.string(), pa.int64())),
        ([[BIG, None]], pa.list_(pa.int64(), 2)),
    ],
)
@pytest.mark.parametrize("cut", [0, 1])
def test_integers_beside_nulls_stay_exact_at_any_depth(values: list[Any], kind: Any, cut: int) -> None:
    array = pa.array(values, kind)
    table = pa.table({"v": pa.chunked_array([array[:cut], array[cut:]]), "n": range(len(values))})
    assert to_pandas(table)["v"].tolist() == values


def test_nested_columns_without_nulls_are_pandas_own() -> None:
    frame = to_pandas(pa.table({"v": [[1, 2], [3]], "n": pa.array([1, None])}))
    assert frame["v"][0].dtype == "int64"
    assert str(frame["n"].dtype) == "Int64"
