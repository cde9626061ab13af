"""A process that reads a mount for another one, which can leave it behind when the mount hangs.

Started as `python -m tasks.stores.directory.layout_process ROOT CONTROL_FD`: each message on the control socket
brings a link and its shared memory, and is served by a thread of its own. The process ends when its parent does,
except for threads that the kernel holds until the mount answers.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
import threading
from io import BytesIO
from typing import TYPE_CHECKING, Any

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ContentNotFoundError, LayoutliftError, SourceError
from tasks.ports import Finding
from tasks.stores.directory.directory_files import DirectoryFiles
from tasks.stores.directory.layout_channel import SLOTS, Channel, ChannelClosedError, error_to_json, file_to_json
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.verified_content import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.stores.verified_content import ByteStream


class LayoutServer:
    """Answers requests about one source on one channel."""

    def __init__(self, root: str, channel: Channel) -> None:
        """Take the source and the channel."""
        self._root = root
        self._known = LayoutDirectory(root)
        self._files = DirectoryFiles(root, is_mount=True)
        self._channel = channel
        self._answers = {
            "look": self._look,
            "is_empty": self._is_empty,
            "probe": self._probe,
            "list": self._list,
            "index": self._index,
            "stat": self._stat,
            "blob": self._blob,
            "list_files": self._list_files,
            "stat_file": self._stat_file,
            "read_file": self._read_file,
            "link_target": self._link_target,
        }

    def serve(self) -> None:
        """Answer until the other side is gone."""
        try:
            while True:
                request = self._channel.receive() or {}
                try:
                    self._answers[request["do"]](request)
                except LayoutliftError as error:
                    self._channel.send(error_to_json(error))
                except OSError as error:
                    self._channel.send(error_to_json(SourceError(f"the source can't be read: {error.strerror}")))
                except ChannelClosedError:
                    raise
                except Exception as error:  # noqa: BLE001 - told to whoever asked: this process has no output
                    self._channel.send(error_to_json(SourceError(f"unexpected {type(error).__name__}: {error}")))
        except ChannelClosedError:
            self._channel.close()

    def _layouts(self) -> LayoutDirectory:
        return self._known

    def _look(self, _: Mapping[str, Any]) -> None:
        try:
            found = os.stat(self._root)  # noqa: PTH116 - a path of text, as all here
        except OSError as error:
            self._end(error.errno)
        else:
            self._end(0 if stat.S_ISDIR(found.st_mode) else errno.ENOTDIR)

    def _is_empty(self, _: Mapping[str, Any]) -> None:
        with os.scandir(self._root) as entries:
            self._end(next(entries, None) is None)

    def _probe(self, request: Mapping[str, Any]) -> None:
        for place in request["places"]:
            os.statvfs(place)
        self._end()

    def _list(self, _: Mapping[str, Any]) -> None:
        for found in self._layouts().list_layouts():
            if isinstance(found, Finding):
                self._channel.send({"finding": [found.path, found.code, found.message]})
            else:
                self._channel.send({"layout": found})
        self._end()

    def _index(self, request: Mapping[str, Any]) -> None:
        self._send_stream(BytesIO(self._layouts().read_index(request["path"]).raw))

    def _stat(self, request: Mapping[str, Any]) -> None:
        found = self._layouts().stat_blob(request["path"], Digest(request["digest"]))
        self._end(None if found is None else [found.size, found.modified])

    def _blob(self, request: Mapping[str, Any]) -> None:
        descriptor = Descriptor("", Digest(request["digest"]), request["size"])
        with self._layouts().open_blob(request["path"], descriptor) as stream:
            self._send_stream(stream)

    def _list_files(self, request: Mapping[str, Any]) -> None:
        for found in self._files.list_files(request["path"]):
            self._channel.send({"file": file_to_json(found)})
        self._end()

    def _stat_file(self, request: Mapping[str, Any]) -> None:
        found = self._files.stat_file(request["path"], waits=request["waits"])
        self._end(None if found is None else file_to_json(found))

    def _read_file(self, request: Mapping[str, Any]) -> None:
        found = self._files.read_file(request["path"])
        if found is None:
            raise ContentNotFoundError(f"{request['path']} does not exist")
        self._send_stream(BytesIO(found.raw))

    def _link_target(self, request: Mapping[str, Any]) -> None:
        self._end(self._files.link_target(request["path"]))

    def _end(self, answer: object = None) -> None:
        self._channel.send({"end": answer})

    def _send_stream(self, stream: ByteStream) -> None:
        """Fill the slots in turn, never more ahead than there are slots; all are free again at the end."""
        filled, ended = 0, False
        while not ended:
            if filled >= SLOTS:
                self._channel.wait_for_emptied()
            slot = self._channel.slots[filled % SLOTS]
            count = fill(stream, slot)
            ended = count < len(slot)
            self._channel.send({"slot": filled % SLOTS, "count": count, "last": ended})
            filled += 1
        for _ in range(min(filled, SLOTS)):
            self._channel.wait_for_emptied()


def serve_all(server: Callable[[str, Channel], LayoutServer], root: str, control: int) -> None:
    """Serve links until the control socket says that the parent is gone."""
    with socket.socket(fileno=control) as links:
        while True:
            message, handed_over, _, _ = socket.recv_fds(links, 1, 2)
            if not message:
                os._exit(0)  # threads may hang in the kernel
            link, memory = handed_over
            channel = Channel(socket.socket(fileno=link), memory)
            os.close(memory)
            threading.Thread(target=_serve, args=(server, root, channel), daemon=True).start()


def _serve(server: Callable[[str, Channel], LayoutServer], root: str, channel: Channel) -> None:
    """Serve one link; whoever accepts links looks at nothing that may hang, so that the process can end."""
    server(root, channel).serve()


if __name__ == "__main__":
    serve_all(LayoutServer, sys.argv[1], int(sys.argv[2]))
