"""What a workbench does for evidence: watch what queries read, and verify jobs that are committed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from pathlib import Path

    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.masking import Policy
    from sdp_kernel.promote import Witness
    from sdp_kernel.promote.reading import Reading
    from sdp_kernel.repository.verify import Flink, Verification
    from sdp_kernel.settings import Profile, Settings


class EvidenceSide:
    """The part of a workbench that proves things."""

    settings: Settings

    @property
    def session(self) -> Session:
        """The gateway session."""
        raise NotImplementedError

    @property
    def profile(self) -> Profile:
        """The profile."""
        raise NotImplementedError

    @property
    def masking(self) -> Policy:
        """What is hidden."""
        raise NotImplementedError

    def cluster(self, alias: str | None = None) -> Cluster:
        """Return a Kafka cluster of the profile."""
        raise NotImplementedError

    @cached_property
    def _readings(self) -> WeakKeyDictionary[Query, Reading]:
        return WeakKeyDictionary()

    def _watch(self, query: Query) -> None:
        """Look up the offsets of what a query reads, beside it, where it may be promoted."""
        if query.name is not None and query.statement.is_query:
            from sdp_kernel.promote.reading import Reading  # noqa: PLC0415

            self._readings[query] = Reading(query, self.session, self.cluster)

    @property
    def witness(self) -> Witness:
        """What is known of runs beside the queries."""
        from sdp_kernel.promote import Witness  # noqa: PLC0415

        readings, masking = self._readings, self.masking
        return Witness(
            reads=lambda query: readings[query].reads() if query in readings else None,
            masked=lambda name: masking.action((name,)) is not None,
        )

    def verify(
        self, *names: str, repository: Path | None = None, offline: bool = False
    ) -> list[Verification]:
        """Check committed jobs, or all, against their receipts, as they are checked out.

        Parameters
        ----------
        repository
            In place of ``[promote] repository``.
        offline
            Leave out what takes Flink: plans and versions.

        Raises
        ------
        UsageError
            There is no such job.
        GatewayUnreachable
            Flink is to be asked, and does not answer.
        """
        from sdp_kernel.repository import job as jobs  # noqa: PLC0415
        from sdp_kernel.repository.verify import verify  # noqa: PLC0415

        root = self.settings.repository(repository).resolve()
        wanted = [jobs.check_known(root, name) for name in names] or jobs.names(root)
        flink = self._flink() if wanted and not offline else None
        return [verify(root, job, flink, module_source=self.settings.promote.module_source) for job in wanted]

    def _flink(self) -> Flink:
        from sdp_kernel.flink.installed import installed  # noqa: PLC0415
        from sdp_kernel.promote.compose import prove  # noqa: PLC0415
        from sdp_kernel.repository.verify import Flink  # noqa: PLC0415
        from sdp_kernel.repository.versions import Place  # noqa: PLC0415

        session = self.session
        place = Place(
            self.profile.kafka,
            self.settings.make_state_dir() / "functions",
            self.profile.functions,
            self.settings.promote.module_source,
        )
        return Flink(place, lambda statements: prove(session, statements), installed(session))
