"""On the embedded stack a change needs no confirmation; through the Python API and a magic."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

import sdp_kernel
from sdp_kernel.errors import UsageError

pytestmark = pytest.mark.stack


def test_a_topic_is_created_written_cleared_and_deleted(
    stack: Any, topic_name: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("sdp_kernel.local.stack.Stack.up", lambda *_: stack)
    with sdp_kernel.connect() as wb:
        for wrong in ({"partitions": 0}, {"partitions": -5}, {"partitions": 2**40}, {"replication": 0}):
            with pytest.raises(UsageError, match="a topic cannot have"):
                wb.create_topic(topic_name, **wrong)
        wb.create_topic(topic_name, partitions=2, config={"retention.ms": "60000"})
        made = wb.produce(topic_name, pd.DataFrame({"id": [1, 2], "name": ["a", None]}), key="id")
        assert (made.sent, made.key_format) == (2, "text")
        got = wb.sample(topic_name)
        assert sorted(got.table["id"].to_pylist()) == [1, 2]
        assert sorted(got.table["_key"].to_pylist()) == ["1", "2"]
        assert wb.clear_topic(topic_name).records == 2
        assert len(wb.sample(topic_name)) == 0
        assert wb.delete_topic(topic_name).partitions == 2
        assert topic_name not in set(wb.topics()["topic"])


def test_the_magics_do_the_same(stack: Any, topic_name: str, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("sdp_kernel.local.stack.Stack.up", lambda *_: stack)
    shell = InteractiveShell()
    sdp_kernel.load_ipython_extension(shell)
    try:
        shell.user_ns["rows"] = [{"id": i, "in": {"x": i}} for i in range(5)]
        shell.run_line_magic("topic", f"create {topic_name} --config retention.ms=60000")
        shell.run_line_magic("produce", f"{topic_name} rows --key id")
        frame = shell.run_line_magic("sample", f"{topic_name} -n 2 --head --where 'id > 1' --as kept")
        assert frame["id"].tolist() == [2, 3]
        assert shell.user_ns["kept"] is frame
        shell.run_line_magic("topic", f"clear {topic_name}")
        shell.run_line_magic("topic", f"delete {topic_name}")
    finally:
        sdp_kernel.unload_ipython_extension(shell)
    shown = capsys.readouterr().out
    assert "5 written" in shown
    assert "cleared of 5 records" in shown
