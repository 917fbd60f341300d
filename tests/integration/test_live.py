"""Live views in a real JupyterLab in a real browser: while the cell runs, after it, and without a kernel."""

import json
import os
import subprocess
import sys
import time

import nbformat
import pytest

from tests import live_browser
from tests.live_browser import Page, lab, write_notebook, write_settings

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(bool(live_browser.MISSING), reason=live_browser.MISSING or "-"),
    pytest.mark.timeout(600),
]

TICKS = (
    "%%flinksql\nCREATE TEMPORARY TABLE ticks (n BIGINT, price DOUBLE, ts AS LOCALTIMESTAMP, "
    "WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen', 'rows-per-second' = '20', "
    "'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '100000', "
    "'fields.price.min' = '1', 'fields.price.max' = '9')"
)
COUNTS = "SELECT MOD(n, 40) AS k, COUNT(*) AS c, MAX(n) AS m FROM ticks GROUP BY MOD(n, 40)"
PANEL = "document.querySelector('.sdp-live-root:has(+ .sdp-live-on) .sdp-live-panel')"
CELLS = "[...document.querySelectorAll('.sdp-live-panel tbody tr')].map((r) => [...r.children].map((c) => c.textContent))"
RUNNING = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'"


@pytest.fixture(scope="module")
def place(stack, tmp_path_factory):
    directory = tmp_path_factory.mktemp("live")
    write_settings(directory, stack)
    with lab(directory) as url, Page(directory) as page:
        yield directory, url, page


@pytest.fixture
def notebook(place, request):
    """Open a notebook of cells, the first of which declare ``ticks``."""
    directory, url, page = place

    def opened(*cells):
        name = f"{request.node.name}.ipynb"
        write_notebook(directory / name, ["%load_ext sdp_kernel", TICKS, *cells])
        page.open(url, name)
        page.run(0)
        page.run(1)
        return page, directory / name

    yield opened
    live_browser.shut_down(url)


def show(page):
    page.wait(f"return {PANEL}", 40)
    page.js(f"{PANEL}.scrollIntoView()")
    page.wait("return document.querySelectorAll('.sdp-live-panel tbody tr').length", 40)


def click(page, label):
    page.wait(
        "const b = [...document.querySelectorAll('.sdp-live-panel button')].find((b) => !b.hidden && !b.disabled && b.getAttribute('aria-label').startsWith(arguments[0]));"
        "b?.click(); return b",
        10,
        label,
    )


def save(page, path):
    page.command("docmanager:save")
    before = time.monotonic()
    while time.monotonic() - before < 20:
        found = nbformat.read(path, as_version=4)
        if any(cell.get("outputs") for cell in found["cells"]):
            return found
        time.sleep(0.2)
    raise AssertionError("not saved")


def test_a_table_is_sorted_paged_paused_and_stopped_while_its_cell_runs(notebook):
    page, _ = notebook(f"%%flinksql q --limit 0\n{COUNTS}")
    page.start(2)
    show(page)
    page.wait("return document.querySelectorAll('.sdp-live-panel tbody tr').length === 25", 30)
    page.wait("return document.querySelector('.sdp-live-panel .sdp-flash-1')", 20)
    page.wait(f"return {PANEL}.innerText.includes('INT · key')", 30)
    page.wait(f"return {RUNNING}", 5)  # after an answer the page is told "idle", and at once "busy" again

    click(page, "Sort by m")
    page.wait("return document.querySelector('th[aria-sort=ascending]')", 10)
    click(page, "Sort by m")
    page.wait("return document.querySelector('th[aria-sort=descending]')", 10)
    newest = [int(row[2]) for row in page.js(f"return {CELLS}")]
    assert newest == sorted(newest, reverse=True)

    click(page, "Next page")
    page.wait(f"return {PANEL}.innerText.includes('40 of 40')", 10)
    assert len(page.js(f"return {CELLS}")) == 15
    click(page, "Sort by m")
    page.wait("return !document.querySelector('th[aria-sort=descending]')", 10)

    click(page, "Pause")
    page.wait(f"return {PANEL}.innerText.includes('display paused')", 10)
    frozen = page.js(f"return {CELLS}")
    page.wait(f"return /[1-9]\\d* changes passed/.test({PANEL}.innerText)", 10)
    assert page.js(f"return {CELLS}") == frozen
    click(page, "Resume")
    page.wait(f"return JSON.stringify({CELLS}) !== arguments[0]", 10, json.dumps(frozen))

    page.wait(f"return {RUNNING}", 5)  # after an answer the page is told "idle", and at once "busy" again
    click(page, "Stop")
    page.wait(f"return !({RUNNING})", 15)
    page.wait(f"return {PANEL}.innerText.includes('stopped')", 10)
    click(page, "Sort by c")
    page.wait("return document.querySelector('th[aria-sort=ascending]')", 10)


