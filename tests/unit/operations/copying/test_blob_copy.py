"""Who could send does not wait for what others send, and every blob is there at the end all the same."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ContentNotFoundError,
    DamagedAtTargetError,
    LayoutliftError,
    SizeMismatchError,
    TransportError,
)
from tasks.operations.copying.blob_copy import BlobCopy
from tasks.operations.copying.copy_tools import CopyTools
from tasks.operations.reports.results import Traffic
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import BlobArrival, BlobContent
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.layouts import FOREIGN_LAYER, LayoutBuilder
from tests.support.memory_stores import MemoryTarget

SECONDS = 30
BASE, OWN = b"base layer", b"own layer"


class GatedTarget(MemoryTarget):
    """A target at which one blob is under way until the test lets it arrive, or fail."""

    def __init__(self, gated: Descriptor) -> None:
        super().__init__()
        self._gated = gated
        self.begun, self.may_end, self.own_arrived = threading.Event(), threading.Event(), threading.Event()
        self.failure: LayoutliftError | None = None
        self.pushed: list[tuple[str, Digest, str | None]] = []

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        digest = content.descriptor.digest
        self.pushed.append((repository, digest, mount_from))
        if digest == self._gated.digest and not self.begun.is_set():
            self.begun.set()
            assert self.may_end.wait(SECONDS)
            if self.failure is not None:
                raise self.failure
        arrival = super().push_blob(repository, content, mount_from)
        if digest != self._gated.digest:
            self.own_arrived.set()
        return arrival


@pytest.fixture
def blobs(layout: LayoutBuilder) -> list[Descriptor]:
    made = [Descriptor.from_json(layout.blob(content)) for content in (BASE, OWN)]
    layout.write()
    return made


@pytest.fixture
def target(blobs: list[Descriptor]) -> GatedTarget:
    return GatedTarget(blobs[0])


@pytest.fixture
def moved() -> Traffic:
    return Traffic()


@pytest.fixture
def tools(layout: LayoutBuilder, target: GatedTarget, moved: Traffic) -> Iterator[CopyTools]:
    hands = SpareHands(1)
    yield CopyTools(LayoutDirectory(str(layout.path.parent)), target, hands, lambda content: content, moved.add)
    hands.close()


def blob_copy(tools: CopyTools, repository: str, *, new: bool) -> BlobCopy:
    return BlobCopy(tools, "app", repository, new=new, opened=False)


Ensure = Callable[[str, list[Descriptor]], "Future[None]"]


@pytest.fixture
def ensure(tools: CopyTools) -> Iterator[Ensure]:
    """Has blobs in a repository, beside the test."""
    with ThreadPoolExecutor(2) as pool:
        yield lambda repository, blobs: pool.submit(blob_copy(tools, repository, new=True).ensure, blobs)


def begin(ensure: Ensure, target: GatedTarget, blobs: list[Descriptor], second: str) -> tuple["Future[None]", ...]:
    """A first worker that sends the base layer, and a second one that sends its own while it waits for that."""
    first = ensure("app", blobs[:1])
    assert target.begun.wait(SECONDS)
    then = ensure(second, blobs)
    assert target.own_arrived.wait(SECONDS), "it waits for the base layer before it sends its own"
    assert not then.done()
    return first, then


def end(target: GatedTarget, both: tuple["Future[None]", ...]) -> None:
    """Let the base layer arrive, and with it both workers come to a good end."""
    target.may_end.set()
    for each in both:
        each.result(SECONDS)


def test_own_blobs_are_sent_before_waiting_for_those_of_others(
    ensure: Ensure, target: GatedTarget, blobs: list[Descriptor]
) -> None:
    both = begin(ensure, target, blobs, "app")
    end(target, both)
    assert target.pushed == [("app", blobs[0].digest, None), ("app", blobs[1].digest, None)]


def test_another_repositorys_upload_is_mounted_once_it_is_there(
    ensure: Ensure, target: GatedTarget, blobs: list[Descriptor]
) -> None:
    both = begin(ensure, target, blobs, "other")
    end(target, both)
    assert target.pushed[-1] == ("other", blobs[0].digest, "app")
    assert target.has_blob("other", blobs[0])


def test_an_upload_that_fails_is_the_failure_of_all_that_wait_for_it_there(
    ensure: Ensure, target: GatedTarget, blobs: list[Descriptor]
) -> None:
    both = begin(ensure, target, blobs, "app")
    target.failure = TransportError("the wire broke")
    target.may_end.set()
    for each in both:
        with pytest.raises(TransportError, match="the wire broke"):
            each.result(SECONDS)


def test_an_upload_that_fails_elsewhere_is_done_here(
    ensure: Ensure, target: GatedTarget, blobs: list[Descriptor]
) -> None:
    first, second = begin(ensure, target, blobs, "other")
    target.failure = TransportError("the wire broke")
    target.may_end.set()
    second.result(SECONDS)
    assert isinstance(first.exception(SECONDS), TransportError)
    assert target.pushed[-1] == ("other", blobs[0].digest, None)
    assert target.has_blob("other", blobs[0])


# What is sent, and what is counted


class Noting(MemoryTarget):
    """A target that notes what it is asked for, and from where each blob is to be mounted."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Digest] = []
        self.homes: list[str | None] = []

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        self.asked.append(descriptor.digest)
        return super().has_blob(repository, descriptor)

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        self.homes.append(mount_from)
        return super().push_blob(repository, content, mount_from)


