"""Session clusters as they are listed, and what is said where they cannot be."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import sdp_kernel
from sdp_kernel.deploy import kubeconfig
from sdp_kernel.deploy.clusters import session_clusters
from sdp_kernel.deploy.kubernetes import FLINK_DEPLOYMENT, POD, Api
from sdp_kernel.errors import (
    Conflict,
    Expired,
    Forbidden,
    KubeconfigError,
    KubernetesError,
    KubernetesUnreachable,
    MissingCrd,
    ResourceNotFound,
    SdpError,
    UsageError,
)
from sdp_kernel.settings import KubernetesSettings
from tests.kubernetes import apiserver
from tests.kubernetes.flink import STABLE, add_deployment, add_pod, grant

ERROR = {
    "type": "org.apache.flink.kubernetes.operator.exception.ReconciliationException",
    "message": "java.lang.IllegalArgumentException: Only image tags",
    "throwableList": [
        {"type": "java.lang.IllegalArgumentException", "message": "the image flink:9 cannot be pulled"}
    ],
}


def settings(api, namespace, user="admin", **more):
    return KubernetesSettings(namespace, "test", kubeconfig=api.kubeconfig(user), **more)


@pytest.fixture
def listed(api, namespace):
    """A namespace with two session clusters, and a deployment with a job of its own."""
    add_deployment(
        api, namespace, "session",
        status={**STABLE, "taskManager": {"labelSelector": "component=taskmanager", "replicas": 3}},
        configuration={"taskmanager": {"numberOfTaskSlots": 4}},
    )  # fmt: skip
    add_deployment(
        api, namespace, "broken", version="v1_20",
        status={"lifecycleState": "FAILED", "jobManagerDeploymentStatus": "ERROR", "error": json.dumps(ERROR)},
    )  # fmt: skip
    add_deployment(api, namespace, "application", job={"jarURI": "local:///a.jar", "parallelism": 1})
    return namespace


@pytest.fixture
def project(tmp_path, api, listed):
    """A project whose only profile on Kubernetes is ``dev``."""
    (tmp_path / "sdp.toml").write_text(
        f"[profiles.dev.kubernetes]\ncontext = 'test'\nnamespace = '{listed}'\nkubeconfig = '{api.kubeconfig()}'\n"
    )
    return tmp_path


def sdp(directory, *arguments, **environment):
    return subprocess.run(
        [Path(sys.executable).parent / "sdp", *arguments], cwd=directory, capture_output=True, text=True,
        check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_session_clusters_are_listed_and_applications_are_not(api, listed):
    broken, session = session_clusters(settings(api, listed))
    assert (session.name, session.flink_version, session.state, session.jobmanager) == (
        "session", "2.3", "STABLE", "READY",
    )  # fmt: skip
    assert (session.task_managers, session.slots, session.error) == (3, 12, "")
    assert 0 <= session.age < 300
    assert (broken.name, broken.flink_version, broken.jobmanager) == ("broken", "1.20", "ERROR")
    assert broken.error == "the image flink:9 cannot be pulled"


def test_the_command_and_the_call_list_the_same(project, listed):
    shown = sdp(project, "clusters")
    assert shown.stderr == ""
    assert shown.stdout.splitlines()[0].split() == [
        "namespace", "name", "flink", "state", "jobmanager", "task", "managers", "slots", "age",
    ]  # fmt: skip
    assert shown.stdout.splitlines()[1].split()[:7] == [listed, "broken", "1.20", "FAILED", "ERROR", "-", "-"]
    assert shown.stdout.splitlines()[2].strip() == "the image flink:9 cannot be pulled"
    assert shown.stdout.splitlines()[3].split()[:7] == [
        listed,
        "session",
        "2.3",
        "STABLE",
        "READY",
        "3",
        "12",
    ]
    in_json = json.loads(sdp(project, "clusters", "--json").stdout)
    assert in_json == [c.to_dict() for c in sdp_kernel.clusters("dev", directory=project)]
    with sdp_kernel.connect("dev", directory=project) as workbench:
        assert [c.name for c in workbench.clusters()] == ["broken", "session"]


def test_a_context_stands_in_for_a_profile_with_its_own_namespace(tmp_path, api, listed):
    environment = {"KUBECONFIG": str(api.kubeconfig(namespace=listed))}
    by_context = json.loads(sdp(tmp_path, "clusters", "--context", "test", "--json", **environment).stdout)
    current = json.loads(sdp(tmp_path, "clusters", "--json", **environment).stdout)
    everywhere = json.loads(sdp(tmp_path, "clusters", "--all-namespaces", "--json", **environment).stdout)
    assert [c["name"] for c in by_context] == [c["name"] for c in current] == ["broken", "session"]
    assert {(listed, "broken"), (listed, "session")} <= {(c["namespace"], c["name"]) for c in everywhere}
    other = sdp(tmp_path, "clusters", "--namespace", "default", **environment)
    assert other.stdout == "no session clusters\n"


def test_pages_are_followed(api, namespace, monkeypatch):
    monkeypatch.setattr("sdp_kernel.deploy.kubernetes._PAGE", "2")
    for number in range(5):
        add_deployment(api, namespace, f"c{number}")
    assert [c.name for c in session_clusters(settings(api, namespace))] == [f"c{n}" for n in range(5)]


def test_what_a_user_may_not_do_is_named_with_the_rule_to_ask_for(api, namespace):
    with pytest.raises(Forbidden) as caught:
        session_clusters(settings(api, namespace, "nobody"))
    assert str(caught.value) == (
        f"context test: the user nobody may not list flinkdeployments in the namespace {namespace}\n"
        f'→ ask for a Role in {namespace} with the rule apiGroups: ["flink.apache.org"], '
        'resources: ["flinkdeployments"], verbs: ["list"]'
    )
    with pytest.raises(Forbidden, match="in all namespaces\n→ ask for a ClusterRole"):
        session_clusters(settings(api, namespace, "nobody"), everywhere=True)


def test_that_rule_is_enough(api, listed):
    grant(api, "reader", listed, ("flink.apache.org", ["flinkdeployments"], ["list"]))
    assert len(session_clusters(settings(api, listed, "reader"))) == 2


def test_a_server_without_the_operator_is_told_from_one_without_the_name(tmp_path, api, namespace):
    bare = apiserver.ApiServer(tmp_path / "bare")
    try:
        bare.start()
        with pytest.raises(MissingCrd, match="the Flink operator is not installed on context test"):
            session_clusters(settings(bare, "default"))
    finally:
        bare.stop()
    with pytest.raises(ResourceNotFound, match='"none" not found'), Api(settings(api, namespace)) as client:
        client.get(FLINK_DEPLOYMENT, "none")


def test_a_server_that_is_gone_is_named(api, namespace, tmp_path):
    gone = dataclasses.replace(
        settings(api, namespace),
        kubeconfig=written(tmp_path, api, clusters={"server": f"https://127.0.0.1:{apiserver.free_port()}"}),
    )
    with pytest.raises(
        KubernetesUnreachable, match=r"no API server answers at https://127\.0\.0\.1:\d+ \(co"
    ):
        session_clusters(gone)


def test_a_name_that_is_taken_is_a_conflict(api, namespace):
    add_pod(api, namespace, name="p")
    with Api(settings(api, namespace)) as client:
        pod = {**client.get(POD, "p"), "metadata": {"name": "p"}}
        with pytest.raises(Conflict, match='"p" already exists'):
            client.call("POST", POD.path(namespace), body=pod)


def test_what_the_server_finds_wrong_is_passed_on(api, namespace):
    body = {"metadata": {"name": "p"}, "spec": {"containers": []}}
    with (
        Api(settings(api, namespace)) as client,
        pytest.raises(KubernetesError, match=r"containers: Required"),
    ):
        client.call("POST", POD.path(namespace), body=body)


def written(directory, api, *, text=None, context="test", **changes):
    """Write a kubeconfig for the admin with parts changed; returns its path."""
    path = directory / "kubeconfig"
    if text is None:
        content = YAML(typ="safe").load(api.kubeconfig())
        for kind, change in changes.items():
            entry = content[kind][0]
            merged = {**entry[kind[:-1]], **change}
            entry[kind[:-1]] = {key: value for key, value in merged.items() if value is not None}
        with path.open("w") as file:
            YAML(typ="safe").dump(content, file)
    else:
        path.write_text(text)
    return path


SECRET = "sEcReTsEcReTsEcReTsEcReTsEcReTsEcReT"
PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}


OTHER_USER = f"""
contexts: [{{name: test, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: s}}}}]
users: [{{name: v, user: {{token: {SECRET}}}}}]
"""


def refused(path, context="test"):
    with pytest.raises(SdpError) as caught:
        session_clusters(KubernetesSettings("default", context, kubeconfig=path))
    assert SECRET not in str(caught.value) + caught.value.detail
    assert caught.value.hint
    return caught.value


def test_an_unknown_context_is_refused_with_those_there_are(api):
    error = refused(api.kubeconfig(), "prod")
    assert isinstance(error, KubeconfigError)
    assert "there is no context 'prod'" in str(error)
    assert error.hint == "known: test"


def test_an_expired_token_is_told_and_not_shown(tmp_path, api, capfd):
    error = refused(written(tmp_path, api, users={"token": SECRET}))
    assert isinstance(error, Expired)
    assert "the API server of context test does not accept the credentials" in str(error)
    assert capfd.readouterr() == ("", "")


def test_a_token_that_was_renewed_on_disk_is_read_anew(tmp_path, api, namespace):
    path = written(tmp_path, api, users={"token": SECRET})
    with Api(KubernetesSettings(namespace, "test", kubeconfig=path)) as client:
        with pytest.raises(Expired):
            list(client.list(POD))
        written(tmp_path, api)
        assert list(client.list(POD)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"users: [{{token: {SECRET}\nclusters: *{SECRET}", "is not YAML, line"),
        (f"- {SECRET}", "holds no kubeconfig"),
        ("", "holds no kubeconfig"),
        (f"contexts: {SECRET}", "contexts is not a list of named entries"),
        ("contexts: [{name: test, context: {cluster: c, user: u}}]", "names the cluster 'c', which"),
        (
            OTHER_USER,
            "names the user 'u', which",
        ),
        ("contexts: [{name: test, context: {cluster: c}}]\nclusters: [{name: c}]", "has no server"),
    ],
)
def test_a_faulty_kubeconfig_is_named_with_what_is_wrong(tmp_path, api, text, said):
    path = written(tmp_path, api, text=text)
    error = refused(path)
    assert isinstance(error, KubeconfigError)
    assert said in str(error)
    assert str(path) in str(error)


def test_a_missing_certificate_is_told(tmp_path, api):
    error = refused(written(tmp_path, api, clusters={"certificate-authority": "/none/ca.crt"}))
    assert isinstance(error, KubeconfigError)


def test_a_certificate_of_another_authority_is_told(tmp_path, api):
    import trustme

    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    error = refused(written(tmp_path, api, clusters={"certificate-authority": str(tmp_path / "ca.pem")}))
    assert isinstance(error, KubernetesUnreachable)
    assert "certificate-authority" in error.hint


def test_no_kubeconfig_is_told_with_the_places_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/a{os.pathsep}{tmp_path}/b")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    error = refused(None)
    assert f"there is no kubeconfig: {tmp_path}/a, {tmp_path}/b" in str(error)


def test_several_kubeconfigs_are_one(tmp_path, api, namespace, monkeypatch):
    (tmp_path / "first").write_text("apiVersion: v1\nkind: Config\ncontexts: []\n")
    monkeypatch.setenv(
        "KUBECONFIG", f"{tmp_path}/first{os.pathsep}{api.kubeconfig()}{os.pathsep}{tmp_path}/none"
    )
    assert session_clusters(KubernetesSettings(namespace, "test")) == []


def plugin(directory, body):
    program = directory / "plugin"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o700)
    return {"token": None, "exec": {**PLUGIN, "command": str(program), "args": []}}


def test_a_credential_plugin_is_asked(tmp_path, api, namespace):
    credential = {
        "apiVersion": PLUGIN["apiVersion"],
        "kind": "ExecCredential",
        "status": {"token": "admin-token"},
    }
    path = written(tmp_path, api, users=plugin(tmp_path, f"echo '{json.dumps(credential)}'"))
    assert session_clusters(KubernetesSettings(namespace, "test", kubeconfig=path)) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            f"echo 'log in again, not with {SECRET}' >&2; exit 3",
            "process returned 3. log in again, not with …",
        ),
        (f"echo '{SECRET}'", "failed to decode process output"),
        ("echo '{}'", "missing key"),
    ],
)
def test_a_credential_plugin_that_fails_is_told_and_nothing_is_logged(tmp_path, api, capfd, body, said):
    error = refused(written(tmp_path, api, users=plugin(tmp_path, body)))
    assert isinstance(error, KubeconfigError)
    assert "the credential plugin gave no credentials" in str(error)
    assert said in str(error)
    assert capfd.readouterr() == ("", "")


def test_a_credential_plugin_that_is_not_there_is_told(tmp_path, api):
    path = written(tmp_path, api, users={"token": None, "exec": {**PLUGIN, "command": "sdp-no-such-plugin"}})
    assert "sdp-no-such-plugin" in str(refused(path))


def test_in_a_pod_its_service_account_is_used(tmp_path, api, listed, monkeypatch):
    (tmp_path / "token").write_text("admin-token")
    (tmp_path / "ca.crt").write_bytes(api.certificate.read_bytes())
    (tmp_path / "namespace").write_text(listed)
    monkeypatch.setattr(kubeconfig, "_SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert [c.name for c in session_clusters(KubernetesSettings(""))] == ["broken", "session"]
    (tmp_path / "token").write_text("another")
    with pytest.raises(Expired, match="the API server of the pod's service account does not accept"):
        session_clusters(KubernetesSettings(listed))
    (tmp_path / "token").unlink()
    with pytest.raises(KubeconfigError, match="service account cannot be used"):
        session_clusters(KubernetesSettings(listed))


def test_without_the_package_the_extra_is_named(api, namespace, monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(KubernetesError, match=r"pip install 'sdp-kernel\[kubernetes\]'"):
        session_clusters(settings(api, namespace))


def test_it_has_to_be_clear_which_cluster_is_meant(project):
    with pytest.raises(UsageError, match="either a profile or a context"):
        sdp_kernel.clusters("dev", context="test", directory=project)
    with pytest.raises(UsageError, match="the profile local is not on Kubernetes"):
        sdp_kernel.clusters("local", directory=project)
    with (project / "sdp.toml").open("a") as file:
        file.write("[profiles.prod.kubernetes]\nnamespace = 'flink'\n")
    with pytest.raises(UsageError, match="several profiles are on Kubernetes\n→ give one: dev, prod"):
        sdp_kernel.clusters(directory=project)


def test_the_command_shows_messages_and_no_stack(project):
    failed = sdp(project, "clusters", "--context", "none", KUBECONFIG="/none")
    assert failed.returncode == 1
    assert failed.stderr.startswith("KubeconfigError: there is no kubeconfig: /none\n→ ")
    assert "Traceback" not in failed.stderr
