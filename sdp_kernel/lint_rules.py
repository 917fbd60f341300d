"""What the lint looks for: every code with its severity, its reason, and whether it can be mended.

Data alone. What finds and mends is in :mod:`sdp_kernel.promote.lints`; ``docs/promotion/lints.md`` has a
section for each code.
"""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    code
        ``SDP001``; never given to another rule.
    title
        What is found, in a few words.
    severity
        ``error`` (blocks), ``warning`` or ``info``; ``[lint.severity]`` says otherwise.
    reason
        What goes wrong where it stays.
    fixable
        Whether ``--fix`` mends it, at least where it is written plainly.
    measured
        Whether it is found in the run, and not in the text.
    always
        Whether nothing switches it off.
    """

    code: str
    title: str
    severity: str
    reason: str
    fixable: bool = False
    measured: bool = False
    always: bool = False


RULES = {
    rule.code: rule
    for rule in (
        Rule("SDP001", "a LIMIT left in", "warning",
             "the job ends after so many rows, or goes on and writes no more", fixable=True),
        Rule("SDP002", "state without a bound", "warning",
             "the state grows as long as the job runs, until checkpoints fail", fixable=True),
        Rule("SDP003", "a connector for trying out", "warning",
             "print and blackhole write nowhere, datagen makes rows up"),
        Rule("SDP004", "reading from latest-offset", "warning",
             "a fresh start skips all that came before it, also while the job was down", fixable=True),
        Rule("SDP005", "no consumer group", "info",
             "Flink commits no offsets without one, so its lag is not to be seen", fixable=True),
        Rule("SDP006", "a literal connection", "warning",
             "the declaration works in one environment only", fixable=True),
        Rule("SDP007", "a bounded source", "warning",
             "the job ends when it has read what is there", fixable=True),
        Rule("SDP008", "several jobs in a cell", "error",
             "a job definition holds one job: the others would be left out"),
        Rule("SDP009", "a column without a name", "warning",
             "the output has a column EXPR$0, whose name is the planner's"),
        Rule("SDP010", "a literal secret", "error",
             "it would be in git, in Terraform's state and in Flink's web page", always=True),
        Rule("SDP011", "nulls in the output's key", "error",
             "the sink fails at the first row without a key", measured=True),
        Rule("SDP012", "a setting of the profile that stays behind", "info",
             "the query ran under a setting that the job will not have"),
        Rule("SDP013", "a jar of this machine", "warning",
             "the job's cluster reads the path on its own disk"),
        Rule("SDP014", "SELECT * into the output", "warning",
             "the next column of the source changes the job, or stops it from compiling", fixable=True),
        Rule("SDP015", "no idle time-out for a watermark", "warning",
             "a partition without records holds back every window", fixable=True),
        Rule("SDP016", "a function that never says the same twice, over updates", "warning",
             "the row that is taken back is not the one that was sent, so both stay"),
        Rule("SDP017", "processing time", "warning",
             "the result depends on when the job reads a record: started again, it gives other rows"),
        Rule("SDP018", "a join without a key", "warning",
             "every row meets every row, in one task whatever the parallelism"),
        Rule("SDP019", "transactions longer than the broker allows", "warning",
             "Flink asks for an hour, brokers allow 15 minutes by default: the sink fails at its start"),
        Rule("SDP020", "a transactional id that jobs share", "warning",
             "two jobs that write the table end each other's transactions"),
        Rule("SDP021", "a setting that belongs to the place", "warning",
             "it overrides what Terraform says of the job, in every environment"),
        Rule("SDP022", "MATCH_RECOGNIZE without WITHIN", "warning",
             "a match that has begun is kept until it ends, for ever if it does not; no TTL applies"),
        Rule("SDP023", "reading from fixed offsets", "warning",
             "the offsets are those of one topic in one environment"),
        Rule("SDP030", "state that grew in the run", "warning",
             "at the pace of the run, it outgrows what was allowed", measured=True),
        Rule("SDP031", "a key that most changes have", "warning",
             "one task does most of the work, whatever the parallelism", measured=True),
        Rule("SDP032", "records behind the watermark", "warning",
             "windows leave them out of the result", measured=True),
        Rule("SDP033", "more records than the parallelism takes", "warning",
             "the job falls behind, or takes long to catch up", measured=True),
        Rule("SDP040", "files without checkpoints", "warning",
             "files are finished at checkpoints alone: readers never see a row"),
        Rule("SDP041", "columns by their place", "info",
             "a column that is added or moved ends up in another one"),
        Rule("SDP042", "columns that stay NULL", "info",
             "the output's table has columns that the query does not fill"),
        Rule("SDP043", "a key that the planner does not know", "info",
             "Flink keeps each key's last row in state, and others of that key are not to be seen"),
    )
}  # fmt: skip
