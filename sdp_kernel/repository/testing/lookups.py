"""Tables that are looked up, served to Flink from a test's input: neither files nor topics can be.

There is a connector that asks a web service for rows; this is that service, on this machine alone and for as
long as the tests run.
"""

from __future__ import annotations

import contextlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from sdp_kernel.repository.testing.values import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_HOST = "127.0.0.1"
_AS_OF = r"\s+FOR\s+SYSTEM_TIME\s+AS\s+OF\b"


def is_looked_up(name: str, texts: Sequence[str]) -> bool:
    """Whether a statement joins a table as of a time."""
    pattern = re.compile(rf"(?<![\w$])`?{re.escape(name)}`?(?i:{_AS_OF})")
    return any(pattern.search(text) for text in texts)


def options(url: str) -> dict[str, str | None]:
    """Return the options of a table that is served at a URL."""
    return {
        "connector": "rest-lookup",
        "url": url,
        "format": "json",
        "lookup-method": "GET",
        "gid.connector.http.source.lookup.result-type": "array",
    }


class Server:
    """Serves rows by path: those whose columns are what a request asks for."""

    def __init__(self, url: str, tables: dict[str, list[Mapping[str, Any]]]) -> None:
        self.url = url
        self._tables = tables

    def serve(self, path: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Serve rows at a path below the server's URL."""
        self._tables[f"/{path}"] = list(rows)


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Start a server on a free port of the loopback, and stop it."""
    tables: dict[str, list[Mapping[str, Any]]] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            wanted = dict(parse_qsl(asked.query, keep_blank_values=True))
            found = [row for row in tables.get(asked.path, ()) if _matches(row, wanted)]
            body = dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    found = ThreadingHTTPServer((_HOST, 0), Handler)
    found.daemon_threads = True
    thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True, name="sdp-lookups")
    thread.start()
    try:
        yield Server(f"http://{_HOST}:{found.server_address[1]}", tables)
    finally:
        found.shutdown()
        found.server_close()


def _matches(row: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    return all(name in row and _text(row[name]) == text for name, text in wanted.items())


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return dumps(value)
