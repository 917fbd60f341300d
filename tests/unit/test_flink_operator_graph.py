"""The ids that Flink gives operators, from a graph's shape."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.flink.operator_graph import murmur3_128, read


@pytest.mark.parametrize(
    ("data", "hashed"),
    [
        (b"", "00000000000000000000000000000000"),
        (b"hello", "029bbd41b3a7d8cb191dae486a901e5b"),
        (b"The quick brown fox jumps over the lazy dog", "6c1b07bc7bbc4be347939ac4a93c437a"),
    ],
)
def test_murmur_is_that_of_the_reference(data, hashed):
    assert murmur3_128(data).hex() == hashed


def test_a_source_has_the_id_that_all_of_flink_s_jobs_show():
    assert murmur3_128(struct.pack("<i", 0)).hex() == "bc764cd8ddf7a0cff126f51c16239658"
    assert murmur3_128(struct.pack("<i", 0) * 2).hex() == "cbc357ccb763df2852fee8c4fc7d55f2"


def node(number, *reads, kind="Operator", ship="FORWARD", parallelism=1, contents=None):
    return {
        "id": number, "type": f"T[{number}]", "pact": kind, "contents": contents or f"[{number}]:T(x)",
        "parallelism": parallelism, "predecessors": [{"id": one, "ship_strategy": ship} for one in reads],
    }  # fmt: skip


def ids(*nodes):
    return {operator.node: operator.id for operator in read(nodes)}


def test_ids_follow_from_place_chaining_and_inputs_and_from_nothing_else():
    plain = ids(node(1), node(2, 1), node(3, 2, ship="HASH"))
    assert plain == {k - 6: v for k, v in ids(node(7), node(8, 7), node(9, 8, ship="HASH")).items()}
    assert ids(node(1), node(2, 1, parallelism=2), node(3, 2, ship="HASH"))[1] != plain[1]
    more = ids(node(1), node(2, 1), node(3, 2, ship="HASH"), node(4, 3))
    assert [more[n] == plain[n] for n in (1, 2, 3)] == [True, True, False]
    hashed = ids(node(1), node(2, 1), node(3, 2, ship="HASH"), node(4, 3, ship="HASH"))
    assert {n: hashed[n] for n in plain} == plain


def test_an_operator_waits_for_all_that_it_reads():
    graph = [node(1), node(2), node(3, 2), node(4, 3), node(5, 1, 4)]
    found = {operator.node: operator for operator in read(graph)}
    assert found[5].inputs == (found[1].id, found[4].id)
    assert len({operator.id for operator in found.values()}) == 5


def test_lines_and_numbers_are_read_apart():
    (source, writer) = read(
        [
            node(1, contents="[5]:Scan(a[1])"),
            {**node(2, 1), "contents": "o[6]: Writer", "type": "o[6]: Writer"},
        ]
    )
    assert (source.node, source.text) == (5, "Scan(a[1])")
    assert writer.node == 6


@given(st.lists(st.integers(0, 1 << 31), min_size=1, max_size=12))
def test_every_graph_has_an_id_for_each_operator(seeds):
    nodes = [node(1)]
    for number, seed in enumerate(seeds, start=2):
        reads = (
            {seed % (number - 1) + 1, seed % 7 % (number - 1) + 1} if seed % 3 else {seed % (number - 1) + 1}
        )
        nodes.append(node(number, *sorted(reads), ship="HASH" if seed % 2 else "FORWARD"))
    found = read(nodes)
    assert len({operator.id for operator in found}) == len(nodes)
