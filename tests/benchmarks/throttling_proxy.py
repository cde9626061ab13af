"""A proxy before a registry that answers 429 above a rate: a token bucket that holds one second's worth.

python throttling_proxy.py PORT UPSTREAM REQUESTS_PER_SECOND none|seconds|date
"""

import json
import sys
import threading
import time
from email.utils import formatdate
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOO_MANY = 429
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


class Bucket:
    """Says which requests may pass, and counts."""

    def __init__(self, rate: float) -> None:
        self.rate = self.tokens = rate
        self.passed = self.refused = 0
        self.began = self.last = 0.0
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether a request may pass now."""
        with self._lock:
            now = time.monotonic()
            self.began = self.began or now
            self.tokens = min(self.rate, self.tokens + (now - (self.last or now)) * self.rate)
            self.last = now
            if self.tokens < 1:
                self.refused += 1
                return False
            self.tokens -= 1
            self.passed += 1
            return True


class Handler(BaseHTTPRequestHandler):
    """Forwards what may pass."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bucket: Bucket
    upstream: str
    retry_after: str

    def setup(self) -> None:
        """Have one connection to the registry for each of a client's."""
        super().setup()
        self.onward = HTTPConnection(self.upstream, timeout=60)

    def finish(self) -> None:
        """Close both."""
        super().finish()
        self.onward.close()

    def forward(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/-/counts":
            self._answer(200, [], json.dumps(self._counts()).encode())
        elif self.bucket.take():
            self.onward.request(self.command, self.path, body, dict(self.headers.items()))
            answer = self.onward.getresponse()
            self._answer(answer.status, answer.getheaders(), answer.read())
        else:
            self._answer(TOO_MANY, self._when_to_come_back(), b'{"errors":[{"code":"TOOMANYREQUESTS"}]}')

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _counts(self) -> dict[str, float]:
        bucket = self.bucket
        seconds = bucket.last - bucket.began
        return {"passed": bucket.passed, "refused": bucket.refused, "seconds": seconds, "rate": bucket.rate}

    def _when_to_come_back(self) -> list[tuple[str, str]]:
        if self.retry_after == "none":
            return []
        soon = "1" if self.retry_after == "seconds" else formatdate(time.time() + 1, usegmt=True)
        return [("Retry-After", soon)]

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        length = dict(headers).get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def main(port: str, upstream: str, rate: str, retry_after: str) -> None:
    """Serve until ended."""
    Handler.bucket = Bucket(float(rate))
    Handler.upstream = upstream
    Handler.retry_after = retry_after
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
