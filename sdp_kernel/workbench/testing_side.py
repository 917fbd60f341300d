"""What a workbench does with the tests that come with jobs: runs them on the embedded stack."""

# ruff: noqa: PT028  (no test of pytest's)

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.local.stack import Stack
    from sdp_kernel.masking import Policy
    from sdp_kernel.promote.freeze import Freezing
    from sdp_kernel.repository.testing.report import Report
    from sdp_kernel.repository.testing.result import Result
    from sdp_kernel.repository.testing.running import Place
    from sdp_kernel.settings import Profile, Settings

_LOCAL = "local"


class TestingSide:
    """The part of a workbench that runs tests of jobs."""

    settings: Settings
    _profile: Profile
    _progress: Callable[[Any], None] | None

    @property
    def profile(self) -> Profile:
        """The profile, with the embedded stack's addresses filled in."""
        raise NotImplementedError

    @property
    def masking(self) -> Policy:
        """What is hidden."""
        raise NotImplementedError

    def cluster(self, alias: str | None = None) -> Cluster:
        """Return a Kafka cluster of the profile."""
        raise NotImplementedError

    @property
    def stack(self) -> Stack:
        """The embedded stack of this project."""
        raise NotImplementedError

    def test(
        self,
        jobs: str | Sequence[str] = (),
        *,
        repository: Path | None = None,
        update: bool = False,
        on_result: Callable[[Result], None] | None = None,
    ) -> Report:
        """Run the tests of the repository's jobs at once, on the embedded stack, whatever the profile.

        Parameters
        ----------
        jobs
            ``JOB`` or ``JOB/CASE``; all tests by default.
        repository
            The team's repository; that of ``[promote]``, or the project's directory, by default.
        update
            Write what the jobs give in place of what was expected.
        on_result
            Called with each result.

        Raises
        ------
        UsageError
            There is no such job, or it has no such test.
        StackError, Unreachable
            The embedded stack does not run.
        """
        from sdp_kernel.repository import job as known  # noqa: PLC0415
        from sdp_kernel.repository.testing import case, result, running  # noqa: PLC0415
        from sdp_kernel.repository.testing.report import Report  # noqa: PLC0415

        root = self._tested(repository)
        cases = case.find(root, [jobs] if isinstance(jobs, str) else list(jobs))
        begun = time.monotonic()
        results = running.run(
            cases, self.test_place(), module_source=self.settings.promote.module_source, on_result=on_result
        ) if cases else ()  # fmt: skip
        if update:
            results = tuple(map(result.update, results))
        tested = {one.job for one in cases}
        untested = () if jobs else tuple(name for name in known.names(root) if name not in tested)
        return Report(results, time.monotonic() - begun, untested)

    @property
    def freezing(self) -> Freezing:
        """What a promotion needs to freeze a test."""
        from sdp_kernel.promote.freeze import Freezing  # noqa: PLC0415

        return Freezing(
            cluster=self.cluster,
            place=self.test_place,
            policy=self.masking,
            state_dir=self.settings.make_state_dir() / "tests",
            module_source=self.settings.promote.module_source,
        )

    def _tested(self, repository: Path | None) -> Path:
        """Return the repository's top: a directory with jobs, or the git repository around it."""
        from sdp_kernel.repository import job as known  # noqa: PLC0415
        from sdp_kernel.repository.git import Repository  # noqa: PLC0415

        place = self.settings.repository(repository)
        return place if (place / known.JOBS).is_dir() else Repository.find(place).root

    def test_place(self) -> Place:
        """Return where tests run: the embedded stack, which is started if need be.

        Raises
        ------
        UsageError
            The profile ``local`` names a gateway of its own, and not all of the rest.
        """
        from sdp_kernel.repository.testing.running import Place  # noqa: PLC0415

        profile = self.profile if self._profile.name == _LOCAL else self.settings.profile(_LOCAL)
        if profile.gateway is None:
            profile = self.stack.up(self._progress).to_profile(profile)
        kafka = profile.kafka.get("main") or next(iter(profile.kafka.values()), None)
        if profile.gateway is None or profile.jobmanager is None or kafka is None:
            raise UsageError(
                "the profile local lacks a gateway, a JobManager or Kafka, which tests need",
                hint="take [profiles.local] out of sdp.toml to have them run on the embedded stack",
            )
        return Place(
            profile.gateway,
            profile.jobmanager,
            kafka,
            self.settings.make_state_dir() / "tests",
            profile.session,
        )
