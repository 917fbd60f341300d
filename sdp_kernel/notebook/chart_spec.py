"""What a chart shows: the words of ``--chart``, and the Vega-Lite specification they make with a schema.

Columns go into the specification as ``c0``, ``c1`` …: their own names, which may hold dots and
brackets that Vega reads as paths, are titles only.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import pyarrow as pa
import pyarrow.compute as pc

from sdp_kernel.errors import UsageError
from sdp_kernel.notebook import html

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARKS = ("area", "bar", "circle", "line", "point", "rect", "square", "tick", "trail")
CHANNELS = (
    "x", "y", "x2", "y2", "color", "size", "shape", "opacity", "detail", "order", "row", "column", "xOffset",
)  # fmt: skip
#: The data's name, and the field that names a row.
ROWS = "rows"
_Kind = Literal["temporal", "quantitative", "nominal"]
TYPES = {"T": "temporal", "Q": "quantitative", "N": "nominal", "O": "ordinal"}
#: Colours of a page: JupyterLab's, VS Code's, or such as can be read on white and on black.
_TEXT = "var(--jp-ui-font-color1, var(--vscode-foreground, #808080))"
_WEAK = "var(--jp-border-color2, var(--vscode-panel-border, #80808060))"
_WIDTH, _HEIGHT = 640, 320
#: A tooltip would take these column names for its heading, and for the address of a picture.
_TAKEN = {"title", "image"}


@dataclass(frozen=True)
class ChartSpec:
    """A mark, and the column of each channel, ``:T``, ``:Q``, ``:N`` or ``:O`` after it where given."""

    mark: str
    encodings: Mapping[str, str]

    def column(self, channel: str, names: Sequence[str]) -> tuple[str, str | None]:
        """Return a channel's column and the type asked for.

        Raises
        ------
        UsageError
            The result has no such column.
        """
        text = self.encodings[channel]
        name, colon, letter = text.rpartition(":")
        if text in names:
            return text, None
        if colon and letter.upper() in TYPES and name in names:
            return name, TYPES[letter.upper()]
        raise UsageError(
            f"--chart {channel}={text}: the result has no column {text!r}", hint=f"it has: {', '.join(names)}"
        )

    def columns(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the columns that are drawn, each once.

        Raises
        ------
        UsageError
            The result has not all of them.
        """
        return tuple(dict.fromkeys(self.column(channel, names)[0] for channel in self.encodings))


def parse(words: Sequence[str]) -> ChartSpec:
    """Read ``line x=window_end y=avg color=symbol``.

    Raises
    ------
    UsageError
        The mark or a channel is not known, or a word is neither.
    """
    usage = "--chart line x=COLUMN y=COLUMN color=COLUMN"
    if not words:
        raise UsageError("--chart without a mark", hint=f"{usage}; marks: {', '.join(MARKS)}")
    mark, *rest = words
    if mark not in MARKS:
        raise UsageError(f"--chart {mark}: there is no such mark", hint=f"marks: {', '.join(MARKS)}")
    encodings: dict[str, str] = {}
    known = {channel.lower(): channel for channel in CHANNELS}
    known["colour"] = "color"
    for word in rest:
        given, equals, column = word.partition("=")
        channel = known.get(given.lower())
        if not equals or not column:
            raise UsageError(f"--chart: {word!r} is not CHANNEL=COLUMN", hint=usage)
        if channel is None:
            raise UsageError(
                f"--chart {word}: there is no such channel", hint=f"channels: {', '.join(CHANNELS)}"
            )
        if channel in encodings:
            raise UsageError(f"--chart: {channel} is given twice", hint=usage)
        encodings[channel] = column
    if not {"x", "y"} & set(encodings):
        raise UsageError("--chart has neither x nor y", hint=usage)
    return ChartSpec(mark, encodings)


def kind(type_: pa.DataType) -> _Kind:
    """Return how values of an Arrow type are measured, in Vega-Lite's words."""
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return "temporal"
    if html.is_number(type_) or pa.types.is_duration(type_):
        return "quantitative"
    return "nominal"


