"""A ledger in a bucket says the same in the same order, however many runs wrote it and whoever reads it meanwhile."""

import errno
import os
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest

from infra.real_parts import wait_until
from tasks.ledger.ledger import Ledger
from tasks.ledger.ledger_memory import LedgerEntry, tag_line
from tasks.oci.errors import StateError
from tasks.stores.state import ledger_bucket, object_parts
from tasks.stores.state.json_lines import json_line
from tasks.stores.state.state_objects import StoredObject
from tests.support.memory_objects import MemoryObjects

DIGESTS = [f"sha256:{letter * 64}" for letter in "ab"]


def test_the_last_word_counts_whatever_the_clocks_of_machines_say(monkeypatch: pytest.MonkeyPatch) -> None:
    objects: Any = MemoryObjects()
    for run, seconds, digest in (("z-ahead", 2e9, 0), ("y-behind", 1e9, 1), ("x-behind", 1e9, 0), ("w", 1e9, 1)):
        monkeypatch.setattr(ledger_bucket.time, "time_ns", lambda seconds=seconds: int(seconds * 1e9))
        ledger = bucket_ledger(objects, run)
        ledger.note_tag("app", "v1", DIGESTS[digest], None, 0, layout="app")
        ledger.close()
        assert bucket_ledger(objects, "next").tags_of("app")["v1"] == DIGESTS[digest]


def test_of_runs_that_do_not_know_of_each_other_the_later_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = MemoryObjects()
    runs = [bucket_ledger(objects, run) for run in ("z-first", "a-second")]
    for seconds, (run, digest) in enumerate(zip(runs, DIGESTS, strict=True), start=1000):
        monkeypatch.setattr(ledger_bucket.time, "time_ns", lambda seconds=seconds: seconds * 1_000_000_000)
        run.note_tag("app", "v1", digest, None, 0, layout="app")
        run.close()
    assert bucket_ledger(objects, "next").tags_of("app")["v1"] == DIGESTS[1]


def test_what_a_shard_writes_late_comes_after_what_was_made_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its machine's clock is behind, or its answer was, while another shard begins and finds many objects."""
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 3)
    objects: Any = MemoryObjects()

    def note(ledger: Ledger, tag: str, digest: str, seconds: int) -> None:
        monkeypatch.setattr(ledger_bucket.time, "time_ns", lambda: seconds * 1_000_000_000)
        ledger.note_tag("app", tag, digest, None, 0, layout="app")
        ledger.close()

    for number in range(5):
        note(bucket_ledger(objects, "earlier"), f"v{number}", DIGESTS[0], number)
    objects.now = time.time()
    on_time, late = bucket_ledger(objects, "on time"), bucket_ledger(objects, "late")
    assert len(objects.kept) < 5, "what is old was made one"
    for number in range(5):
        note(on_time, f"w{number}", DIGESTS[0], 100 + number)
    bucket_ledger(objects, "begins now")
    note(late, "v1", DIGESTS[1], 98)
    assert bucket_ledger(objects, "next").tags_of("app")["v1"] == DIGESTS[1]


def test_what_a_shard_whose_clock_is_behind_writes_is_read_though_later_names_were_made_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 3)
    objects: Any = MemoryObjects()
    behind = bucket_ledger(objects, "behind")
    noted(objects, 4)
    objects.now = time.time()
    bucket_ledger(objects, "makes them one")
    (made_one,) = objects.kept
    monkeypatch.setattr(ledger_bucket.time, "time_ns", lambda: 0)
    behind.note_tag("app", "late", DIGESTS[1], None, 0, layout="app")
    behind.close()
    assert sorted(objects.kept)[1] == made_one
    assert bucket_ledger(objects, "next").tags_of("app")["late"] == DIGESTS[1]


def bucket_ledger(objects: Any, run: str) -> Ledger:
    return Ledger(ledger_bucket.LedgerBucket(objects, run))


def noted(objects: Any, count: int) -> None:
    """As many runs with a tag each, the last of which moves what all have."""
    for number in range(count):
        ledger = bucket_ledger(objects, f"r{number}")
        ledger.note_tag("app", f"v{number}", DIGESTS[0], None, 0, layout="app")
        ledger.note_tag("app", "moving", DIGESTS[number % 2], None, 0, layout="app")
        ledger.close()


def test_many_objects_become_one_that_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 4)
    objects = MemoryObjects()
    noted(objects, 4)
    before = bucket_ledger(objects, "reader").tags_of("app")
    assert (len(objects.kept), len(before)) == (4, 5)
    noted(objects, 1)
    assert bucket_ledger(objects, "reader").tags_of("app") == {**before, "moving": DIGESTS[0]}
    assert len(objects.kept) == 1
    noted(objects, 2)
    assert bucket_ledger(objects, "reader").tags_of("app")["moving"] == DIGESTS[1], "later words come after it"


