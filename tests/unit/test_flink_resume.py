"""What a session leaves on disk for its successor, without a cluster."""

from sdp_kernel.flink.record import Records
from sdp_kernel.flink.resume import _query, running
from sdp_kernel.flink.script import split
from sdp_kernel.flink.session import Session

TEXT = "SELECT * FROM t /*+ OPTIONS(${kafka.main}) */"


def test_a_record_has_no_password_and_a_successor_has_the_statement_again():
    session = Session("http://127.0.0.1:1", fragments={"kafka.main": "'sasl.jaas.config' = 'geheim'"})
    query = session.new_query(TEXT, split(TEXT)[0], name="q")
    query.sql, query.job_id = session.render(TEXT).text, "0" * 32
    session.remember(query)
    (record,) = running(session)
    assert "geheim" in query.sql
    assert "geheim" not in repr(record)
    assert _query(session, record).sql == query.sql


def test_a_job_is_written_down_before_it_is_submitted():
    session = Session("http://127.0.0.1:1")
    written = []
    session.on_change = lambda: written.extend(running(session))
    query = session.new_query("SELECT 1", split("SELECT 1")[0], name=None)
    session.remember(query)
    assert [record.job_id for record in written] == []
    job_id = query.new_job()
    assert [record.job_id for record in written] == [job_id]


def test_a_record_that_is_forgotten_is_not_written_again(tmp_path):
    records = Records(tmp_path, "local-1")
    written = {"gateway": "http://g", "handle": "h", "ledger": None, "queries": tuple}
    records.write(**written)
    assert [path.name for path in tmp_path.iterdir()] == ["local-1.json"]
    records.forget()
    records.write(**written)
    assert not list(tmp_path.iterdir())