def test_the_saved_file_shows_the_last_table_without_a_kernel(notebook, place):
    directory, url, page = place
    page, path = notebook(f"%%flinksql q --limit 40\n{COUNTS}")
    page.run(2)
    show(page)
    saved = save(page, path)
    style, output = saved["cells"][2]["outputs"]
    assert set(output["data"]) == {"text/html", "text/plain"}
    assert "<style>" in style["data"]["text/html"]
    assert "<style>" not in output["data"]["text/html"]
    assert "stopped at limit, 40 rows" in output["data"]["text/plain"]
    assert "widgets" not in saved["metadata"]
    assert page.js("return document.querySelector('.sdp-style').getClientRects().length") == 0
    live_browser.shut_down(url)
    page.wait("return document.querySelector('.sdp-live td')?.getClientRects().length", 60)  # the saved one
    assert page.js("return getComputedStyle(document.querySelector('.sdp-live td')).whiteSpace") == "nowrap"

    saved["metadata"]["kernelspec"]["name"] = "there-is-no-such-kernel"
    nbformat.write(saved, directory / "reopened.ipynb")
    page.driver.get(f"{url}/lab/tree/reopened.ipynb?reset")
    page.wait("return document.querySelector('.sdp-live table')", 60)
    text = page.text()
    assert "stopped at limit" in text
    assert "widget" not in text.lower()
    assert len(page.js("return [...document.querySelectorAll('.sdp-live tbody tr')]")) == 40


def test_a_background_query_lives_on_when_the_page_is_loaded_again(notebook, place):
    _, url, _ = place
    page, path = notebook(f"%%flinksql q --background\n{COUNTS}", "q.stop().state, len(q)")
    page.run(2)
    show(page)
    save(page, path)
    page.open(url, path.name)
    show(page)
    before = page.js(f"return {CELLS}")
    page.wait(f"return JSON.stringify({CELLS}) !== arguments[0]", 20, json.dumps(before))
    page.run(3)
    page.wait(f"return {PANEL}.innerText.includes('stopped')", 20)


def test_markup_in_values_and_names_is_text(notebook):
    evil = "<img src=x onerror=window.broken=1>"
    page, _ = notebook(
        f"%%flinksql q\nSELECT '{evil}' AS `{evil}`, n FROM ticks /*+ OPTIONS('number-of-rows' = '30') */"
    )
    page.start(2)
    show(page)
    assert page.js(f"return {CELLS}")[0][0] == evil
    assert page.js("return document.querySelectorAll('.jp-OutputArea img').length") == 0
    assert not page.js("return window.broken")


def test_a_million_changes_leave_the_page_responsive_and_the_kernel_small(notebook):
    burst = (
        "CREATE TEMPORARY TABLE burst (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000000', "
        "'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000');\n"
        "SELECT MOD(n, 100) AS k, COUNT(*) AS c, MAX(n) AS m FROM burst GROUP BY MOD(n, 100)"
    )
    memory = "import psutil; _before = psutil.Process().memory_info().rss"
    page, _ = notebook(
        memory,
        f"%%flinksql q --limit 0\n{burst}",
        "print(q.state, len(q), q.changes, (psutil.Process().memory_info().rss - _before) >> 20)",
    )
    page.run(2)
    page.js(
        "window.longest = 0; new PerformanceObserver((list) => list.getEntries().forEach((e) => {"
        " window.longest = Math.max(window.longest, e.duration); })).observe({ type: 'longtask' })"
    )
    page.start(3)
    show(page)
    page.wait(f"return !({RUNNING})", 240)
    page.run(4)
    state, rows, changes, grown = page.js(
        "return document.querySelectorAll('.jp-Cell')[4].querySelector('.jp-OutputArea-output').innerText"
    ).split()
    assert (state, rows) == ("finished", "100")
    assert int(changes) == 2 * 1_000_000 - 100
    assert int(grown) < 150
    assert page.js("return window.longest") < 1000


