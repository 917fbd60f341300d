"""What is written, read by Terraform itself; left out where there is no ``terraform``."""

import base64
import json
import os
import random
import shutil
import subprocess

import pytest

from sdp_kernel.errors import ParameterError
from sdp_kernel.flink.parameters import render
from sdp_kernel.promote import render as files
from sdp_kernel.promote import topic_file
from sdp_kernel.repository import notation

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
PIECES = [
    "$",
    "{",
    "}",
    "%",
    "a",
    "${a}",
    "$${",
    "${kafka.main}",
    "%{",
    "%%{",
    "'",
    "\n",
    "~",
    "${ a }",
    "ü",
    "\\",
]


def terraform(*arguments, cwd, text):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(
        ["terraform", *arguments],
        cwd=cwd,
        input=text,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def console(cwd, expression):
    printed = terraform("console", cwd=cwd, text=expression).strip().splitlines()[-1]
    return json.loads(base64.b64decode(printed.strip('"')))


@pytest.mark.parametrize(
    ("arguments", "aliases"),
    [
        ({"symbol": "B", "a_longer_name": "x"}, ["kafka.main"]),
        ({}, []),
        ({}, ["kafka.main"]),
        ({"a": "b"}, ["functions"]),
        ({"a": "b"}, ["functions", "kafka.main", "registry.main"]),
        ({"a": "ü\x01 $x %"}, []),
    ],
)
def test_the_module_is_written_as_terraform_formats_it(tmp_path, arguments, aliases):
    text = files.terraform("my-job", module_source="./m", session_cluster="s", files=["sql/jobs/my-job.sql"],
                           arguments=arguments, aliases=aliases)  # fmt: skip
    assert terraform("fmt", "-", cwd=tmp_path, text=text) == text


@pytest.mark.parametrize("cluster", ["events", "streams/events"])
@pytest.mark.parametrize(
    "config", [{}, {"cleanup.policy": "compact"}, {"cleanup.policy": "a", "retention.ms": "1"}]
)
def test_a_topic_is_written_as_terraform_formats_it(tmp_path, cluster, config):
    text = topic_file.text("a.b", module_source="./m", cluster=cluster, partitions=3, config=config)
    assert terraform("fmt", "-", cwd=tmp_path, text=text) == text


def test_terraform_fills_in_a_file_as_the_workbench_does(tmp_path):
    chance, templates = random.Random(7), []
    while len(templates) < 300:
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 9)))
        try:
            ours = render(text, {"a": "V"}, {"kafka.main": "K"}).text
        except ParameterError:
            continue
        name = f"{len(templates)}.sql"
        (tmp_path / name).write_text(notation.template(text), encoding="utf-8", newline="\n")
        assert notation.untemplate(notation.template(text)) == text
        templates.append((name, text, ours))
    names = json.dumps([name for name, *_ in templates])
    read = f'base64encode(jsonencode([for f in {names} : templatefile(f, {{ a = "V", kafka = {{ main = "K" }} }})]))\n'
    assert console(tmp_path, read) == [ours for *_, ours in templates]


def test_terraform_reads_a_string_back_as_it_was(tmp_path):
    values = ["a", 'q"', "b\\c", "n\n\t\r", "\x00\x08\x0c\x7f", "ü€😀", "100%", "$5", "{}", "$ {", "% {"]
    listed = ", ".join(notation.hcl_string(value) for value in [*values, "${a}", "%{if}"])
    assert console(tmp_path, f"base64encode(jsonencode([{listed}]))\n") == [*values, "${a}", "%{if}"]