def put_made_one(objects: Any, tags: int) -> None:
    lines = (tag_line(f"app{n % 100}", f"v{n}", LedgerEntry(DIGESTS[0])) for n in range(tags))
    objects.put("ledger-00000000000001-r1+", b"".join(map(json_line, lines)))


@pytest.mark.parametrize("part_bytes", [1, 100, 12_345])
def test_lines_are_whole_wherever_parts_end(monkeypatch: pytest.MonkeyPatch, part_bytes: int) -> None:
    objects: Any = MemoryObjects()
    put_made_one(objects, 200)
    objects.put("ledger-00000000000002-r2", b"torn\n" + json_line({"started": "app"})[:-1])
    whole = list(ledger_bucket.LedgerBucket(objects, "r3").read().lines())
    monkeypatch.setattr(object_parts, "PART_BYTES", part_bytes)
    assert list(ledger_bucket.LedgerBucket(objects, "r3").read().lines()) == whole
    assert len(whole) == 201


@pytest.mark.parametrize("becomes", [None, b""])
def test_an_object_that_goes_or_is_written_anew_between_two_parts_is_read_again(
    monkeypatch: pytest.MonkeyPatch, becomes: bytes | None
) -> None:
    """As by a run that made the same ones one at the same time; nothing of the first reading counts."""

    class Changing(MemoryObjects):
        def get(self, name: str) -> StoredObject | None:
            if len(self.read) == 3:
                self.delete(name)
                if becomes is not None:
                    self.put(name, becomes)
            return super().get(name)

    monkeypatch.setattr(object_parts, "PART_BYTES", 100)
    objects: Any = Changing()
    put_made_one(objects, 20)
    assert list(ledger_bucket.LedgerBucket(objects, "r1").read().lines()) == []


def test_objects_that_can_not_be_made_one_stay_as_they_are_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class ReadOnly(MemoryObjects):
        def put(self, name: str, body: Any, *, only_if: str | None = None, if_absent: bool = False) -> str:
            if name.endswith("+"):
                raise StateError("it can't be written")
            return super().put(name, body, only_if=only_if, if_absent=if_absent)

    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 2)
    objects = ReadOnly()
    noted(objects, 4)
    assert (len(objects.kept), len(bucket_ledger(objects, "reader").tags_of("app"))) == (4, 5)
    assert caplog.messages[-1] == "4 objects of the ledger are not made one for now: it can't be written"


def test_so_do_they_where_the_folder_for_temporary_files_is_full(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    objects = MemoryObjects()
    noted(objects, 4)
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 2)
    monkeypatch.setattr(ledger_bucket.tempfile, "TemporaryFile", full)
    assert (len(bucket_ledger(objects, "reader").tags_of("app")), len(objects.kept)) == (5, 4)
    assert caplog.messages == ["4 objects of the ledger are not made one for now: No space left on device"]


@pytest.mark.parametrize("times", [1, 4, 5])
def test_a_ledger_that_is_made_one_while_it_is_read_is_read_again_and_not_for_ever(times: int) -> None:
    class Vanishing(MemoryObjects):
        def get(self, name: str) -> StoredObject | None:
            self.read.append(name)
            return None if len(self.read) <= times else super().get(name)

    objects = MemoryObjects()
    noted(objects, 1)
    vanishing = Vanishing()
    vanishing.kept = objects.kept
    if times < 5:
        assert bucket_ledger(vanishing, "reader").tags_of("app")["v0"] == DIGESTS[0]
    else:
        with pytest.raises(StateError, match="faster"):
            bucket_ledger(vanishing, "reader")


def test_that_a_repository_was_begun_is_kept_at_once() -> None:
    objects = MemoryObjects()
    bucket_ledger(objects, "r1").note_started("app")
    assert bucket_ledger(objects, "r2").was_started("app")


class Hanging(MemoryObjects):
    """Each write hangs until one is to go on, and fails then if it is to `fail`."""

    def __init__(self, fail: bool = False) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self._fail = fail

    def put(self, name: str, body: Any, *, only_if: str | None = None, if_absent: bool = False) -> str:
        self.begun.release()
        assert self.go_on.acquire(timeout=60)
        if self._fail:
            raise StateError("it can't be written")
        return super().put(name, body, only_if=only_if, if_absent=if_absent)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as threads:
        yield threads


