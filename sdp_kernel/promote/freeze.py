"""A test frozen from what the job's topics hold: masked input, and what the job itself makes of it.

The job runs on the embedded stack, twice, as ``sdp test`` runs it: what it writes has to be the same.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import PromoteError, UsageError
from sdp_kernel.flink.script import significant
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository import retarget
from sdp_kernel.repository.receipt import sha256
from sdp_kernel.repository.testing import prepare, records
from sdp_kernel.repository.testing.aim import name_of
from sdp_kernel.repository.testing.case import INPUT, OPTIONS, SAMPLE, Case
from sdp_kernel.repository.testing.compare import compare
from sdp_kernel.repository.testing.masked import masked
from sdp_kernel.repository.testing.result import judge
from sdp_kernel.repository.testing.running import run
from sdp_kernel.repository.testing.values import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.masking import Policy
    from sdp_kernel.promote.request import Request
    from sdp_kernel.repository.retarget import JobTable
    from sdp_kernel.repository.testing.records import Record
    from sdp_kernel.repository.testing.result import Result, Table
    from sdp_kernel.repository.testing.running import Place

ROWS = 50
#: Of a table with a key so many times more records are looked at, for those that the others name.
_LOOKED_AT = 20
#: What gives another answer every day, though not from one run to the next.
_CLOCK = frozenset(
    {
        "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_ROW_TIMESTAMP", "LOCALTIME",
        "LOCALTIMESTAMP", "NOW", "UNIX_TIMESTAMP",
    }
)  # fmt: skip
_ALIAS = re.compile(r"(\w+)\.test:1\Z")


@dataclass(frozen=True)
class Freezing:
    """What freezing needs from outside.

    Attributes
    ----------
    cluster
        Gives the Kafka cluster of an alias.
    place
        Gives where tests run, once it is wanted.
    policy
        What is hidden in records.
    state_dir
        For the files of the job while it is tried.
    module_source
        ``[promote] module_source``.
    """

    cluster: Callable[[str], Cluster]
    place: Callable[[], Place]
    policy: Policy
    state_dir: Path
    module_source: str = ""


@dataclass(frozen=True)
class Frozen:
    """A test: its files by path in the repository."""

    files: Mapping[str, str]

    @property
    def receipt(self) -> dict[str, str]:
        """The files' hashes by path."""
        return {path: sha256(text) for path, text in sorted(self.files.items())}


def is_test(path: str) -> bool:
    """Whether a file of the repository belongs to a test: it may be frozen again."""
    return path.startswith(f"{jobs.TESTS}/")


def check(request: Request) -> None:
    """Refuse options of a test that cannot be.

    Raises
    ------
    UsageError
        They are of no test, or leave it without records.
    """
    if not request.with_test and (request.test_rows is not None or request.test_ignore):
        raise UsageError("rows and columns are of a test", hint="add --with-test")
    if request.test_rows is not None and request.test_rows < 1:
        raise UsageError(f"a test of {request.test_rows} records", hint="--rows takes a number from 1")


def of_request(
    job: str, contents: Mapping[str, str], request: Request, freezing: Freezing | None
) -> Frozen | None:
    """Make the test that a promotion asks for; None where it asks for none. Errors as ``freeze``."""
    if not request.with_test:
        return None
    if freezing is None:
        raise UsageError("no test can be frozen here", hint="promote from a workbench: wb.promote(...)")
    rows = ROWS if request.test_rows is None else request.test_rows
    return freeze(job, contents, freezing, rows=rows, ignore=request.test_ignore)


