import re
from pathlib import Path

import pytest

from sdp_kernel.cli import main
from sdp_kernel.notebook.magics import SdpMagics
from sdp_kernel.notebook.sql_magics import SqlMagics
from sdp_kernel.notebook.topic_magics import TopicMagics
from sdp_kernel.notebook.udf_magics import UdfMagics

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUERIES = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
MAGICS = [kind.magics for kind in (SdpMagics, SqlMagics, TopicMagics, UdfMagics)]


@pytest.mark.parametrize(
    "name",
    sorted({f"%{n}" for m in MAGICS for n in m["line"]} | {f"%%{n}" for m in MAGICS for n in m["cell"]}),
)
def test_every_magic_is_in_the_readme(name):
    assert f"`{name}" in README


@pytest.mark.parametrize(
    "option",
    sorted(
        o for action in SqlMagics.flinksql.parser._actions for o in action.option_strings if o[:2] == "--"
    ),
)
def test_every_option_of_a_cell_is_on_the_queries_page(option):
    assert f"{option}" in QUERIES


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_is_in_the_readme(name):
    assert f"`sdp {name}" in README or f"`{name}`" in README


@pytest.mark.parametrize(
    "room", sorted(p.name for p in (ROOT / "sdp_kernel").iterdir() if p.is_dir() and p.name[0] != "_")
)
def test_every_room_is_on_the_architecture_page(room):
    assert f"  {room}/" in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_architecture_page_counts_the_jars_right():
    import json

    lock = json.loads((ROOT / "sdp_kernel" / "local" / "artifacts.lock.json").read_text())
    jars = sum(len(lock["groups"][group]) for group in ("gateway", "flink", "kafka", "registry"))
    assert f"{jars} jars" in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "option",
    sorted(o for action in SdpMagics.promote.parser._actions for o in action.option_strings if o[:2] == "--"),
)
def test_every_option_of_a_promotion_is_on_one_of_its_pages(option):
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "promotion").glob("*.md")]
    assert any(re.search(rf"{option}(?![\w-])", page) for page in pages)


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
