"""A real JupyterLab in a real browser, for tests and benchmarks of what lives in the page."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import nbformat

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
MISSING = "no chromium with its chromedriver on this machine" if not (CHROMIUM and DRIVER) else ""


def write_notebook(path, cells, kernel="python3"):
    """Write a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
    )
    nbformat.write(notebook, path)


def write_settings(directory, stack):
    """Write an ``sdp.toml`` whose profile ``local`` is a stack that runs."""
    (directory / "sdp.toml").write_text(
        f'[profiles.local]\ngateway = "{stack.gateway}"\njobmanager = "{stack.jobmanager}"\n'
        f'[profiles.local.kafka.main]\n"bootstrap.servers" = "{stack.kafka}"\n'
    )


@contextlib.contextmanager
def lab(directory):
    """Run JupyterLab over a directory, with settings of its own; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    private = directory / ".lab"
    private.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(private / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
        "IPYTHONDIR": str(private / "ipython"),
    }
    with (private / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--ip=127.0.0.1", "--allow-root",
             "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", "--LabApp.news_url=None",
             "--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={directory}"],
            stdout=log, stderr=log, env=environment, cwd=directory,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"{url}/api/status", timeout=2).raise_for_status()
                break
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError((private / "log").read_text()[-2000:])
            time.sleep(0.2)
        yield url
    finally:
        shut_down(url)
        server.terminate()
        server.wait(20)


def kernels(url):
    return httpx.get(f"{url}/api/kernels", timeout=5).json()


def shut_down(url):
    """End the server's kernels."""
    with contextlib.suppress(httpx.HTTPError):
        for kernel in kernels(url):
            httpx.delete(f"{url}/api/kernels/{kernel['id']}", timeout=20)


class Page:
    """A notebook in a headless browser."""

    def __init__(self, directory, *, dark=False, size="1300,1000"):
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking",
                     "disable-component-update", "disable-sync", "disable-dev-shm-usage", f"window-size={size}",
                     f"user-data-dir={Path(directory) / '.chromium'}"):  # fmt: skip
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.driver.set_script_timeout(120)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def open(self, url, notebook):
        """Open a notebook, and wait until its kernel is there."""
        self.driver.get(f"{url}/lab/tree/{notebook}?reset")
        self.wait(
            "const p = window.jupyterapp?.shell?.currentWidget; return p?.context?.isReady && p.content?.widgets?.length",
            60,
        )
        self.wait(
            "return window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'",
            60,
        )

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, script, seconds=30, *arguments):
        """Wait until a script gives something true; returns it."""
        until = time.monotonic() + seconds
        while True:
            found = self.js(script, *arguments)
            if found:
                return found
            if time.monotonic() > until:
                raise AssertionError(
                    f"not within {seconds} s: {script}\n{self.text()[-1500:]}\n{self.log()[-1500:]}"
                )
            time.sleep(0.1)

    def command(self, name, **arguments):
        return self.js("return window.jupyterapp.commands.execute(arguments[0], arguments[1]).then(() => true)", name, arguments)  # fmt: skip

    def start(self, index):
        """Run a cell, and do not wait for it."""
        self.js(
            "const n = window.jupyterapp.shell.currentWidget.content; n.activeCellIndex = arguments[0]; n.deselectAll();"
            "window.jupyterapp.commands.execute('notebook:run-cell')",
            index,
        )

    def run(self, index, seconds=60):
        """Run a cell, and wait for its end."""
        self.start(index)
        self.wait("return window.jupyterapp.shell.currentWidget.content.widgets[arguments[0]].model.executionState === 'running'"
                  " || window.jupyterapp.shell.currentWidget.content.widgets[arguments[0]].model.executionCount", 20, index)  # fmt: skip
        self.wait(
            "const c = window.jupyterapp.shell.currentWidget.content.widgets[arguments[0]];"
            "return c.model.executionState === 'idle' && c.model.executionCount",
            seconds,
            index,
        )

    def text(self):
        return self.js("return document.querySelector('.jp-Notebook')?.innerText ?? document.body.innerText")

    def log(self):
        return "\n".join(entry["message"] for entry in self.driver.get_log("browser"))

    def shot(self, path):
        self.driver.save_screenshot(str(path))
