"""Runs Terraform on modules and on roots of the tests' own: initialised once, without a network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests import tools

MODULES = Path(__file__).parents[2] / "extensions" / "terraform" / "modules"
PROVIDER = """terraform {
  required_providers {
    kubectl = {
      source = "gavinbunney/kubectl"
    }
  }
}
"""


def terraform(*arguments: str | Path, cwd: Path, text: str | None = None, fails: bool = False) -> str:
    """Run Terraform; returns what it printed, of both streams where it is expected to fail."""
    done = subprocess.run(
        [tools.terraform(), *map(str, arguments)],
        cwd=cwd, env=tools.environment(), input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    if bool(done.returncode) != fails:
        raise AssertionError(f"terraform {arguments[0]} in {cwd} ended with {done.returncode}:\n{printed}")
    return printed if fails else done.stdout


def planned(root: Path, *, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    """Initialise a root module and plan it; returns the plan as JSON."""
    terraform("init", "-no-color", "-input=false", cwd=root)
    return replanned(root, variables=variables)


def replanned(root: Path, *, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    """Plan an initialised root module; returns the plan as JSON."""
    (root / "given.auto.tfvars.json").write_text(json.dumps(variables or {}))
    terraform("plan", "-no-color", "-input=false", "-out=plan", cwd=root)
    return json.loads(terraform("show", "-json", "plan", cwd=root))


def outputs(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan's outputs by name."""
    return {name: found.get("value") for name, found in plan["planned_values"].get("outputs", {}).items()}


def manifests(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a plan makes in Kubernetes, of all its modules."""
    found: list[dict[str, Any]] = []

    def look(module: dict[str, Any]) -> None:
        found.extend(json.loads(made["values"]["yaml_body"]) for made in module.get("resources", []))
        for child in module.get("child_modules", []):
            look(child)

    look(plan["planned_values"]["root_module"])
    return found
