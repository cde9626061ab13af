"""How many requests reach an S3 service, by its own metrics, so that counting slows nothing down."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from tasks.oci.errors import ProgramFailedError

_REQUESTS = re.compile(r'SeaweedFS_s3_request_total\{bucket="([^"]*)",.*type="([A-Z]+)"\} (\S+)')
_SENT = re.compile(r'SeaweedFS_s3_bucket_traffic_sent_bytes_total\{bucket="([^"]*)"\} (\S+)')
TIMEOUT_SECONDS = 30.0
LIST = "LIST"
"""What the server calls a request for a list of keys."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests by method, and bytes of content sent, up to one moment."""

    requests: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    def since(self, before: Counts) -> Counts:
        """What came after `before`."""
        return Counts(self.requests - before.requests, self.sent - before.sent)


@dataclass(frozen=True, slots=True)
class ServerCounts:
    """Asks a SeaweedFS server for the counts of one bucket. GET holds HEAD, too: the server counts them together."""

    url: str
    bucket: str

    def now(self) -> Counts:
        """The counts so far.

        Raises:
            ProgramFailedError: the server does not answer.
        """
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(self.url, timeout=TIMEOUT_SECONDS) as answer:
                return parse_counts(answer.read().decode(), self.bucket)
        except OSError as error:
            raise ProgramFailedError(f"the S3 service does not say its counts: {error}") from error


def parse_counts(text: str, bucket: str) -> Counts:
    """Read the counts of a bucket from the server's metrics."""
    requests: Counter[str] = Counter()
    for found in _REQUESTS.finditer(text):
        if found[1] == bucket:
            requests[found[2]] += int(float(found[3]))
    sent = sum(int(float(found[2])) for found in _SENT.finditer(text) if found[1] == bucket)
    return Counts(requests, sent)
