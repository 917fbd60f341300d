"""Frames, pages, rates and pacing of live views, without a front end."""

from __future__ import annotations

import itertools
import json
import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.flink.query import Query
from sdp_kernel.flink.rows import Rows
from sdp_kernel.flink.script import split
from sdp_kernel.flink.types import Column, LogicalType
from sdp_kernel.notebook import live, live_host
from sdp_kernel.notebook.live_head import Rates, head
from sdp_kernel.notebook.live_host import Host, LiveView, Pace

COLUMNS = (Column("k", LogicalType("BIGINT")), Column("text", LogicalType("VARCHAR", length=2147483647)))


def page_of(changes):
    """Write a result page of (kind, k, text) as the gateway does."""
    rows = [{"kind": kind, "fields": [k, text]} for kind, k, text in changes]
    return json.dumps(
        {"resultType": "PAYLOAD", "resultKind": "SUCCESS_WITH_CONTENT", "nextResultUri": "/v3/x/result/1?rowFormat=JSON",
         "results": {"columns": [], "rowFormat": "JSON", "data": rows}}
    ).encode()  # fmt: skip


def query_of(changes=(), *, appends=False):
    query = Query("SELECT 1", split("SELECT 1")[0], name="q")
    query.rows = Rows(COLUMNS)
    query.rows.only_appends(appends)
    query.upsert_key = () if appends else ("k",)
    feed(query, changes)
    return query


def feed(query, changes):
    if changes:
        query.rows.add(page_of(changes))


def inserts(count):
    return [("INSERT", k, f"t{k % 7}") for k in range(count)]


def view_of(query):
    return live.Live(query, jobmanager_url="http://localhost:8081")


def test_a_frame_has_one_page_of_texts_with_types_and_keys():
    frame = view_of(query_of(inserts(60))).frame(1.0, whole=True)
    table = frame["table"]
    assert table["columns"] == [["k", "BIGINT", True], ["text", "STRING", False]]
    assert table["keys"] == [0]
    assert len(table["rows"]) == len(table["ids"]) == 25
    assert table["rows"][0] == ("0", "t0")
    assert table["total"] == 60
    json.dumps(frame)


def test_rows_keep_their_ids_while_they_change():
    query = query_of(inserts(3))
    view = view_of(query)
    before = view.frame(1.0, whole=True)["table"]
    feed(query, [("UPDATE_BEFORE", 1, "t1"), ("UPDATE_AFTER", 1, "new")])
    after = view.frame(2.0, whole=False)["table"]
    assert after["ids"] == before["ids"]
    assert after["rows"][1] == ("1", "new")


def test_nothing_is_sent_where_nothing_changed_but_the_head_once_a_second():
    view = view_of(query_of(inserts(3)))
    assert "table" in view.frame(1.0, whole=True)
    assert view.frame(1.25, whole=False) is None
    later = view.frame(2.5, whole=False)
    assert "table" not in later
    assert later["head"]["state"] == "running"


def test_sorting_and_paging_change_the_page_and_survive_a_shorter_table():
    query = query_of(inserts(60))
    view = view_of(query)
    view.take({"do": "sort", "column": "k", "descending": True})
    assert view.frame(1.0, whole=True)["table"]["rows"][0][0] == "59"
    view.take({"do": "page", "offset": 50, "size": 25})
    assert [row[0] for row in view.frame(2.0, whole=True)["table"]["rows"]] == [
        str(k) for k in range(9, -1, -1)
    ]
    feed(query, [("DELETE", k, f"t{k % 7}") for k in range(40)])
    table = view.frame(3.0, whole=False)["table"]
    assert (table["offset"], table["total"], len(table["rows"])) == (0, 20, 20)
    view.take({"do": "sort", "column": None})
    assert view.frame(4.0, whole=True)["table"]["rows"][0][0] == "40"


