"""Git repositories for tests, real ones."""

import subprocess

BRANCH = "sdp/j"
FILES = {"sql/jobs/j.sql": "-- j\nINSERT INTO ü SELECT 1;\n", "terraform/j.tf": "module {}\n"}


def git(where, *arguments):
    done = subprocess.run(["git", *arguments], cwd=where, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def configure(where):
    git(where, "config", "user.name", "Ada")
    git(where, "config", "user.email", "ada@example.com")
    git(where, "config", "commit.gpgsign", "false")


def settings(stack, more=""):
    """Return an ``sdp.toml`` whose profile ``local`` is the stack, with ``more`` behind it."""
    return (
        f'[profiles.local]\ngateway = "{stack.gateway}"\njobmanager = "{stack.jobmanager}"\n'
        f'[profiles.local.kafka.main]\n"bootstrap.servers" = "{stack.kafka}"\n{more}'
    )


def make_team(root, stack, more="", files=None):
    """Make a team's repository on the stack, with one commit; ``files``, path → text, are committed too."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main")
    configure(root)
    write(root, "sdp.toml", settings(stack, more))
    for path, text in (files or {}).items():
        write(root, path, text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Begin")
    return root


def write(where, path, text="x\n"):
    (where / path).parent.mkdir(parents=True, exist_ok=True)
    (where / path).write_text(text, encoding="utf-8")


def commit(where, path, text="x\n"):
    write(where, path, text)
    git(where, "add", "--", path)
    git(where, "commit", "-q", "-m", f"Add {path}")
    return git(where, "rev-parse", "HEAD")


def make_work(top):
    """Make a repository with one commit on the branch ``main``."""
    top.mkdir(parents=True)
    git(top, "init", "-q", "-b", "main")
    configure(top)
    commit(top, "README.md", "hello\n")
    commit(top, "lab.ipynb", "{}\n")
    return top


def write_hook(git_directory, name, script):
    hook = git_directory / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    hook.chmod(0o755)


def snapshot(work):
    return (
        git(work, "for-each-ref"),
        git(work, "--no-optional-locks", "status", "--porcelain=v1", "--branch"),
        git(work, "symbolic-ref", "HEAD"),
        git(work, "diff", "--cached"),
        git(work, "worktree", "list"),
        sorted(str(p) for p in work.rglob("*") if ".git" not in p.parts),
    )
