"""What a Java stack means: the reason, the place in the cell, and what to do next.

The gateway answers a failed call with ``{"errors": [summary, stack]}``; the reason is the last
useful ``Caused by``, the place is Calcite's "From line 1, column 8 to line 1, column 11".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import JobFailed, Position, SqlError, StatementError
from sdp_kernel.flink import function_faults, places
from sdp_kernel.flink.veil import HEAD, SERVER_SIDE, noted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.flink.veil import Veil

_PLACE = re.compile(r"(?:From|[Aa]t) line (\d+), column (\d+)(?: to line \d+, column \d+)?:?\s*")
_PREFIX = re.compile(r"^(?:SQL validation failed\.|SQL parse failed\.)\s*")
_DULL = (
    "Failed to fetchResults",
    "Failed to execute the operation",
    "Failed to getOperationStatus",
    "org.apache.flink.table.gateway.api.utils.SqlGatewayException",
    "Failed to execute sql",
    "Error while retrieving result",
    "Failed to fetch next result",
    "Internal server error",
    "Recovery is suppressed by",
    "Job execution failed",
    "Could not start the JobMaster",
    "Failed to wait job finish",
    "Failed to submit JobGraph",
    "Failed to submit job",
)
#: In the stack of a job that ran, and not of a statement that was refused.
_RAN = re.compile(r"JobExecutionException|ProgramInvocationException|job execution result|JobFailed")
#: In the stack of a statement that was refused before anything ran.
_REFUSED = re.compile(
    r"ValidationException|SqlParse|CalciteContextException"
    r"|\bat org\.apache\.flink\.(?:table\.planner|configuration\.Configuration)\."
)
#: Between what a source says and what an operator chained to it says.
_CHAINED = "Could not forward element to next operator"
#: Outer causes that name what the inner one is about.
_SPEAKING = ("Failed to deserialize", "Could not parse value", "Cannot access file system")
#: Their messages say little without their names: a number, a class.
_BARE = (
    "ArithmeticException",
    "NumberFormatException",
    "ClassCastException",
    "ClassNotFoundException",
    "NoClassDefFoundError",
)
_BROKEN_RECORD = "Failed to deserialize"
_HINTS: tuple[tuple[str, str], ...] = (
    (r"^ArithmeticException", "look at what is divided by: NULLIF(x, 0) gives NULL in place of 0"),
    (
        r"^(?:ClassNotFoundException|NoClassDefFoundError)",
        (
            "the cluster has not the jar with that class: put it into lib/ of JobManager and TaskManagers, "
            "or name it with ADD JAR"
        ),
    ),
    (
        r"Object '.*' not found|Table .* not found",
        "SHOW TABLES lists what there is; %table TOPIC makes a CREATE TABLE",
    ),
    (
        r'^Encountered "[A-Za-z]+"',
        "look at the word before it; a reserved word used as a name needs backquotes: `name`",
    ),
    (r"Column '.*' not found", "DESCRIBE the table to see its columns"),
    (
        r"No match found for function signature",
        "SHOW FUNCTIONS lists what there is; check the arguments' types",
    ),
    (r"unbounded table .* in batch mode", "--batch bounds Kafka tables; bound this one in its options"),
    (
        r"failed to preserve datatypes(?:.|\n)*\*ROWTIME\*",
        (
            "a table's event time holds in the mode that the table was declared in: --batch for a batch "
            "query; or declare it again after SET 'execution.runtime-mode'"
        ),
    ),
    (r"only possible for INSERT-only table sources", "--until now in place of --batch"),
    (r"already exists", "DROP it first, or write IF NOT EXISTS"),
    (
        r"Could not find any factory for identifier",
        "the connector's jar is not on the cluster; the message lists those that are",
    ),
    (
        r"checkpoint or savepoint file/directory|checkpoint/savepoint path",
        "name a savepoint as the cluster sees it; %jobs savepoint JOB takes one",
    ),
    (r"^implicit type conversion", "CAST one side to the type of the other, or write a text in quotes"),
    (r"Non-query expression encountered", "check the first word of the statement"),
    (
        r"Failed to deserialize|Corrupt .*message",
        "%sample TOPIC shows which, and why; 'json.ignore-parse-errors' = 'true' skips them (so does csv's)",
    ),
    (r"UnknownTopicOrPartition|unknown topic|does not host this topic", "%topics lists what there is"),
    (
        r"TimeoutException.*(?:node assignment|metadata|describeTopics)|Failed to get metadata",
        "the broker does not answer the cluster: check bootstrap.servers of the table",
    ),
    (
        r"NoResourceAvailable|[Cc]ould not acquire the minimum required resources",
        (
            "no free task slot: cancel a job, or raise [local] task_slots in sdp.toml; "
            "sdp status shows whether the TaskManager runs"
        ),
    ),
)


@dataclass(frozen=True)
class Fault:
    """The reason of a failure, taken out of a stack."""

    reason: str
    exception: str
    place: Position | None
    stack: str


def read(errors: Sequence[str], veil: Veil | None = None) -> Fault:
    """Find the reason in the gateway's errors: the innermost cause that says something.

    ``veil`` hides what may be values, in the reason and in the stack.
    """
    if veil is not None:
        errors = [veil.stack(error) for error in errors]
    stack = "\n".join(errors)
    python = function_faults.read(stack)
    causes: list[tuple[str, str]] = []
    lines = stack.replace("\r", "").split("\n")
    for index, line in enumerate(lines):
        match = HEAD.match(line.strip().removeprefix(SERVER_SIDE))
        if match:
            more = []
            for following in lines[index + 1 :]:
                if following.startswith(("\tat", "Caused by", "\t...", " ", "End of exception")):
                    break
                more.append(following)
            causes.append((match.group(1), "\n".join([match.group(2) or "", *more]).strip()))
    telling = [(name, text) for name, text in causes if text and not any(d in text[:80] for d in _DULL)]
    exception, reason = telling[-1] if telling else ("", "")
    outer = next((text for _, text in telling[:-1] if text.startswith(_SPEAKING)), None)
    chained = any(text.startswith(_CHAINED) for _, text in telling)
    if outer is not None and not (chained or exception.endswith("ArithmeticException")):
        reason = f"{outer.rstrip('.')}: {reason}"
    place = None
    for _, text in telling:
        match = _PLACE.search(text)
        if match:
            place = Position(int(match.group(1)), int(match.group(2)))
    reason = _PLACE.sub("", _PREFIX.sub("", reason)).strip()
    reason = re.split(r"\nWas expecting", reason)[0].strip()
    if not reason or (exception.endswith(_BARE) and not reason.startswith(_SPEAKING)):
        reason = f"{exception.rsplit('.', 1)[-1]}: {reason}".rstrip(": ")
    if not reason:
        reason = next((e for e in errors if e and not e.startswith("<")), "the gateway gave no reason")
    if python is not None:
        reason, place = str(python), None
    return Fault(reason if veil is None else noted(reason), exception, place, stack)


def hint(reason: str, stack: str = "") -> str:
    """Return what to do next, where the reason is a known one."""
    python = function_faults.read(stack)
    if python is not None:
        return python.hint
    for pattern, advice in _HINTS:
        if re.search(pattern, reason):
            return advice
    in_the_query = _CHAINED in stack  # and not in the records, though a source reports it
    for pattern, advice in _HINTS[-4:]:
        if re.search(pattern, stack) and not (in_the_query and pattern.startswith(_BROKEN_RECORD)):
            return advice
    return ""


SESSION = "the gateway had lost the session"
#: What the cluster says when a part of it went away under a job, and that part.
_LOSSES: tuple[tuple[str, str], ...] = (
    (r"Session '[^']*' does not exist", SESSION),
    (
        (
            r"TaskManager with id \S+ (?:is no longer reachable|timed out)|The TaskExecutor is shutting down"
            r"|Connection unexpectedly closed by remote task manager|Lost connection to task manager"
            r"|The heartbeat of TaskManager|TaskExecutor\S* (?:was|has been) (?:stopped|released)"
        ),
        "the TaskManager was lost",
    ),
    (
        (
            r"Could not find Flink job|FlinkJobNotFoundException|JobMaster .* (?:stopped|lost leadership)"
            r"|(?s:Failed to submit (?:JobGraph|job).*Connection refused)"
        ),
        "the JobManager went away",
    ),
)


def what_was_lost(errors: list[str]) -> str | None:
    """Return in a sentence what part of the cluster went away, where the errors say so."""
    text = "\n".join(errors)
    return next((what for pattern, what in _LOSSES if re.search(pattern, text)), None)


def is_unserialisable(errors: list[str]) -> bool:
    """Whether the gateway could not write a page as JSON."""
    return any("Could not map response to JSON" in error for error in errors)


def to_error(
    errors: Sequence[str],
    *,
    job_id: str | None = None,
    veil: Veil | None = None,
    config: Mapping[str, str] | None = None,
) -> SqlError:
    """Make the error to raise: JobFailed where a job was running, StatementError otherwise.

    ``veil`` hides values in what was said at run time; what Flink says of the text itself stays.
    ``config`` is the statement's own: an error about one of its options names it.
    """
    text = "\n".join(errors)
    if _REFUSED.search(text) and not _RAN.search(text):
        veil = None
    fault = read(errors, veil)
    advice = hint(fault.reason, fault.stack)
    if job_id and fault.place is None and _RAN.search(fault.stack):
        return JobFailed(f"the job failed: {fault.reason}", job_id=job_id, hint=advice, detail=fault.stack)
    reason = places.about(fault.reason, config or {})
    return StatementError(reason, hint=advice, detail=fault.stack, position=fault.place)
