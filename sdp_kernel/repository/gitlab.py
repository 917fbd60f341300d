"""The comment on a GitLab merge request: one for each environment, kept up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "SDP_COMMENT_TOKEN"  # noqa: S105 - the variable's name
_NEEDED = ("CI_SERVER_URL", "CI_PROJECT_ID", "CI_MERGE_REQUEST_IID", TOKEN)


def comment(text: str, *, environment: str, variables: Mapping[str, str]) -> str | None:
    """Write the report into the merge request, in place of the one written before.

    Parameters
    ----------
    text
        Markdown.
    variables
        GitLab's predefined variables, and the token as ``SDP_COMMENT_TOKEN``.

    Returns
    -------
    str or None
        Why nothing was written; None where it was.

    Raises
    ------
    SettingsError
        The package ``python-gitlab`` is not installed.
    SdpError
        GitLab refused. The token is never in the message.
    """
    missing = [name for name in _NEEDED if not variables.get(name)]
    if "CI_MERGE_REQUEST_IID" in missing:
        return "this is no merge request's pipeline"
    if missing:
        return f"{', '.join(missing)} is not set"
    try:
        import gitlab  # noqa: PLC0415 - an extra
    except ImportError:
        raise SettingsError(
            "the package python-gitlab is not installed", hint="pip install 'sdp-kernel[gitlab]'"
        ) from None
    mark = f"<!-- sdp report {environment} -->"
    body = f"{mark}\n{text}"
    url, project, request, token = (variables[name] for name in _NEEDED)
    client = gitlab.Gitlab(url, private_token=token, timeout=30)
    try:
        notes = client.projects.get(project, lazy=True).mergerequests.get(int(request), lazy=True).notes
        ours = next((note for note in notes.list(iterator=True) if note.body.startswith(mark)), None)
        if ours is None:
            notes.create({"body": body})
        else:
            ours.body = body
            ours.save()
    except (gitlab.GitlabError, OSError) as error:
        raise SdpError(
            f"GitLab at {url} refused the comment on merge request {request}: {error}",
            hint=f"{TOKEN} needs the scope `api` and the role Reporter in this project",
        ) from None
    return None
