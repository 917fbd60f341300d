"""A team's repository as it is made: what is in it, where it may go, what it leaves alone."""

import json
import subprocess

import nbformat
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from sdp_kernel import cli, settings
from sdp_kernel.errors import RepositoryError, UsageError
from sdp_kernel.repository import init, job


def git(where, *arguments):
    done = subprocess.run(["git", *arguments], cwd=where, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def author(monkeypatch, tmp_path):
    """A git that knows who commits, and nothing else of this machine."""
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n  name = Ada\n  email = ada@example.com\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return config


def make(*arguments):
    return CliRunner().invoke(cli.main, ["init", "--no-example", *map(str, arguments)])


def files_under(root):
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


def test_it_is_a_repository_with_one_commit_of_all_its_files(tmp_path):
    root = tmp_path / "a" / "team"
    result = make(root)
    assert result.exit_code == 0, result.output
    assert git(root, "status", "--porcelain") == ""
    assert set(git(root, "ls-files").splitlines()) == files_under(root)
    assert git(root, "log", "--format=%an %s") == "Ada Begin the team's repository"
    assert git(root, "symbolic-ref", "HEAD") == "refs/heads/main"
    for folder in ("sql/tables", "sql/views", "sql/functions", "sql/jobs", "tests", "terraform", "notebooks"):
        assert (root / folder).is_dir()


def test_its_settings_are_read_and_name_its_environments(tmp_path):
    assert make(tmp_path / "team", "--environments", "test, live", "--namespace", "jobs").exit_code == 0
    loaded = settings.load(tmp_path / "team")
    assert loaded.profile("local").embedded
    assert {name: profile.kubernetes.context for name, profile in loaded.profiles.items()} == {
        "test": "test",
        "live": "live",
    }
    assert loaded.profile("live").kubernetes.namespace == "jobs"
    assert loaded.profile("live").read_only
    assert loaded.promote.module_source == init.COPIED
    assert "live.tfvars" in " ".join(files_under(tmp_path / "team"))
    pipeline = YAML(typ="safe").load((tmp_path / "team/.gitlab-ci.yml").read_text())
    assert {"plan:test", "apply:test", "plan:live", "apply:live"} <= set(pipeline)
    assert pipeline["apply:live"]["rules"][0]["when"] == "manual"


def test_what_it_writes_of_the_pipeline_is_what_its_profiles_say(tmp_path, monkeypatch):
    assert make(tmp_path / "team").exit_code == 0
    monkeypatch.chdir(tmp_path / "team")
    assert CliRunner().invoke(cli.main, ["pipeline"]).output == "everything is as it would be written\n"


def test_its_own_checks_find_nothing(tmp_path, monkeypatch):
    assert make(tmp_path / "team").exit_code == 0
    monkeypatch.chdir(tmp_path / "team")
    assert CliRunner().invoke(cli.main, ["report", "--check"]).exit_code == 0
    assert job.names(tmp_path / "team") == ()


def test_a_module_source_of_its_own_is_taken_in_place_of_a_copy(tmp_path):
    source = "git::https://git.example/platform/sdp.git//flink/sql-job?ref=v1.2.0"
    assert make(tmp_path / "team", "--modules", source).exit_code == 0
    assert settings.load(tmp_path / "team").promote.module_source == source
    assert not (tmp_path / "team/terraform/modules").exists()


def test_the_copied_modules_are_the_ones_a_job_calls(tmp_path):
    assert make(tmp_path / "team").exit_code == 0
    place = tmp_path / "team/terraform" / init.COPIED
    assert (place / "main.tf").is_file()
    for called in ("../sql-script", "../session-job"):
        assert f'source = "{called}"' in (place / "main.tf").read_text()
        assert (place / called / "variables.tf").is_file()


def test_the_example_is_a_notebook_without_output_that_jupyter_takes(tmp_path):
    files = init.contents(init.Team("team"), tmp_path)
    notebook = nbformat.reads(files[init.NOTEBOOK], as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert f"--job {init.EXAMPLE_JOB}" in notebook.cells[-1].source


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--environments", ""], "needs an environment"),
        (["--environments", "dev,local"], "'local' cannot be an environment"),
        (["--environments", "dev,Prod"], "'Prod' cannot be an environment"),
        (["--environments", "dev,../x"], "cannot be an environment"),
        (["--environments", "dev,dev"], "named twice"),
        (["--modules", "git::https://git.example/sdp.git//flink/sql-job"], "names no version"),
        (["--modules", "git::https://git.example/ref=1.git//flink/sql-job"], "names no version"),
        (["--modules", "${file}"], "is not a Terraform source"),
        (["--modules", ""], "is not a Terraform source"),
        (["--modules", "a\nb"], "is not a Terraform source"),
        (["--namespace", "No Name"], "is not a name that Kubernetes takes"),
        (["--session-cluster", "a.b"], "is not a name that Kubernetes takes"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, arguments, message):
    result = make(tmp_path / "team", *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "team").exists()


@pytest.mark.parametrize("name", ['a"b\\', "# [x](y) {{ z }}", "tëam"])
def test_names_are_text_whatever_is_in_them(tmp_path, name):
    assert make(tmp_path / "team", "--name", name, "--modules", f"./{name}").exit_code == 0
    assert settings.load(tmp_path / "team").promote.module_source == f"./{name}"
    assert (tmp_path / "team/README.md").read_text(encoding="utf-8").startswith(f"# {name}\n")


def test_nothing_is_written_over_and_what_is_there_is_listed(tmp_path):
    root = tmp_path / "team"
    (root / "terraform").mkdir(parents=True)
    (root / "README.md").write_text("mine\n")
    (root / "terraform/versions.tf").symlink_to("nowhere")
    (root / "other").write_text("stays\n")
    result = make(root)
    assert result.exit_code == 1
    assert "has already: README.md, terraform/versions.tf; nothing was written" in result.output
    assert files_under(root) == {"README.md", "other"}
    assert not (root / ".git").exists()


@pytest.mark.parametrize("what", ["file", "link"])
def test_a_folder_s_place_that_is_taken_is_refused(tmp_path, what):
    root = tmp_path / "team"
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "sql").write_text("") if what == "file" else (root / "sql").symlink_to(tmp_path / "elsewhere")
    result = make(root)
    assert "has already: sql/functions/.gitkeep" in result.output
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_second_time_is_refused(tmp_path):
    assert make(tmp_path / "team").exit_code == 0
    before = git(tmp_path / "team", "rev-parse", "HEAD")
    result = make(tmp_path / "team")
    assert result.exit_code == 1
    assert "has already" in result.output
    assert git(tmp_path / "team", "rev-parse", "HEAD") == before


def test_a_clone_without_commits_gets_its_first_one_on_its_own_branch(tmp_path):
    git(tmp_path, "init", "-q", "-b", "trunk", "team")
    assert make(tmp_path / "team").exit_code == 0
    assert git(tmp_path / "team", "log", "--format=%s", "trunk") == "Begin the team's repository"


def test_in_a_repository_with_commits_committing_is_left_to_the_user(tmp_path):
    root = tmp_path / "team"
    git(tmp_path, "init", "-q", "-b", "main", "team")
    git(root, "commit", "-q", "--allow-empty", "-m", "Before")
    result = make(root)
    assert result.exit_code == 0
    assert "commit them yourself" in result.output
    assert git(root, "log", "--format=%s") == "Before"
    assert "?? sdp.toml" in git(root, "status", "--porcelain")


def test_inside_another_repository_it_is_refused(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main", "outer")
    result = make(tmp_path / "outer" / "team")
    assert result.exit_code == 1
    assert "is inside the repository" in result.output
    assert files_under(tmp_path / "outer") == set()


def test_without_an_author_nothing_is_written(tmp_path, author):
    author.write_text("[user]\n  useConfigOnly = true\n")
    result = make(tmp_path / "team")
    assert result.exit_code == 1
    assert "git has no author" in result.output
    assert "user.name" in result.output
    assert not (tmp_path / "team").exists()


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    root = tmp_path / "team"
    files = {**init.contents(init.Team("team"), root), "x" * 300: "a name that no file system takes"}
    with pytest.raises(RepositoryError, match="cannot be written"):
        init.create(init.survey(root), files)
    assert not root.exists()


def test_a_commit_that_a_hook_refuses_is_said(tmp_path, author):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\necho not today\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    author.write_text(f"{author.read_text()}[core]\n  hooksPath = {hooks}\n")
    result = make(tmp_path / "team")
    assert result.exit_code == 1
    assert "git commit failed" in result.output


def test_an_empty_team_is_refused():
    with pytest.raises(UsageError):
        init.contents(init.Team("team", environments=()), None)


def test_the_settings_example_of_a_git_tag_is_one_that_would_be_taken(tmp_path):
    text = init.contents(init.Team("team"), tmp_path)["sdp.toml"]
    (line,) = (line for line in text.splitlines() if line.startswith("# module_source"))
    source = json.loads(line.partition("= ")[2])
    assert "?ref=v" in init.contents(init.Team("team", modules=source), tmp_path)["sdp.toml"]
