"""Programs the tests need beside Python's: found, or built once into the user's cache.

Go builds what no package brings (an API server, the Terraform provider). A version or a lock file is
part of each place in the cache, so nothing there is ever stale. ``python -m tests.tools`` makes all.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import filelock
from ruamel.yaml import YAML

from sdp_kernel.local import java
from sdp_kernel.local.artifacts import by_group, cache_dir

HERE = Path(__file__).parent / "kubernetes"
KUBERNETES = "1.36.3"
PROVIDER = "github.com/gavinbunney/terraform-provider-kubectl", "1.19.0"
CONTROLLER_GEN = "sigs.k8s.io/controller-tools/cmd/controller-gen", "0.21.0"
INSPECT = "github.com/hashicorp/terraform-config-inspect", "0.0.0-20260904064934-75d64de68c31"
PROMTOOL = "github.com/prometheus/prometheus/cmd/promtool", "0.316.0"
STRIMZI = ("topic.KafkaTopic", "connector.KafkaConnector", "connect.KafkaConnect")
MONITORING = ("podmonitors", "servicemonitors", "prometheusrules")
FLINK_VERSIONS = ("v2_0", "v2_1", "v2_2", "v2_3")


class ToolMissingError(RuntimeError):
    """A program is neither here nor can it be built."""


def _built(name: str, key: str, make: Any) -> Path:
    """Return a place in the cache, made once: ``make`` gets an empty directory to write into."""
    place = cache_dir() / "tools" / f"{name}-{key}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{place}.lock"):
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=place.parent, prefix="make-") as scratch:
                made = Path(scratch) / "made"
                made.mkdir()
                make(made)
                made.rename(place)
    return place


def _run(*command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ToolMissingError(
            f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


def _go() -> str:
    found = shutil.which("go")
    if found is None:
        raise ToolMissingError("there is no Go, which builds what these tests need: install Go 1.26 or later")
    return found


def _installed(name: str, package: tuple[str, str]) -> Path:
    """Return a Go program's binary at a version, which Go checks by its checksum database."""
    path, version = package

    def make(place: Path) -> None:
        _run(
            _go(),
            "install",
            f"{path}@v{version}",
            cwd=place,
            environment={"GOBIN": str(place), "GOFLAGS": ""},
        )

    return _built(name, version, make) / path.rsplit("/", 1)[-1]


