from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.kafka.offsets import scatter

spans = st.dictionaries(
    st.integers(0, 20),
    st.tuples(st.integers(0, 10**9), st.integers(0, 5000)).map(lambda s: (s[0], s[0] + s[1])),
    min_size=1,
)


@given(spans, st.integers(1, 3000), st.integers())
def test_as_many_offsets_as_wanted_none_twice_none_outside(
    spans: dict[int, tuple[int, int]], n: int, seed: int
) -> None:
    ranges = scatter(spans, n, random.Random(seed))
    offsets = [(r.partition, o) for r in ranges for o in range(r.start, r.end)]
    total = sum(high - low for low, high in spans.values())
    assert len(offsets) == len(set(offsets)) == min(n, total)
    assert all(spans[p][0] <= o < spans[p][1] for p, o in offsets)


@given(st.integers(1, 400), st.integers(1, 400))
def test_every_offset_is_as_likely(length: int, n: int) -> None:
    n = min(n, length)
    counts = [0] * length
    chance = random.Random(1)
    rounds = 60
    for _ in range(rounds):
        for r in scatter({0: (0, length)}, n, chance):
            for offset in range(r.start, r.end):
                counts[offset] += 1
    expected = rounds * n / length
    assert max(counts) <= expected + 6 * expected**0.5 + 6
    assert min(counts) >= expected - 6 * expected**0.5 - 6
