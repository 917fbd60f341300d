"""A Kafka broker of its own with TLS and SASL switched on: one listener for each way in."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sdp_kernel.local import artifacts, components, java

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "correct horse"
CLIENT_SECRET = "battery staple"
_SECURITY = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Secured:
    """Addresses by listener (plaintext, ssl, mutual, sasl, oauth), certificates, the token endpoint."""

    ports: dict[str, int]
    directory: Path
    token_endpoint: str

    def address(self, listener: str) -> str:
        return f"localhost:{self.ports[listener]}"


def _pem(certificate: trustme.LeafCert, path: Path) -> Path:
    """Write key (PKCS 8, which is all that Java reads) and certificates into one file."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(text + b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    return path


def token(subject: str, seconds: int = 3600) -> str:
    """Make an unsecured JSON Web Token, which Kafka's own development handler accepts."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    now = int(time.time())
    return f"{part({'alg': 'none'})}.{part({'sub': subject, 'iat': now, 'exp': now + seconds, 'scope': 'kafka'})}."


class _Tokens(http.server.BaseHTTPRequestHandler):
    """The client credentials grant (RFC 6749, 4.4), for one client."""

    def do_POST(self) -> None:
        wanted = base64.b64encode(f"workbench:{CLIENT_SECRET}".encode()).decode()
        good = self.headers.get("Authorization") == f"Basic {wanted}"
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = {"access_token": token("workbench"), "token_type": "Bearer", "expires_in": 3600}
        content = json.dumps(body if good else {"error": "invalid_client"}).encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def _properties(directory: Path, ports: dict[str, int]) -> str:
    listeners = {
        "PLAINTEXT": ("plaintext", "PLAINTEXT"), "TLS": ("ssl", "SSL"), "MUTUAL": ("mutual", "SSL"),
        "SASL": ("sasl", "SASL_SSL"), "OAUTH": ("oauth", "SASL_SSL"), "CONTROLLER": ("controller", "PLAINTEXT"),
    }  # fmt: skip
    plain = f'{_SECURITY}.plain.PlainLoginModule required user_ada="{PASSWORD}";'
    scram = f"{_SECURITY}.scram.ScramLoginModule required;"
    oauth = f'{_SECURITY}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
    options = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"localhost:{ports['controller']}",
        "listeners": ",".join(f"{name}://localhost:{ports[key]}" for name, (key, _) in listeners.items()),
        "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, (_, kind) in listeners.items()),
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(directory / "data"),
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(directory / "broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(directory / "ca.pem"),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.sasl.plain.sasl.jaas.config": plain,
        "listener.name.sasl.scram-sha-256.sasl.jaas.config": scram,
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": scram,
        "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
        "listener.name.oauth.oauthbearer.sasl.jaas.config": oauth,
    }
    return "".join(f"{key}={value}\n" for key, value in options.items())


@contextlib.contextmanager
def broker(directory: Path) -> Iterator[Secured]:
    """Start the broker and the token endpoint, and stop them."""
    names = ("plaintext", "ssl", "mutual", "sasl", "oauth", "controller")
    ports = dict(zip(names, components.free_ports(len(names)), strict=True))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    trustme.CA().cert_pem.write_to_path(directory / "other-ca.pem")
    _pem(authority.issue_cert("localhost", "127.0.0.1"), directory / "broker.pem")
    _pem(authority.issue_cert("client"), directory / "client.pem")
    (directory / "server.properties").write_text(_properties(directory, ports))
    runtime = java.find()
    jars = artifacts.by_group(["kafka"])["kafka"]
    command = [
        str(runtime.executable),
        "-Xmx256m",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        ":".join(map(str, jars)),
    ]
    config = str(directory / "server.properties")
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    users = [f"--add-scram=SCRAM-SHA-{bits}=[name=ada,password={PASSWORD}]" for bits in (256, 512)]
    tool = [
        *command,
        "kafka.tools.StorageTool",
        "format",
        "--standalone",
        f"--cluster-id={cluster}",
        "-c",
        config,
    ]
    subprocess.run([*tool, *users], check=True, capture_output=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Tokens)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with (directory / "broker.log").open("wb") as log:
        process = subprocess.Popen([*command, "kafka.Kafka", config], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while not all(components.listening(ports[name]) for name in names):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((directory / "broker.log").read_text()[-3000:])
                time.sleep(0.1)
            yield Secured(ports, directory, f"http://127.0.0.1:{server.server_port}/token")
        finally:
            server.shutdown()
            server.server_close()
            process.terminate()
            process.wait(20)
