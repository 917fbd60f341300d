"""Jobs in the making, from text, for the tests of the lint."""

import json

from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.query import Query
from sdp_kernel.flink.rows import Rows
from sdp_kernel.flink.script import split
from sdp_kernel.flink.types import Column, LogicalType
from sdp_kernel.promote.lint import Draft, Run, look
from sdp_kernel.promote.slice import Slice
from sdp_kernel.settings_lint import LintSettings

INSERT = "INSERT INTO o SELECT x FROM t"


def draft(statement=INSERT, ledger="", **values):
    entries = tuple(Entry(s.text, s.kind, s.target) for s in split(ledger))
    declarations = tuple(e for e in entries if e.kind.startswith(("CREATE", "ALTER")))
    settings = tuple(e for e in entries if e not in declarations)
    return Draft(statement, Slice(settings, declarations), values)


def findings(statement=INSERT, ledger="", *, plan="", run=None, settings=None, **values):
    return look(draft(statement, ledger, **values), run or Run(), settings or LintSettings(), plan)


def codes(*args, **kwargs):
    return [finding.code for finding in findings(*args, **kwargs)]


def table(*options, name="t"):
    return f"CREATE TABLE {name} (x INT) WITH ({', '.join(options)})"


def explained(*lines):
    return "== Optimized Physical Plan ==\n" + "\n".join(lines) + "\n"


def query(text, columns=(), rows=(), *, kinds=None, name=None):
    """A query that has read these rows."""
    statements = split(text)
    found = Query(text, statements[-1], name=name)
    found.statements = tuple(statements)
    found.rows = Rows(tuple(Column(name, LogicalType(root)) for name, root in columns))
    if rows:
        kinds = kinds or ["INSERT"] * len(rows)
        data = [{"kind": kind, "fields": list(row)} for kind, row in zip(kinds, rows, strict=True)]
        page = {"resultType": "PAYLOAD", "resultKind": "SUCCESS_WITH_CONTENT", "jobID": "x",
                "results": {"columns": [], "columnInfos": [], "rowFormat": "JSON", "data": data},
                "nextResultUri": "/v3/sessions/s/operations/o/result/1?rowFormat=JSON"}  # fmt: skip
        found.rows.add(json.dumps(page, separators=(",", ":")).encode())
    return found