@pytest.mark.parametrize(
    "action",
    [{}, {"do": "page", "offset": "x", "size": 5}, {"do": "sort", "column": 3}, {"do": "nothing"},
     {"do": "sort", "column": "no such column", "descending": True}, {"do": "page", "offset": -5, "size": 10**9}],
)  # fmt: skip
def test_what_a_page_sends_amiss_does_no_harm(action):
    view = view_of(query_of(inserts(3)))
    view.take(action)
    assert len(view.frame(1.0, whole=True)["table"]["rows"]) == 3


def test_a_paused_table_stands_still_and_counts_what_passes():
    query = query_of(inserts(3))
    view = view_of(query)
    view.frame(1.0, whole=True)
    view.take({"do": "pause"})
    assert view.frame(1.1, whole=True)["paused"]
    feed(query, [("INSERT", 100 + k, "x") for k in range(5)])
    frame = view.frame(2.5, whole=False)
    assert frame["passed"] == 5
    assert "table" not in frame
    view.take({"do": "resume"})
    assert view.frame(2.6, whole=False)["table"]["total"] == 8


@pytest.mark.parametrize("appends", [False, True])
def test_a_paused_table_is_sorted_and_paged_as_it_stood(appends):
    query = query_of(inserts(60), appends=appends)
    view = view_of(query)
    view.take({"do": "pause"})
    shown = view.frame(1.0, whole=True)["table"]
    feed(query, [("INSERT", 100 + k, "x") for k in range(5)])
    if not appends:
        feed(query, [("DELETE", k, f"t{k % 7}") for k in range(30)])
    assert view.frame(2.0, whole=True)["table"] == shown  # as when the page comes back into sight
    view.take({"do": "sort", "column": "k", "descending": True})
    frame = view.frame(3.0, whole=False)
    assert [row[0] for row in frame["table"]["rows"][:2]] == ["59", "58"]
    assert frame["passed"] == (5 if appends else 35)
    view.take({"do": "page", "offset": 50, "size": 25})
    paged = view.frame(4.0, whole=False)["table"]
    assert ([row[0] for row in paged["rows"]], paged["total"]) == ([str(k) for k in range(9, -1, -1)], 60)
    query.finish("finished")
    assert view.frame(5.0, whole=True)["table"] == paged
    view.take({"do": "resume"})
    assert view.frame(6.0, whole=False)["table"]["total"] == (65 if appends else 35)


def test_a_table_paused_before_its_first_row_stands_still_at_that():
    query = query_of()
    rows, query.rows = query.rows, None
    view = view_of(query)
    view.take({"do": "pause"})
    assert view.frame(1.0, whole=True)["table"] is None
    query.rows = rows
    feed(query, inserts(2))
    assert view.frame(2.0, whole=False)["table"]["total"] == 2
    feed(query, [("INSERT", 7, "x")])
    frame = view.frame(3.0, whole=True)
    assert (frame["table"]["total"], frame["passed"]) == (2, 1)


def test_values_are_texts_with_control_characters_made_visible_and_null_kept_apart():
    query = query_of([("INSERT", 1, "<b>\x1b[31m"), ("INSERT", 2, None)])
    rows = view_of(query).frame(1.0, whole=True)["table"]["rows"]
    assert rows[0] == ("1", "<b>␛[31m")
    assert rows[1] == ("2", None)


def test_rows_beyond_the_limit_are_not_shown():
    query = query_of(inserts(30), appends=True)
    query.limit = 20
    table = view_of(query).frame(1.0, whole=True)["table"]
    assert table["total"] == 20
    assert {int(row[0]) for row in table["rows"]} == set(range(20))


def test_a_failed_query_says_why_in_its_note():
    query = query_of()
    query.finish("failed", ValueError("no free task slot\nstack"))
    frame = view_of(query).frame(1.0, whole=True)
    assert frame["note"] == "no free task slot"
    assert frame["head"]["tone"] == "bad"


