"""A team repository with a job, on the stack: what runs and shadow runs start from."""

import json
import time

from sdp_kernel.promote import render
from tests.repositories import git, make_team, write

__all__ = ["JobRepository", "git"]


class JobRepository:
    """A repository at ``root`` whose ``sdp.toml`` names the stack; ``save`` commits a version of a job."""

    def __init__(self, root, stack, more=""):
        self.root = root
        make_team(root, stack, more, {".gitignore": ".sdp/\n"})

    def commit(self, message):
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "-m", message)
        return git(self.root, "rev-parse", "HEAD")

    def write(self, job, tables, statement):
        """Write a job's files, and commit nothing; ``tables`` maps names to declarations."""
        files = []
        for name, text in tables.items():
            files.append(f"sql/tables/{name}.sql")
            write(self.root, files[-1], text + ";\n")
        files.append(f"sql/jobs/{job}.sql")
        write(self.root, files[-1], statement + ";\n")
        call = render.terraform(
            job,
            module_source="git::https://gitlab.example/modules.git//flink/sql-job",
            session_cluster="dev",
            files=files,
            arguments={},
            aliases=["kafka.main"],
        )
        write(self.root, f"terraform/{job}.tf", call)

    def save(self, job, tables, statement, message="Change"):
        """Commit a version of a job."""
        self.write(job, tables, statement)
        return self.commit(message)


def trades(numbers, symbols="AB"):
    """Records of trades, one for each number, their symbols in turn."""
    rows = [{"id": n, "symbol": symbols[n % len(symbols)], "price": n / 4} for n in numbers]
    return [(row["symbol"], json.dumps(row)) for row in rows]


def until(wanted, *, seconds=40):
    """Wait until ``wanted()`` is true, or return what it last was."""
    deadline = time.monotonic() + seconds
    while True:
        found = wanted()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