def _key(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def cluster_binary(name: str) -> Path:
    """Return ``kube-apiserver``, ``etcd`` or ``node``, built of ``tests/kubernetes/cluster``."""
    module = HERE / "cluster"
    packages = {
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "etcd": "go.etcd.io/etcd/server/v3",
        "node": "./node",
    }
    major, minor, _ = KUBERNETES.split(".")
    stamp = "-X k8s.io/component-base/version."
    flags = f"-s -w {stamp}gitVersion=v{KUBERNETES} {stamp}gitMajor={major} {stamp}gitMinor={minor}"

    def make(place: Path) -> None:
        _run(
            _go(),
            "build",
            "-mod=readonly",
            f"-ldflags={flags}",
            "-o",
            place / name,
            packages[name],
            cwd=module,
        )

    files = [module / "go.sum", *([module / "node" / "main.go"] if name == "node" else [])]
    return _built(name, _key(*files), make) / name


@functools.cache
def terraform() -> str:
    """Return the command ``terraform``, or ``tofu``."""
    found = shutil.which("terraform") or shutil.which("tofu")
    if found is None:
        raise ToolMissingError("there is neither terraform nor tofu: install Terraform 1.7 or later")
    return found


@functools.cache
def environment() -> dict[str, str]:
    """Return the environment that Terraform runs in: the provider from a local mirror, nothing from a network.

    Its name in the mirror is asked of the command itself: Terraform and OpenTofu have registries of their own.
    """
    built = _installed("terraform-provider-kubectl", PROVIDER)
    version = PROVIDER[1]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}

    def make(place: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "main.tf").write_text(
                'terraform {\n  required_providers {\n    kubectl = {\n      source = "gavinbunney/kubectl"\n    }\n  }\n}\n'
            )
            printed = subprocess.run(
                [terraform(), "providers"], cwd=scratch, env=clean, capture_output=True, text=True, check=True
            ).stdout
        source = re.search(r"provider\[(\S+?)\]", printed)
        target = re.search(r"on (\w+)", subprocess.run(
            [terraform(), "version"], env=clean, capture_output=True, text=True, check=True).stdout)  # fmt: skip
        directory = place / source[1] / version / target[1]
        directory.mkdir(parents=True)
        os.link(built, directory / f"terraform-provider-kubectl_v{version}")

    mirror = _built("terraform-mirror", f"{version}-{Path(terraform()).name}", make)
    file = mirror.with_name(f"{mirror.name}.tfrc")
    file.write_text(
        f'disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    )
    return {**clean, "TF_CLI_CONFIG_FILE": str(file), "TF_IN_AUTOMATION": "1"}


def config_inspect() -> Path:
    """Return HashiCorp's reader of modules: their variables and outputs as JSON."""
    return _installed("terraform-config-inspect", INSPECT)


def _debian_promtool(place: Path) -> None:
    _run("apt-get", "update", "-qq", cwd=place)
    _run("apt-get", "download", "-qq", "prometheus", cwd=place)
    (package,) = place.glob("prometheus_*.deb")
    _run("dpkg", "-x", package, place, cwd=place)
    shutil.copy2(place / "usr/bin/promtool", place / "promtool")


def promtool() -> Path:
    """Return Prometheus' own checker of rules: on the PATH, from Debian's package, or built (minutes)."""
    found = shutil.which("promtool")
    if found:
        return Path(found)
    if shutil.which("apt-get"):
        return _built("promtool", "debian", _debian_promtool) / "promtool"
    return _installed("promtool", PROMTOOL)


def _strimzi(place: Path) -> None:
    jars = by_group(["strimzi"])["strimzi"]
    outputs = [f"io.strimzi.api.kafka.model.{name}={place / name}.yaml" for name in STRIMZI]
    _run(
        java.find().executable, "-cp", os.pathsep.join(map(str, jars)), "io.strimzi.crdgenerator.CrdGenerator",
        "--target-kube", "1.16+", "--crd-api-version", "v1", "--api-versions", "v1", "--storage-version", "v1",
        "--yaml", *outputs, cwd=place,
    )  # fmt: skip


def _monitoring(place: Path) -> None:
    generator = _installed("controller-gen", CONTROLLER_GEN)
    types = "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
    _run(generator, "crd", f"paths={types}", f"output:crd:dir={place}", cwd=HERE / "crds")


def _flink(place: Path) -> None:
    (jar,) = by_group(["flink-operator"])["flink-operator"]
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            if name.startswith("META-INF/fabric8/") and name.endswith("-v1.yml"):
                (place / Path(name).name).write_bytes(archive.read(name))


def _as_newer_operators_have_it(crd: dict[str, Any]) -> dict[str, Any]:
    """Allow what the Flink operator's later releases do: Flink 2, and free-form configuration."""
    for version in crd["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        if "flinkVersion" in spec:
            known = spec["flinkVersion"]["enum"]
            known += [new for new in FLINK_VERSIONS if new not in known]
        if "flinkConfiguration" in spec:
            spec["flinkConfiguration"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return crd


@functools.cache
def crds() -> dict[str, dict[str, Any]]:
    """Return the operators' CustomResourceDefinitions by kind: Flink's, Strimzi's, Prometheus'.

    Flink's come from its operator's jar, the others are generated from the operators' types.
    """
    (operator_jar,) = by_group(["flink-operator"])["flink-operator"]
    folders = [
        _built("crds-flink", operator_jar.parent.name, _flink),
        _built("crds-strimzi", _key(*by_group(["strimzi"])["strimzi"][-1:]), _strimzi),
        _built("crds-monitoring", _key(HERE / "crds" / "go.sum"), _monitoring),
    ]
    reader, found = YAML(typ="safe"), {}
    for file in sorted(file for folder in folders for file in folder.iterdir()):
        if "monitoring.coreos.com" in file.name and not file.stem.endswith(MONITORING):
            continue
        crd = reader.load(file)
        found[crd["spec"]["names"]["kind"]] = _as_newer_operators_have_it(crd)
    return found


def main() -> None:
    """Make everything, and say how long each took."""
    steps = {
        "terraform": environment, "promtool": promtool, "crds": lambda: list(crds()),
        **{name: functools.partial(cluster_binary, name) for name in ("node", "etcd", "kube-apiserver")},
    }  # fmt: skip
    for name, make in steps.items():
        began = time.monotonic()
        made = make()
        sys.stdout.write(
            f"{name:<16} {time.monotonic() - began:6.1f} s  {'' if name == 'terraform' else made}\n"
        )


if __name__ == "__main__":
    main()
