"""Views that go on living in the page: one comm, one thread that draws, for all of a kernel.

An output is plain HTML and text, so that a saved file, nbconvert and a front end without widgets show
it. A front end that has widgets opens the host's model with the comm; ``live.js`` then looks for the
outputs in the page, by their class, and puts a living view in the place of each. No output names a
widget, so none is broken where there is no kernel any more.

Until a page says that it shows a view, and where none does, the HTML is redrawn instead.
"""

from __future__ import annotations

import abc
import contextvars
import logging
import random
import threading
import time
import uuid
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from sdp_kernel.notebook import busy, html

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.flink.query import Query

_HERE = Path(__file__).parent
_LOG = logging.getLogger(__name__)
#: Frames of a view are so far apart, in seconds, where it is seen, and where it is not.
_SEEN_S, _UNSEEN_S = 0.25, 2.0
#: Redraws of the HTML are so far apart for the first seconds of a view, then so far.
_STATIC_S, _STATIC_LATER_S, _STATIC_SOON_S = 0.5, 2.0, 10.0
#: The HTML that a saved file would hold is brought up to date so often while a page shows the view, and
#: up to so much later, so that not all views take their turn at once.
_SAVED_S, _SAVED_SPREAD = 45.0, 30.0
#: The first time sooner, so that a file saved early has rows.
_SAVED_FIRST = (4.0, 4.0)
#: And one output at a time, since the page takes each in with its whole table.
_SAVED_APART_S = 0.5
#: Drawing takes a tenth of the time at most; what took long only once, such as an import, is forgiven.
_SHARE = 10.0
#: A page that has been silent for so long is gone; browsers wake hidden pages once a minute.
_GONE_S = 90.0
_LINGER_S = 5.0
_LOOK_SEEN_S, _LOOK_UNSEEN_S = 2.0, 10.0
_SILENT_S = 5.0
_REMEMBERED = 200
#: An output of its own: where a redraw brings a style sheet along, the page styles all it shows anew.
_STYLE = (
    f'<div class="sdp-style">{html.STYLE}'
    "<style>.jp-OutputArea-child:has(> .jp-OutputArea-output > .sdp-style){display:none}</style></div>"
)


class Pace:
    """How long to wait after something that took time, so that it takes a tenth of the time at most."""

    def __init__(self) -> None:
        self._before = 0.0

    def wait(self, cost: float, least: float) -> float:
        """Take what it cost now, in seconds; returns the wait until it may begin again."""
        usual, self._before = min(cost, self._before), cost
        return max(least, _SHARE * usual)


def can_widget() -> bool:
    """Whether this process is a kernel whose front end may have widgets."""
    return getattr(get_ipython(), "kernel", None) is not None


class LiveView(abc.ABC):
    """One view of one query: how it looks as HTML, and what a page is sent.

    ``part`` names the script that draws it in the page. A query that has ended is held weakly: a view
    of it answers for as long as somebody else keeps it.
    """

    part: str

    def __init__(self, query: Query) -> None:
        self.id = uuid.uuid4().hex[:16]
        self.title = query.name or "query"
        self._query: Query | weakref.ref[Query] = query
        self._handle: Any = None
        self._context = contextvars.copy_context()
        self._drawing = threading.Lock()
        self.lock = threading.RLock()
        self.started = time.monotonic()
        self.urgent = False
        self.ended = False
        self.next_frame = self.next_static = self.next_look = 0.0
        self.shown_before = False
        self.in_page = False
        self.silence = ""
        self.paused_at: int | None = None
        self.frames, self.redraws, self.looks = Pace(), Pace(), Pace()
        self._static_at: Any = None

    @property
    def query(self) -> Query | None:
        """The query; None where it is not in memory any more."""
        return self._query() if isinstance(self._query, weakref.ref) else self._query

    @abc.abstractmethod
    def frame(self, now: float, *, whole: bool) -> dict[str, Any] | None:
        """Return what the page is to draw; None where nothing has changed and not the ``whole`` is wanted."""

    @abc.abstractmethod
    def static(self, query: Query, *, last: bool) -> dict[str, Any]:
        """Return what a front end without widgets shows, as a MIME bundle."""

    def take(self, action: dict[str, Any]) -> None:
        """Take what the user did in the page: pause, go on, or stop. Must not wait."""
        query = self.query
        with self.lock:
            match action:
                case {"do": "pause"} if query is not None:
                    self.paused_at = query.changes
                case {"do": "resume"}:
                    self.paused_at = None
                case {"do": "stop"} if query is not None:
                    query.ask_to_end("stopped")
                    threading.Thread(target=query.stop, daemon=True, name="sdp-live-stop").start()

    def draw(self) -> None:
        """Draw for the first time, in the cell."""
        self._redraw(last=False)
        if can_widget():
            HOST.add(self)

    def update(self) -> None:
        """Do nothing, but where something has gone wrong with the thread that draws: the host draws."""
        if can_widget():
            HOST.keep_going()

    def end(self) -> None:
        """Draw the end."""
        self.ended = True
        self._redraw(last=True)
        if can_widget():
            HOST.ended(self)
        query = self.query
        if query is not None:
            self._query = weakref.ref(query)

    def redraw(self) -> None:
        """Draw the HTML again, if the query has changed; from any thread."""
        if not self.ended:
            self._redraw(last=False)

    def _redraw(self, *, last: bool) -> None:
        query = self.query
        if query is None:
            return
        with self._drawing:
            if self.ended and not last:
                return
            state = (query.changes, query.state)
            if not last and state == self._static_at and query.state != "running":
                return
            self._static_at = state
            bundle = self.static(query, last=last)
            if "text/html" in bundle:
                markup = bundle["text/html"].removeprefix(html.STYLE) if can_widget() else bundle["text/html"]
                bundle["text/html"] = f'<div class="sdp-live sdp-live-{self.id}">{markup}</div>'
            self._context.run(self._show, bundle, last)

    def _show(self, bundle: dict[str, Any], last: bool) -> None:  # noqa: FBT001
        """Draw, or draw again; where nothing can be redrawn, as in IPython, only the last is drawn."""
        if self._handle is not None:
            self._handle.update(bundle, raw=True)
        elif last or can_widget():
            if can_widget():
                display({"text/html": _STYLE, "text/plain": ""}, raw=True)
            self._handle = display(bundle, raw=True, display_id=True)