def values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column as Vega takes it: times in epoch milliseconds, numbers as floats, else text."""
    type_ = column.type
    if kind(type_) == "temporal":
        return list(column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64()).to_pylist())
    if pa.types.is_duration(type_):
        return [None if v is None else v.total_seconds() for v in column.cast(pa.duration("us")).to_pylist()]
    if pa.types.is_integer(type_):
        return list(column.to_pylist())
    if kind(type_) == "quantitative":
        floats = pc.cast(column, pa.float64(), safe=False).to_pylist()
        return [v if v is not None and math.isfinite(v) else None for v in floats]
    return [None if v is None else html.cell_text(v) for v in column.to_pylist()]


def warm_up() -> None:
    """Load what charts need, which takes a second or two the first time."""
    build(ChartSpec("line", {"x": "x"}), pa.schema([("x", pa.int64())]))


def build(spec: ChartSpec, schema: pa.Schema) -> dict[str, Any]:
    """Return the Vega-Lite specification over named data, as Altair writes and checks it.

    Raises
    ------
    UsageError
        The result has no column of a name, or the mark does not go with a channel.
    """
    import altair as alt  # noqa: PLC0415 - heavy: loaded with the first chart

    names = schema.names
    columns = spec.columns(names)
    encoding: dict[str, Any] = {}
    for channel in spec.encodings:
        name, asked = spec.column(channel, names)
        type_ = asked or kind(schema.field(name).type)
        field = f"c{columns.index(name)}"
        title = _title(name)
        make = getattr(alt, channel[0].upper() + channel[1:])
        if channel in {"x2", "y2"}:
            encoding[channel] = make(field=field, title=title)
            continue
        options: dict[str, Any] = {"field": field, "type": type_, "title": title}
        if type_ == "temporal" and channel in {"x", "y"}:
            options["scale"] = alt.Scale(type="utc")
            options["axis"] = alt.Axis(labelOverlap="greedy", labelSeparation=4)
        if type_ == "quantitative" and channel == "y" and spec.mark in {"line", "point", "circle", "square"}:
            options["scale"] = alt.Scale(zero=False)
        encoding[channel] = make(**options)
    encoding["tooltip"] = [_tooltip(alt, index, schema.field(name)) for index, name in enumerate(columns)]
    try:
        chart = alt.Chart(alt.NamedData(name=ROWS), mark=alt.MarkDef(cast("Any", spec.mark))).encode(
            **encoding
        )
        if not {"row", "column"} & set(encoding):
            chart = chart.properties(width=_WIDTH, height=_HEIGHT)
        built: dict[str, Any] = chart.to_dict()
    except alt.utils.schemapi.SchemaValidationError as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise UsageError(f"--chart {spec.mark}: {reason}", hint=f"channels: {', '.join(CHANNELS)}") from None
    return built


def _tooltip(alt: Any, index: int, field: pa.Field) -> Any:
    options = {"format": "%Y-%m-%d %H:%M:%S.%L"} if kind(field.type) == "temporal" else {}
    return alt.Tooltip(field=f"c{index}", type=kind(field.type), title=_title(field.name), **options)


def _title(name: str) -> str:
    return f"{name} " if name.lower() in _TAKEN else name


def with_rows(built: dict[str, Any], rows: list[dict[str, Any]], title: str, subtitle: str) -> dict[str, Any]:
    """Return a specification that holds its data, for a saved file."""
    return {
        **built,
        "datasets": {ROWS: rows},
        "title": {"text": title, "subtitle": subtitle, "anchor": "start"},
    }


def themed(saved: dict[str, Any]) -> dict[str, Any]:
    """Return a specification in the colours of the page that shows it, light or dark.

    They are CSS, which Vega's pictures in SVG take and those in canvas do not.
    """
    text = {"labelColor": _TEXT, "titleColor": _TEXT}
    config = {
        **saved.get("config", {}),
        "background": "transparent",
        "axis": {**text, "gridColor": _WEAK, "domainColor": _WEAK, "tickColor": _WEAK},
        "legend": text,
        "header": text,
        "title": {"color": _TEXT, "subtitleColor": _TEXT},
        "view": {**saved.get("config", {}).get("view", {}), "stroke": _WEAK},
    }
    return {**saved, "config": config, "usermeta": {"embedOptions": {"renderer": "svg"}}}


def picture(saved: dict[str, Any]) -> tuple[str, str]:
    """Draw a specification that holds its data; returns PNG in base64, and SVG. Nothing is fetched."""
    import vl_convert  # noqa: PLC0415 - heavy: loaded with the first chart

    version = vegalite_version()
    svg = vl_convert.vegalite_to_svg(saved, vl_version=version, allowed_base_urls=[])
    png = vl_convert.svg_to_png(svg, scale=1.5)
    return base64.b64encode(png).decode(), svg


def svg_of(saved: dict[str, Any]) -> str:
    """Draw a specification that holds its data as SVG; nothing is fetched."""
    import vl_convert  # noqa: PLC0415

    return str(vl_convert.vegalite_to_svg(saved, vl_version=vegalite_version(), allowed_base_urls=[]))


def vegalite_version() -> str:
    """Return the version of Vega-Lite that Altair writes, as ``5.20``."""
    import altair as alt  # noqa: PLC0415

    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