def freeze(
    job: str,
    contents: Mapping[str, str],
    freezing: Freezing,
    *,
    rows: int = ROWS,
    ignore: Sequence[str] = (),
) -> Frozen:
    """Make the test ``tests/JOB/sample`` of a job that is about to be written. The repository stays as it is.

    Parameters
    ----------
    contents
        The job's files by path, as they will be in the repository.
    rows
        The newest so many records of each topic, from 1; of a table with a key, first those that others name.
    ignore
        Columns of the output that are not compared, since they are never the same.

    Raises
    ------
    UsageError
        A source is no topic, or its records cannot be masked.
    PromoteError
        The job does not run on its input, gives no row, or not the same rows twice.
    TopicNotFound, BrokerUnreachable, StackError
        As their names say.
    """
    freezing.state_dir.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="freeze-", dir=freezing.state_dir))
    try:
        for path, text in contents.items():
            _write(root / path, text)
        case = Case(job, SAMPLE, root)
        notes = _input(case, freezing, rows, ignore)
        _write(case.directory / OPTIONS, _options(rows, ignore, notes))
        expected = _expected(case, freezing)
        files = {
            case.shown(file): file.read_text(encoding="utf-8")
            for file in sorted(case.directory.rglob("*"))
            if file.is_file()
        }
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return Frozen({**files, **expected})


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="\n")


