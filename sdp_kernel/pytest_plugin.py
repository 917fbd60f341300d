"""pytest collects the tests that come with jobs: ``tests/JOB/CASE/`` of a team's repository.

A case is an item; all items of a run go through the runner at once, when the first of them is reached. What
runs them is loaded then, and nothing at all where there are no such directories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from sdp_kernel.repository.testing.result import Result

_OPTIONS, _EXPECTED = "test.toml", "expected.jsonl"
_RESULTS = pytest.StashKey[dict[str, "Result"]]()
_BROKEN = pytest.StashKey[Exception]()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a case by its ``test.toml``, or by what it expects where it has no options."""
    if file_path.name not in {_OPTIONS, _EXPECTED}:
        return None
    directory = file_path.parent
    if file_path.name == _EXPECTED and (directory / _OPTIONS).is_file():
        return None
    job, tests = directory.parent, directory.parent.parent
    if tests.name != "tests" or not (tests.parent / "sql" / "jobs" / f"{job.name}.sql").is_file():
        return None
    collector: pytest.Collector = CaseFile.from_parent(parent, path=file_path)
    return collector


class CaseFile(pytest.File):
    """The file by which a case was found."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the case."""
        yield CaseItem.from_parent(self, name=f"{self.path.parent.parent.name}/{self.path.parent.name}")


class CaseFailed(Exception):  # noqa: N818 - told as a failure, not as an error
    """A test of a job did not pass; the text is what there is to say."""


class CaseItem(pytest.Item):
    """A test of a job."""

    @property
    def root(self) -> Path:
        """The repository's top."""
        return self.path.parent.parent.parent.parent

    def runtest(self) -> None:
        """Look at its result; the first that asks runs all of the session."""
        stash = self.config.stash
        results = stash.setdefault(_RESULTS, {})
        if _BROKEN in stash:
            raise stash[_BROKEN]
        if self.nodeid not in results:
            alone = hasattr(self.config, "workerinput")  # of pytest-xdist, which hands items out one by one
            items = [self] if alone else [item for item in self.session.items if isinstance(item, CaseItem)]
            try:
                results.update(_run(items))
            except Exception as error:
                stash[_BROKEN] = error  # what stops one stops all: the stack does not run
                raise
        result = results[self.nodeid]
        if not result.good:
            from sdp_kernel.repository.testing.report import result_text  # noqa: PLC0415

            raise CaseFailed(result_text(result))

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: Any = None) -> str | TerminalRepr:
        """Say what is wrong, without a stack."""
        from sdp_kernel.errors import SdpError  # noqa: PLC0415

        if isinstance(excinfo.value, (CaseFailed, SdpError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Name the case."""
        return self.path, None, self.name


def _run(items: list[CaseItem]) -> dict[str, Result]:
    """Run items at once, for each repository on the embedded stack of its project."""
    from sdp_kernel.repository.testing.case import Case  # noqa: PLC0415
    from sdp_kernel.repository.testing.running import run  # noqa: PLC0415
    from sdp_kernel.workbench import connect  # noqa: PLC0415

    found: dict[str, Result] = {}
    for root in dict.fromkeys(item.root for item in items):
        mine = [item for item in items if item.root == root]
        cases = [Case(item.path.parent.parent.name, item.path.parent.name, root) for item in mine]
        with connect("local", directory=root) as workbench:
            source = workbench.settings.promote.module_source
            results = run(cases, workbench.test_place(), module_source=source)
        found |= {item.nodeid: result for item, result in zip(mine, results, strict=True)}
    return found