def test_repositories_that_are_begun_while_others_are_kept_are_kept_together(pool: ThreadPoolExecutor) -> None:
    objects: Any = Hanging()
    ledger = bucket_ledger(objects, "r1")
    names = [f"app{number}" for number in range(31)]
    try:
        begun = [pool.submit(ledger.note_started, names[0])]
        assert objects.begun.acquire(timeout=60)
        begun += [pool.submit(ledger.note_started, name) for name in names[1:]]
        wait_until(lambda: all(map(ledger.was_started, names)), what="all workers are at it")
        objects.go_on.release()
        assert objects.begun.acquire(timeout=60)
        objects.go_on.release()
        later = pool.submit(ledger.note_started, "later")
        for each in begun:
            each.result(10)
        assert not later.done()
    finally:
        objects.go_on.release(99)
    later.result(10)
    assert len(objects.kept) == 3
    again = bucket_ledger(objects, "r2")
    assert all(map(again.was_started, [*names, "later"]))


def test_nobody_waits_for_a_write_but_who_must_not_go_on_before_it(pool: ThreadPoolExecutor) -> None:
    objects: Any = Hanging()
    ledger = bucket_ledger(objects, "r1")
    try:
        started = pool.submit(ledger.note_started, "app")
        assert objects.begun.acquire(timeout=60)
        pool.submit(ledger.note_tag, "app", "v1", DIGESTS[0], None, 0, layout="app").result(10)
        assert pool.submit(ledger.entry, "app", "v1").result(10) == LedgerEntry(DIGESTS[0])
        assert not started.done()
    finally:
        objects.go_on.release(99)
    started.result(10)
    ledger.close()
    assert bucket_ledger(objects, "r2").entry("app", "v1") == LedgerEntry(DIGESTS[0])


def test_who_begins_a_repository_second_waits_until_that_is_kept_as_well(pool: ThreadPoolExecutor) -> None:
    objects: Any = Hanging()
    ledger = bucket_ledger(objects, "r1")
    try:
        first = pool.submit(ledger.note_started, "app")
        assert objects.begun.acquire(timeout=60)
        second = pool.submit(ledger.note_started, "app")
        assert not wait([second], timeout=0.2).done
    finally:
        objects.go_on.release(99)
    for each in (first, second):
        each.result(10)
    assert bucket_ledger(objects, "r2").was_started("app")
    ledger.note_tag("app", "v1", DIGESTS[0], None, 0, layout="app")
    ledger.note_started("app")
    assert len(objects.kept) == 1, "a repository is begun once, and then for each of its tags"


def test_a_write_that_fails_is_told_to_all_who_waited_for_it(pool: ThreadPoolExecutor) -> None:
    objects: Any = Hanging(fail=True)
    ledger = bucket_ledger(objects, "r1")
    try:
        begun = [pool.submit(ledger.note_started, "app")]
        assert objects.begun.acquire(timeout=60)
        begun += [pool.submit(ledger.note_started, name) for name in ("app", "other")]
        assert not wait(begun, timeout=0.2).done
    finally:
        objects.go_on.release(99)
    for each in begun:
        with pytest.raises(StateError, match="can't be written"):
            each.result(10)
    ledger.close()


def test_what_is_old_becomes_one_below_what_is_new_which_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    objects: Any = MemoryObjects()
    noted(objects, 4)
    old = set(objects.kept)
    objects.now = time.time()
    noted(objects, 5)
    new = set(objects.kept) - old
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 3)
    said = bucket_ledger(objects, "reader").tags_of("app")
    assert said == {**{f"v{number}": DIGESTS[0] for number in range(5)}, "moving": DIGESTS[0]}
    assert set(objects.kept) == {f"{max(old)}+", *new}
    assert bucket_ledger(objects, "reader").tags_of("app") == said


def test_what_is_written_in_one_moment_is_all_kept_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """By two runs, and by one of them twice; and the tenth moment comes after the ninth."""
    objects: Any = MemoryObjects()
    runs = [bucket_ledger(objects, run) for run in ("r1", "r2")]
    for moment in (9, 10):
        monkeypatch.setattr(ledger_bucket.time, "time_ns", lambda moment=moment: moment * 1_000_000)
        for number, run in enumerate(runs):
            run.note_tag("app", f"r{number}", DIGESTS[moment - 9], None, 0, layout="app")
            run.note_started(f"{number}-{moment}")  # which is kept at once
    runs[0].note_started("in-the-same-moment")
    assert len(objects.kept) == 5
    after = bucket_ledger(objects, "next")
    assert after.tags_of("app") == {"r0": DIGESTS[1], "r1": DIGESTS[1]}
    assert after.was_started("in-the-same-moment")


