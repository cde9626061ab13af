"""A body is read as it comes, up to a bound, and whatever breaks it is an error of ours."""

from __future__ import annotations

import io
from http.client import IncompleteRead
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError

from tasks.oci.errors import TransportError, UnexpectedAnswerError
from tasks.stores.registry.transport import http_answers
from tasks.stores.registry.transport.http_answers import StreamedAnswer, read_capped

URL = "http://registry.example/v2/"
BODY = bytes(range(10))


class Response:
    """As much of an answer of urllib3's as is read here."""

    status = 200

    def __init__(self, body: bytes = BODY, error: Exception | None = None) -> None:
        self.headers: dict[str, str] = {}
        self._body = io.BytesIO(body)
        self._error = error

    def read(self, size: int) -> bytes:
        if self._error is not None:
            raise self._error
        return self._body.read(size)


def answer(response: Response) -> StreamedAnswer:
    given: Any = response
    return StreamedAnswer(given, URL)


@pytest.mark.parametrize("step", [1, 4, 100])
@pytest.mark.parametrize("count", [0, 1, 5, 10])
def test_exactly_what_was_read_before_is_passed_over(monkeypatch: pytest.MonkeyPatch, step: int, count: int) -> None:
    monkeypatch.setattr(http_answers, "_READ_STEP", step)
    made = answer(Response())
    made.skip(count)
    assert made.read(100) == BODY[count:]


def test_an_answer_that_is_shorter_than_before_is_passed_over_to_its_end() -> None:
    made = answer(Response())
    made.skip(11)
    assert (made.read(1), made.finished) == (b"", True)


def test_an_answer_is_finished_when_its_end_was_read_and_not_before() -> None:
    made, buffer = answer(Response()), bytearray(10)
    assert not made.finished
    assert (made.readinto(memoryview(buffer)), bytes(buffer), made.finished) == (10, BODY, False)
    assert (made.readinto(memoryview(buffer)), made.finished) == (0, True)


@pytest.mark.parametrize("step", [1, 4, 100])
def test_an_answer_is_read_whole_up_to_its_bound(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(http_answers, "_READ_STEP", step)
    assert read_capped(answer(Response()), 10) == BODY
    with pytest.raises(UnexpectedAnswerError, match="more than 9 bytes"):
        read_capped(answer(Response()), 9)


@pytest.mark.parametrize("error", [ProtocolError("broken"), IncompleteRead(b""), OSError(5, "Input/output error")])
def test_whatever_breaks_an_answer_is_an_error_of_the_wire(error: Exception) -> None:
    with pytest.raises(TransportError):
        answer(Response(error=error)).read(1)
