"""Cells on disk, and what of a job's INSERT was a cell's text."""

import json

from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.flink.script import split
from sdp_kernel.repository.notebooks import cell_bodies, query_of

SEEN, WRITTEN = {"run": {"rows": 3}}, {"run": {"rows": None}}


def statement(text):
    return split(text)[0]


def test_a_select_is_found_behind_the_insert_a_promotion_put_before_it():
    insert = statement("INSERT INTO `a``b`\nSELECT 1 -- x\nFROM t")
    assert query_of(insert, SEEN) == ("SELECT 1 -- x\nFROM t", "a`b")
    for receipt in (WRITTEN, None, {}, {"run": 1}):
        assert query_of(insert, receipt) == (insert.text, None)
    own = statement("INSERT INTO t SELECT 1")
    assert query_of(own, SEEN) == (own.text, None)


def test_cells_are_found_by_name_whatever_options_they_have(tmp_path):
    cells = [
        {"cell_type": "code", "source": ["%%flinksql q --limit 3\n", "SELECT 1"]},
        {"cell_type": "code", "source": "%%flinksql qq\nSELECT 2"},
        {"cell_type": "markdown", "source": "%%flinksql q\nno"},
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    assert cell_bodies(tmp_path / "n.ipynb", "q") == ["SELECT 1"]
    assert cell_bodies(tmp_path / "n.ipynb", "x") == []
    assert cell_bodies(tmp_path / "none.ipynb", "q") is None


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_content_of_a_notebook_makes_it_fail(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("n") / "n.ipynb"
    path.write_text(json.dumps(content))
    assert cell_bodies(path, "q") in (None, [])
