"""The kernel "Flink SQL", driven as a front end drives it: display updates, interrupt, restart."""

import json
import re
import time

import pytest
from jupyter_client.manager import start_new_kernel

pytestmark = pytest.mark.stack


@pytest.fixture
def kernel(stack, tmp_path):
    (tmp_path / "sdp.toml").write_text(
        f'[profiles.local]\ngateway = "{stack.gateway}"\njobmanager = "{stack.jobmanager}"\n'
        f'[profiles.local.kafka.main]\n"bootstrap.servers" = "{stack.kafka}"\n'
    )
    manager, client = start_new_kernel(kernel_name="flinksql", cwd=str(tmp_path), startup_timeout=60)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code, *, during=lambda _message: None):
    """Execute a cell; returns its reply and its outputs, redrawn ones by their last state."""
    outputs, displays = [], {}

    def take(message):
        kind, content = message["msg_type"], message["content"]
        during(message)
        if kind in {"display_data", "update_display_data"}:
            displays[content["transient"].get("display_id") or len(displays)] = content["data"]
        elif kind in {"stream", "error", "execute_result"}:
            outputs.append(content)

    reply = client.execute_interactive(code, output_hook=take, timeout=120, store_history=True)
    return reply["content"], outputs, list(displays.values())


GENERATE = "CREATE TABLE ticks (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '20', 'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '100000')"


def test_rows_are_redrawn_in_place_while_they_come(kernel):
    _, client = kernel
    run(client, f"%%flinksql\n{GENERATE}")
    drawn = []
    reply, _, displays = run(
        client,
        "%%flinksql q --timeout 4\nSELECT * FROM ticks",
        during=lambda m: drawn.append(time.monotonic()) if m["msg_type"] == "update_display_data" else None,
    )
    assert reply["status"] == "ok"
    assert ["sdp-style" in display["text/html"] for display in displays] == [True, False]  # drawn in place
    assert "stopped at time-out" in displays[1]["text/html"]
    assert 3 <= len(drawn) <= 4 * 4 + 4
    reply, outputs, _ = run(client, "len(q.df) > 20, q.df['n'].is_unique, q.job_id is not None")
    assert [output.get("data", output) for output in outputs] == [{"text/plain": "(True, True, True)"}]


def test_an_interrupt_keeps_what_came(kernel):
    manager, client = kernel
    run(client, f"%%flinksql\n{GENERATE}")
    seen = []

    def interrupt_once(message):
        text = (
            message["content"].get("data", {}).get("text/plain", "")
            if message["msg_type"] == "update_display_data"
            else ""
        )
        if re.search(r"running, [1-9]\d* rows", text) and not seen:
            seen.append(text)
            manager.interrupt_kernel()

    reply, _, displays = run(client, "%%flinksql q\nSELECT * FROM ticks", during=interrupt_once)
    assert reply["status"] == "ok"
    assert "interrupted" in displays[-1]["text/plain"]
    _, outputs, _ = run(client, "q.state, len(q.df) > 0")
    assert outputs[0]["data"]["text/plain"] == "('interrupted', True)"


def test_a_failing_cell_fails_without_a_stack_trace(kernel):
    _, client = kernel
    reply, outputs, _ = run(client, "%%flinksql\nSELECT\n  nope")
    assert reply["status"] == "error"
    (error,) = [o for o in outputs if "traceback" in o]
    assert "line 3, column 3" in "\n".join(error["traceback"])
    assert "File " not in "\n".join(error["traceback"])


def test_markup_in_values_is_shown_as_text(kernel, topic_name, produce):
    _, client = kernel
    evil = "<img src=x onerror=alert(1)>"
    produce(topic_name, [(evil, json.dumps({evil: evil, "plain": f"</td><script>{evil}"}))])
    for cell in (
        f"%sample {topic_name}",
        f"%table {topic_name} --name t",
        "%%flinksql\n" + f"SELECT '{evil}' AS v",
    ):
        reply, _, displays = run(client, cell)
        assert reply["status"] == "ok", cell
        for data in displays:
            assert "<img" not in data["text/html"]
            assert "<script" not in data["text/html"]


def test_a_table_is_put_into_the_next_cell(kernel, topic_name, produce):
    _, client = kernel
    produce(topic_name, [(None, '{"a": 1}')])
    reply, _, _ = run(client, f"%table {topic_name} --name t")
    (payload,) = reply["payload"]
    assert payload["source"] == "set_next_input"
    assert payload["text"].startswith("%%flinksql\n")
    assert "CREATE TABLE `t`" in payload["text"]


def test_a_query_in_the_background_lets_other_cells_run_and_is_listed(kernel):
    _, client = kernel
    run(client, f"%%flinksql\n{GENERATE}")
    reply, _, displays = run(
        client, "%%flinksql counts -b\nSELECT MOD(n, 3) AS m, COUNT(*) AS c FROM ticks GROUP BY MOD(n, 3)"
    )
    assert reply["status"] == "ok"
    assert "running" in displays[-1]["text/plain"]
    _, outputs, _ = run(client, "import time\nwhile len(counts) < 3: time.sleep(0.1)\ncounts.state")
    assert outputs[0]["data"]["text/plain"] == "'running'"
    _, _, (listed,) = run(client, "%queries")
    assert re.search(r"counts\s+running", listed["text/plain"])
    assert "/#/job/running/" in listed["text/html"]
    _, _, (stopped,) = run(client, "%queries stop counts")
    assert re.search(r"counts\s+stopped", stopped["text/plain"])


def test_a_restarted_kernel_has_its_tables_and_its_queries_in_the_background(kernel):
    manager, client = kernel
    run(client, f"%%flinksql\n{GENERATE}")
    run(client, "%%flinksql raw -b\nSELECT * FROM ticks")
    run(client, "import time\nwhile not len(raw): time.sleep(0.1)")
    _, outputs, _ = run(client, "raw.job_id")
    before = outputs[0]["data"]["text/plain"]
    manager.restart_kernel()
    client.wait_for_ready(60)
    _, _, displays = run(client, "%queries")
    text = "\n".join(display["text/plain"] for display in displays)
    assert "took over the session of the kernel before, with 1 statement" in text
    assert "raw goes on; the rows that it had are gone" in text
    _, outputs, _ = run(
        client, "import time\nwhile not len(raw): time.sleep(0.1)\nraw.job_id, bool(raw.df['n'].min() > 1)"
    )
    assert outputs[0]["data"]["text/plain"] == f"({before}, True)"


def test_why_and_explain_answer_in_a_notebook(kernel, topic_name, produce):
    _, client = kernel
    produce(topic_name, [])
    run(client, f"%%flinksql\nCREATE TABLE silence (id INT) WITH ('connector' = 'kafka', ${{kafka.main}}, "
                f"'topic' = '{topic_name}', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset')")  # fmt: skip
    run(client, "%%flinksql nothing --timeout 5\nSELECT * FROM silence")
    _, _, (why,) = run(client, "%why nothing")
    assert topic_name in why["text/plain"]
    _, _, (plan,) = run(client, "%%flinksql --explain\nSELECT id, COUNT(*) AS c FROM silence GROUP BY id")
    assert "GroupAggregate" in plan["text/plain"]
    assert "<svg" in plan["text/html"]