def test_the_head_tells_watermark_lag_restarts_and_a_link_only_to_the_web():
    query = query_of(inserts(1))
    query.job_id = "a" * 32
    query.vitals = SimpleNamespace(watermark=query.started * 1000 - 5000, job_state="RESTARTING", restarts=3)
    shown = head(query, Rates(), 1.0, jobmanager_url="http://host:1/")
    text = " ".join(f"{value} {unit}" for value, unit, _ in shown["facts"])
    assert "watermark" in text
    assert "5.0 s behind now" in text
    assert "restarting job" in text
    assert "3 restarts" in text
    assert shown["job"]["url"] == f"http://host:1/#/job/running/{'a' * 32}"
    assert head(query, Rates(), 1.0, jobmanager_url="javascript:alert(1)")["job"]["url"] == ""


def test_rates_are_those_of_the_last_seconds():
    rates = Rates()
    for second in range(10):
        found = rates.add(float(second), second * 10, second * 100)
    assert found == (10, 100)
    for second in range(10, 15):
        found = rates.add(float(second), 90, 900)
    assert found == (0, 0)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 10**9)), min_size=1, max_size=50))
def test_rates_are_never_negative_where_counts_grow(steps):
    rates, now, changes = Rates(), 0.0, 0
    for gap, growth in steps:
        now += gap
        changes += growth
        rows, changed = rates.add(now, changes, changes)
        assert rows >= 0
        assert changed >= 0


def test_a_single_slow_frame_is_forgiven_and_slow_ones_are_spaced():
    pace = Pace()
    assert pace.wait(2.0, 0.25) == 0.25
    assert pace.wait(0.01, 0.25) == 0.25
    assert pace.wait(1.0, 0.25) == 0.25
    assert pace.wait(1.0, 0.25) == 10.0


class Recorded(LiveView):
    part = "table"

    def __init__(self, query):
        super().__init__(query)
        self.frames_built = []
        self.taken = []

    def frame(self, now, *, whole):
        self.frames_built.append(whole)
        return {"n": len(self.frames_built)}

    def static(self, query, *, last):
        return {"text/plain": "x"}

    def take(self, action):
        self.taken.append(action)


@pytest.fixture
def host(monkeypatch):
    """A host whose comm is a list."""
    sent, arrived = [], threading.Event()

    class Comm:
        comm = None

        def send(self, content):
            sent.append(content)
            arrived.set()

    monkeypatch.setattr(live_host, "_widget", lambda take: Comm())
    monkeypatch.setattr(Recorded, "_show", lambda self, bundle, last: None)
    found = Host()
    found.sent = sent
    return found


def frames(host, view, count, seconds=10.0):
    """Wait for frames of a view."""
    for _ in range(int(seconds / 0.02)):
        got = [message for message in host.sent if message["kind"] == "frame" and message["id"] == view.id]
        if len(got) >= count:
            return got
        threading.Event().wait(0.02)
    raise AssertionError(host.sent)


def alive(host, view, *, seen=True):
    host._take(
        None, {"event": "alive", "page": "p", "mounted": [view.id], "seen": [view.id] if seen else []}, []
    )


def test_frames_are_sent_only_once_a_page_shows_the_view(host):
    view = Recorded(query_of(inserts(1)))
    host.add(view)
    threading.Event().wait(0.6)
    assert view.frames_built == []
    alive(host, view)
    frames(host, view, 2)
    assert view.frames_built[0] is True
    view.ended = True


def test_the_saved_html_gets_rows_soon_also_while_a_page_shows_the_view(host, monkeypatch):
    monkeypatch.setattr(live_host, "_SAVED_FIRST", (0.1, 0.0))
    view, drawn = Recorded(query_of(inserts(1))), threading.Semaphore(0)
    monkeypatch.setattr(view, "redraw", drawn.release)
    host.add(view)
    assert drawn.acquire(timeout=10)
    alive(host, view)
    for _ in range(2):
        assert drawn.acquire(timeout=10)
    view.ended = True


