"""A kernel's successors, two at a time: one takes over."""

import subprocess
import sys

import pytest

from sdp_kernel.workbench import connect

pytestmark = pytest.mark.stack

KERNEL = """
import sys, time
from sdp_kernel.workbench import connect
wb = connect("shared", owners=("kernel-1",), notify=lambda line: print(line, file=sys.stderr))
if sys.argv[1] == "first":
    wb.sql("CREATE TABLE ticks (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '20')")
    query = wb.sql("SELECT * FROM ticks", name="raw", background=True)
    while not len(query):
        time.sleep(0.05)
    print(wb.session.handle, flush=True)
    time.sleep(600)
wb.profile
print("ready", flush=True)
sys.stdin.readline()
wb.session
print(wb.session.handle, sorted(wb.queries), flush=True)
sys.stdin.readline()
wb.close()
"""


def kernel(directory, which):
    arguments = [sys.executable, "-c", KERNEL, which]
    return subprocess.Popen(
        arguments,
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_two_successors_at_the_same_time_one_takes_over(stack, tmp_path):
    (tmp_path / "sdp.toml").write_text(
        f'[profiles.shared]\ngateway = "{stack.gateway}"\njobmanager = "{stack.jobmanager}"\n'
    )
    first = kernel(tmp_path, "first")
    handle = first.stdout.readline().strip()
    first.kill()
    first.wait()
    successors = [kernel(tmp_path, "then") for _ in range(3)]
    for successor in successors:
        assert successor.stdout.readline() == "ready\n"
    for successor in successors:
        successor.stdin.write("\n")
        successor.stdin.flush()
    found = sorted(successor.stdout.readline().split(maxsplit=1) for successor in successors)
    told = [successor.communicate("\n", timeout=60)[1] for successor in successors]
    assert [queries for session, queries in found if session == handle] == ["['raw']\n"], told
    assert [queries for session, queries in found if session != handle] == ["[]\n"] * 2
    assert sum("took over" in lines for lines in told) == 1
    assert not list((tmp_path / ".sdp" / "sessions").glob("*"))


def test_a_kernel_that_starts_deletes_what_others_have_left(stack, tmp_path):
    (tmp_path / "sdp.toml").write_text(
        f'[profiles.shared]\ngateway = "{stack.gateway}"\njobmanager = "{stack.jobmanager}"\n'
    )
    left = tmp_path / ".sdp" / "spool" / f"shared-{2**22 + 1}-00000000"
    left.mkdir(parents=True)
    with connect("shared", directory=tmp_path) as workbench:
        assert workbench.sql("SELECT 1 AS n").df["n"].tolist() == [1]
    assert not left.exists()
