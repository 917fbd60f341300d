"""Completion against a real gateway and in a real kernel, also while a cell runs."""

import queue
import re
import time
import uuid

import pytest
from jupyter_client.manager import start_new_kernel

from sdp_kernel.flink import connectors
from sdp_kernel.flink.catalog import Catalog
from sdp_kernel.flink.complete_names import Field
from sdp_kernel.flink.connectors import Option
from tests import live_browser

pytestmark = pytest.mark.stack

GENERATE = "WITH ('connector' = 'datagen', 'rows-per-second' = '20')"


def test_the_catalog_reads_tables_views_and_functions_beside_a_running_query(session):
    session.execute(f"CREATE TEMPORARY TABLE ticks (n BIGINT, r ROW<a INT>) {GENERATE}")
    session.execute("CREATE VIEW doubled AS SELECT n * 2 AS m FROM ticks")
    running = session.execute("SELECT * FROM ticks", background=True)
    names = Catalog(session).settle()
    assert not running.over()
    running.stop()
    assert names.tables["ticks"].columns == (Field("n", "BIGINT"), Field("r", "ROW<`a` INT>"))
    assert names.tables["ticks"].options == {"connector": "datagen"}
    assert names.tables["doubled"].is_view
    assert names.tables["doubled"].columns == (Field("m", "BIGINT"),)
    assert names.databases == {"default_catalog": ("default_database",)}


def test_the_catalog_follows_what_statements_change(session):
    catalog = Catalog(session)
    session.execute(f"CREATE TABLE a (n BIGINT) {GENERATE}; CREATE TABLE b (n BIGINT) {GENERATE}")
    catalog.settle()
    session.execute(f"DROP TABLE a; DROP TABLE b; CREATE TABLE b (other STRING) {GENERATE}")
    names = catalog.settle()
    assert set(names.tables) == {"b"}
    assert names.tables["b"].columns == (Field("other", "STRING"),)


def test_the_catalog_follows_use_and_reads_other_databases_when_asked(session):
    catalog = Catalog(session)
    session.execute(f"CREATE DATABASE side; CREATE TABLE side.t (x INT) {GENERATE}")
    assert not catalog.settle().elsewhere
    catalog.want("default_catalog", "side")
    assert catalog.settle().elsewhere["default_catalog", "side"]["t"].columns == (Field("x", "INT"),)
    session.execute("USE side")
    names = catalog.settle()
    assert (names.database, set(names.tables)) == ("side", {"t"})


def test_a_session_that_is_not_open_is_not_opened(session):
    assert Catalog(session).settle().tables == {}
    assert not session.opened


@pytest.mark.parametrize("connector", ["kafka", "datagen", "filesystem", "upsert-kafka"])
def test_the_options_offered_are_those_that_flink_names(session, connector):
    """Flink lists what a connector supports when it meets an option that it does not know."""
    with pytest.raises(Exception, match="option") as raised:
        session.execute(
            "CREATE TABLE wrong (`#` INT, PRIMARY KEY (`#`) NOT ENFORCED) WITH ('no-such-option' = '', "
            f"'connector' = '{connector}', {REQUIRED[connector]}); SELECT * FROM wrong"
        )
    text = f"{raised.value} {raised.value.detail}"
    listed = re.search(r"Supported options:\n\n((?:[\w.#*-]+\n)+)", text)
    assert listed is not None, text
    named = set(listed[1].split())
    offered = {option.key for option in connectors.table_options({"connector": connector}, ["#"])}
    unknown = {key for key in named - offered if not key.startswith(("json.", "value.json.", "key.json."))}
    assert unknown <= {"connector", "property-version", "sink.semantic"}


REQUIRED = {
    "kafka": "'topic' = 'x', 'properties.bootstrap.servers' = 'x', 'format' = 'json'",
    "upsert-kafka": "'topic' = 'x', 'properties.bootstrap.servers' = 'x', 'key.format' = 'json', "
    "'value.format' = 'json'",
    "datagen": "'rows-per-second' = '1'",
    "filesystem": "'path' = '/tmp/x', 'format' = 'json'",
}


def test_options_have_their_values():
    options = {option.key: option for option in connectors.table_options({"connector": "kafka"})}
    assert isinstance(options["scan.startup.mode"], Option)
    assert "earliest-offset" in connectors.values(options["scan.startup.mode"])


LOAD = """%load_ext sdp_kernel
from sdp_kernel.notebook import busy, completion, magics
ip = get_ipython()
sdp = magics._MAGICS[id(ip)]
completion.register(ip, sdp)
assert busy.install(ip)
"""