def test_a_chart_follows_its_query_and_is_a_chart_in_the_saved_file(notebook):
    page, path = notebook(
        "%%flinksql q --timeout 40 --chart line x=window_end y=avg.price color=side[0]\n"
        "SELECT window_end, MOD(n, 2) AS `side[0]`, AVG(price) AS `avg.price` FROM "
        "TABLE(TUMBLE(TABLE ticks, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, MOD(n, 2)"
    )
    page.start(2)
    page.wait("return document.querySelector('.sdp-live-root')", 30)
    page.js("document.querySelector('.sdp-live-root').scrollIntoView()")
    page.wait("return document.querySelector('.sdp-chart canvas')", 40)
    drawn = page.js("return document.querySelector('.sdp-chart canvas').toDataURL()")
    page.wait("return document.querySelector('.sdp-chart canvas').toDataURL() !== arguments[0]", 20, drawn)
    page.wait(f"return !({RUNNING})", 60)
    page.wait(
        "return document.querySelector('.jp-RenderedVegaCommon5 canvas, .jp-RenderedVegaCommon5 svg')", 20
    )
    colours = (
        "const p = document.querySelector('.jp-RenderedVegaCommon5'), s = p.querySelector('svg.marks');"
        "p.style.color = 'var(--jp-ui-font-color1)';"
        "return [getComputedStyle(s.querySelector('.role-axis-label text')).fill, getComputedStyle(p).color,"
        " getComputedStyle(s).backgroundColor]"
    )
    light = page.js(colours)
    page.command("apputils:change-theme", theme="JupyterLab Dark")
    page.wait("return document.body.dataset.jpThemeLight === 'false'", 20)
    dark = page.wait(f"const f = () => {{ {colours} }}; const c = f(); return c[0] !== {light[0]!r} && c", 20)
    page.command("apputils:change-theme", theme="JupyterLab Light")
    assert light[0] == light[1] != dark[0] == dark[1]
    assert light[2] == dark[2] == "rgba(0, 0, 0, 0)"
    saved = save(page, path)
    _, output = saved["cells"][2]["outputs"]
    assert set(output["data"]) == {"application/vnd.vegalite.v5+json", "image/png", "text/plain"}
    points = output["data"]["application/vnd.vegalite.v5+json"]["datasets"]["rows"]
    assert len(points) > 10


def test_a_notebook_executed_without_a_front_end_holds_tables_and_charts(stack, tmp_path):
    write_settings(tmp_path, stack)
    cells = [
        "%load_ext sdp_kernel",
        TICKS,
        f"%%flinksql q --limit 40\n{COUNTS}",
        "%%flinksql p --limit 20 --chart point x=n y=price\nSELECT n, price FROM ticks",
    ]
    write_notebook(tmp_path / "run.ipynb", cells)
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "run.ipynb"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=180)
    page = (tmp_path / "run.html").read_text()
    assert "stopped at limit" in page
    assert "data:image/png" in page
    assert "model_id" not in page


def test_papermill_fills_in_parameters_and_fails_where_a_cell_fails(stack, tmp_path):
    pytest.importorskip("papermill")
    write_settings(tmp_path, stack)
    cells = [
        "most = 10",
        "%load_ext sdp_kernel",
        TICKS,
        "%%flinksql q --limit 40 --param most=$most\nSELECT n FROM ticks WHERE n > ${most}",
        "print(len(q), q.df.n.min())",
        "%%flinksql\nSELECT nope FROM ticks",
    ]
    write_notebook(tmp_path / "run.ipynb", cells)
    notebook = nbformat.read(tmp_path / "run.ipynb", as_version=4)
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, tmp_path / "run.ipynb")
    command = [sys.executable, "-m", "papermill", "run.ipynb", "done.ipynb", "-p", "most", "7"]
    ran = subprocess.run(command, cwd=tmp_path, timeout=180, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "Column 'nope' not found" in ran.stderr
    done = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    outputs = [output for cell in done.cells for output in cell.get("outputs", ())]
    assert any(output.get("text", "") == "40 8\n" for output in outputs)
    assert any(
        "stopped at limit, 40 rows" in output.get("data", {}).get("text/plain", "") for output in outputs
    )


def test_plain_ipython_draws_once_as_text(stack, tmp_path):
    write_settings(tmp_path, stack)
    (tmp_path / "run.ipy").write_text(
        "%load_ext sdp_kernel\n"
        f"get_ipython().run_cell_magic('flinksql', '', {TICKS.split(chr(10), 1)[1]!r})\n"
        f"get_ipython().run_cell_magic('flinksql', 'q --limit 40', {COUNTS!r})\n"
        "get_ipython().run_cell_magic('flinksql', 'p --limit 5 --chart line x=n y=price', 'SELECT n, price FROM ticks')\n"
    )
    command = [sys.executable, "-m", "IPython", "--colors=NoColor", "run.ipy"]
    done = subprocess.run(
        command, cwd=tmp_path, check=True, timeout=120, capture_output=True, text=True,
        env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")},
    )  # fmt: skip
    assert done.stdout.count("q: stopped at limit, 40 rows") == 1
    assert done.stdout.count("p: stopped at limit, 5 rows") == 1
    assert "<div" not in done.stdout


def test_after_a_kernel_restart_the_output_shows_its_html_again(notebook):
    page, _ = notebook(f"%%flinksql q --limit 40\n{COUNTS}")
    page.run(2)
    show(page)
    page.js(
        "return window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart().then(() => 1)"
    )
    page.wait("return !document.querySelector('.sdp-live-panel')", 30)
    assert page.js("return [...document.querySelectorAll('.sdp-live tbody tr')].length") == 40
    assert page.js("return document.querySelector('.sdp-live table').offsetHeight") > 0
