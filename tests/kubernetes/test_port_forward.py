"""The port-forward process: what goes through it arrives whole, and it comes back from what cuts it."""

import contextlib
import dataclasses
import hashlib
import json
import os
import socket
import socketserver
import struct
import sys
import threading
import time

import psutil
import pytest

from sdp_kernel.deploy.place import Place
from sdp_kernel.deploy.port_forward import Order
from sdp_kernel.local import processes
from tests.kubernetes.apiserver import free_port
from tests.kubernetes.flink import add_deployment, add_pod, delete_pod

MEGABYTES = 20


class Echo(socketserver.BaseRequestHandler):
    """Takes a size and a count of bytes; sends that many for a size, and the hash of what it was sent."""

    def handle(self):
        with contextlib.suppress(OSError):
            while head := self.request.recv(8, socket.MSG_WAITALL):
                coming, wanted = struct.unpack("!II", head)
                digest = hashlib.sha256()
                while coming:
                    piece = self.request.recv(min(coming, 65536))
                    digest.update(piece)
                    coming -= len(piece)
                self.request.sendall(digest.digest())
                block = bytes(range(256)) * 256
                for start in range(0, wanted, len(block)):
                    self.request.sendall(block[: wanted - start])
                if wanted % 2:  # an odd size: it closes after it
                    return


@pytest.fixture
def echo():
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def forward(tmp_path, api, namespace, echo):
    """A port that leads to the echo server, as if it were a JobManager."""
    add_deployment(api, namespace, configuration={"rest.port": str(echo)})
    add_pod(api, namespace)
    place = Place.of(tmp_path, "dev")
    with started(place, api, namespace) as order:
        yield order.port, place


@contextlib.contextmanager
def started(place, api, namespace, user="admin", **more):
    place.forward.mkdir(parents=True)
    place.heartbeat.touch()
    order = Order(
        free_port(), namespace, "session", "test", str(api.kubeconfig(user)),
        str(place.heartbeat), str(place.state), **more,
    )  # fmt: skip
    processes.spawn(
        "port-forward",
        [sys.executable, "-m", "sdp_kernel.deploy.port_forward", processes.mark(place.forward),
         json.dumps(dataclasses.asdict(order))],
        port=order.port, environment={}, output=place.logs / "port-forward.out",
        records=place.run, state_dir=place.forward,
    )  # fmt: skip
    try:
        until(lambda: answers(order.port))
        yield order
    finally:
        place.end_forward()


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def ask(sock, sent, wanted):
    """Send bytes, ask for so many; returns the hash of what arrived there, and what came."""
    sock.sendall(struct.pack("!II", len(sent), wanted))
    threading.Thread(target=lambda: contextlib.suppress(OSError) and sock.sendall(sent), daemon=True).start()
    return received(sock, 32), received(sock, wanted)


def received(sock, size):
    came = bytearray()
    while len(came) < size and (piece := sock.recv(min(size - len(came), 1 << 16))):
        came += piece
    return bytes(came)


def expected(size):
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def opened(port, timeout=60):
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def works(port):
    with contextlib.suppress(OSError), opened(port) as sock:
        return ask(sock, b"abc", 10)[1] == expected(10)
    return False


def test_large_answers_and_requests_arrive_whole(forward):
    port, _ = forward
    size = MEGABYTES << 20
    began = time.monotonic()
    with opened(port) as sock:
        digest, came = ask(sock, b"", size)
        assert digest == hashlib.sha256(b"").digest()
        assert came == expected(size)
        took = time.monotonic() - began
        sent = os.urandom(size)
        assert ask(sock, sent, 0) == (hashlib.sha256(sent).digest(), b"")
    print(f"{MEGABYTES} MB down in {took:.2f} s, up in {time.monotonic() - began - took:.2f} s")  # noqa: T201


def test_what_a_pod_sends_before_it_closes_is_not_cut(forward):
    port, _ = forward
    with opened(port) as sock:
        assert ask(sock, b"", (3 << 20) + 1)[1] == expected((3 << 20) + 1)
        assert sock.recv(1) == b""


def test_an_answer_comes_though_the_client_has_sent_its_last(forward):
    port, _ = forward
    with opened(port) as sock:
        sock.sendall(struct.pack("!II", 0, 1 << 20))
        sock.shutdown(socket.SHUT_WR)
        came = bytearray()
        while piece := sock.recv(1 << 16):
            came += piece
    assert came[32:] == expected(1 << 20)


def test_a_slow_reader_holds_its_own_connection_only(forward):
    port, place = forward
    process = processes.alive(place.record, place.forward)
    with opened(port) as slow:
        slow.sendall(struct.pack("!II", 0, 200 << 20))
        time.sleep(2)
        assert works(port)
        assert process.memory_info().rss < 200 << 20
        assert received(slow, (1 << 20) + 32)[32:] == expected(1 << 20)


def test_many_connections_at_a_time_do_not_mix(forward):
    port, _ = forward
    wrong = []

    def one(number):
        sent = bytes([number]) * 50_000
        with opened(port) as sock:
            right = (hashlib.sha256(sent).digest(), expected(100_000))
            wrong.extend(number for _ in range(3) if ask(sock, sent, 100_000) != right)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    began = time.monotonic()
    assert all(works(port) for _ in range(50))
    print(f"{(time.monotonic() - began) * 20:.1f} ms a connection")  # noqa: T201


def test_a_pod_that_is_replaced_is_found_again(forward, api, namespace):
    port, place = forward
    assert works(port)
    assert place.said.pod == "session-jobmanager"
    delete_pod(api, namespace)
    add_pod(api, namespace, name="another")
    until(lambda: works(port) and place.said.pod == "another")


def test_why_there_is_no_way_through_is_readable(forward, api, namespace):
    port, place = forward
    delete_pod(api, namespace)
    add_pod(api, namespace, name="pending", phase="Pending")
    until(lambda: not works(port) and place.said.error)
    assert "no JobManager pod of session runs" in place.said.error
    assert "pending is Pending" in place.status()[0].detail
    assert "ERROR no JobManager pod of session runs" in (place.logs / "port-forward.out").read_text()


def test_a_port_that_nobody_serves_is_told(tmp_path, api, namespace):
    add_deployment(api, namespace, configuration={"rest.port": str(free_port())})
    add_pod(api, namespace)
    place = Place.of(tmp_path, "dev")
    with started(place, api, namespace) as order:
        assert not works(order.port)
        until(lambda: "connection refused" in place.said.error)


def test_what_a_user_may_not_do_is_told(tmp_path, api, namespace):
    place = Place.of(tmp_path, "dev")
    with started(place, api, namespace, "nobody") as order:
        assert not works(order.port)
        until(lambda: place.said.error)
        assert "the user nobody may not list pods" in place.said.error


def test_it_ends_itself_where_no_kernel_gives_a_sign_of_life(tmp_path, api, namespace):
    place = Place.of(tmp_path, "dev")
    with started(place, api, namespace, idle=4.0):
        process = psutil.Process(place.record.pid)
        for _ in range(5):
            time.sleep(1.5)
            place.heartbeat.touch()
        assert process.is_running()
        until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 30)
        assert place.record is None