class Kernel:
    """A kernel and a client that keeps apart what it gets."""

    def __init__(self, manager, client):
        self.manager, self.client = manager, client

    def run(self, code):
        """Run a cell to its end; returns what it printed."""
        printed = []

        def take(message):
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = self.client.execute_interactive(code, output_hook=take, timeout=60)["content"]
        assert reply["status"] == "ok", reply
        return "".join(printed).strip()

    def reply(self, msg_id, timeout=20):
        while True:
            message = self.client.get_shell_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") == msg_id:
                return message["content"]

    def complete(self, marked, timeout=20):
        offset = marked.index("|")
        return self.reply(self.client.complete(marked.replace("|", "", 1), offset), timeout)

    def iopub_until(self, accept, timeout=20):
        """Read what is published until ``accept`` likes a message; returns all up to there."""
        seen = []
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            seen.append(self.client.get_iopub_msg(timeout=timeout))
            if accept(seen[-1]):
                return seen
        raise AssertionError("never published")


@pytest.fixture
def kernel(stack, tmp_path):
    (tmp_path / "sdp.toml").write_text(
        f'[profiles.local]\ngateway = "{stack.gateway}"\njobmanager = "{stack.jobmanager}"\n'
        f'[profiles.local.kafka.main]\n"bootstrap.servers" = "{stack.kafka}"\n'
    )
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path), startup_timeout=60)
    made = Kernel(manager, client)
    made.run(LOAD)
    made.run(f'_ = sdp.workbench.sql("CREATE TABLE ticks (number BIGINT, symbol STRING) {GENERATE}")')
    made.run("_ = completion.completer_of(ip)._names.catalog.settle()")
    yield made
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def wait(kernel):
    """Run a cell that a test ends with an interrupt; returns once it runs.

    Its error ends no cell after it: ipykernel aborts what arrives within a moment of one.
    """
    msg_id = kernel.client.execute(
        "import threading\nprint('runs')\nthreading.Event().wait(60)", stop_on_error=False
    )
    kernel.iopub_until(lambda m: m["msg_type"] == "stream" and "runs" in m["content"]["text"])
    return msg_id


def test_cells_and_magic_lines_are_completed(kernel, topic_name, produce):
    produce(topic_name, [(None, "{}")])
    assert kernel.complete("%%flinksql\nSELECT |\nFROM ticks")["matches"][:2] == ["number", "symbol"]
    reply = kernel.complete("%%flinksql\nSELECT * FROM ti|")
    assert reply["metadata"]["_jupyter_types_experimental"][0]["type"] == "table"
    until = time.monotonic() + 20
    while topic_name not in kernel.complete("%sample |")["matches"] and time.monotonic() < until:
        time.sleep(0.2)
    assert topic_name in kernel.complete("%sample |")["matches"]
    assert "json" in kernel.complete("import js|")["matches"]


def test_completion_answers_while_a_cell_runs_and_python_waits(kernel):
    running = wait(kernel)
    reply = kernel.complete("%%flinksql\nSELECT num| FROM ticks")
    assert (reply["matches"], reply["cursor_start"], reply["cursor_end"]) == (["number"], 18, 21)
    with pytest.raises(queue.Empty):
        kernel.complete("import js|", timeout=1)
    kernel.manager.interrupt_kernel()
    content = kernel.reply(running)
    assert (content["status"], content["ename"]) == ("error", "KeyboardInterrupt")


def test_the_kernel_shows_as_busy_after_an_answer_while_a_cell_runs(kernel):
    running = wait(kernel)
    kernel.complete("%%flinksql\nSELECT |")

    def idle(message):
        return (
            message["msg_type"] == "status"
            and message["parent_header"]["msg_type"] == "complete_request"
            and message["content"]["execution_state"] == "idle"
        )

    kernel.iopub_until(idle)
    (after,) = kernel.iopub_until(lambda _message: True)
    assert after["content"] == {"execution_state": "busy"}
    assert after["parent_header"]["msg_id"] == running
    kernel.manager.interrupt_kernel()
    kernel.reply(running)


WIDGET = """import ipywidgets, threading
button, label, where = ipywidgets.Button(), ipywidgets.Label(), []
def click(_):
    where.append(threading.current_thread().name)
    label.value = "clicked"
button.on_click(click)
busy.serve(button.comm.comm_id)
print(button.comm.comm_id)
"""


def click(kernel, comm_id):
    data = {"method": "custom", "content": {"event": "click"}}
    message = kernel.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
    kernel.client.shell_channel.send(message)
    return message["header"]["msg_id"]


def test_our_widgets_are_answered_while_a_cell_runs(kernel):
    comm_id = kernel.run(WIDGET)
    running = wait(kernel)
    asked = click(kernel, comm_id)
    seen = kernel.iopub_until(
        lambda m: (
            m["msg_type"] == "status"
            and m["parent_header"]["msg_id"] == asked
            and m["content"]["execution_state"] == "idle"
        )
    )
    (update,) = [m for m in seen if m["msg_type"] == "comm_msg"]
    assert update["content"]["data"]["state"] == {"value": "clicked"}
    assert update["parent_header"]["msg_id"] == asked
    kernel.manager.interrupt_kernel()
    kernel.reply(running)
    assert kernel.run("print(where)") == "['sdp-comms']"


