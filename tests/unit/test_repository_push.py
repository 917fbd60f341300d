"""Pushing to real repositories: what the other side takes, refuses, and says."""

import http.server
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sdp_kernel.errors import PushFailed
from sdp_kernel.repository.command import without_credentials
from sdp_kernel.repository.git import Repository
from sdp_kernel.repository.push import default_branch, push, read_remote, remote_of
from tests.repositories import BRANCH, FILES, commit, configure, git, make_work, snapshot, write_hook

TITLE = "Add Flink SQL job j"


@pytest.fixture
def team(tmp_path):
    """The team's repository, bare."""
    made = make_work(tmp_path / "first")
    git(tmp_path, "clone", "-q", "--bare", str(made), "team.git")
    return tmp_path / "team.git"


@pytest.fixture
def work(tmp_path, team):
    """A clone of it."""
    git(tmp_path, "clone", "-q", str(team), "work")
    configure(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def repository(work):
    """The clone, with a job on its branch."""
    found = Repository.find(work)
    found.commit(BRANCH, FILES, TITLE, base=git(work, "rev-parse", "HEAD"), tip=None)
    return found


def test_a_branch_is_pushed_and_follows_its_remote(team, work, repository):
    done = push(repository, BRANCH, title=TITLE)
    assert git(team, "rev-parse", BRANCH) == git(work, "rev-parse", BRANCH)
    assert git(work, "config", f"branch.{BRANCH}.remote") == "origin"
    assert (done.remote, done.target, done.new, done.asked) == ("origin", "main", True, False)
    assert done.review_url is None
    again = push(repository, BRANCH, title=TITLE)
    assert (again.new, again.asked) == (False, False)


def test_gitlab_is_asked_for_a_merge_request_by_push_options(team, repository):
    git(team, "config", "receive.advertisePushOptions", "true")
    write_hook(
        team,
        "post-receive",
        'i=0; while [ $i -lt "$GIT_PUSH_OPTION_COUNT" ]; do eval echo "\\$GIT_PUSH_OPTION_$i"; i=$((i+1)); done > options\n'
        'echo; echo "View merge request for sdp/j:"; echo "  https://ada:secret@gitlab.example/team/jobs/-/merge_requests/7"',
    )
    done = push(repository, BRANCH, title=TITLE)
    assert (team / "options").read_text().splitlines() == [
        "merge_request.create",
        "merge_request.target=main",
        f"merge_request.title={TITLE}",
    ]
    assert done.asked
    assert done.review_url == "https://gitlab.example/team/jobs/-/merge_requests/7"


def test_the_merge_request_is_meant_for_the_branch_the_remote_has_as_its_own(team, work, repository):
    git(team, "branch", "-m", "main", "trunk")
    git(work, "remote", "set-head", "origin", "-d")
    git(work, "switch", "-q", "-c", "feature")
    assert default_branch(repository, remote_of(repository), ask=True) == "trunk"
    git(work, "fetch", "-q")
    git(work, "remote", "set-head", "origin", "trunk")
    assert default_branch(repository, remote_of(repository)) == "trunk"


def test_a_hook_of_the_remote_that_refuses_is_quoted_and_the_commit_stands(team, work, repository):
    write_hook(
        team, "pre-receive", "echo 'GitLab: You are not allowed to push code to protected branches'; exit 1"
    )
    before = snapshot(work)
    with pytest.raises(
        PushFailed, match=r"origin \(.*team\.git\) refused sdp/j: GitLab: You are not allowed"
    ) as caught:
        push(repository, BRANCH, title=TITLE)
    assert f"the commit stands on {BRANCH} here" in caught.value.hint
    assert f"git push -u origin {BRANCH}" in caught.value.hint
    assert snapshot(work) == before
    (team / "hooks" / "pre-receive").unlink()
    assert push(repository, BRANCH, title=TITLE).new


def test_a_hook_here_that_refuses_is_quoted(team, work, repository):
    write_hook(work / ".git", "pre-push", 'cat >/dev/null; echo "no pushes on Fridays to $2" >&2; exit 1')
    with pytest.raises(PushFailed, match="no pushes on Fridays") as caught:
        push(repository, BRANCH, title=TITLE)
    assert "pre-push hook" in caught.value.hint
    assert git(team, "branch", "--list", BRANCH) == ""


def test_commits_of_others_on_the_branch_are_not_written_over(team, work, repository, tmp_path):
    push(repository, BRANCH, title=TITLE)
    git(tmp_path, "clone", "-q", "-b", BRANCH, str(team), "theirs")
    configure(tmp_path / "theirs")
    theirs = commit(tmp_path / "theirs", "sql/other.sql")
    git(tmp_path / "theirs", "push", "-q")
    tip = git(work, "rev-parse", BRANCH)
    repository.commit(BRANCH, {"sql/jobs/j.sql": "-- new\n"}, "Change", base=tip, tip=tip)
    with pytest.raises(PushFailed, match=f"has commits on {BRANCH} that are not here") as caught:
        push(repository, BRANCH, title=TITLE)
    assert git(team, "rev-parse", BRANCH) == theirs
    steps = caught.value.hint.split("; ", 1)[1].split(", then ")
    subprocess.run(["sh", "-e", "-c", "\n".join(steps)], cwd=work, check=True, capture_output=True)
    assert git(team, "rev-parse", f"{BRANCH}^") == theirs


def test_a_repository_without_a_remote_says_how_to_add_one(work, repository):
    git(work, "remote", "remove", "origin")
    assert remote_of(repository) is None
    with pytest.raises(PushFailed, match="has no remote") as caught:
        push(repository, BRANCH, title=TITLE)
    assert "git remote add" in caught.value.hint


def test_a_remote_that_is_gone_is_named(team, work, repository):
    team.rename(team.with_name("gone.git"))
    with pytest.raises(PushFailed, match="cannot be reached"):
        push(repository, BRANCH, title=TITLE)


def test_a_host_that_nobody_has_is_named_without_the_password(work, repository):
    git(work, "remote", "set-url", "origin", "http://ada:hunter2@127.0.0.1:1/team.git")
    with pytest.raises(PushFailed, match=r"http://127\.0\.0\.1:1/team\.git\) cannot be reached") as caught:
        push(repository, BRANCH, title=TITLE)
    assert "hunter2" not in str(caught.value) + caught.value.detail + repr(remote_of(repository))


class _Closed(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="team"')
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("who", ["", "ada:hunter2@"])
def test_a_remote_that_wants_a_password_is_not_waited_for(work, repository, monkeypatch, who):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.delenv("GIT_ASKPASS", raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Closed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        git(work, "remote", "set-url", "origin", f"http://{who}127.0.0.1:{server.server_port}/team.git")
        with pytest.raises(PushFailed, match="wants to know who pushes") as caught:
            push(repository, BRANCH, title=TITLE)
        server.shutdown()
    assert "credential helper" in caught.value.hint
    assert "hunter2" not in str(caught.value) + caught.value.detail


def test_ssh_asks_nothing_unless_the_user_chose_their_own(work, repository, tmp_path, monkeypatch):
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho "ada@host: Permission denied (publickey)." >&2\nexit 255\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(ssh.parent), prepend=":")
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    git(work, "remote", "set-url", "origin", "git@host.example:team/jobs.git")
    with pytest.raises(
        PushFailed, match=r"wants to know who pushes: ada@host: Permission denied \(publickey\)"
    ):
        push(repository, BRANCH, title=TITLE)
    assert "BatchMode=yes" in (tmp_path / "asked").read_text()
    git(work, "config", "core.sshCommand", "ssh -v")
    with pytest.raises(PushFailed, match="wants to know who pushes"):
        push(repository, BRANCH, title=TITLE)
    assert "BatchMode" not in (tmp_path / "asked").read_text()


def test_the_remote_is_the_one_git_would_push_to(work, repository):
    git(work, "remote", "add", "mine", "https://github.com/ada/jobs.git")
    assert remote_of(repository).name == "origin"
    git(work, "config", "remote.pushDefault", "mine")
    assert remote_of(repository).name == "mine"
    git(work, "config", "branch.main.pushRemote", "origin")
    assert remote_of(repository).name == "origin"
    git(work, "config", "remote.origin.pushurl", "ssh://git@gitlab.example:2222/team/jobs.git")
    assert remote_of(repository).web == "https://gitlab.example/team/jobs"


@pytest.mark.parametrize(
    ("url", "web", "kind"),
    [
        ("https://github.com/team/jobs.git", "https://github.com/team/jobs", "github"),
        ("https://ada:tok@github.com/team/jobs", "https://github.com/team/jobs", "github"),
        ("git@github.com:team/jobs.git", "https://github.com/team/jobs", "github"),
        ("ssh://git@gitlab.example:2222/a/b/jobs.git", "https://gitlab.example/a/b/jobs", "gitlab"),
        ("https://gitlab.example:8443/a/b.git/", "https://gitlab.example:8443/a/b", "gitlab"),
        ("gitlab:team/jobs", "https://gitlab/team/jobs", "gitlab"),
        ("https://git.example/a/ü b.git", "https://git.example/a/%C3%BC%20b", ""),
        ("git@[::1]:team/jobs.git", "https://[::1]/team/jobs", ""),
        ("/srv/team.git", "", ""),
        ("./host:path.git", "", ""),
        ("file:///srv/team.git", "", ""),
        ("https://host:port/x", "", ""),
    ],
)
def test_addresses_are_read(url, web, kind):
    remote = read_remote("origin", url)
    assert (remote.web, remote.kind) == (web, kind)
    assert "tok" not in remote.shown


def test_the_page_for_a_review_is_that_of_the_host():
    github = read_remote("origin", "git@github.com:team/jobs.git")
    assert (
        github.review_url("main", "sdp/j#1")
        == "https://github.com/team/jobs/compare/main...sdp/j%231?expand=1"
    )
    gitlab = read_remote("origin", "https://gitlab.com/team/jobs.git")
    assert gitlab.review_url("main", "sdp/j") == (
        "https://gitlab.com/team/jobs/-/merge_requests/new"
        "?merge_request%5Bsource_branch%5D=sdp%2Fj&merge_request%5Btarget_branch%5D=main"
    )
    assert read_remote("origin", "https://git.example/x").review_url("main", "j") is None


PASSWORDS = st.text(
    st.characters(exclude_characters="/'\" \n\t\r", exclude_categories=["Z", "C"]), min_size=1
)


@given(PASSWORDS)
@example("p@ss")
@example("@")
def test_no_password_stays_in_what_is_shown(password):
    text = f"fatal: unable to access 'https://ada:{password}@git.example/x.git/': no"
    assert without_credentials(text) == "fatal: unable to access 'https://git.example/x.git/': no"


VALUES = st.text(
    st.characters(exclude_characters="&'\" \n\t\r", exclude_categories=["Z", "C"]), min_size=1, max_size=20
)


@given(
    st.sampled_from(["private_token", "access_token", "client_secret", "PASSWORD", "api-key", "job%5Ftoken"]),
    VALUES,
    st.sampled_from(["", "/x.git", "/a/b"]),
)
@example("private_token", "a@b", "")
@example("private_token", "a/b@c", "")
@example("private_token", "a@b/c@d", "")
def test_no_token_of_a_query_stays_in_what_is_shown(name, value, path):
    text = f"fatal: unable to access 'https://git.example{path}?a=1&{name}={value}&b=2': no"
    hidden = f"fatal: unable to access 'https://git.example{path}?a=1&{name}=********&b=2': no"
    assume(value not in hidden)
    shown = without_credentials(text)
    assert value not in shown
    if "@" not in value:
        assert shown == hidden


def test_a_token_is_hidden_wherever_it_stands():
    hidden = "https://h/x.git?private_token=********"
    assert without_credentials("https://u:p@ss@h/x.git?private_token=abc") == hidden
    assert read_remote("origin", "https://u:p@ss@h/x.git?private_token=abc").shown == hidden
    assert without_credentials("https://u:p?token=abc@h/x.git") == "https://********"
    assert without_credentials("at https://h?token=a@b/c@d, then") == "at https://******** then"
    assert without_credentials("see https://h/x and ada@example.com") == "see https://h/x and ada@example.com"


@given(st.text(max_size=60))
def test_any_address_can_be_read(url):
    remote = read_remote("origin", url)
    assert not remote.web or remote.web.startswith(("http://", "https://"))


def test_pushing_goes_on_from_a_linked_worktree(team, work, repository, tmp_path):
    git(work, "worktree", "add", "-q", "-b", "feature", str(tmp_path / "linked"))
    push(Repository.find(Path(tmp_path / "linked")), BRANCH, title=TITLE)
    assert git(team, "rev-parse", BRANCH) == git(work, "rev-parse", BRANCH)
