"""What went through the counting proxy is counted by the time that its client has it."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from http.client import HTTPConnection, IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import boto3
import pytest
import trustme

from tasks.stores.benchmark.counting_proxy import CountingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALLOWED = (
    "GET /bucket/bench/run-1/s3fs/junk",
    "GET /bucket/bench%2Frun-1/",
    "GET /bucket?list-type=2&prefix=bench%2Frun-1%2Fs3fs%2F&delimiter=%2F",
    "GET /bucket/?location",
    "HEAD /bucket",
)
REFUSED = (
    "GET /bucket/other/key?location",
    "GET /",
    "GET /bucket?list-type=2&prefix=bench%2Frun-10",
    "GET /bucket?list-type=2&prefix=&prefix=bench%2Frun-1",
    "GET /bucket?policy&prefix=bench%2Frun-1",
    "GET /bucket?policy&location",
    "GET /bucket/theirs",
    "GET /bucket/bench/run-10/key",
    "GET /bucket/bench/run-1/../../theirs",
    "GET /bucket/bench/run-1/%2e%2e/%2e%2e/theirs",
    "HEAD /other/bench/run-1/key",
)
CONTENT = b"x" * 1_000
ASKED = 200


class Service(BaseHTTPRequestHandler):
    """Answers everything with the same content."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(CONTENT)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def counting(
    scheme: str = "http", tls: ssl.SSLContext | None = None, ca: Path | None = None
) -> Iterator[CountingProxy]:
    service = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    if tls is not None:
        service.socket = tls.wrap_socket(service.socket, server_side=True)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    client = boto3.client(
        "s3",
        endpoint_url=f"{scheme}://127.0.0.1:{service.server_port}",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        verify=str(ca) if ca else None,
    )
    try:
        with CountingProxy(client, "bucket", "bench/run-1") as proxy:
            yield proxy
    finally:
        service.shutdown()
        service.server_close()


@pytest.fixture
def proxy() -> Iterator[CountingProxy]:
    with counting() as proxy:
        yield proxy


def test_bytes_are_counted_before_the_client_has_them(proxy: CountingProxy) -> None:
    connection = HTTPConnection("127.0.0.1", proxy.server_port)
    for number in range(1, ASKED + 1):
        connection.request("GET", "/bucket/bench/run-1/key")
        assert connection.getresponse().read() == CONTENT
        counted = proxy.now()
        assert (counted.requests["GET"], counted.sent) == (number, number * len(CONTENT))
    connection.close()


def test_nobody_on_this_machine_reads_more_than_what_the_run_wrote(proxy: CountingProxy) -> None:
    connection = HTTPConnection("127.0.0.1", proxy.server_port)
    found = {}
    for line in (*ALLOWED, *REFUSED):
        connection.request(*line.split(" "))
        answer = connection.getresponse()
        answer.read()
        found[line] = answer.status
    connection.close()
    assert found == dict.fromkeys(ALLOWED, 200) | dict.fromkeys(REFUSED, 403)


def test_a_list_of_everything_is_one_of_what_the_run_wrote(proxy: CountingProxy) -> None:
    """s3fs asks for it to find out whether there is a bucket."""
    ours = "prefix=bench%2Frun-1%2F"
    assert proxy.narrowed("GET", "/bucket/") == f"/bucket/?{ours}"
    assert proxy.narrowed("GET", "/bucket?list-type=2") == f"/bucket?{ours}&list-type=2"


def test_a_client_that_leaves_an_answer_unread_shows_no_traceback(
    proxy: CountingProxy, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a mount that is unmounted after it read ahead: the kernel resets such a connection."""
    over, shutdown = threading.Event(), proxy.shutdown_request

    def shut_down(request: socket.socket) -> None:
        shutdown(request)
        over.set()

    monkeypatch.setattr(proxy, "shutdown_request", shut_down)
    with socket.create_connection(("127.0.0.1", proxy.server_port), timeout=30) as client:
        client.sendall(b"GET /bucket/bench/run-1/key HTTP/1.1\r\nHost: here\r\n\r\n")
        while not client.recv(10_000, socket.MSG_PEEK).endswith(CONTENT):
            pass
    assert over.wait(30)
    assert capfd.readouterr().err == ""


def test_a_client_that_has_enough_is_no_error_and_those_after_it_get_what_they_ask_for(
    proxy: CountingProxy, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As goofys, which closes what it read ahead in vain."""
    gone = threading.Event()

    def broken(*_: object) -> None:
        gone.set()
        raise BrokenPipeError

    connection = HTTPConnection("127.0.0.1", proxy.server_port)
    with monkeypatch.context() as patched:
        patched.setattr(proxy, "went_out", broken)
        connection.request("GET", "/bucket/bench/run-1/key")
        with pytest.raises(IncompleteRead):
            connection.getresponse().read()
        assert gone.is_set()
    connection.close()
    connection.request("GET", "/bucket/bench/run-1/key")
    assert connection.getresponse().read() == CONTENT
    connection.close()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(("known", "status"), [(True, 200), (False, 502)])
def test_a_service_is_trusted_that_the_sdk_trusts(tmp_path: Path, *, known: bool, status: int) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with counting("https", tls, tmp_path / "ca.pem" if known else None) as proxy:
        connection = HTTPConnection("127.0.0.1", proxy.server_port)
        connection.request("GET", "/bucket/bench/run-1/key")
        assert connection.getresponse().status == status
        connection.close()
