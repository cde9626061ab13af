"""What a reader of mounts in another process and the process that asks it say to each other.

A channel is a socket that keeps messages apart, for small JSON, and two slots of shared memory, for content:
while one is emptied here, the next is filled there. One request is under way on a channel at a time:

    {"do": "stat", "path": "app", …}                what is asked for, and where below the root
    {"file": …}  {"layout": …}  {"finding": …}      an entry of a list; as many as there are
    {"slot": 0, "count": 4096, "last": false}       so much content is in a slot; {"emptied": true} gives it back
    {"count": 4096}                                 the same of content that comes with a request
    {"end": …}                                      the answer, or the end of a list; content ends with its last slot
    {"error": "SourceError", "message": …}          what was raised instead, by its class in `tasks.oci.errors`
"""

from __future__ import annotations

import json
import mmap
import os
import socket
from typing import TYPE_CHECKING, Any

from tasks.oci import errors
from tasks.oci.errors import LayoutliftError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.file_ports import StoredFile

SLOTS = 2
SLOT_SIZE = 512 * 1024
_MOST = 64 * 1024
_EMPTIED = {"emptied": True}


class ChannelClosedError(Exception):
    """The other side is gone."""


class Channel:
    """One side of a channel; for one thread at a time."""

    def __init__(self, link: socket.socket, memory: int) -> None:
        """Speak through `link`, and hand content over in the shared memory that the file descriptor stands for."""
        self.busy = False
        """Whether a request is not answered to its end yet; for whoever asks."""
        self._link = link
        self._memory = mmap.mmap(memory, SLOTS * SLOT_SIZE)
        view = memoryview(self._memory)
        self.slots = [view[start : start + SLOT_SIZE] for start in range(0, SLOTS * SLOT_SIZE, SLOT_SIZE)]

    def close(self) -> None:
        """Let go of the link; the memory goes with the object."""
        self._link.close()

    def send(self, message: Mapping[str, Any]) -> None:
        """Say something.

        Raises:
            ChannelClosedError: nobody listens any more.
        """
        try:
            self._link.send(json.dumps(message).encode("ascii"))
        except OSError as error:
            raise ChannelClosedError from error

    def receive(self, timeout: float | None = None) -> dict[str, Any] | None:
        """What the other side says next; None when it says nothing for `timeout` seconds.

        Raises:
            ChannelClosedError: the other side is gone.
        """
        self._link.settimeout(timeout)
        try:
            packet = self._link.recv(_MOST)
        except TimeoutError:
            return None
        except OSError as error:
            raise ChannelClosedError from error
        if not packet:
            raise ChannelClosedError
        message: dict[str, Any] = json.loads(packet)
        return message

    def put(self, part: bytes) -> None:
        """Hand over content of one slot at most; whoever takes it says so."""
        self.slots[0][: len(part)] = part
        self.send({"count": len(part)})

    def take(self, size: int) -> bytes:
        """Take so much content as it is handed over."""
        taken = bytearray()
        while len(taken) < size:
            part = self.receive() or {}
            taken += self.slots[0][: part["count"]]
            self.send_emptied()
        return bytes(taken)

    def send_emptied(self) -> None:
        """Say that the slot which was filled first may be filled again."""
        self.send(_EMPTIED)

    def wait_for_emptied(self) -> None:
        """Wait until the other side has emptied a slot."""
        self.receive()


class SlotStream:
    """Content that arrives in the slots of a channel."""

    def __init__(self, channel: Channel, answer: Callable[[], dict[str, Any]]) -> None:
        """Take the channel, and what waits for the next message on it."""
        self._channel = channel
        self._answer = answer
        self._current = memoryview(b"")
        self._ended = False
        self._used = False

    def readinto(self, buffer: memoryview, /) -> int:
        """See `ByteStream.readinto`; raises what waiting raises."""
        if not self._current and not self._next():
            return 0
        count = min(len(buffer), len(self._current))
        buffer[:count] = self._current[:count]
        self._current = self._current[count:]
        return count

    def take(self) -> bytes:
        """All that is there of one slot; nothing at the end."""
        if not self._current and not self._next():
            return b""
        taken, self._current = bytes(self._current), self._current[:0]
        return taken

    def _next(self) -> bool:
        """Give the emptied slot back and wait for the next one that has something."""
        while not self._current:
            if self._used:
                self._channel.send_emptied()
                self._used = False
            if self._ended:
                self._channel.busy = False
                return False
            part = self._answer()
            self._current = self._channel.slots[part["slot"]][: part["count"]]
            self._ended, self._used = part["last"], True
        return True


def parts_of(content: bytes) -> list[bytes]:
    """Content in parts that fit into a slot."""
    return [content[start : start + SLOT_SIZE] for start in range(0, len(content), SLOT_SIZE)]


def file_to_json(file: StoredFile) -> list[object]:
    """A file as a message has it; `StoredFile` takes these in this order."""
    return [file.path, file.size, file.modified, file.etag]


def make_link() -> tuple[socket.socket, socket.socket, int]:
    """Both ends of a link, and a file descriptor of its shared memory."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    memory = os.memfd_create("layoutlift", os.MFD_CLOEXEC)
    os.truncate(memory, SLOTS * SLOT_SIZE)
    return here, there, memory


def error_to_json(error: LayoutliftError) -> dict[str, Any]:
    """An exception of ours as a message; a private kind goes as its nearest public one."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__))
    return {"error": kind, "message": str(error)[:4096]}


def error_from_json(message: Mapping[str, Any]) -> LayoutliftError:
    """The exception that a message tells of."""
    kind = getattr(errors, str(message["error"]), SourceError)
    error: LayoutliftError = kind(str(message["message"]))
    return error