@pytest.fixture
def noting(layout: LayoutBuilder, moved: Traffic) -> Iterator[CopyTools]:
    hands = SpareHands(1)
    yield CopyTools(LayoutDirectory(str(layout.path.parent)), Noting(), hands, lambda content: content, moved.add)
    hands.close()


def test_what_was_moved_is_counted_once_and_by_how_it_came(
    noting: CopyTools, moved: Traffic, blobs: list[Descriptor]
) -> None:
    copy = blob_copy(noting, "app", new=False)
    copy.ensure(blobs)
    copy.ensure(blobs)
    pushed = Traffic(blobs_pushed=2, bytes_pushed=len(BASE) + len(OWN))
    assert moved == pushed
    other = blob_copy(noting, "other", new=False)
    noting.target.push_blob("other", noting.source.blob("app", blobs[0]))
    other.ensure(blobs)
    assert moved == replace(pushed, blobs_present=1, blobs_mounted=1)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_layer_that_may_be_absent_is_sent_where_the_source_has_it(
    noting: CopyTools, moved: Traffic, layout: LayoutBuilder, is_there: bool
) -> None:
    foreign = layout.blob(b"foreign", "application/vnd.oci.image.layer.nondistributable.v1.tar")
    if not is_there:
        layout.blob_path(foreign).unlink()
    blob_copy(noting, "app", new=True).ensure([Descriptor.from_json(foreign)])
    assert moved.blobs_pushed == is_there


def test_a_layer_that_the_source_lacks_is_never_passed_over(
    noting: CopyTools, layout: LayoutBuilder, blobs: list[Descriptor]
) -> None:
    layout.blob_path(layout.blob(OWN)).unlink()
    with pytest.raises(ContentNotFoundError):
        blob_copy(noting, "app", new=True).ensure(blobs)


def test_a_layer_of_another_size_at_the_target_is_damaged_there_unless_the_layout_says_the_same(
    noting: CopyTools, blobs: list[Descriptor]
) -> None:
    copy = blob_copy(noting, "app", new=False)
    copy.ensure(blobs)
    with pytest.raises(SizeMismatchError, match=blobs[0].digest.encoded):
        copy.ensure([replace(blobs[0], size=5)])
    noting.target._asked("other").blobs[blobs[0].digest] = BASE[:-1]
    with pytest.raises(DamagedAtTargetError):
        blob_copy(noting, "other", new=False).ensure(blobs)


def test_a_layer_that_a_layout_has_lost_comes_from_the_repository_that_has_it(
    noting: CopyTools, moved: Traffic, layout: LayoutBuilder, blobs: list[Descriptor]
) -> None:
    blob_copy(noting, "home", new=True).ensure(blobs)
    layout.blob_path(layout.blob(OWN)).unlink()
    blob_copy(noting, "app", new=True).ensure(blobs)
    assert moved == Traffic(blobs_pushed=2, blobs_mounted=2, bytes_pushed=len(BASE) + len(OWN))
    assert noting.target.has_blob("app", blobs[1])


@pytest.mark.parametrize("surely", [True, False])
def test_what_the_target_misses_after_all_is_sent_again_and_only_a_vague_word_is_looked_into(
    noting: CopyTools, blobs: list[Descriptor], surely: bool
) -> None:
    for repository in ("home", "app"):
        blob_copy(noting, repository, new=True).ensure(blobs[:1])
    target = noting.target
    assert isinstance(target, Noting)
    target.asked.clear()
    copy = blob_copy(noting, "app", new=True)
    copy.send_again(blobs[0], surely=surely)
    assert target.asked == ([] if surely else [blobs[0].digest])
    assert target.homes == ([None, "home", None] if surely else [None, "home"])


def test_a_layer_that_may_be_absent_is_looked_for_once_a_repository(
    tools: CopyTools, moved: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the base layers of Windows, which many images have: a mount takes a while to be sure of what is absent."""
    absent = Descriptor(FOREIGN_LAYER, Digest.of(b"elsewhere"), 9)
    asked: list[Digest] = []

    def none_there(_: object, __: str, digest: Digest) -> None:
        asked.append(digest)

    monkeypatch.setattr(LayoutDirectory, "stat_blob", none_there)
    copied = blob_copy(tools, "app", new=True)
    for _ in range(3):
        copied.ensure([absent])
    assert asked == [absent.digest]
    assert moved == Traffic()
