"""The words of ``--chart``, the specification they make, and the points that follow a query."""

from __future__ import annotations

import base64
import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import UsageError
from sdp_kernel.notebook import chart, chart_bundle, chart_spec
from tests.unit.test_notebook_live import feed, inserts, query_of

SCHEMA = pa.schema(
    [
        ("window_end", pa.timestamp("ms")),
        ("avg.price", pa.decimal128(10, 2)),
        ("side[0]", pa.string()),
        ("image", pa.string()),
        ("n", pa.int64()),
    ]
)


def test_a_mark_and_channels_are_read():
    spec = chart.parse(["line", "x=window_end", "Y=avg.price", "colour=side[0]"])
    assert spec == chart.ChartSpec("line", {"x": "window_end", "y": "avg.price", "color": "side[0]"})


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ([], "without a mark", "area, bar"),
        (["pie", "x=a"], "no such mark", "area, bar"),
        (["image", "x=a"], "no such mark", "area, bar"),
        (["line", "x"], "'x' is not CHANNEL=COLUMN", "--chart line"),
        (["line", "x="], "'x=' is not CHANNEL=COLUMN", "--chart line"),
        (["line", "href=a"], "no such channel", "color, size"),
        (["line", "x=a", "x=b"], "x is given twice", "--chart line"),
        (["line", "color=a"], "neither x nor y", "--chart line"),
    ],
)
def test_what_cannot_be_a_chart_is_refused_with_what_could_be(words, message, hint):
    with pytest.raises(UsageError, match=message) as error:
        chart.parse(words)
    assert hint in error.value.hint


@given(st.lists(st.text(max_size=12), max_size=6))
def test_no_words_break_the_parser(words):
    try:
        spec = chart.parse(words)
    except UsageError:
        return
    assert spec.mark in chart_spec.MARKS


def test_types_come_from_the_schema_and_names_are_titles_only():
    built = chart_spec.build(chart.parse(["line", "x=window_end", "y=avg.price", "color=side[0]"]), SCHEMA)
    encoding = built["encoding"]
    assert {c: (encoding[c]["field"], encoding[c]["type"], encoding[c]["title"]) for c in "xy"} == {
        "x": ("c0", "temporal", "window_end"),
        "y": ("c1", "quantitative", "avg.price"),
    }
    assert encoding["color"] == {"field": "c2", "type": "nominal", "title": "side[0]"}
    assert encoding["x"]["scale"] == {"type": "utc"}
    assert built["data"] == {"name": "rows"}


def test_a_type_can_be_asked_for_and_a_column_may_end_like_one():
    built = chart_spec.build(chart.parse(["bar", "x=n:O", "y=n"]), SCHEMA)
    assert (built["encoding"]["x"]["type"], built["encoding"]["y"]["type"]) == ("ordinal", "quantitative")
    schema = pa.schema([("n:O", pa.int64())])
    assert chart_spec.build(chart.parse(["bar", "x=n:O"]), schema)["encoding"]["x"]["type"] == "quantitative"


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(UsageError, match="no column 'price'") as error:
        chart_spec.build(chart.parse(["line", "x=n", "y=price"]), SCHEMA)
    assert "avg.price" in error.value.hint


def test_a_tooltip_takes_no_column_for_the_address_of_a_picture():
    built = chart_spec.build(chart.parse(["point", "x=n", "color=image"]), SCHEMA)
    assert "image" not in {tip["title"] for tip in built["encoding"]["tooltip"]}


@pytest.mark.parametrize("mark", chart_spec.MARKS)
def test_every_mark_can_be_built_and_drawn_without_a_network(mark):
    built = chart_spec.build(chart.parse([mark, "x=n", "y=avg.price", "color=side[0]"]), SCHEMA)
    rows = [{"c0": i, "c1": i * 1.5, "c2": "<b>&" if i % 2 else None} for i in range(5)]
    saved = chart_spec.with_rows(built, rows, "q", "finished")
    png, svg = chart_spec.picture(saved)
    assert base64.b64decode(png).startswith(b"\x89PNG")
    assert "<b>" not in svg
    json.dumps(saved)


