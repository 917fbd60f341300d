"""What a ledger keeps on disk, and for whom."""

import stat

import pytest

from sdp_kernel.flink.ledger import Ledger
from sdp_kernel.flink.script import Statement

STATEMENT = Statement(
    "CREATE TABLE t (a INT) WITH ('x' = '${region}')", 0, "CREATE TABLE", "t", temporary=False
)


@pytest.fixture
def written(tmp_path):
    """A ledger on disk with one statement, which had a secret among its parameters."""
    ledger = Ledger(tmp_path / "ledgers" / "l.jsonl")
    ledger.record(STATEMENT, cell="c", source="…", parameters={"region": "eu", "api_token": "not-to-be-seen"})
    return ledger


def test_a_ledger_on_disk_is_for_its_owner(written):
    assert stat.S_IMODE(written.path.stat().st_mode) == 0o600


def test_a_secret_parameter_stays_in_memory(written):
    assert written.entries[0].parameters == {"region": "eu", "api_token": "not-to-be-seen"}
    assert "not-to-be-seen" not in written.path.read_text()
    assert Ledger.read(written.path).entries[0].parameters == {"region": "eu"}


def test_a_last_line_that_a_crash_cut_off_is_left_out(written):
    with written.path.open("ab") as file:
        file.write(b'{"text": "CREATE')
    assert [entry.target for entry in Ledger.read(written.path).entries] == ["t"]
