"""What the other tests stand on: the server takes the operators' resources, and a port-forward arrives."""

import http.server
import threading

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward


def session_job(name, **job):
    return {
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkSessionJob",
        "metadata": {"name": name},
        "spec": {"deploymentName": "session", "job": {"parallelism": 1, "state": "running", **job}},
    }


def test_the_server_knows_the_operators_resources_and_refuses_what_their_schemas_do(api, namespace):
    objects = client.CustomObjectsApi(api.client())
    place = ("flink.apache.org", "v1beta1", namespace, "flinksessionjobs")
    objects.create_namespaced_custom_object(*place, session_job("a"))
    assert objects.get_namespaced_custom_object(*place, "a")["spec"]["deploymentName"] == "session"
    with pytest.raises(ApiException, match="Unsupported value"):
        objects.create_namespaced_custom_object(*place, session_job("b", state="walking"))


def test_rbac_forbids_what_a_user_was_not_given(api, namespace):
    objects = client.CustomObjectsApi(api.client("nobody"))
    with pytest.raises(ApiException, match="forbidden"):
        objects.list_namespaced_custom_object("flink.apache.org", "v1beta1", namespace, "flinksessionjobs")


def test_a_port_forward_reaches_a_port_of_this_machine(api, namespace):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"here")

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        core = client.CoreV1Api(api.client())
        core.create_namespaced_pod(
            namespace,
            {"metadata": {"name": "p"},
             "spec": {"nodeName": "node", "hostNetwork": True, "containers": [{"name": "c", "image": "i"}]}},
        )  # fmt: skip
        core.patch_namespaced_pod_status("p", namespace, {"status": {"phase": "Running"}})
        forward = portforward(
            core.connect_get_namespaced_pod_portforward, "p", namespace, ports=str(server.server_port)
        )
        socket = forward.socket(server.server_port)
        socket.settimeout(10)
        socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := socket.recv(4096):
            answer += part
        server.shutdown()
    assert answer.endswith(b"here")
