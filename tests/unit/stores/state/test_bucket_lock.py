"""A lock in a bucket keeps others out for as long as its run lives, and locks of shards that ended are removed."""

from contextlib import AbstractContextManager
from typing import Any

import pytest

from tasks.oci.errors import LockHeldError, StateError
from tasks.ports import Shard
from tasks.stores.state.bucket_lock import BucketLock, seen_locks
from tasks.stores.state.lock_group import PAIR, held_with_others
from tasks.stores.state.lock_holder import EXPIRY_SECONDS, LockHolder
from tasks.stores.state.state_objects import ConditionFailedError, StoredObject
from tests.support.memory_objects import MemoryObjects


def held(objects: Any, run: str, number: int = 0) -> AbstractContextManager[BucketLock]:
    """The lock of a run, or of a shard of it."""
    holder = LockHolder.here(run, "source", "target")
    shard = Shard(run, number, ("app",)) if number else None
    return held_with_others(
        shard, lambda name: BucketLock(objects, holder, name=name), lambda own: seen_locks(objects, own)
    )


def test_a_run_removes_the_locks_of_shards_that_ended_and_reads_none_of_its_own() -> None:
    objects = MemoryObjects()
    for run in ("first", "second", "third"):
        objects.read.clear()
        with held(objects, run):
            for number in (1, 2, 3):
                with held(objects, run, number):
                    pass
        assert len(objects.read) <= 25
    assert set(objects.kept) == {PAIR, *(f"shard-third-{number}" for number in (1, 2, 3))}


def test_a_shard_removes_nobodys_lock() -> None:
    """Several of one run begin at once, and a lock that one of them removed may be taken by then."""
    objects = MemoryObjects()
    with held(objects, "first"), held(objects, "first", 1):
        pass
    before = set(objects.kept)
    with held(objects, "second", 1):
        assert set(objects.kept) == before | {"shard-second-1"}


def test_a_shard_that_is_at_work_keeps_its_lock_and_others_out() -> None:
    objects: Any = MemoryObjects()
    with held(objects, "first"):
        lock = held(objects, "first", 1)
        lock.__enter__()
    with pytest.raises(LockHeldError), held(objects, "second"):
        pass
    assert "shard-first-1" in objects.kept
    objects.now += EXPIRY_SECONDS + 1
    with held(objects, "second"):
        assert "shard-first-1" not in objects.kept, "its process has given no sign of life"
    lock.__exit__(None, None, None)
    assert "shard-first-1" not in objects.kept


def test_a_lock_dated_ahead_says_so_and_what_to_do_until_its_run_dates_it_anew() -> None:
    objects: Any = MemoryObjects()
    with lock_of(objects, "first") as lock:
        objects.now -= 7200
        with pytest.raises(LockHeldError, match=r"7200 s ahead .*/lock can be removed"), lock_of(objects, "second"):
            pass
        assert lock._renew()
        with pytest.raises(LockHeldError, match="0 s old"), lock_of(objects, "second"):
            pass


def test_a_lock_dated_a_little_ahead_is_as_good_as_one_of_just_now() -> None:
    """Machines of one store have clocks of their own: nobody is told to remove what a run at work holds."""
    objects: Any = MemoryObjects()
    with lock_of(objects, "first"):
        objects.now -= EXPIRY_SECONDS
        with pytest.raises(LockHeldError, match="is 0 s old"), lock_of(objects, "second"):
            pass


def lock_of(objects: Any, run: str) -> BucketLock:
    return BucketLock(objects, LockHolder.here(run, "source", "target"))


def test_one_run_holds_the_lock_of_a_pair_until_it_ends_or_gives_no_sign_of_life() -> None:
    objects: Any = MemoryObjects()
    with lock_of(objects, "r1") as lock:
        assert not lock._heart.is_lost
        for waited in (0.0, EXPIRY_SECONDS):
            objects.now += waited
            with pytest.raises(LockHeldError, match="run r1 on "), lock_of(objects, "r2"):
                pytest.fail("both runs are inside")
        with lock_of(MemoryObjects(), "r3"):
            pass
    assert not lock._heart._thread.is_alive()
    assert objects.kept[PAIR].body == b"{}"
    lost = lock_of(objects, "r4").__enter__()
    objects.now += EXPIRY_SECONDS + 1
    with lock_of(objects, "r5"):
        assert not lost._renew()
        held_now = objects.kept[PAIR]
        lost.__exit__(None, None, None)
        assert objects.kept[PAIR] == held_now, "who has lost the lock leaves it to the new holder"