def _options(rows: int, ignore: Sequence[str], notes: Sequence[str]) -> str:
    names = ", ".join('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in ignore)
    head = f"# Frozen by a promotion from up to {rows} records of each source. To run it: sdp test\n"
    head += "".join(f"# {note}\n" for note in notes)
    return f"{head}ignore = [{names}]\n" if ignore else head


# --- input -----------------------------------------------------------------------------------


def _input(case: Case, freezing: Freezing, rows: int, ignore: Sequence[str]) -> list[str]:
    """Sample the sources into the case's input; returns what should be known."""
    job = prepare.read(case.root, case.job, prepare.aliases(case.root), freezing.module_source)
    _check_clock([statement.text for statement in job.statements], ignore)
    sources = [table for table in retarget.tables(job.statements) if table.is_source]
    odd = next((table for table in sources if not table.topics), None)
    if odd is not None:
        raise UsageError(
            f"no test can be frozen: {odd.name} ({odd.connector or 'no connector'}) is no topic to sample",
            hint=f"leave --with-test out, and write {jobs.TESTS}/{case.job}/{SAMPLE}/{INPUT} by hand",
        )
    notes: list[str] = []
    taken: dict[str, list[Record]] = {}
    for table in sorted(sources, key=lambda table: table.connector == "upsert-kafka"):
        keyed = table.connector == "upsert-kafka"
        found = _sampled(table, freezing, rows * _LOOKED_AT if keyed else rows, notes)
        if keyed:
            found = _named(found, [record for others in taken.values() for record in others], rows)
        taken[name_of(table)] = found
    for name, found in taken.items():
        _write(case.directory / INPUT / f"{name}.jsonl", records.lines(found))
    return notes


def _check_clock(texts: Iterable[str], ignore: Sequence[str]) -> None:
    named = {token.upper for text in texts for token in significant(text) if token.kind == "word"}
    clocks = sorted(named & _CLOCK)
    if clocks and not ignore:
        raise PromoteError(
            f"no test can be frozen: the job asks for the time of day ({', '.join(clocks)}), "
            "so its output is another one tomorrow",
            hint="name the columns that hold it with --test-ignore, or leave --with-test out",
        )


def _sampled(table: JobTable, freezing: Freezing, rows: int, notes: list[str]) -> list[Record]:
    """Return the newest records of a table's topics, masked, the oldest first."""
    match = _ALIAS.match(table.options.get("properties.bootstrap.servers", ""))
    if match is None:
        raise UsageError(
            f"no test can be frozen: {table.name} names its brokers itself",
            hint="write ${kafka.ALIAS} into its declaration in their place",
        )
    cluster = freezing.cluster(match[1])
    found: list[Record] = []
    for topic in table.topics:
        newest = _tail(cluster, topic, rows)
        made, lost = masked(newest, table, freezing.policy)
        found += made
        if lost:
            notes.append(f"{lost} records of {topic} are left out: they are no JSON, which could be masked")
    return sorted(found, key=lambda record: record.milliseconds or 0)


def _tail(cluster: Cluster, topic: str, rows: int) -> Any:
    import numpy as np  # noqa: PLC0415 - slow to load

    from sdp_kernel.kafka.offsets import rounds  # noqa: PLC0415
    from sdp_kernel.kafka.read import join, read  # noqa: PLC0415
    from sdp_kernel.kafka.sample import chosen_spans  # noqa: PLC0415
    from sdp_kernel.kafka.selection import Selection  # noqa: PLC0415

    spans = chosen_spans(cluster, topic, Selection(rows))
    parts = []
    for ranges in rounds(cluster, topic, spans, rows, "tail", filtered=False):
        parts.append(read(cluster, {topic: ranges})[topic])
        if sum(map(len, parts)) >= rows:
            break
    found = join(parts)
    order = np.lexsort((found.offsets, found.partitions, found.timestamps))[-rows:]
    return found.pick(order)


def _named(found: list[Record], others: Sequence[Record], rows: int) -> list[Record]:
    """Keep the records whose key stands in some other record, and the newest beside them."""
    from sdp_kernel.repository.testing.values import loads  # noqa: PLC0415

    mentioned: set[tuple[Any, ...]] = set()
    for record in others:
        for content in (record.key_bytes, record.value_bytes):
            mentioned.update(_scalars(_parsed(content, loads)))
    wanted = [bool(mentioned.intersection(_scalars(_parsed(record.key_bytes, loads)))) for record in found]
    chosen = [at for at, yes in enumerate(wanted) if yes][-rows:]
    chosen += [at for at in reversed(range(len(found))) if not wanted[at]][: max(rows - len(chosen), 0)]
    return [found[at] for at in sorted(chosen)]


def _parsed(content: bytes | None, loads: Callable[[str], Any]) -> Any:
    if content is None:
        return None
    try:
        return loads(content.decode())
    except ValueError:
        return content.decode("utf-8", "replace")


def _scalars(value: Any) -> Iterable[tuple[Any, ...]]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [found for item in value for found in _scalars(item)]
    return [] if value is None or isinstance(value, bool) else [canonical(value)]


# --- output ----------------------------------------------------------------------------------


def _expected(case: Case, freezing: Freezing) -> dict[str, str]:
    """Run the job twice on its input; returns the files of what it gave, which was the same."""
    first, second = run([case, case], freezing.place(), module_source=freezing.module_source)
    for result in (first, second):
        if not result.tables:
            raise PromoteError(
                f"no test can be frozen, since the job does not run on its input: {result.reason}",
                hint=result.hint or "leave --with-test out, and write a test by hand",
            )
    if not any(table.rows for table in first.tables.values()):
        raise PromoteError(
            "no test can be frozen: the newest records of its topics give no row of output",
            hint="--rows with more of them, or write the test's input by hand",
        )
    sinks = tuple(first.tables)
    files = {}
    for name, table in first.tables.items():
        ignored = case.options().ignored(name)
        moving = _moving(name, table, second.tables[name], ignored)
        if moving:
            raise PromoteError(
                f"no test can be frozen: {name} is not the same in two runs, in {', '.join(moving)}",
                hint="PROCTIME, RAND or UUID may be behind it; --test-ignore "
                f"{','.join(moving)} leaves it out of the comparison",
            )
        files[case.expected_file(name, sinks)] = table.text(ignored)
    for file, text in files.items():
        _write(file, text)
    _check_passes(case, second)
    return {case.shown(file): text for file, text in files.items()}


def _moving(name: str, one: Table, other: Table, ignored: frozenset[str]) -> list[str]:
    """Return the columns in which two runs differ; all of them where it is their rows that do."""
    if not compare(name, one.rows, other.rows, key=one.key, ignore=ignored):
        return []
    columns = dict.fromkeys(column for row in (*one.rows, *other.rows) for column in row)
    found = [
        column
        for column in columns
        if column not in ignored and _values(one, column) != _values(other, column)
    ]
    return found or [column for column in columns if column not in ignored]


def _values(table: Table, column: str) -> Counter[tuple[Any, ...]]:
    return Counter(canonical(row[column]) if column in row else () for row in table.rows)


def _check_passes(case: Case, second: Result) -> None:
    again = judge(case, second.tables, second.seconds)
    if not again.good:
        raise PromoteError(
            "no test can be frozen: it does not pass on its own output",
            hint="leave --with-test out, and write a test by hand",
        )