class Host:
    """The comm with the pages, the views, and the thread that draws them."""

    def __init__(self) -> None:
        self._widget: Any = None
        self._views: dict[str, LiveView] = {}
        #: Page → when it was last heard of, the views it shows, those the user can see.
        self._pages: dict[str, tuple[float, frozenset[str], frozenset[str]]] = {}
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._looker: threading.Thread | None = None
        self._next_saved = 0.0
        self.parts: dict[str, Callable[[], dict[str, str]]] = {}
        self._sending: frozenset[str] = frozenset()

    @property
    def comm_id(self) -> str | None:
        """The id of the comm; None while there is none."""
        return self._widget.comm.comm_id if self._widget is not None and self._widget.comm else None

    def add(self, view: LiveView) -> None:
        """Take a view in. Called in the cell, so that the front end knows the comm's kernel."""
        with self._lock:
            if self._widget is None:
                self._widget = _widget(self._take)
            self._views[view.id] = view
            for old in [v.id for v in self._views.values() if v.ended][:-_REMEMBERED]:
                del self._views[old]
            self._start()
        self._send({"kind": "views", "views": {view.id: view.part}})

    def ended(self, view: LiveView) -> None:
        """Send the last frame of a view."""
        view.urgent = True
        with self._lock:
            self._start()
        self._wake.set()

    def keep_going(self) -> None:
        """Start the threads where they do not run."""
        with self._lock:
            self._start()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._draw_all, daemon=True, name="sdp-live")
            self._thread.start()
        if self._looker is None or not self._looker.is_alive():
            self._looker = threading.Thread(target=self._look_all, daemon=True, name="sdp-live-look")
            self._looker.start()

    def _send(self, content: dict[str, Any]) -> None:
        if self._widget is not None:
            self._widget.send(content)

    def _take(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Take a message of a page; in the thread that reads the comm, so nothing here waits."""
        match content:
            case {"event": "hello"}:
                with self._lock:
                    known = {view.id: view.part for view in self._views.values()}
                self._send({"kind": "views", "views": known})
            case {"event": "alive", "page": str(page), "mounted": list(mounted), "seen": list(seen)}:
                self._alive(page, frozenset(mounted), frozenset(seen))
            case {"event": "bye", "page": str(page)}:
                with self._lock:
                    self._pages.pop(page, None)
            case {"event": "need", "part": str(part)}:
                with self._lock:
                    asked, self._sending = part in self._sending, self._sending | {part}
                if not asked:
                    threading.Thread(target=self._send_part, args=(part,), daemon=True).start()
            case {"event": "act", "id": str(id_), "action": dict(action)}:
                view = self._views.get(id_)
                if view is not None:
                    view.take(action)
                    self.ended(view)

    def _alive(self, page: str, mounted: frozenset[str], seen: frozenset[str]) -> None:
        with self._lock:
            _, before, seen_before = self._pages.get(page, (0.0, frozenset(), frozenset()))
            self._pages[page] = (time.monotonic(), mounted, seen)
            for id_ in (mounted - before) | (seen - seen_before):
                if id_ in self._views:
                    self._views[id_].urgent = True
            self._start()
        self._wake.set()

    def _send_part(self, name: str) -> None:
        try:
            content = self.parts[name]()
        except Exception:  # noqa: BLE001 - the page is told
            _LOG.warning("sdp: the part %s of the live view cannot be loaded", name, exc_info=True)
            content = {"error": f"{name} could not be loaded"}
        self._send({"kind": "part", "part": name, **content})
        with self._lock:
            self._sending -= {name}

    def _shown(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the views that pages show, and those that users see."""
        now = time.monotonic()
        with self._lock:
            self._pages = {p: about for p, about in self._pages.items() if now - about[0] < _GONE_S}
            mounted: frozenset[str] = frozenset().union(*(about[1] for about in self._pages.values()))
            seen: frozenset[str] = frozenset().union(*(about[2] for about in self._pages.values()))
        return mounted, seen

    def _draw_all(self) -> None:
        next_pass = quiet_since = 0.0
        pace = Pace()
        while True:
            self._wake.wait(max(next_pass - time.monotonic(), 0.01))
            self._wake.clear()
            started = time.monotonic()
            full = started >= next_pass
            mounted, seen = self._shown()
            with self._lock:
                views = list(self._views.values())
            for view in views:
                if full or view.urgent:
                    self._draw_one(view, mounted=view.id in mounted, seen=view.id in seen)
            now = time.monotonic()
            if full:
                next_pass = started + pace.wait(now - started, _SEEN_S)
            if any(not view.ended or view.urgent for view in views):
                quiet_since = now
            elif now - quiet_since > _LINGER_S:
                with self._lock:
                    if not any(not v.ended or v.urgent for v in self._views.values()):
                        self._thread = None
                        return

    def _draw_one(self, view: LiveView, *, mounted: bool, seen: bool) -> None:
        now = time.monotonic()
        view.in_page = mounted
        whole, view.urgent = view.urgent, False
        try:
            if mounted and (whole or (now >= view.next_frame and not view.ended)):
                frame = view.frame(now, whole=whole)
                least = _SEEN_S * 0.9 if seen else _UNSEEN_S
                view.next_frame = now + view.frames.wait(time.monotonic() - now, least)
                if frame is not None:
                    self._send({"kind": "frame", "id": view.id, **frame})
            if not view.ended and now >= max(view.next_static, self._next_saved if mounted else 0.0):
                began = time.monotonic()
                if not mounted or view.next_static:
                    view.redraw()
                    self._next_saved = now + _SAVED_APART_S if mounted else self._next_saved
                soon = _STATIC_S if now - view.started < _STATIC_SOON_S else _STATIC_LATER_S
                if mounted:
                    usual, spread = (_SAVED_S, _SAVED_SPREAD) if view.shown_before else _SAVED_FIRST
                    view.shown_before = True
                    soon = usual + random.random() * spread  # noqa: S311
                view.next_static = now + view.redraws.wait(time.monotonic() - began, soon)
        except Exception:  # noqa: BLE001 - one view's fault stops no other
            _LOG.exception("live view of %s", view.title)
            view.next_frame = view.next_static = now + _UNSEEN_S

    def _look_all(self) -> None:
        """Ask the JobManager about the jobs of running views, and why silent ones are silent."""
        while self._thread is not None:
            _, seen = self._shown()
            with self._lock:
                views = [view for view in self._views.values() if not view.ended]
            for view in views:
                now = time.monotonic()
                query = view.query
                if query is None or query.state != "running" or now < view.next_look:
                    continue
                try:
                    query.look()
                    _explain(view, query)
                except Exception:  # noqa: BLE001 - a figure less in the head
                    _LOG.debug("vitals of %s", view.title, exc_info=True)
                least = _LOOK_SEEN_S if view.id in seen else _LOOK_UNSEEN_S
                view.next_look = now + view.looks.wait(time.monotonic() - now, least)
            time.sleep(0.5)


def _explain(view: LiveView, query: Query) -> None:
    """Keep why a query has no rows, where something can tell."""
    ask = query.silence
    if query.changes or time.time() - query.started < _SILENT_S:
        view.silence = ""
    elif ask is not None:
        view.silence = ask()


def _widget(take: Callable[[Any, Any, Any], None]) -> Any:
    """Open the comm: the one model of this kernel that a front end makes."""
    import anywidget  # noqa: PLC0415 - heavy: loaded with the first view

    class LiveHost(anywidget.AnyWidget):
        _esm = (_HERE / "live.js").read_text(encoding="utf-8")

    widget = LiveHost()
    widget.on_msg(take)
    busy.serve(widget.comm.comm_id)
    return widget


def part(script: str, style: str | None = None) -> Callable[[], dict[str, str]]:
    """Return a reader of a script and a style sheet of this room."""

    def read() -> dict[str, str]:
        text = (_HERE / script).read_text(encoding="utf-8")
        return {"script": text, "style": (_HERE / style).read_text(encoding="utf-8") if style else ""}

    return read


HOST = Host()
