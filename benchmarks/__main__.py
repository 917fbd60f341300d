"""``make bench``: run all benchmarks, print a table, write ``benchmarks/results.json``.

``make bench ONLY=name,name`` runs some; their rows replace those in the file.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results.json"
#: Benchmark name → module with a ``run()`` that returns rows.
BENCHMARKS = {
    "job-tests": "job_tests",
    "live-20": "live_20",
    "load-ext": "load_ext",
    "stack-start": "stack_start",
    "stack-again": "stack_again",
    "select-bounded": "select_bounded",
    "select-limit": "select_limit",
    "completion": "completion",
    "first-row": "first_row",
    "fold": "fold",
    "interrupt": "interrupt",
    "plan": "plan",
    "topics-1000": "topics_1000",
    "sample-json": "sample_json",
    "sample-avro": "sample_avro",
    "sample-scale": "sample_scale",
    "promote-40": "promote_40",
}


def main(only: list[str]) -> int:
    """Run the benchmarks named, or all; returns the exit status."""
    unknown = set(only) - set(BENCHMARKS)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; known: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    rows: list[dict[str, object]] = []
    for name in only or BENCHMARKS:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"benchmarks.{BENCHMARKS[name]}").run()
    _write(rows)
    _print(rows)
    return 0 if all(row["holds"] for row in rows) else 1


def _write(rows: list[dict[str, object]]) -> None:
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    new = {row["name"] for row in rows}
    merged = [row for row in kept if row["name"] not in new] + rows
    RESULTS.write_text(json.dumps(merged, indent=2) + "\n")


def _print(rows: list[dict[str, object]]) -> None:
    table = Table("name", "value", "goal", "holds", "detail")
    for row in rows:
        table.add_row(
            str(row["name"]),
            f"{row['value']} {row['unit']}".strip(),
            str(row["goal"]),
            "yes" if row["holds"] else "NO",
            str(row["detail"]),
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    sys.exit(main([name for argument in sys.argv[1:] for name in argument.split(",") if name]))
