"""What the HTTP servers of tests have in common: each stands on a free port of loopback, a thread a connection."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


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
