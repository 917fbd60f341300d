"""``python -m tests.module_docs``: write each Terraform module's arguments and outputs into its README.

What stands between the two marks is made here, of the module's own descriptions; the rest is written by hand.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import tools

MODULES = Path(__file__).parents[1] / "extensions" / "terraform" / "modules"
BEGIN, END = "<!-- BEGIN_TF_DOCS -->", "<!-- END_TF_DOCS -->"


def modules() -> list[Path]:
    """Return the modules' directories."""
    return sorted(
        path.parent
        for path in MODULES.rglob("variables.tf")
        if not {"examples", "tests", ".terraform"} & set(path.relative_to(MODULES).parts)
    )


def table(module: Path) -> str:
    """Return a module's arguments and outputs as Markdown."""
    done = subprocess.run(
        [tools.config_inspect(), "--json", module], capture_output=True, text=True, check=True
    )
    read = json.loads(done.stdout)
    variables = sorted(read["variables"].values(), key=lambda v: (not v["required"], v["pos"]["line"]))
    lines = ["", "## Arguments", "", "| name | type | default | what it is |", "|---|---|---|---|"]
    lines += [
        f"| `{v['name']}` | {_code(v.get('type') or 'any')} | {_default(v)} | {_cell(v.get('description', ''))} |"
        for v in variables
    ]
    outputs = sorted(read["outputs"].values(), key=lambda o: o["pos"]["line"])
    if outputs:
        lines += ["", "## Outputs", "", "| name | what it is |", "|---|---|"]
        lines += [f"| `{o['name']}` | {_cell(o.get('description', ''))} |" for o in outputs]
    return "\n".join([*lines, "", ""])


def _default(variable: dict[str, Any]) -> str:
    return "required" if variable["required"] else _code(json.dumps(variable["default"], ensure_ascii=False))


def _code(text: str) -> str:
    return f"`{' '.join(text.split())}`".replace("|", "\\|")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def written(module: Path) -> str:
    """Return a module's README with its table as it should be."""
    text = (module / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{module}/README.md lacks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table(module)}{END}{after}"


def main() -> None:
    """Write every README."""
    for module in modules():
        text = written(module)
        (module / "README.md").write_text(text, encoding="utf-8")
        sys.stdout.write(f"{module.relative_to(MODULES)}\n")


if __name__ == "__main__":
    main()
