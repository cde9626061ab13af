"""A line of the log for each request, for whoever looks for what a registry or an object store answered.

Nothing secret is in it: no header, no body, and of an address neither user nor query.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Self

from tasks.stores.hidden_secrets import redacted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from tenacity import RetryCallState

logger = logging.getLogger(__name__)
_SENT = "layoutlift_sent"


class ShownRequest:
    """Logs a request at the level DEBUG when it ends: the status of its answer, and the seconds until then.

    `status` is set by whoever has an answer.
    """

    def __init__(self, method: str, url: str) -> None:
        self.status: int | None = None
        self._method, self._url, self._began = method, url, time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not logger.isEnabledFor(logging.DEBUG):
            return  # nearly always, and taking URLs apart is dear
        answer = "no answer" if self.status is None else str(self.status)
        logger.debug("%s %s: %s, %.3f s", self._method, redacted(self._url), answer, time.monotonic() - self._began)


def show_repetition(state: RetryCallState) -> None:
    """Log why something is done again, and after how many seconds; tenacity's `before_sleep`."""
    error = state.outcome.exception() if state.outcome is not None else None
    logger.debug("%s; once more in %.1f s", error, state.upcoming_sleep)


def show_requests(client: S3Client) -> None:
    """Have a client log each of its requests, those that it repeats by itself too; nothing where nobody listens."""
    if not logger.isEnabledFor(logging.DEBUG):
        return
    client.meta.events.register("before-send.s3", _on_send)
    client.meta.events.register("response-received.s3", _on_answer)


def _on_send(request: Any, **_: Any) -> None:
    request.context[_SENT] = ShownRequest(request.method, request.url)


def _on_answer(context: dict[str, Any], response_dict: dict[str, Any] | None, **_: Any) -> None:
    sent: ShownRequest | None = context.pop(_SENT, None)
    if sent is None:
        return  # it could not even be sent
    with sent:
        sent.status = None if response_dict is None else response_dict["status_code"]
