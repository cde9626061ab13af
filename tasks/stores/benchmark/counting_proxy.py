"""Counts the requests that programs make to any S3 service: an endpoint on loopback that passes them on.

It signs each request anew, because a signature holds the name of the host that it was made for. Whoever is on this
machine can ask it, so it answers reads only, and only of what the run itself wrote. It belongs to pulls whose times
are not kept: what a program costs through it says nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from tasks.stores.benchmark.program_environment import sdk_credentials
from tasks.stores.benchmark.request_counts import Counts
from tasks.stores.bucket.s3_client import region_of
from tasks.stores.local_parts.ports import LOOPBACK

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PASSED_ON = ("Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since")
ONLY_OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
OF_LISTS = frozenset({"list-type", "prefix", "delimiter", "max-keys", "encoding-type", "fetch-owner", "x-id"}) | {
    "marker",
    "start-after",
    "continuation-token",
}
CHUNK = 1024 * 1024


class CountingProxy(ThreadingHTTPServer):
    """Serves what is below a prefix between `with` and its end; `url` is the endpoint that programs are given."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self._client, self._bucket, self._prefix = client, bucket, f"{prefix}/"
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._sent = 0

    @property
    def url(self) -> str:
        """The endpoint of this proxy; buckets are in its paths."""
        return f"http://{LOOPBACK}:{self.server_port}"

    def now(self) -> Counts:
        """What was asked for so far, by method, and the bytes of content that went out."""
        with self._lock:
            return Counts(Counter(self._requests), self._sent)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def asked(self, method: str) -> None:
        """Count a request."""
        with self._lock:
            self._requests[method] += 1

    def went_out(self, size: int) -> None:
        """Count bytes of content."""
        with self._lock:
            self._sent += size

    def narrowed(self, method: str, target: str) -> str | None:
        """What is asked in place of that: the same, for keys and lists below the prefix, and of the bucket itself.

        A list of everything, by which s3fs finds out whether there is a bucket, becomes one of our own keys. All
        else is refused.
        """
        path, _, query = target.partition("?")
        bucket, _, key = unquote(path).removeprefix("/").partition("/")
        asked = parse_qs(query, keep_blank_values=True)
        if bucket != self._bucket or ".." in key.split("/"):
            return None
        if not key and (method == "HEAD" or asked.keys() == {"location"}):
            return target
        if not key and asked.keys() <= OF_LISTS - {"prefix"}:
            return f"{path}?{urlencode({'prefix': self._prefix})}{'&' if query else ''}{query}"
        is_list = asked.keys() <= OF_LISTS and len(asked.get("prefix", ())) == 1
        may = self._is_ours(key) if key else is_list and self._is_ours(asked["prefix"][0])
        return target if may else None

    def _is_ours(self, key: str) -> bool:
        return f"{key}/".startswith(self._prefix)

    def pass_on(self, method: str, target: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        """Ask the service itself, signed anew, on the way that the SDK takes: authorities, proxies, patience.

        Raises:
            BotoCoreError: it does not answer, or is not trusted.
        """
        url = self._client.meta.endpoint_url.rstrip("/") + target
        request = AWSRequest(method, url, {**headers, "Host": urlsplit(url).netloc}, stream_output=True)
        credentials = sdk_credentials(self._client)
        if credentials is not None:
            S3SigV4Auth(credentials.get_frozen_credentials(), "s3", region_of(self._client)).add_auth(request)
        session = self._client._endpoint.http_session  # type: ignore[attr-defined]  # noqa: SLF001 - boto3 shows it nowhere
        answer: urllib3.BaseHTTPResponse = session.send(request.prepare()).raw
        return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: CountingProxy

    def handle(self) -> None:
        """Answer what comes through a connection, until who asks ends it, also with an answer left unread."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing: requests are counted, not shown."""

    def _answer(self) -> None:
        self.server.asked(self.command)
        target = self.server.narrowed(self.command, self.path)
        if target is None:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        given = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        try:
            answer = self.server.pass_on(self.command, target, given)
        except BotoCoreError:
            self.send_error(HTTPStatus.BAD_GATEWAY)
            return
        try:
            self._send(answer)
        except (urllib3.exceptions.HTTPError, OSError):  # of who broke off, the service or who asked
            self.close_connection = True
            answer.close()
        else:
            answer.release_conn()

    def _send(self, answer: urllib3.BaseHTTPResponse) -> None:
        length = answer.headers.get("Content-Length")
        body = b"" if length is not None or self.command == "HEAD" else answer.read()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ONLY_OF_ONE_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", length if length is not None else str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        for chunk in (body,) if body else answer.stream(CHUNK):
            self.server.went_out(len(chunk))  # before: whoever has the bytes may ask at once how many there were
            self.wfile.write(chunk)