def test_the_saved_html_has_few_rows_while_a_page_shows_the_view_and_all_at_the_end():
    query = query_of(inserts(60))
    view = view_of(query)

    def rows(*, last):
        return view.static(query, last=last)["text/html"].count("<tr>")

    alone = rows(last=False)
    view.in_page = True
    assert rows(last=False) == alone - 40
    assert rows(last=True) == alone


def test_a_page_takes_in_the_saved_html_of_one_output_at_a_time(host, monkeypatch):
    monkeypatch.setattr(live_host, "_SAVED_FIRST", (0.1, 0.0))
    views, at = [Recorded(query_of(inserts(1))) for _ in range(3)], []
    for view in views:
        monkeypatch.setattr(view, "redraw", lambda: at.append(time.monotonic()))
        view.next_static = 0.001  # it has been drawn in its cell
        host._views[view.id] = view
    shown = [view.id for view in views]
    host._take(None, {"event": "alive", "page": "p", "mounted": shown, "seen": shown}, [])
    until = time.monotonic() + 10
    while len(at) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    for view in views:
        view.ended = True
    apart = [after - before for before, after in itertools.pairwise(at)]
    assert len(apart) >= 2
    assert min(apart) >= live_host._SAVED_APART_S - 0.01


@pytest.mark.parametrize(
    ("text", "rows", "said"),
    [
        ("SELECT * FROM t LIMIT 3", 3, True),
        ("SELECT * FROM t LIMIT 3", 2, False),
        ("SELECT limit3 FROM t", 3, False),
    ],
)
def test_a_limit_of_sql_that_is_reached_is_told_of(text, rows, said):
    query = Query(text, split(text)[0], name="q")
    query.rows = Rows(COLUMNS)
    query.rows.only_appends(True)
    feed(query, inserts(rows))
    assert ("LIMIT 3 is reached" in view_of(query).frame(1.0, whole=True)["note"]) is said


def test_an_action_of_the_user_is_answered_with_a_whole_frame_also_after_the_end(host):
    view = Recorded(query_of(inserts(1)))
    host.add(view)
    alive(host, view)
    view.ended = True
    before = len(frames(host, view, 1))
    host._take(None, {"event": "act", "id": view.id, "action": {"do": "sort"}}, [])
    frames(host, view, before + 1)
    assert view.taken == [{"do": "sort"}]
    assert view.frames_built[-1] is True


def test_a_view_that_fails_does_not_stop_the_others(host):
    class Broken(Recorded):
        def frame(self, now, *, whole):
            raise RuntimeError("broken")

    broken, whole = Broken(query_of(inserts(1))), Recorded(query_of(inserts(1)))
    host.add(broken)
    host.add(whole)
    host._take(None, {"event": "alive", "page": "p", "mounted": [broken.id, whole.id], "seen": [broken.id, whole.id]}, [])  # fmt: skip
    frames(host, whole, 2)
    broken.ended = whole.ended = True


@pytest.mark.parametrize("message", [None, 3, {}, {"event": "alive"}, {"event": "act", "id": "nobody", "action": {}}, {"event": "need", "part": "x"}])  # fmt: skip
def test_messages_that_make_no_sense_are_passed_over(host, message):
    host._take(None, message, [])


def test_a_view_lets_go_of_a_query_that_has_ended(host):
    import gc

    view = Recorded(query_of(inserts(1)))
    view.query.finish("finished")
    view.end()
    gc.collect()
    assert view.query is None
    assert live.Live.frame(view_gone(view), 1.0, whole=True).keys() == {"gone"}


def view_gone(view):
    gone = live.Live(query_of())
    gone._query = view._query
    return gone


def test_the_scripts_never_write_markup():
    for name in ("live.js", "live_table.js", "chart.js"):
        text = (live_host._HERE / name).read_text(encoding="utf-8")
        assert "innerHTML" not in text
        assert "insertAdjacentHTML" not in text
        assert "outerHTML" not in text
