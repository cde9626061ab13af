"""What went through the counting proxy is counted by the time that its client has it."""

from __future__ import annotations

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tasks.stores.benchmark.counting_proxy import CountingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b"x" * 1_000
ASKED = 200


class Service(BaseHTTPRequestHandler):
    """Answers everything with the same content."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy() -> Iterator[CountingProxy]:
    service = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    client: Any = SimpleNamespace(
        meta=SimpleNamespace(endpoint_url=f"http://127.0.0.1:{service.server_port}", region_name=None),
        _request_signer=SimpleNamespace(_credentials=None),
    )
    try:
        with CountingProxy(client) as proxy:
            yield proxy
    finally:
        service.shutdown()
        service.server_close()


def test_bytes_are_counted_before_the_client_has_them(proxy: CountingProxy) -> None:
    connection = HTTPConnection("127.0.0.1", proxy.server_port)
    for number in range(1, ASKED + 1):
        connection.request("GET", "/bucket/key")
        assert connection.getresponse().read() == CONTENT
        counted = proxy.now()
        assert (counted.requests["GET"], counted.sent) == (number, number * len(CONTENT))
    connection.close()