@pytest.mark.parametrize("deleted", [0, 1, 3, 8])
def test_whoever_reads_a_ledger_while_it_is_made_one_finds_all_of_it_and_leaves_all_of_it(
    monkeypatch: pytest.MonkeyPatch, deleted: int
) -> None:
    """Some of it is gone by then: that is no reason to fail, and the rest is not to be made one again."""

    class Watched(MemoryObjects):
        names_gone = 0

        def delete(self, name: str) -> None:
            self.names_gone += 1
            if self.names_gone == deleted + 1:
                assert bucket_ledger(self, "another").tags_of("app") == said
            super().delete(name)

    monkeypatch.setattr(ledger_bucket, "_AT_ONCE", 1)
    objects: Any = Watched()
    noted(objects, 9)
    said = bucket_ledger(objects, "before").tags_of("app")
    assert len(said) == 10
    objects.now = time.time()
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 3)
    assert bucket_ledger(objects, "first").tags_of("app") == said
    assert bucket_ledger(objects, "later").tags_of("app") == said
    assert objects.names_gone == 9, "whoever comes while others are at it leaves it to them"
    assert len(objects.kept) == 1


@pytest.mark.parametrize("left", range(5))
def test_whatever_a_run_that_died_left_of_what_it_made_one_does_not_bring_back_what_was_forgotten(
    monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """The line that ends a tag is gone, and the one that began it is not, or the other way round."""
    objects: Any = MemoryObjects()
    noted(objects, 4)
    ledger = bucket_ledger(objects, "forgets")
    ledger.forget_tag("app", "v0")
    ledger.close()
    said = bucket_ledger(objects, "before").tags_of("app")
    assert "v0" not in said
    before = dict(objects.kept)
    objects.now = time.time()
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 3)
    bucket_ledger(objects, "first")
    (made_one,) = objects.kept
    name = sorted(before)[left]
    objects.kept[name] = before[name]
    objects.read.clear()
    assert bucket_ledger(objects, "another").tags_of("app") == said
    assert objects.read == [made_one]


def test_what_was_made_one_is_deleted_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Together(MemoryObjects):
        met = threading.Barrier(4, timeout=60)

        def delete(self, name: str) -> None:
            self.met.wait()
            super().delete(name)

    objects = Together()
    noted(objects, 8)
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 3)
    bucket_ledger(objects, "first")
    assert len(objects.kept) == 1


def beside_what_stays(act: Callable[[], object]) -> int:
    """The bytes of memory that `act` takes at its worst, beside those of what it returns."""
    tracemalloc.start()
    try:
        result = act()
        stays, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del result
    return peak - stays


class Sent(MemoryObjects):
    """Each body that is read is another one, as it is when it comes from a store; what is written is only counted."""

    most = 0

    def get(self, name: str) -> StoredObject | None:
        found = super().get(name)
        return found and StoredObject(bytes(bytearray(found.body)), found.etag, found.modified)

    def put(self, name: str, body: Any, *, only_if: str | None = None, if_absent: bool = False) -> str:
        del only_if, if_absent
        if isinstance(body, bytes):
            self.most = max(self.most, len(body))
        return name


def with_tags(objects: MemoryObjects, count: int, each: int) -> int:
    """Fill objects with a ledger of `count` tags, `each` in one; how many bytes it has."""
    for first in range(0, count, each):
        entries = ((tag, LedgerEntry(f"sha256:{tag:064x}", "blobs", 1)) for tag in range(first, first + each))
        lines = (json_line(tag_line("team/app", f"v{tag}", entry)) for tag, entry in entries)
        objects.kept[f"ledger-{first:014d}-r"] = StoredObject(b"".join(lines), "", objects.now)
    return sum(len(found.body) for found in objects.kept.values())


def test_a_ledger_is_not_twice_in_memory_while_it_is_read() -> None:
    """But for the lines of one object, as they came."""
    objects: Any = Sent()
    size = with_tags(objects, 4_000, 4_000)
    assert beside_what_stays(ledger_bucket.LedgerBucket(objects, "reader").read) < 1.5 * size


def test_of_many_objects_a_few_are_read_ahead_of_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    class First(MemoryObjects):
        """The first object takes until more of the others were read than are to be, or half a second."""

        others = threading.Semaphore(0)

        def get(self, name: str) -> StoredObject | None:
            if name != min(self.kept):
                self.others.release()
            else:
                self.came = sum(self.others.acquire(timeout=0.5) for _ in range(ledger_bucket.AHEAD + 1))
            return super().get(name)

    monkeypatch.setattr(ledger_bucket, "AHEAD", 12)
    objects: Any = First()
    with_tags(objects, 100, 1)
    assert len(bucket_ledger(objects, "reader").tags_of("team/app")) == 100
    assert 0 < objects.came <= ledger_bucket.AHEAD
    assert len(objects.read) == 100


def test_nor_is_it_while_it_is_made_one() -> None:
    objects: Any = Sent()
    size = with_tags(objects, 4_040, 40)
    reader = ledger_bucket.LedgerBucket(objects, "reader")
    assert beside_what_stays(reader.read) < 0.7 * size
    assert not objects.kept
    assert objects.most == 0, "none of it is sent out of memory"
