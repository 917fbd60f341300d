"""Each Terraform module on a real API server with the real provider: its example, from nothing to nothing."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kubernetes import client, dynamic
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError

from tests import tools

EXTENSION = Path(__file__).parents[2] / "extensions" / "terraform"
EXAMPLES = sorted(
    file.parent.relative_to(EXTENSION)
    for pattern in ("modules/**/examples/*/main.tf", "examples/*/main.tf")
    for file in EXTENSION.glob(pattern)
    if ".terraform" not in file.parts
)
IDS = [str(path).replace("modules/", "").replace("examples/", "") for path in EXAMPLES]
_CALL = re.compile(r'^module "[^"]+" \{\n(?:.*\n)*?\}\n', re.MULTILINE)
_SOURCE = re.compile(r'^  source\s*= "\..*"\n', re.MULTILINE)
_COUNT = re.compile(r"^(  (?:parallelism|partitions|tasks_max)\s*= )(\d+)$", re.MULTILINE)


@dataclass
class Run:
    """What became of an example: identities it made, plans' actions, what it left, what was refused."""

    made: list[tuple[str, str, str, str]] = field(default_factory=list)
    stored: dict[str, dict] = field(default_factory=dict)
    again: list[list[str]] = field(default_factory=list)
    changed: list[list[str]] = field(default_factory=list)
    after_change: list[list[str]] = field(default_factory=list)
    changed_stored: dict[str, dict] = field(default_factory=dict)
    bumped: bool = False
    left: list[str] = field(default_factory=list)
    refused: str = ""


class Example:
    """An example's root module, copied with the modules it calls, in a namespace of its own."""

    def __init__(self, root, kubeconfig, namespace, dynamic_client):
        self.root, self.namespace, self.dynamic = root, namespace, dynamic_client
        home = root / "home"  # examples name ~/.kube/config, or nothing
        (home / ".kube").mkdir(parents=True)
        shutil.copy2(kubeconfig, home / ".kube" / "config")
        self.environment = {**tools.environment(), "HOME": str(home), "KUBECONFIG": str(kubeconfig)}
        self.file = root / "main.tf"
        self.original = self.file.read_text()

    def write(self, arguments, *, bump=False):
        """Give each call of a module arguments; with ``bump`` one more of what it counts."""

        def call(match):
            text, given = match[0], dict(arguments)
            if 'source = "./' in text:  # a module of the example's own, over both namespaces
                given |= dict.fromkeys(("kafka_namespace", "flink_namespace"), given.pop("namespace"))
            for name in given:
                text = re.sub(rf"^  {name}\s*= (?:\{{[^{{}}]*\}}|[^{{\n]*)\n", "", text, flags=re.MULTILINE)
            lines = "".join(f"  {name} = {value}\n" for name, value in given.items())
            return _SOURCE.sub(lambda source: f"{source[0]}{lines}", text, count=1)

        text = _CALL.sub(call, self.original)
        if bump:
            text = _COUNT.sub(lambda match: f"{match[1]}{int(match[2]) + 1}", text)
        self.file.write_text(text)

    def terraform(self, *arguments, fails=False):
        done = subprocess.run(
            [tools.terraform(), *arguments], cwd=self.root, env=self.environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        printed = done.stdout + done.stderr
        assert bool(done.returncode) == fails, f"terraform {arguments[0]}: {printed}"
        return printed if fails else done.stdout

    def plan(self):
        """Plan; returns the plan's changes of resources."""
        self.terraform("plan", "-no-color", "-input=false", "-out=plan")
        return json.loads(self.terraform("show", "-json", "plan")).get("resource_changes", [])

    def apply(self):
        self.terraform("apply", "-no-color", "-input=false", "plan")

    def get(self, identity):
        version, kind, name, namespace = identity
        resource = self.dynamic.resources.get(api_version=version, kind=kind)
        try:
            return resource.get(name=name, namespace=namespace).to_dict()
        except NotFoundError:
            return None

    def collect(self, made, ended):
        """Do the garbage collector's part: let go what is deleted in the foreground."""
        while not ended.wait(0.3):
            for version, kind, name, namespace in made:
                found = self.get((version, kind, name, namespace))
                if found is not None and "foregroundDeletion" in found["metadata"].get("finalizers", []):
                    self.dynamic.resources.get(api_version=version, kind=kind).patch(
                        name=name, namespace=namespace, body={"metadata": {"finalizers": None}},
                        content_type="application/merge-patch+json",
                    )  # fmt: skip

    def destroy(self, made):
        ended = threading.Event()
        collector = threading.Thread(target=self.collect, args=(made, ended))
        collector.start()
        try:
            self.terraform("destroy", "-no-color", "-input=false", "-auto-approve")
        finally:
            ended.set()
            collector.join()

    def run(self):
        """Make it, look for a difference, change it, take it away, and ask for what is refused."""
        run = Run()
        self.write({"namespace": f'"{self.namespace}"'})
        self.terraform("init", "-no-color", "-input=false")
        for change in self.plan():
            values = change["change"]["after"]
            run.made.append((values["api_version"], values["kind"], values["name"], values["namespace"]))
        assert self.namespace in {namespace for *_, namespace in run.made}
        for namespace in {namespace for *_, namespace in run.made} - {self.namespace}:
            with contextlib.suppress(ConflictError):  # another's resource of its own, such as of Connect
                self.dynamic.resources.get(api_version="v1", kind="Namespace").create(
                    body={"metadata": {"name": namespace}}
                )
        self.apply()
        run.stored = {str(made): self.get(made) for made in run.made}
        run.again = actions(self.plan())
        labels = {"namespace": f'"{self.namespace}"', "labels": '{ "example.com/changed" = "yes" }'}
        self.write(labels, bump=True)
        run.bumped = bool(_COUNT.search(self.original))
        run.changed = actions(self.plan())
        self.apply()
        run.changed_stored = {str(made): self.get(made) for made in run.made}
        run.after_change = actions(self.plan())
        self.destroy(run.made)
        run.left = [str(made) for made in run.made if self.get(made) is not None]
        run.left += self.terraform("state", "list").split()
        self.write({"namespace": '"No Such"'})
        run.refused = self.terraform("plan", "-no-color", "-input=false", fails=True)
        return run


def actions(changes):
    return [change["change"]["actions"] for change in changes if change["mode"] == "managed"]


@pytest.fixture(scope="session")
def runs(api, tmp_path_factory):
    """The run of each example by its path; a few go on at a time: destroying waits, by ten seconds."""
    copy = tmp_path_factory.mktemp("modules") / "terraform"
    shutil.copytree(EXTENSION, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "tests"))
    core = client.CoreV1Api(api.client())
    kubeconfig = api.kubeconfig(namespace="modules", context="modules")
    found = dynamic.DynamicClient(api.client())
    with ThreadPoolExecutor(4) as pool:
        futures = {}
        for at, path in enumerate(EXAMPLES):
            core.create_namespace({"metadata": {"name": f"example-{at}"}})
            futures[path] = pool.submit(Example(copy / path, kubeconfig, f"example-{at}", found).run)
        yield futures
        for future in futures.values():
            future.cancel()


