"""What the HTTP servers of tests have in common: each stands on a free port of loopback, a thread a connection."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class LoopbackServer(ThreadingHTTPServer):
    """Its queue of connections is as long as those of real servers.

    The library's own has five places, fewer than a run has connections: where the accepting thread is late, as on a
    machine that has much to do, the kernel drops the sixth, whose client asks again after a whole second.
    """

    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)


class _NothingThere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def no_registry() -> Iterator[str]:
    """Host and port of a server that answers at once, as no registry does."""
    with LoopbackServer(_NothingThere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
