"""Receivers on loopback for what a run sends out: whatever is posted to them is kept."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from infra.real_parts import wait_until
from tests.support.loopback_server import LoopbackServer


@dataclass
class Receiver:
    """An HTTP server that takes every POST; `bodies` are those that came, oldest first."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)

    def wait_for(self, text: bytes, deadline_seconds: float = 90.0) -> bytes:
        """The first body that holds `text`, waited for."""
        wait_until(
            lambda: any(text in body for body in self.bodies),
            what=f"{text!r} is received",
            deadline_seconds=deadline_seconds,
        )
        return next(body for body in self.bodies if text in body)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port until the end of the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.paths.append(self.path)
            receiver.logins.append(self.headers["Authorization"])
            receiver.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: what came is in `bodies`."""

    with LoopbackServer(Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
