"""The team repository's pipeline: GitLab jobs, the Terraform root they run, values for each environment.

An environment is a profile with a Kubernetes cluster. Jobs themselves are ``terraform/JOB.tf``, written by
promotions; nothing here names one.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.errors import RepositoryError, SettingsError
from sdp_kernel.repository.notation import hcl_string
from sdp_kernel.repository.planned import PlannedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import jinja2

    from sdp_kernel.settings import Profile, Settings

ENVIRONMENT = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_TEMPLATES = Path(__file__).with_name("templates")
_PATHS = {
    ".gitlab-ci.yml": "gitlab-ci.yml.j2",
    "terraform/versions.tf": "versions.tf.j2",
    "terraform/variables.tf": "variables.tf.j2",
}


def pipeline_files(settings: Settings, root: Path) -> tuple[PlannedFile, ...]:
    """Return the pipeline's files for the repository at ``root``. Nothing is written.

    Raises
    ------
    SettingsError
        No profile names a Kubernetes cluster, so there is nowhere to apply to.
    """
    environments = {
        name: profile for name, profile in settings.profiles.items() if profile.kubernetes is not None
    }
    if not environments:
        raise SettingsError(
            f"no profile in {settings.file or 'sdp.toml'} names a Kubernetes cluster: nowhere to apply to",
            hint='add [profiles.dev.kubernetes] with context = "…", namespace = "…" and deployment = "…"',
        )
    for name in environments:
        if not ENVIRONMENT.match(name):
            raise SettingsError(
                f"the profile {name!r} cannot be an environment of a pipeline",
                hint="lower case letters, digits and hyphens",
            )
    contents = {path: template(name).render(environments=list(environments)) for path, name in _PATHS.items()}
    for name, profile in environments.items():
        contents[f"terraform/environments/{name}.tfvars"] = _values(profile)
    return tuple(_compared(root, path, content) for path, content in contents.items())


def write(files: Iterable[PlannedFile], root: Path, *, force: bool = False) -> tuple[str, ...]:
    """Write what is not there yet; returns the paths written.

    Raises
    ------
    RepositoryError
        A file is there with other content, and ``force`` is not given. Nothing is written.
    """
    files = tuple(files)
    changed = [file for file in files if file.status == "changed"]
    if changed and not force:
        raise RepositoryError(
            f"other content stands in {', '.join(file.path for file in changed)}",
            hint="look at the diff that `sdp pipeline --diff` prints; --force writes over it",
            detail="\n".join(file.diff for file in changed),
        )
    written = [file for file in files if file.status != "same"]
    for file in written:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8", newline="\n")
    return tuple(file.path for file in written)


@cache
def template(name: str) -> jinja2.Template:
    """Return a template of this room by its file's name."""
    import jinja2  # noqa: PLC0415 - needed only here

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML and HCL; what is filled in are names that settings have checked
    )
    return environment.get_template(name)


def _values(profile: Profile) -> str:
    """Return an environment's variables. Secrets stay references, as they are in ``sdp.toml``."""
    assert profile.kubernetes is not None  # noqa: S101 - chosen for it
    given = {
        "kubernetes_context": profile.kubernetes.context,
        "namespace": profile.kubernetes.namespace,
        "functions": profile.functions,
    }
    said = {name: hcl_string(value) for name, value in given.items() if value is not None}
    width = max(map(len, said))
    lines = [*(f"{name.ljust(width)} = {value}" for name, value in said.items()), "", "kafka = {"]
    for alias, cluster in sorted(profile.kafka.items()):
        lines += [f"  {alias} = {{", *_pairs(cluster.properties), "  }"]
    return "\n".join([*lines, "}", ""])


def _pairs(properties: Mapping[str, str]) -> list[str]:
    quoted = {hcl_string(key): hcl_string(value) for key, value in sorted(properties.items())}
    width = max(map(len, quoted), default=0)
    return [f"    {key.ljust(width)} = {value}" for key, value in quoted.items()]


def _compared(root: Path, path: str, content: str) -> PlannedFile:
    file = root / path
    before = file.read_text(encoding="utf-8") if file.is_file() else None
    return PlannedFile.against(before, path, content)