def test_widgets_of_others_wait_for_the_cell(kernel):
    comm_id = kernel.run(WIDGET.replace("busy.serve(button.comm.comm_id)", ""))
    running = wait(kernel)
    click(kernel, comm_id)
    kernel.manager.interrupt_kernel()
    kernel.reply(running)
    assert kernel.run("print(where)") == "['MainThread']"


def test_output_of_other_threads_stays_with_its_cell(kernel):
    """A front end shows output under its parent: an answer must not take over that of a cell's thread."""
    comm_id = kernel.run(WIDGET)
    mark = uuid.uuid4().hex
    code = (
        f"import threading, time\ngo = threading.Event()\nt = threading.Thread(target=lambda: (go.wait(), "
        f"display('{mark}')))\nt.start()\nprint('runs')\ntime.sleep(1.5)\ngo.set()\nt.join()"
    )
    running = kernel.client.execute(code)
    kernel.iopub_until(lambda m: m["msg_type"] == "stream")
    click(kernel, comm_id)
    kernel.complete("%%flinksql\nSELECT |")
    seen = kernel.iopub_until(lambda m: m["msg_type"] == "display_data" and mark in str(m["content"]))
    assert seen[-1]["parent_header"]["msg_id"] == running


def test_many_answers_at_once_all_arrive(kernel):
    running = wait(kernel)
    asked = {kernel.client.complete("%%flinksql\nSELECT num", 18 + 0) for _ in range(50)}
    answered = set()
    while answered < asked:
        answered.add(kernel.client.get_shell_msg(timeout=20)["parent_header"]["msg_id"])
    kernel.manager.interrupt_kernel()
    kernel.reply(running)


def test_the_kernel_is_as_it_was_after_uninstall(kernel):
    kernel.run("busy.uninstall(ip)\ncompletion.unregister(ip)")
    kernel.run("assert '_publish_status' not in ip.kernel.__dict__")
    assert "number" not in kernel.complete("%%flinksql\nSELECT | FROM ticks")["matches"]
    running = wait(kernel)
    with pytest.raises(queue.Empty):
        kernel.complete("%%flinksql\nSELECT |", timeout=1)
    kernel.manager.interrupt_kernel()
    assert kernel.reply(running)["status"] == "error"


@pytest.mark.skipif(bool(live_browser.MISSING), reason=live_browser.MISSING or "-")
def test_jupyterlab_shows_columns_while_a_cell_runs(stack, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    live_browser.write_settings(tmp_path, stack)
    declared = f"%%flinksql\nCREATE TABLE ticks (number BIGINT, symbol STRING) {GENERATE}"
    cells = ["%load_ext sdp_kernel", declared, "%%flinksql\nSELECT * FROM ticks", EDITED]
    live_browser.write_notebook(tmp_path / "n.ipynb", cells)
    with live_browser.lab(tmp_path) as url, live_browser.Page(tmp_path) as page:
        page.open(url, "n.ipynb")
        page.run(0)
        page.run(1)
        page.start(2)
        page.wait(f"return {KERNEL}.status === 'busy'")
        page.js(PLACE_CURSOR)
        until = time.monotonic() + 30
        shown = []
        while "number" not in shown and time.monotonic() < until:
            ActionChains(page.driver).send_keys(Keys.TAB).perform()
            time.sleep(0.5)
            shown = page.js(
                "return [...document.querySelectorAll('.jp-Completer-match')].map(e => e.innerText)"
            )
        assert shown == ["number", "symbol"]
        page.wait(f"return {KERNEL}.status === 'busy'", 10)
        ActionChains(page.driver).send_keys("sym", Keys.ENTER).perform()
        page.wait(
            f"return {CELL}.model.sharedModel.getSource() === arguments[0]",
            10,
            EDITED.replace("t.", "t.symbol"),
        )
        page.command("notebook:interrupt-kernel")
        page.wait(f"return {KERNEL}.status === 'idle'")


#: JavaScript counts the signs of music as two, the kernel as one.
EDITED = "%%flinksql\n-- \U0001d11e\U0001d11e\nSELECT t. FROM ticks AS t"
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
CELL = "window.jupyterapp.shell.currentWidget.content.widgets[3]"
PLACE_CURSOR = """
const notebook = window.jupyterapp.shell.currentWidget.content;
notebook.activeCellIndex = 3;
notebook.mode = 'edit';
notebook.widgets[3].editor.focus();
notebook.widgets[3].editor.setCursorPosition({line: 2, column: 9});
"""