def test_a_lock_is_renewed_by_whoever_holds_it() -> None:
    objects: Any = MemoryObjects()
    with lock_of(objects, "r1") as lock:
        for _ in range(3):
            objects.now += EXPIRY_SECONDS - 1
            assert lock._renew()
            assert objects.kept[PAIR].modified == objects.now
        objects.put(PAIR, objects.kept[PAIR].body)  # as when the answer to a beat was lost
        assert lock._renew()
        assert lock._renew()
        for lost in (b"{", None):
            objects.delete(PAIR)
            if lost is not None:
                objects.put(PAIR, lost)
            assert not lock._renew()


class Racing(MemoryObjects):
    """A bucket in which something happens right before or after the first write of a lock."""

    def __init__(self, before: str | None = None, after: str | None = None) -> None:
        super().__init__()
        self._before, self._after = before, after

    def _other(self, run: str | None) -> None:
        if run is not None:
            super().put(PAIR, LockHolder.here(run, "source", "target").content())

    def put(self, name: str, body: bytes, *, only_if: str | None = None, if_absent: bool = False) -> str:
        (before, after), (self._before, self._after) = (self._before, self._after), (None, None)
        self._other(before)
        mark = super().put(name, body, only_if=only_if, if_absent=if_absent)
        self._other(after)
        return mark


@pytest.mark.parametrize("racing", [Racing(before="quicker"), Racing(after="quicker")], ids=["before", "after"])
def test_of_two_that_find_no_lock_the_one_whose_is_there_has_it(racing: Any) -> None:
    """Also in a store that does not look and write in one step."""
    with pytest.raises(LockHeldError, match="run quicker on "), lock_of(racing, "r2"):
        pytest.fail("both runs are inside")
    assert b"quicker" in racing.kept[PAIR].body


def test_a_lock_whose_answer_was_lost_is_held() -> None:
    class LosesAnAnswer(MemoryObjects):
        lossy = True

        def put(self, name: str, body: bytes, *, only_if: str | None = None, if_absent: bool = False) -> str:
            mark = super().put(name, body, only_if=only_if, if_absent=if_absent)
            if self.lossy:
                self.lossy = False
                raise ConditionFailedError(name)
            return mark

    objects: Any = LosesAnAnswer()
    with lock_of(objects, "r1") as lock:
        assert lock._renew()
    assert objects.kept[PAIR].body == b"{}"


def test_a_lock_that_can_never_be_written_is_held_by_somebody() -> None:
    class Refusing(MemoryObjects):
        def put(self, name: str, body: bytes, *, only_if: str | None = None, if_absent: bool = False) -> str:
            raise ConditionFailedError(name)

    with pytest.raises(LockHeldError, match="is taking the lock"), lock_of(Refusing(), "r1"):
        pytest.fail("it is not inside")


def test_a_lock_that_can_not_be_released_expires() -> None:
    class Away(MemoryObjects):
        def put(self, name: str, body: bytes, *, only_if: str | None = None, if_absent: bool = False) -> str:
            if body == b"{}":
                raise StateError("it is away")
            return super().put(name, body, only_if=only_if, if_absent=if_absent)

    objects: Any = Away()
    with lock_of(objects, "r1"):
        pass
    assert b"r1" in objects.kept[PAIR].body


@pytest.mark.parametrize(
    "left", [b"{}", LockHolder.here("dead", "source", "target").content()], ids=["released", "dead"]
)
def test_of_two_that_find_a_lock_that_nobody_holds_one_has_it(left: bytes) -> None:
    racing: Any = Racing(before="quicker")
    racing.kept[PAIR] = StoredObject(left, "left", racing.now)
    racing.now += EXPIRY_SECONDS + 1
    with pytest.raises(LockHeldError, match="run quicker on "), lock_of(racing, "r2"):
        pytest.fail("both runs are inside")
    assert b"quicker" in racing.kept[PAIR].body


def test_a_lock_is_told_from_that_of_another_process_with_a_run_of_the_same_name() -> None:
    racing: Any = Racing(after="r2")
    with pytest.raises(LockHeldError, match="run r2 on "), lock_of(racing, "r2"):
        pytest.fail("both processes are inside")


def test_a_lock_is_released_when_its_heart_beats_no_more() -> None:
    """A beat that comes after the release would keep others out again."""

    class Noting(MemoryObjects):
        beats = True

        def put(self, name: str, body: bytes, *, only_if: str | None = None, if_absent: bool = False) -> str:
            if body == b"{}":
                self.beats = lock._heart._thread.is_alive()
            return super().put(name, body, only_if=only_if, if_absent=if_absent)

    objects: Any = Noting()
    with lock_of(objects, "r1") as lock:
        assert lock._heart._thread.is_alive()
    assert not objects.beats


def test_whose_own_lock_is_gone_sees_none_and_removes_none() -> None:
    """Nothing tells the time for it."""
    objects: Any = MemoryObjects()
    objects.put("shard-first-1", b"{}")
    assert list(seen_locks(objects, PAIR)) == []
    assert list(objects.kept) == ["shard-first-1"]
