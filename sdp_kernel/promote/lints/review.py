"""A job in the making is looked over, mended where that is asked for, and looked over again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SliceError, UsageError
from sdp_kernel.flink import plan as plans
from sdp_kernel.flink import trace
from sdp_kernel.flink.plan_state import milliseconds
from sdp_kernel.lint_rules import RULES
from sdp_kernel.promote.lints import measured, planned, python_secrets, secrets, seen, statements, tables
from sdp_kernel.promote.lints.mend import FIXERS, Means, mend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.compose import Composed
    from sdp_kernel.promote.lints.draft import Draft
    from sdp_kernel.promote.lints.finding import Change, Finding
    from sdp_kernel.promote.several import Piece
    from sdp_kernel.promote.sink import Sink
    from sdp_kernel.settings_lint import LintSettings

_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Run:
    """What the rules are told of the run.

    Attributes
    ----------
    pieces
        The queries that ran, each with the output of a SELECT; empty for a job that is only read.
    others
        What was found elsewhere: of the outputs.
    left_out
        Settings of the profile that do not go with the job.
    """

    pieces: tuple[tuple[Query, Sink | None], ...] = ()
    left_out: tuple[str, ...] = ()
    others: tuple[Finding, ...] = ()

    @classmethod
    def of(
        cls, pieces: Sequence[Piece], session: Session, *, left_out: Iterable[str], others: Iterable[Finding]
    ) -> Run:
        """Return what is told of the cells of a job; what an INSERT left running is measured now."""
        for piece in pieces:
            query, jobmanager = piece.query, session.jobmanager
            if query.state == "submitted" and query.job_id and jobmanager is not None:
                query.trace.keep(trace.measure(jobmanager, query.job_id))
        return cls(tuple((piece.query, piece.output) for piece in pieces), tuple(left_out), tuple(others))


@dataclass(frozen=True)
class Reviewed:
    """A job that was looked over: what it is composed of, and what was found and changed.

    Attributes
    ----------
    draft
        The job as it was composed: mended, and without secrets.
    composed
        Its files and its plan.
    findings
        Those that stand, and those that were mended.
    changes
        What was mended.
    """

    draft: Draft
    composed: Composed
    findings: tuple[Finding, ...]
    changes: tuple[Change, ...] = field(default=())

    def receipt(self) -> dict[str, Any]:
        """Return what the receipt says of it: the findings, and how the job differs from what ran."""
        said: dict[str, Any] = {
            "findings": [
                {"code": one.code, "severity": one.label, "message": one.message} for one in self.findings
            ]
        }
        if self.changes:
            said["fixes"] = [
                {"code": one.code, "where": one.where, "change": one.what} for one in self.changes
            ]
        return said


def check_fix(codes: Iterable[str] | bool | None) -> tuple[str, ...]:  # noqa: FBT001 - as it is asked for
    """Return the codes to mend; all that can be for True.

    Raises
    ------
    UsageError
        One is no code, or nothing mends it.
    """
    if not codes:
        return ()
    if codes is True:
        return tuple(FIXERS)
    wanted = tuple(dict.fromkeys(code.strip().upper() for code in codes))
    for code in wanted:
        if code not in FIXERS:
            known = f"{code} ({RULES[code].title}) is not mended by --fix" if code in RULES else ""
            what = known or f"there is no {code}"
            raise UsageError(what, hint=f"--fix mends {', '.join(sorted(FIXERS))}")
    return wanted


def review(
    draft: Draft,
    compose: Callable[[Draft], Composed],
    *,
    run: Run,
    means: Means,
    fix: tuple[str, ...] = (),
) -> Reviewed:
    """Look over a job, and mend it.

    Parameters
    ----------
    compose
        Makes a job's files, and proves that they give a plan.
    means
        What mending may use.
    fix
        The codes to mend.

    Raises
    ------
    SliceError
        The job does not compile, as it was or mended.
    """
    draft, found = secrets.hide(draft)
    composed, in_files = python_secrets.hide(compose(draft))
    found = (*found, *in_files)
    findings = (*found, *_check(draft, composed, run, means.settings))
    wanted = [code for code in fix if code in {one.code for one in findings}]
    mended, changes = mend(draft, wanted, means)
    if not changes:
        return Reviewed(draft, composed, _offered(findings, draft, means))
    try:
        composed, _ = python_secrets.hide(compose(mended))
    except SliceError as error:
        codes = ",".join(dict.fromkeys(change.code for change in changes))
        raise SliceError(
            f"mended ({codes}), {error.message}", hint="leave --fix out, or name fewer codes after it"
        ) from None
    left = _check(mended, composed, run, means.settings)
    made: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        made.setdefault((change.code, change.where), []).append(change.what)
    fixed = tuple(
        replace(one, fixed=True, fix="; ".join(made[one.code, one.where]))
        for one in findings
        if (one.code, one.where) in made and one not in left
    )
    return Reviewed(mended, composed, (*fixed, *_offered((*found, *left), mended, means)), changes)


def look(draft: Draft, run: Run, settings: LintSettings, explained: str = "") -> tuple[Finding, ...]:
    """Look over a job without composing it.

    Parameters
    ----------
    explained
        ``EXPLAIN CHANGELOG_MODE`` of its INSERT; what only a plan shows is not found without it.
    """
    draft, found = secrets.hide(draft)
    findings = (*found, *_rules(draft, explained, run, settings))
    return _offered(_weighed(findings, settings), draft, Means("job", settings))


def _check(draft: Draft, composed: Composed, run: Run, settings: LintSettings) -> tuple[Finding, ...]:
    return _weighed(_rules(draft, composed.plan, run, settings), settings)


def _rules(draft: Draft, explained: str, run: Run, settings: LintSettings) -> tuple[Finding, ...]:
    plan = plans.read(explained, ttl=milliseconds(draft.settings.get(planned.TTL, "")))
    findings = [*statements.check(draft), *tables.check(draft), *planned.check(draft, plan)]
    findings += [*statements.left_behind(run.left_out), *run.others]
    for query, sink in run.pieces:
        findings += seen.check(query, sink, draft.settings)
        findings += measured.check(query, sink, plan, settings)
    return tuple(findings)


def _weighed(findings: Iterable[Finding], settings: LintSettings) -> tuple[Finding, ...]:
    """Leave out what is switched off, give each its severity, and put the gravest first."""
    told = [
        replace(one, severity=settings.severity_of(one.code))
        for one in dict.fromkeys(findings)
        if one.code not in settings.disable
    ]
    return tuple(sorted(told, key=lambda one: (_ORDER[one.severity], one.code)))


def _offered(findings: tuple[Finding, ...], draft: Draft, means: Means) -> tuple[Finding, ...]:
    """Mark what ``--fix`` would mend: what a fixer changes in a copy."""
    codes = {one.code for one in findings}
    _, changes = mend(draft, codes, means)
    places = {(change.code, change.where) for change in changes}
    return tuple(replace(one, fixable=(one.code, one.where) in places) for one in findings)
