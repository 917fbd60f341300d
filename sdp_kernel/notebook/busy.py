"""Answers while a cell runs: completion in our cells, and messages to our own widgets.

ipykernel 7 reads the shell channel in a thread and hands each message to the main thread, where it
waits for the running cell. Messages that are ours are taken out there and answered in two threads of
our own: one for completion, one for widgets, so that a slow button does not hold up the other.

ipykernel's own subshells do not serve here: front ends address them by an id in the message, and a
message handled in one takes over the parent that output from other threads is shown under. With
another kernel, or an older one, nothing is installed and everything waits as it always did.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any

from sdp_kernel.notebook.completion import completer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from IPython.core.interactiveshell import InteractiveShell

_SERVED: set[str] = set()
_INSTALLED: dict[int, _Bypass] = {}
_NEEDED = ("shell_channel_thread", "shell_stream", "shell_channel_thread_main", "session", "_publish_status")


def serve(comm_id: str) -> None:
    """Handle the messages of a comm in a thread of their own, whether a cell runs or not.

    Its handlers must stand being called beside the main thread. ``pre_execute`` and ``post_execute``
    hooks of IPython do not run for them.
    """
    _SERVED.add(comm_id)


def release(comm_id: str) -> None:
    """Handle the messages of a comm in the main thread again."""
    _SERVED.discard(comm_id)


def install(shell: InteractiveShell) -> bool:
    """Start answering while cells run; returns whether this kernel allows it."""
    kernel = getattr(shell, "kernel", None)
    if id(shell) in _INSTALLED:
        return True
    if kernel is None or any(getattr(kernel, name, None) is None for name in _NEEDED):
        return False
    _INSTALLED[id(shell)] = bypass = _Bypass(shell, kernel)
    bypass.start()
    return True


def uninstall(shell: InteractiveShell) -> None:
    """Leave the kernel as it was."""
    bypass = _INSTALLED.pop(id(shell), None)
    if bypass is not None:
        bypass.stop()


class _Lane:
    """A thread that does one thing after another."""

    def __init__(self, name: str, log: Any) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._log = log
        threading.Thread(target=self._run, daemon=True, name=name).start()

    def do(self, work: Callable[[], None]) -> None:
        self._work.put(work)

    def stop(self) -> None:
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:  # noqa: BLE001 - as ipykernel does: a handler that fails is logged
                self._log.error("sdp_kernel: a message could not be handled", exc_info=True)


class _Bypass:
    """Takes our messages out of a kernel's shell channel, and answers them."""

    def __init__(self, shell: InteractiveShell, kernel: Any) -> None:
        self._shell = shell
        self._kernel = kernel
        self._loop = kernel.shell_channel_thread.io_loop
        self._receive = kernel.shell_channel_thread_main
        self._completions = _Lane("sdp-completions", kernel.log)
        self._comms = _Lane("sdp-comms", kernel.log)
        self._publish_status = kernel._publish_status  # noqa: SLF001
        self._publishing = threading.Lock()
        parent = kernel.get_parent("shell")
        #: What the main thread said last, and about which message.
        self._main: tuple[str, dict[str, Any]] = ("busy" if parent else "idle", parent)

    def start(self) -> None:
        self._kernel._publish_status = self._main_status  # noqa: SLF001
        # an extension that is loaded with the kernel comes before the kernel listens: it then takes this
        self._kernel.shell_channel_thread_main = self._route
        self._receive_with(self._route)

    def stop(self) -> None:
        self._kernel.__dict__.pop("shell_channel_thread_main", None)
        self._receive_with(self._receive)
        self._kernel.__dict__.pop("_publish_status", None)
        self._completions.stop()
        self._comms.stop()

    def _receive_with(self, handler: Any) -> None:
        """Change who gets the messages of a kernel that listens already, in the thread that reads them."""

        def change() -> None:
            stream = self._kernel.shell_stream
            if not stream.closed() and stream.receiving():
                stream.on_recv(handler, copy=False)

        self._loop.add_callback(change)

    async def _route(self, frames: list[Any]) -> None:
        """Take a message if it is ours; runs in the shell channel's thread."""
        if not self._taken(frames):
            await self._receive(frames)

    def _taken(self, frames: list[Any]) -> bool:
        session = self._kernel.session
        try:
            idents, parts = session.feed_identities(frames, copy=False)
            kind = session.deserialize(parts, content=False, copy=False)["header"]["msg_type"]
            if kind not in {"complete_request", "comm_msg", "comm_close"}:
                return False
            content = session.unpack(parts[4].bytes)
            if kind == "complete_request":
                completer = completer_of(self._shell)
                if completer is None or not completer.is_ours(content["code"], content["cursor_pos"]):
                    return False
                lane, handle = self._completions, self._complete
            else:
                comm_id = content.get("comm_id")
                if comm_id not in _SERVED or self._kernel.comm_manager.get_comm(comm_id) is None:
                    return False
                lane, handle = self._comms, self._comm
            message = session.deserialize(parts, content=True, copy=False)
        except Exception:  # noqa: BLE001 - ipykernel says what is wrong with a message
            return False
        lane.do(lambda: self._handle(handle, idents, message))
        return True

    def _handle(self, handle: Any, idents: list[bytes], message: dict[str, Any]) -> None:
        self._status("busy", message)
        try:
            handle(idents, message)
        finally:
            self._status("idle", message)

    def _complete(self, idents: list[bytes], message: dict[str, Any]) -> None:
        content = message["content"]
        completer = completer_of(self._shell)
        reply = None
        try:
            if completer is not None:
                reply = completer.reply(content["code"], content["cursor_pos"])
        finally:
            at = content["cursor_pos"]
            nothing = {"matches": [], "cursor_start": at, "cursor_end": at, "metadata": {}, "status": "ok"}
            self._reply("complete_reply", reply or nothing, message, idents)

    def _comm(self, idents: list[bytes], message: dict[str, Any]) -> None:
        comm_id = message["content"]["comm_id"]
        manager = self._kernel.comm_manager
        comm = manager.get_comm(comm_id)
        if comm is None:
            return
        with self._as_parent(idents, message):
            if message["header"]["msg_type"] == "comm_close":
                release(comm_id)
                manager.comm_close(None, idents, message)
            elif getattr(comm, "_msg_callback", None) is not None:
                comm._msg_callback(message)  # noqa: SLF001 - handle_msg() runs IPython's hooks too
            else:
                comm.handle_msg(message)

    @contextlib.contextmanager
    def _as_parent(self, idents: list[bytes], message: dict[str, Any]) -> Iterator[None]:
        """Let what this thread publishes belong to the message; other threads keep theirs."""
        kernel, shell = self._kernel, self._shell
        kernel._shell_parent.set(message)  # noqa: SLF001 - set_parent() sets it for all threads
        kernel._shell_parent_ident.set(idents)  # noqa: SLF001
        set_parent = getattr(shell, "set_thread_parent", None)
        tokens = set_parent(message) if set_parent is not None else None
        try:
            yield
        finally:
            if tokens is not None:
                shell.reset_thread_parent(tokens)  # type: ignore[attr-defined]

    def _reply(self, kind: str, content: dict[str, Any], parent: dict[str, Any], idents: list[bytes]) -> None:
        session = self._kernel.session
        frames = session.serialize(session.msg(kind, content, parent=parent), idents)
        self._loop.add_callback(self._kernel.shell_stream.send_multipart, frames)

    def _status(self, status: str, parent: dict[str, Any]) -> None:
        """Publish a status for one of our messages."""
        with self._publishing:
            self._send_status(status, parent)
            self._still_busy(status)

    def _still_busy(self, status: str) -> None:
        """Say "busy" for the cell that runs once more, after an "idle" that is not its own.

        Front ends and the server show the last status they saw, whatever it was for: one of our
        messages, the control channel, a subshell.
        """
        state, running = self._main
        if status == "idle" and state == "busy" and running:
            self._send_status("busy", running)

    def _send_status(self, status: str, parent: dict[str, Any]) -> None:
        kernel = self._kernel
        kernel.session.send(
            kernel.iopub_socket,
            "status",
            {"execution_state": status},
            parent=parent,
            ident=kernel._topic("status"),  # noqa: SLF001
        )

    def _main_status(self, status: str, channel: str, *args: Any, **kwargs: Any) -> None:
        """Stand in for the kernel's own method, to know what the main thread said last."""
        with self._publishing:
            main = getattr(self._kernel.shell_channel_thread, "parent_thread", threading.main_thread())
            if channel == "shell" and threading.current_thread() is main:
                self._main = (status, self._kernel.get_parent("shell"))
            self._publish_status(status, channel, *args, **kwargs)
            self._still_busy(status)
