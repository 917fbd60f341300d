"""What is swept from a project's state directory, and what is not."""

import os
import subprocess
import sys
import time

import msgspec
import psutil
import pytest

from sdp_kernel.flink.jobs import Job
from sdp_kernel.flink.leftovers import sweep
from sdp_kernel.flink.record import SessionRecord

GONE = 2**22 + 1
OLD = "0123456789abcdef0123456789abcdef"


class Idle:
    """A JobManager without jobs."""

    def jobs(self):
        return []


class Busy:
    def jobs(self):
        return [Job("0" * 32, "a job", "RUNNING", 0, 0)]


def put(path, text="x", *, days=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for each in (path, path.parent):
        os.utime(each, (time.time() - days * 86_400,) * 2)
    return path


def record(state_dir, name, pid, ledger=None):
    written = SessionRecord(pid, 1.0, "http://g", "h", ledger, at=time.time())
    put(state_dir / "sessions" / f"{name}.json", msgspec.json.encode(written).decode())


def test_rows_of_a_kernel_that_is_gone_are_deleted(tmp_path):
    put(tmp_path / "spool" / f"local-{GONE}-00000000" / OLD / "part-0")
    put(tmp_path / "spool" / f"local-{os.getpid()}-00000000" / OLD / "part-0", days=9)
    put(tmp_path / "spool" / f"local-{GONE}-11111111" / OLD / "part-0", days=9)
    record(tmp_path, f"local-{GONE}-11111111", GONE)
    assert [path.name for path in sweep(tmp_path, Idle())] == [f"local-{GONE}-00000000"]
    left = sorted(path.name for path in (tmp_path / "spool").iterdir())
    assert left == sorted([f"local-{os.getpid()}-00000000", f"local-{GONE}-11111111"])


def test_rows_whose_record_is_being_taken_over_are_left(tmp_path):
    name = f"local-{GONE}-11111111"
    put(tmp_path / "spool" / name / OLD / "part-0", days=9)
    record(tmp_path, name, GONE)
    born = psutil.Process().create_time()
    claim = f"{name}.{os.getpid()}-{born:.2f}-22222222.claimed"
    (tmp_path / "sessions" / f"{name}.json").rename(tmp_path / "sessions" / claim)
    assert sweep(tmp_path, Idle()) == []


def test_rows_under_no_kernels_name_go_when_they_are_old_and_nobody_has_them_open(tmp_path):
    spool = tmp_path / "spool"
    young, old, read = (spool / (letter * 32) for letter in "abc")
    put(young / "part-0", days=0.5)
    put(old / "part-0", days=2)
    put(read / "part-0", days=2)
    code = f"import sys; file = open({str(read / 'part-0')!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout.readline() == b"open\n"
        assert sweep(tmp_path, Idle()) == [old]
        reader.stdin.close()
    assert sweep(tmp_path, Idle()) == [read]
    assert [path.name for path in spool.iterdir()] == [young.name]


@pytest.fixture
def frames(tmp_path):
    """Frames of a living kernel, of one that may be taken over, of one that is gone; all old but one."""
    directory = tmp_path / "frames"
    for name, days in (("used", 9), ("awaited", 9), ("stale", 9), ("young", 0.5)):
        put(directory / f"frame-{name}-0011223344556677.json", days=days)
    put(directory / f".frame-cut-0011223344556677.json.{GONE}")
    put(directory / f".frame-written-0011223344556677.json.{os.getpid()}")
    for name, pid, frame in (("2", os.getpid(), "used"), ("3", GONE, "awaited"), ("4", GONE, "stale")):
        session = f"local-{pid}-{name * 8}"
        ledger = put(tmp_path / "ledgers" / f"{session}.jsonl", f"frame-{frame}-0011223344556677.json")
        if frame == "awaited":
            record(tmp_path, session, GONE, str(ledger))
    return directory


def test_frames_that_no_session_may_still_read_are_deleted(tmp_path, frames):
    sweep(tmp_path, Idle())
    left = {path.name.lstrip(".").split("-")[1] for path in frames.iterdir()}
    assert left == {"used", "awaited", "young", "written"}


@pytest.mark.parametrize("jobmanager", [Busy(), None])
def test_frames_stay_while_a_job_runs_that_may_read_them(tmp_path, frames, jobmanager):
    assert [path.name.split("-")[1] for path in sweep(tmp_path, jobmanager)] == ["cut"]


def test_ledgers_go_thirty_days_after_their_last_statement_unless_a_session_has_them(tmp_path):
    ledgers = tmp_path / "ledgers"
    gone, young, taken, living, strange = (
        put(ledgers / name, days=days)
        for name, days in (
            (f"local-{GONE}-00000000.jsonl", 31),
            (f"local-{GONE}-11111111.jsonl", 29),
            (f"local-{GONE}-22222222.jsonl", 31),
            (f"local-{os.getpid()}-33333333.jsonl", 31),
            ("notes.txt", 31),
        )
    )
    record(tmp_path, f"local-{GONE}-22222222", GONE, str(taken))
    assert sweep(tmp_path, None) == [gone]
    assert sorted(ledgers.iterdir()) == sorted([young, taken, living, strange])


def test_there_is_nothing_to_sweep_in_a_new_project(tmp_path):
    assert sweep(tmp_path, Idle()) == []
