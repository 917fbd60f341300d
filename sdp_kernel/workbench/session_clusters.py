"""Which session clusters are meant: those of a profile, or of a context."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sdp_kernel import settings as settings_
from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from sdp_kernel.deploy.clusters import SessionCluster


def clusters(
    profile: str | None = None,
    *,
    context: str | None = None,
    namespace: str | None = None,
    everywhere: bool = False,
    directory: Path | None = None,
) -> list[SessionCluster]:
    """List Flink session clusters on Kubernetes.

    Parameters
    ----------
    profile
        A profile with ``kubernetes``; where neither this nor ``context`` is given, the only one, or else
        the kubeconfig's current context.
    context, namespace
        A context of the kubeconfig, and a namespace in place of the profile's or the context's own.
    everywhere
        In all namespaces.
    directory
        Where to look for ``sdp.toml`` from.

    Raises
    ------
    SettingsError, UsageError
        The profile is on no Kubernetes, or it is not clear which one is meant.
    KubernetesError
        One of its kinds; the message says what is missing and whom to ask.
    """
    from sdp_kernel.deploy.clusters import session_clusters  # noqa: PLC0415

    if profile is not None and context is not None:
        raise UsageError("a profile names its context", hint="give either a profile or a context")
    loaded = settings_.load(directory)
    with_kubernetes = {name: p for name, p in loaded.profiles.items() if p.kubernetes is not None}
    if profile is None and context is None and with_kubernetes:
        if len(with_kubernetes) > 1:
            raise UsageError(
                "several profiles are on Kubernetes", hint=f"give one: {', '.join(sorted(with_kubernetes))}"
            )
        profile = next(iter(with_kubernetes))
    chosen = settings_.KubernetesSettings(namespace="", context=context)
    if profile is not None:
        found = loaded.profile(profile).kubernetes
        if found is None:
            raise UsageError(
                f"the profile {profile} is not on Kubernetes", hint=f"add [profiles.{profile}.kubernetes]"
            )
        chosen = found
    if namespace is not None:
        chosen = dataclasses.replace(chosen, namespace=namespace)
    return session_clusters(chosen, everywhere=everywhere)
