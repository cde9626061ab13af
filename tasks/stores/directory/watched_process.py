"""A process that works on a directory whose mount may hang, and is left behind when it does.

See docs/decisions/010-reading-a-mount.md.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import (
    ContentNotFoundError,
    InterruptedRunError,
    InvalidLayoutError,
    SourceReadError,
    SourceUnavailableError,
)
from tasks.stores.directory import mounts
from tasks.stores.directory.layout_channel import (
    Channel,
    ChannelClosedError,
    SlotStream,
    error_from_json,
    make_link,
    parts_of,
)
from tasks.stores.silence import Silence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.stop import Stop
    from tasks.stores.directory.mount_patience import Patience

_READS, _CHANGES = "tasks.stores.directory.layout_process", "tasks.stores.directory.writer_process"
_LOOK_EVERY = 0.5
_STOPPED_SECONDS = 2.0
_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
_LATE = "; what it has begun may still be done then, so let nobody write before"


class WatchedProcess:
    """A process over the directory `root`, that only reads or also `changes` it; safe to share among threads.

    A request is a mapping: `do` says what, `path` where below the root (absent: anywhere), the rest is `do`'s own.
    """

    def __init__(self, root: str, patience: Patience, stop: Stop | None = None, *, changes: bool = False) -> None:
        """Take `root`; the process is started by the first request. Waits end with `stop`."""
        self._root = root
        self._changes = changes
        self._mounts = mounts.hanging_mounts()
        self._patience = patience
        self._stop = stop
        self._silence = Silence(patience.longest)
        self._lock = threading.Lock()
        self._idle: list[Channel] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._gone: str | None = None

    def close(self) -> None:
        """Let the process go; one that hangs in the kernel is left to end when its mount does."""
        with self._lock:
            for channel in self._idle:
                channel.close()
            self._idle.clear()
            control, self._control = self._control, None
        if control is not None:
            control.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)

    def ask(self, request: dict[str, Any], name: str, content: bytes | None = None) -> Any:
        """The answer to a request about something called `name`, which may bring content along.

        Raises:
            LayoutliftError: the process says that it failed.
            SourceUnavailableError: the mount does not answer.
        """
        with self._request(request) as channel:
            for part in () if content is None else parts_of(content):
                channel.put(part)
                self._answer(channel, name, request.get("path"))
            return self._answer(channel, name, request.get("path"))["end"]

    def each(self, request: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
        """The messages that answer a request, one by one; a list is worth nothing to a run that is to end.

        Raises:
            LayoutliftError: as for `ask`; also where what is said to be all may be so for want of its mount.
        """
        path = request.get("path")
        with self._request(request) as channel:
            while "end" not in (found := self._answer(channel, name, path, grace=0.0)):
                yield found
                self._check_stop(0.0, grace=0.0)
        self.check_mounted(path or ".", below=path is None)

    def read(self, request: dict[str, Any], name: str) -> bytes:
        """Content as a whole; raises what `stream` does."""
        raw = bytearray()
        with self.stream(request, name) as stream:
            while part := stream.take():
                raw += part
        return bytes(raw)

    @contextmanager
    def stream(self, request: dict[str, Any], name: str) -> Iterator[SlotStream]:
        """Content as it comes.

        Raises:
            LayoutliftError: as for `ask`; what is absent may be so for want of its mount.
        """
        try:
            with self._request(request) as channel:
                yield SlotStream(channel, lambda: self._answer(channel, name, request["path"]))
        except (ContentNotFoundError, InvalidLayoutError):
            self.check_mounted(request["path"])
            raise

    def check_mounted(self, path: str, *, below: bool = False) -> None:
        """See that what is said to be absent is not so because its mount was taken away, or one `below` it.

        Raises:
            SourceUnavailableError: the mount was taken away; from now on nothing more is asked.
        """
        if (mount := mounts.taken_away(self._mounts, self._place(path), below=below)) is not None:
            self._gone = f"the mount of the source at {mount} was taken away"
        self._check_alive()

    @contextmanager
    def _request(self, request: dict[str, Any]) -> Iterator[Channel]:
        """Have a channel for one request; it is used again only if the request was answered to the end."""
        self._check_alive()
        with self._lock:
            channel = self._idle.pop() if self._idle else None
        channel = channel or self._open_channel()
        try:
            self._send(channel, request)
            yield channel
        except ChannelClosedError as error:
            raise self._lost() from error
        finally:
            with self._lock:
                if channel.busy or self._control is None:
                    channel.close()
                else:
                    self._idle.append(channel)

    def _send(self, channel: Channel, request: dict[str, Any]) -> None:
        channel.busy = True
        channel.send(request)

    def _answer(
        self, channel: Channel, name: str, path: str | None, grace: float = _STOPPED_SECONDS
    ) -> dict[str, Any]:
        """What the process says next of something at `path`; where that is None, it may be anywhere.

        When the run is to end, it is waited for no longer than `grace` seconds.

        Raises:
            LayoutliftError: that it failed, or nothing for too long.
        """
        asked = time.monotonic()
        message = self._awaited(channel, name, path, asked, grace)
        if "end" in message:
            channel.busy = False
        if "error" in message:
            failure = error_from_json(message)
            if isinstance(failure, SourceReadError):
                self._note_failure(asked)
            raise failure
        self._silence.end()
        return message

    def _awaited(self, channel: Channel, name: str, path: str | None, asked: float, grace: float) -> dict[str, Any]:
        """What the process says next; while it says nothing, see whether it is still worth waiting."""
        silence = self._patience.silence
        try:
            while (message := channel.receive(_LOOK_EVERY)) is None:
                waited = time.monotonic() - asked
                self._check_alive()
                self._check_stop(waited, grace)
                if waited > self._patience.longest:
                    self._note_failure(asked)
                    raise SourceReadError(f"{name} did not answer for {waited:.0f} s; the mount itself does")
                if waited > silence:
                    self._probe(waited, path)
                    self._silence.tell(name, asked)
                    silence = time.monotonic() - asked + self._patience.silence
        except ChannelClosedError as error:
            raise self._lost() from error
        return message

    def _note_failure(self, asked: float) -> None:
        """Give the source up where nothing of it could be read for too long; then nothing more is asked."""
        if self._silence.lasts(asked):
            waited = f"{self._patience.longest:.0f} s, though its mount answers: the store behind it may be away"
            self._gone = f"nothing could be read from the source {self._root} for {waited}"
            self._check_alive()

    def _check_alive(self) -> None:
        if self._gone is not None:
            raise SourceUnavailableError(self._gone)

    def _check_stop(self, waited: float, grace: float) -> None:
        if self._stop is not None and self._stop.requested and waited >= grace:
            raise InterruptedRunError("the run was interrupted while the source was read")

    def _place(self, path: str) -> str:
        return os.path.normpath(f"{self._root}/{path}")

    def _places(self, path: str | None) -> list[str]:
        """What a request waits for: mounts may lie below the source, and one hang without the others."""
        if path is None:
            return [self._root, *mounts.mounted_below(self._mounts, self._root)]
        return [self._root, *mounts.on_the_way(self._mounts, self._place(path))][-1:]

    def _probe(self, waited: float, path: str | None) -> None:
        """Ask the mount for a sign of life.

        Raises:
            SourceUnavailableError: it gives none; from now on nothing more is asked of it.
        """
        probe = self._open_channel()
        try:
            probe.send({"do": "probe", "places": self._places(path)})
            alive = probe.receive(self._patience.probe) is not None
        except ChannelClosedError as error:
            raise self._lost() from error
        finally:
            probe.close()
        if not alive:
            self._gone = (
                f"the mount of the source {self._root} hangs: no answer for {waited + self._patience.probe:.0f} s. "
                f"The process {self._pid} that {self._role} it is left behind and ends when the mount answers or is "
                f"taken away (fusermount3 -uz, or umount -f){_LATE if self._changes else ''}"
            )
            self._check_alive()

    def _lost(self, error: OSError | None = None) -> SourceUnavailableError:
        """What to raise where the process does not listen, or this machine gives no more of what it takes to ask."""
        self._check_alive()
        if error is not None and error.errno in _LIMITS:
            lack = f"{error.strerror or error}; raise the limit (ulimit -n and -u, or the container's)"
            return SourceUnavailableError(f"no process can be had that {self._role} the source {self._root}: {lack}")
        return SourceUnavailableError(f"the process {self._pid} that {self._role} the source {self._root} has ended")

    @property
    def _role(self) -> str:
        return "changes" if self._changes else "reads"

    @property
    def _pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def _open_channel(self) -> Channel:
        try:
            here, there, memory = make_link()
        except OSError as error:
            raise self._lost(error) from error
        try:
            with self._lock:
                if self._control is None:
                    self._control = self._start()
                socket.send_fds(self._control, [b"+"], [there.fileno(), memory])
            return Channel(here, memory)
        except OSError as error:
            here.close()
            raise self._lost(error) from error
        finally:
            there.close()
            os.close(memory)

    def _start(self) -> socket.socket:
        module = _CHANGES if self._changes else _READS
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this program itself
                [sys.executable, "-P", "-m", module, self._root, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # whoever waits for the end of our output must not wait for it
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: value for name, value in os.environ.items() if not name.startswith("LAYOUTLIFT_")},
                start_new_session=True,
            )
        return control