def test_values_are_what_vega_takes():
    assert chart_spec.values(pa.chunked_array([pa.array([dt.datetime(1970, 1, 1, 0, 0, 1), None], pa.timestamp("ns"))])) == [1000, None]  # fmt: skip
    assert chart_spec.values(pa.chunked_array([pa.array([dt.date(1970, 1, 2)])])) == [86_400_000]
    assert chart_spec.values(pa.chunked_array([pa.array([Decimal("1.50"), None])])) == [1.5, None]
    assert chart_spec.values(pa.chunked_array([pa.array([1.0, float("nan"), float("inf")])])) == [
        1.0,
        None,
        None,
    ]
    assert chart_spec.values(pa.chunked_array([pa.array([dt.timedelta(seconds=2)])])) == [2.0]
    assert chart_spec.values(pa.chunked_array([pa.array([True, None])])) == ["true", None]
    assert chart_spec.values(pa.chunked_array([pa.array([b"\x01"])])) == ["0x01"]


def chart_of(query, *words):
    return chart.LiveChart(query, chart.parse(words or ["line", "x=k", "color=text"]))


def test_points_that_come_change_and_go_are_sent_and_no_others():
    query = query_of(inserts(4))
    view = chart_of(query)
    first = view.frame(1.0, whole=True)
    assert first["points"]["all"]
    assert [point[1:] for point in first["points"]["put"]] == [[k, f"t{k}"] for k in range(4)]
    feed(
        query,
        [("UPDATE_BEFORE", 1, "t1"), ("UPDATE_AFTER", 1, "new"), ("DELETE", 2, "t2"), ("INSERT", 9, "t")],
    )
    then = view.frame(2.0, whole=False)["points"]
    assert [point[1:] for point in then["put"]] == [[1, "new"], [9, "t"]]
    assert then["gone"] == [first["points"]["put"][2][0]]
    assert not then["all"]


def test_a_chart_says_how_many_of_its_rows_it_draws(monkeypatch):
    monkeypatch.setattr(chart, "MOST_POINTS", 10)
    for appends in (True, False):
        view = chart_of(query_of(inserts(25), appends=appends))
        frame = view.frame(1.0, whole=True)
        assert frame["note"] == "the newest 10 of 25 rows are drawn"
        assert [point[1] for point in frame["points"]["put"]] == list(range(15, 25))


def test_a_paused_chart_stands_still():
    query = query_of(inserts(4))
    view = chart_of(query)
    view.frame(1.0, whole=True)
    view.take({"do": "pause"})
    view.frame(1.1, whole=True)
    feed(query, [("INSERT", 9, "t")])
    frame = view.frame(3.0, whole=False)
    assert frame["passed"] == 1
    assert "points" not in frame
    view.take({"do": "resume"})
    assert len(view.frame(3.1, whole=False)["points"]["put"]) == 1


def test_a_chart_of_a_column_that_is_not_there_stops_its_query():
    query = query_of(inserts(1))
    view = chart_of(query, "line", "x=nope")
    assert "no column 'nope'" in view.frame(1.0, whole=True)["note"]
    with pytest.raises(UsageError, match="nope"):
        view.update()
    assert query.stopping == "stopped"
    assert view.ended


def test_the_saved_chart_holds_its_data_and_says_where_the_query_stands():
    query = query_of(inserts(4))
    query.finish("finished")
    bundle = chart_of(query).static(query, last=True)
    assert set(bundle) == {"application/vnd.vegalite.v5+json", "image/png", "text/plain"}
    saved = bundle["application/vnd.vegalite.v5+json"]
    assert len(saved["datasets"]["rows"]) == 4
    assert saved["title"]["subtitle"].startswith("finished, 4 rows")
    assert saved["config"]["background"] == "transparent"
    assert saved["config"]["axis"]["labelColor"].startswith("var(--jp-ui-font-color1")
    assert saved["usermeta"]["embedOptions"]["renderer"] == "svg"  # a canvas knows no variables of CSS
    drawn = base64.b64decode(bundle["image/png"])
    assert drawn.startswith(b"\x89PNG")


def test_vega_for_the_page_is_made_once_and_loads_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("SDP_CACHE", str(tmp_path))
    script = chart_bundle.bundle()["script"]
    made = chart_bundle.cache_file().stat().st_mtime_ns
    assert "export{" in script
    assert "import(" not in script
    assert chart_bundle.bundle()["script"] == script
    assert chart_bundle.cache_file().stat().st_mtime_ns == made
