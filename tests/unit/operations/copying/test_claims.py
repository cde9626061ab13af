"""What a run remembers of blobs: each is sent once, and one entry a blob is enough for that."""

import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.operations.copying.claims import Claims, UnderWay
from tasks.ports import BlobArrival


def blob(content: str) -> Descriptor:
    return Descriptor("m", Digest.of(content.encode()), len(content))


@pytest.fixture
def claims() -> Claims:
    return Claims()


def sent(claims: Claims, repository: str, content: str) -> list[str | None]:
    """Where each push of the blob would have mounted it from; empty when there was none."""
    pushes: list[str | None] = []

    def push(home: str | None) -> BlobArrival:
        pushes.append(home)
        return BlobArrival.PUSHED

    claims.ensure(repository, blob(content), push)
    return pushes


def test_a_blob_is_sent_once_into_each_repository_and_mounted_from_the_first(claims: Claims) -> None:
    assert sent(claims, "a", "x") == [None]
    assert sent(claims, "b", "x") == ["a"]
    assert sent(claims, "a", "x") == sent(claims, "b", "x") == []


def test_a_blob_in_doubt_is_sent_again_there_and_only_there(claims: Claims) -> None:
    for repository in ("a", "b"):
        sent(claims, repository, "x")
    claims.doubt("a", blob("x"))
    assert sent(claims, "b", "x") == []
    assert sent(claims, "a", "x") == [None]
    claims.doubt("b", blob("x"))
    assert sent(claims, "a", "x") == []
    assert sent(claims, "b", "x") == ["a"]


def test_a_finished_repository_is_still_mounted_from(claims: Claims) -> None:
    sent(claims, "a", "x")
    claims.forget("a")
    assert sent(claims, "b", "x") == ["a"]
    assert sent(claims, "a", "x") == [None]


def test_a_blob_whose_home_is_not_remembered_any_more_is_not_sent_twice(
    claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.operations.copying.claims.MAX_HOMES", 2)
    contents = ("x", "y", "z")
    for content in contents:
        sent(claims, "a", content)
    assert [sent(claims, "a", content) for content in contents] == [[], [], []]
    assert sent(claims, "b", "z") == ["a"]
    assert sent(claims, "b", "x") == [None]


def test_a_home_in_a_finished_repository_can_be_forgotten(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.operations.copying.claims.MAX_HOMES", 1)
    sent(claims, "a", "x")
    claims.forget("a")
    assert sent(claims, "b", "y") == [None]
    assert sent(claims, "b", "x") == [None]


def test_the_oldest_homes_are_not_looked_for_anew_for_each_blob_that_arrives(
    claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, looks = 1_000, []

    class Homes(dict[bytes, str]):
        def __iter__(self) -> Iterator[bytes]:
            looks.append(len(self))
            return super().__iter__()

    monkeypatch.setattr("tasks.operations.copying.claims.MAX_HOMES", most)
    monkeypatch.setattr(claims, "_homes", Homes())
    for number in range(2 * most):
        sent(claims, "a", str(number))
    assert len(looks) <= most / 10
    assert sent(claims, "b", str(most + 10)) == ["a"]


def test_a_blob_is_remembered_in_less_than_130_bytes(claims: Claims) -> None:
    blobs = [blob(str(number)) for number in range(40_000)]
    tracemalloc.start()
    for each in blobs:
        claims.ensure("a", each, lambda _: BlobArrival.PUSHED)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / len(blobs) < 130


def test_a_blob_is_mounted_into_several_repositories_at_once(claims: Claims) -> None:
    sent(claims, "a", "x")
    inner: list[list[str | None]] = []

    def push(_: str | None) -> BlobArrival:
        inner.append(sent(claims, "c", "x"))
        return BlobArrival.MOUNTED

    claims.ensure("b", blob("x"), push)
    assert inner == [["a"]]


def test_an_attempt_tells_what_it_would_have_to_wait_for(claims: Claims) -> None:
    seen: list[object] = []

    def push(_: str | None) -> BlobArrival:
        seen.extend(claims.attempt(repository, blob("x"), lambda _: BlobArrival.PUSHED) for repository in ("a", "b"))
        return BlobArrival.PUSHED

    claims.ensure("a", blob("x"), push)
    assert [each.here for each in seen if isinstance(each, UnderWay)] == [True, False]
    assert claims.attempt("a", blob("x"), push) is None


def test_a_blob_of_which_a_descriptor_lies_about_the_size_is_another_one(claims: Claims) -> None:
    pushes: list[int] = []
    true = blob("x")
    for size in (true.size, true.size + 1):
        each = Descriptor(true.media_type, true.digest, size)
        claims.ensure("a", each, lambda _, size=size: pushes.append(size) or BlobArrival.PUSHED)
    assert pushes == [true.size, true.size + 1]


def test_who_waits_goes_on_when_the_blob_is_there_and_not_before(claims: Claims) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def push(_: str | None) -> BlobArrival:
        begun.set()
        assert may_end.wait(30)
        return BlobArrival.PUSHED

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(claims.ensure, "a", blob("x"), push)
        assert begun.wait(30)
        under_way = claims.attempt("a", blob("x"), push)
        assert isinstance(under_way, UnderWay)
        second = pool.submit(claims.ensure, "a", blob("x"), push)
        may_end.set()
        assert (first.result(30), second.result(30)) == (BlobArrival.PUSHED, None)
    under_way.wait()


def test_a_push_that_fails_is_tried_by_the_next_who_asks(claims: Claims) -> None:
    def fail(_: str | None) -> BlobArrival:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        claims.ensure("a", blob("x"), fail)
    assert claims.ensure("a", blob("x"), lambda _: BlobArrival.PUSHED) is BlobArrival.PUSHED


def test_a_push_that_fails_fails_for_who_waits_for_it_there_and_not_for_who_would_mount_it(
    claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_wait = threading.Barrier(3)
    wait = UnderWay.wait

    def note_and_wait(under_way: UnderWay) -> None:
        all_wait.wait(30)
        wait(under_way)

    monkeypatch.setattr(UnderWay, "wait", note_and_wait)
    begun = threading.Event()

    def fail(_: str | None) -> BlobArrival:
        begun.set()
        all_wait.wait(30)
        raise ZeroDivisionError

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(claims.ensure, "a", blob("x"), fail)
        assert begun.wait(30)
        there = pool.submit(claims.ensure, "a", blob("x"), lambda _: BlobArrival.PUSHED)
        elsewhere = pool.submit(claims.ensure, "b", blob("x"), lambda _: BlobArrival.PUSHED)
        assert [type(each.exception(60)) for each in (first, there)] == [ZeroDivisionError, ZeroDivisionError]
        assert elsewhere.result(60) is BlobArrival.PUSHED