@pytest.fixture(params=EXAMPLES, ids=IDS, scope="session")
def run(request, runs):
    return runs[request.param].result()


def specification(stored):
    return {key: value for key, value in stored.items() if key not in {"metadata", "status"}}


def test_every_module_that_makes_something_has_an_example():
    modules = {
        file.parent.relative_to(EXTENSION)
        for file in EXTENSION.glob("modules/**/versions.tf")
        if "kubectl_manifest" in "".join(text.read_text() for text in file.parent.glob("*.tf"))
        and not {"examples", "tests", ".terraform"} & set(file.parts)
    }
    assert {module for module in modules if module.name not in {"session-job", "deployment"}} <= {
        example.parent.parent for example in EXAMPLES
    }


def test_an_example_is_applied_and_the_server_stores_it(run):
    assert run.made
    assert all(run.stored.values())
    assert all(
        {entry["manager"] for entry in stored["metadata"]["managedFields"]} == {"kubectl"}
        for stored in run.stored.values()
    )


def test_a_plan_after_it_has_nothing_to_do(run):
    assert run.again == [["no-op"]] * len(run.made)


def test_a_changed_argument_changes_what_is_there_in_place(run):
    assert {tuple(found) for found in run.changed} <= {("update",), ("no-op",)}
    assert ["update"] in run.changed
    assert any(
        "example.com/changed" in found["metadata"].get("labels", {}) for found in run.changed_stored.values()
    )
    uids = {name: stored["metadata"]["uid"] for name, stored in run.stored.items()}
    assert {name: stored["metadata"]["uid"] for name, stored in run.changed_stored.items()} == uids
    if run.bumped:
        assert any(
            specification(run.stored[name]) != specification(found)
            for name, found in run.changed_stored.items()
        )
    assert run.after_change == [["no-op"]] * len(run.made)


def test_destroying_it_leaves_nothing_behind(run):
    assert run.left == []


def test_a_bad_argument_is_refused_at_plan(run):
    assert "No Such" in run.refused
    assert "Invalid value for variable" in run.refused
