"""Bad input: records as topics hold them sooner or later, by name."""

from __future__ import annotations

import json
import struct

GOOD = b'{"id": 1, "name": "a"}'
PREFIX = struct.pack(">bI", 0, 4_000_000)

#: Name → a record among good JSON ones, and whether it cannot be read.
BAD_JSON: dict[str, tuple[bytes, bool]] = {
    "empty": (b"", True),
    "cut short": (b'{"id": 1, "na', True),
    "not UTF-8": (b'{"id": 2, "name": "\xff\xfe"}', True),
    "NaN": (b'{"id": NaN}', True),
    "infinity": (b'{"id": Infinity}', True),
    "more than a float holds": (b'{"id": 1e400}', False),
    "less than a float holds": (b'{"id": 1e-400}', False),
    "a thousand digits": (b'{"id": ' + b"7" * 1000 + b"}", False),
    "a field named twice": (b'{"id": 1, "id": 2}', False),
    "half of a surrogate pair": (b'{"name": "\\ud800"}', True),
    "a zero byte": (b'{"name": "\x00"}', True),
    "a zero byte, escaped": (b'{"name": "\\u0000"}', False),
    "terminal escapes": (b'{"name": "\\u001b[2J\\u001b]0;owned\\u0007"}', False),
    "a script": (b'{"name": "</script><script>alert(1)</script><img src=x onerror=alert(2)>"}', False),
    "SQL in a name": (
        json.dumps({"`; DROP TABLE t; --": 1, "a'b\"c": 2, "${kafka.main}": 3}).encode(),
        False,
    ),
    "a line break in a name": (b'{"a\\nb": 1, "": 2, " ": 3}', False),
    "names of columns about records": (b'{"_offset": 1, "_error": "x", "_raw": "y", "_key": null}', False),
    "nested 100 deep": (b'{"a": ' * 100 + b"1" + b"}" * 100, False),
    "nested 1,000 deep": (b'{"a": ' * 1000 + b"1" + b"}" * 1000, True),
    "nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, True),
    "10,000 columns": (json.dumps({f"c{i}": i for i in range(10_000)}).encode(), False),
    "a list of lists": (json.dumps([[[1, None, "x", {"a": []}]]]).encode(), False),
    "null": (b"null", False),
    "a number": (b"17", False),
    "text": (b"just text", True),
    "two documents": (b'{"id": 1}{"id": 2}', True),
    "Avro with an id that nobody knows": (PREFIX + b"\x02\x04ab", True),
    "MessagePack": (b"\x82\xa2id\x01\xa4name\xa1a", True),
    "random bytes": (bytes(range(256)), True),
    "UTF-16": ('{"id": 1}'.encode("utf-16"), True),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, True),
}
