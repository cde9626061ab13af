"""A blob in chunks arrives whole, in order and in chunks that the registry takes, or not at all."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import PayloadTooLargeError, RegistryError, TargetFullError, UnexpectedAnswerError
from tasks.stores.registry import chunked_upload
from tasks.stores.registry.chunked_upload import ChunkedUpload
from tasks.stores.registry.oras_provider import RepositoryContainer
from tasks.stores.registry.transport.http_answers import HttpAnswer
from tasks.stores.registry.upload_tries import UploadTries
from tasks.stores.verified_content import VerifiedContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DATA = bytes(range(10))


@dataclass
class Registry:
    """Answers as an `OrasProvider` would; chunks of more than `most` bytes are refused.

    Of each it takes `takes` bytes at most; `said` makes the `Range` of an answer of what it has, and of the chunk.
    """

    most: int = 4
    takes: int = 100
    said: Callable[[int, int], str] = lambda has, _: f"0-{has - 1}"
    has: bytes = b""
    least: str = ""
    statuses: dict[str, int] = field(default_factory=lambda: {"POST": 202, "PATCH": 202, "PUT": 201})
    sent: list[tuple[str, str, bytes, dict[str, str]]] = field(default_factory=list)

    def container(self, repository: str) -> RepositoryContainer:
        return RepositoryContainer("registry.example", repository)

    def do_request(
        self, url: str, method: str, body: bytes | Iterable[bytes], headers: dict[str, str], _: object
    ) -> HttpAnswer:
        raw = body if isinstance(body, bytes) else b"".join(bytes(part) for part in body)
        self.sent.append((method, url, raw, headers))
        status = 413 if method == "PATCH" and len(raw) > self.most else self.statuses[method]
        answered = {"OCI-Chunk-Min-Length": self.least} if self.least else {}
        if method == "POST":
            self.has = b""
        if method == "PATCH" and status < 300:
            if int(headers["Content-Range"].partition("-")[0]) != len(self.has):
                status = 416
            self.has += raw[: self.takes]
            answered["Range"] = self.said(len(self.has), len(raw))
        return HttpAnswer(status, answered, b"", url)

    def chunks(self) -> list[bytes]:
        return [raw for method, _, raw, _ in self.sent if method == "PATCH"]


@dataclass
class ToldTries(UploadTries):
    """What was met with a blob that nothing broke off."""

    told: Callable[[], None] = lambda: None

    def note_sent(self) -> None:
        self.told()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked_upload, "CHUNK_SIZES", (8, 4, 2))


def upload(registry: Registry, place: str = "/session") -> ChunkedUpload:
    provider: Any = registry
    return ChunkedUpload(provider, lambda _: place)


def push(made: ChunkedUpload, data: bytes = DATA, note_sent: Callable[[], None] = lambda: None) -> None:
    descriptor = Descriptor("application/x", Digest.of(data), len(data))
    content = VerifiedContent(descriptor, lambda: contextlib.nullcontext(io.BytesIO(data)))
    made.push("app", content, (), ToldTries(descriptor, told=note_sent))


@pytest.mark.parametrize(("place", "mark"), [("/session", "?"), ("/session?state=a", "&")])
def test_chunks_follow_each_other_and_the_digest_comes_last(place: str, mark: str) -> None:
    registry = Registry(most=8)
    push(upload(registry, place))
    ranges = [(raw, headers["Content-Range"]) for method, _, raw, headers in registry.sent if method == "PATCH"]
    assert ranges == [(DATA[:8], "0-7"), (DATA[8:], "8-9")]
    method, url, raw, _ = registry.sent[-1]
    assert (method, url, raw) == ("PUT", f"{place}{mark}digest={Digest.of(DATA)}", b"")


def test_that_all_was_sent_is_told_before_it_is_stored() -> None:
    """Storing may take longer than a proxy waits; a chunk that fails is another matter."""
    registry = Registry(most=4)
    told: list[list[str]] = []
    push(upload(registry), note_sent=lambda: told.append([method for method, *_ in registry.sent]))
    assert told == [["POST", "PATCH", "POST", "PATCH", "PATCH", "PATCH"]]


def test_chunks_that_are_refused_are_tried_smaller_and_never_again() -> None:
    registry = Registry(most=4)
    made = upload(registry)
    push(made)
    assert registry.chunks() == [DATA[:8], DATA[:4], DATA[4:8], DATA[8:]]
    registry.sent.clear()
    push(made)
    assert registry.chunks() == [DATA[:4], DATA[4:8], DATA[8:]]


def test_what_another_worker_found_to_be_too_large_meanwhile_is_not_tried_again() -> None:
    class Meanwhile(Registry):
        def do_request(self, *request: Any) -> HttpAnswer:
            made.refused = min(made.refused, 4)
            return super().do_request(*request)

    registry = Meanwhile(most=2)
    made = upload(registry)
    push(made)
    assert [len(chunk) for chunk in registry.chunks()] == [8, 2, 2, 2, 2, 2]
    assert made.refused == 4


def test_a_blob_is_never_sent_in_one_chunk_of_its_own_size() -> None:
    registry = Registry(most=8)
    push(upload(registry), DATA[:8])
    assert registry.chunks() == [DATA[:4], DATA[4:8]]


def test_where_even_the_smallest_chunks_are_refused_nothing_arrives() -> None:
    registry = Registry(most=1)
    made = upload(registry)
    for _ in range(2):
        with pytest.raises(PayloadTooLargeError):
            push(made)
    assert [len(chunk) for chunk in registry.chunks()] == [8, 4, 2], "what was refused is not tried again"
    assert "PUT" not in {method for method, *_ in registry.sent}


def test_a_session_that_finds_no_room_leads_to_no_smaller_chunks() -> None:
    """It is asked for without a body, and so is of no size that could be too large."""
    registry = Registry()
    registry.statuses["POST"] = 413
    made = upload(registry)
    with pytest.raises(TargetFullError):
        push(made)
    assert (len(registry.sent), made.refused) == (1, sys.maxsize)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_blob_that_is_too_large_as_a_whole_keeps_no_other_back(method: str) -> None:
    """Quay has a limit for layers, however they come: chunks that it takes are not what it refuses."""

    class Limited(Registry):
        def do_request(self, url: str, asked: str, *request: Any) -> HttpAnswer:
            answer = super().do_request(url, asked, *request)
            is_refused = asked == method and len(self.has) > 9
            return HttpAnswer(413, {}, b"", url) if is_refused else answer

    registry = Limited(most=8)
    made = upload(registry)
    made.refused = 10
    with pytest.raises(PayloadTooLargeError):
        push(made)
    assert registry.chunks() == [DATA[:8], DATA[8:]], "smaller chunks come to as much"
    assert made.refused == 10
    push(made, DATA[:9])
    assert registry.has == DATA[:9]


@pytest.mark.parametrize(
    ("least", "first"), [("6", 6), ("2", 4), ("-9", 4), ("x", 4), ("\u0666", 4), ("9" * 12, 4), ("9" * 11, 10)]
)
def test_chunks_are_as_large_as_the_registry_says_that_they_must_be(least: str, first: int) -> None:
    registry = Registry(most=100, least=least)
    made = upload(registry)
    made.refused = 8
    push(made)
    assert len(registry.chunks()[0]) == first
    assert b"".join(registry.chunks()) == DATA


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_an_answer_without_content_is_a_good_one(method: str) -> None:
    registry = Registry(most=8)
    registry.statuses[method] = 204
    push(upload(registry))
    assert b"".join(registry.chunks()) == DATA


@pytest.mark.parametrize(("method", "requests"), [("POST", 1), ("PATCH", 2), ("PUT", 4)])
@pytest.mark.parametrize("status", [200, 403, 500])
def test_any_other_answer_ends_the_upload(method: str, requests: int, status: int) -> None:
    registry = Registry(most=8)
    registry.statuses[method] = status
    with pytest.raises(RegistryError):
        push(upload(registry))
    assert len(registry.sent) == requests


@pytest.mark.parametrize("said", [lambda has, _: f"0-{has - 1}", lambda has, _: f"bytes=0-{has - 1}"])
def test_a_registry_that_took_less_of_a_chunk_is_sent_the_rest_from_there(said: Callable[[int, int], str]) -> None:
    registry = Registry(most=8, takes=3, said=said)
    push(upload(registry))
    assert registry.has == DATA
    assert registry.chunks() == [DATA[:8], DATA[3:6], DATA[6:9], DATA[9:]], "as much as it takes, from then on"


@pytest.mark.parametrize(
    "said",
    [lambda *_: "", lambda *_: "x-y", lambda *_: "0-0", lambda *_: "0-\u0663", lambda _, chunk: f"0-{chunk - 1}"],
    ids=["nothing", "letters", "0-0", "digits of others", "the chunk's own length"],
)
def test_a_range_that_can_not_be_what_was_taken_stops_nothing(said: Callable[[int, int], str]) -> None:
    registry = Registry(most=4, said=said)
    made = upload(registry)
    made.refused = 8
    push(made)
    assert registry.has == DATA
    assert registry.chunks() == [DATA[:4], DATA[4:8], DATA[8:]]


def test_a_registry_that_takes_less_each_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked_upload, "CHUNK_SIZES", (8,))
    registry = Registry(most=100, takes=3)
    with pytest.raises(UnexpectedAnswerError, match="less of each chunk"):
        push(upload(registry), bytes(100))


def test_content_that_ends_early_is_not_taken_for_whole() -> None:
    pieces = chunked_upload._Pieces(iter([b"ab", b"c"]))
    assert b"".join(pieces.take(2)) == b"ab"
    with pytest.raises(UnexpectedAnswerError, match="ended"):
        list(pieces.take(2))
