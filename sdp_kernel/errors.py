"""The exception tree. Every error says what failed, on what, and what to do next.

::

    SdpError
    ├── SettingsError (ValueError)        sdp.toml, profiles, secret references
    ├── UsageError (ValueError)           an argument that cannot be right
    │   └── ParameterError                ${name}: missing, or a value that would break out
    ├── StackError (RuntimeError)         the embedded stack
    │   ├── ArtifactError                 a jar that cannot be fetched or verified
    │   └── ComponentError                a process that did not start, or died
    ├── Unreachable (ConnectionError)     nobody answers at an address
    │   ├── BrokerUnreachable
    │   ├── GatewayUnreachable
    │   ├── KubernetesUnreachable         a KubernetesError too
    │   └── RegistryUnreachable
    ├── KubernetesError                   a Kubernetes API server refused, or what is there does not serve
    │   ├── KubeconfigError (ValueError)  no kubeconfig, no such context, no credentials
    │   ├── Expired                       the server does not accept the credentials
    │   ├── Forbidden                     RBAC refuses it to this user
    │   ├── MissingCrd (LookupError)      an operator is not installed
    │   ├── ResourceNotFound (LookupError)
    │   └── Conflict                      another has the name, or owns the fields
    ├── TopicNotFound (LookupError)
    ├── TopicError (RuntimeError)         Kafka refused; or nothing can be made of a topic
    ├── RegistryError (RuntimeError)      the schema registry refused, or has no such schema
    ├── ReadOnly                          a change asked of a read-only profile, or not confirmed
    ├── SqlError
    │   ├── StatementError                Flink rejected a statement; has line and column
    │   │   └── FunctionError             a cell of Python functions cannot be registered
    │   ├── JobFailed (RuntimeError)      the statement's job ran and failed
    │   ├── SessionLost                   the gateway forgot the session
    │   ├── PlanUnavailable               there is no compiled plan of a statement
    │   └── ResultError                   a result page that cannot be decoded
    └── PromoteError
        ├── NotValidated                  no evidence for exactly this text
        ├── SliceError                    the job cannot be rebuilt from the ledger
        ├── Blocked                       lint findings of severity "error"
        └── RepositoryError               git: dirty, diverged, or a job with other content
            └── PushFailed                the commit stands, and was not pushed
"""

from __future__ import annotations

from dataclasses import dataclass


class SdpError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    message
        What failed, on what.
    hint
        What to do next; shown on a line of its own.
    detail
        Material for a closer look (a Java stack, the tail of a log). Kept, not shown.
    """

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message}\n→ {self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """Give IPython the message in place of a stack trace."""
        return [f"{type(self).__name__}: {self}"]


class SettingsError(SdpError, ValueError):
    """A setting, profile or secret reference is wrong."""


class UsageError(SdpError, ValueError):
    """An argument cannot be right; nothing has been done."""


class ParameterError(UsageError):
    """A ``${name}`` has no value, or its value would break out of the SQL text."""


class StackError(SdpError, RuntimeError):
    """The embedded stack cannot do what was asked."""


class ArtifactError(StackError):
    """A jar cannot be fetched, or is not the one in the lock file."""


class ComponentError(StackError):
    """A process of the embedded stack did not start, or died.

    ``detail`` is the tail of its log.
    """

    def __init__(self, component: str, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.component = component

    def __str__(self) -> str:
        tail = f"\n--- last lines of {self.component} ---\n{self.detail}" if self.detail else ""
        return f"{super().__str__()}{tail}"


class Unreachable(SdpError, ConnectionError):  # noqa: N818
    """Nobody answers at an address."""


class BrokerUnreachable(Unreachable):
    """No Kafka broker answers."""


class GatewayUnreachable(Unreachable):
    """No Flink SQL gateway answers."""


class RegistryUnreachable(Unreachable):
    """No schema registry answers."""


class KubernetesError(SdpError):
    """A Kubernetes API server refused, or what it has does not serve what was asked."""


class KubernetesUnreachable(KubernetesError, Unreachable):  # noqa: N818
    """No Kubernetes API server answers at an address."""


class KubeconfigError(KubernetesError, ValueError):
    """There is no kubeconfig, it cannot be read, or it lacks the context or credentials asked for."""


class Expired(KubernetesError):  # noqa: N818
    """The API server does not accept the credentials: they are expired, or were never its own."""


class Forbidden(KubernetesError):  # noqa: N818
    """RBAC refuses a call to this user; the hint is the rule to ask for."""


class MissingCrd(KubernetesError, LookupError):  # noqa: N818
    """The API server does not know a kind: the operator that brings it is not installed."""


class ResourceNotFound(KubernetesError, LookupError):  # noqa: N818
    """The API server has no resource of that name."""


class Conflict(KubernetesError):  # noqa: N818
    """A resource of that name is there already, or another manager owns the fields."""


class RegistryError(SdpError, RuntimeError):
    """The schema registry refused a call, or has no such schema."""


class ReadOnly(SdpError):  # noqa: N818
    """A change was asked of a read-only profile, or was not confirmed; nothing was done."""


class TopicNotFound(SdpError, LookupError):  # noqa: N818
    """The cluster has no topic of that name."""


class TopicError(SdpError, RuntimeError):
    """Kafka refused a call on a topic, or nothing can be made of its content."""


class SqlError(SdpError):
    """Anything about running a statement."""


@dataclass(frozen=True)
class Position:
    """A place in a cell: line and column, both from 1."""

    line: int
    column: int


class StatementError(SqlError):
    """Flink rejected a statement.

    ``position`` is in the cell, ``excerpt`` the cell's line with a caret under it,
    ``detail`` the Java stack.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        detail: str = "",
        statement: str = "",
        position: Position | None = None,
        excerpt: str = "",
    ) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.statement = statement
        self.position = position
        self.excerpt = excerpt

    def __str__(self) -> str:
        where = f" (line {self.position.line}, column {self.position.column})" if self.position else ""
        parts = [f"{self.message}{where}"]
        if self.excerpt:
            parts.append(self.excerpt)
        if self.hint:
            parts.append(f"→ {self.hint}")
        return "\n".join(parts)


class FunctionError(StatementError):
    """A cell of Python functions cannot be registered; nothing of it has been.

    ``position`` is in the cell, ``excerpt`` the cell's line with a caret under it.
    """


class JobFailed(SqlError, RuntimeError):  # noqa: N818
    """A statement's job ran and failed; ``job_id`` names it."""

    def __init__(self, message: str, *, job_id: str = "", hint: str = "", detail: str = "") -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.job_id = job_id


class SessionLost(SqlError):  # noqa: N818
    """The gateway no longer knows the session."""


class ResultError(SqlError):
    """A result page holds something that cannot be decoded without loss."""


class PlanUnavailable(SqlError):  # noqa: N818
    """A compiled plan cannot be had: the gateway is elsewhere, or Flink compiles none of the statement."""


class PromoteError(SdpError):
    """A query cannot become a job definition."""


class NotValidated(PromoteError):  # noqa: N818
    """No evidence that exactly this text ran without error in this session."""


class SliceError(PromoteError):
    """The statements the job needs cannot be found, or do not replay in a clean session."""


class Blocked(PromoteError):  # noqa: N818
    """Lint findings of severity "error" stand against the job."""


class RepositoryError(PromoteError):
    """The git repository is not in a state the plan can be applied to."""


class PushFailed(RepositoryError):  # noqa: N818
    """A branch was not pushed; its commit stands here, and the hint says how to go on."""
