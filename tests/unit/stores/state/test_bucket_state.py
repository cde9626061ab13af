"""What runs leave in a bucket for the next ones: a ledger in the right order, and no locks of shards that ended."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from botocore import exceptions as sdk

from tasks.oci.errors import ConfigurationError, LockHeldError, StateError
from tasks.ports import Shard
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.pacing import Stop
from tasks.stores.state import ledger_bucket
from tasks.stores.state.bucket_lock import BucketLock, seen_locks
from tasks.stores.state.ledger import Ledger
from tasks.stores.state.lock_group import PAIR, held_with_others
from tasks.stores.state.lock_holder import EXPIRY_SECONDS, LockHolder
from tasks.stores.state.state_bucket import StateBucket
from tasks.stores.state.state_objects import ConditionFailedError, StateObjects, StoredObject

DIGESTS = [f"sha256:{letter * 64}" for letter in "ab"]


class Objects:
    """A bucket in memory, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1e6
        self.kept: dict[str, StoredObject] = {}
        self.read: list[str] = []
        self._writes = 0

    def check_conditions(self) -> float:
        return self.now

    def get(self, name: str) -> StoredObject | None:
        self.read.append(name)
        return self.kept.get(name)

    def put(self, name: str, body: bytes, *, only_if: str | None = None, if_absent: bool = False) -> str:
        there = self.kept.get(name)
        if (if_absent and there) or (only_if is not None and (there is None or there.etag != only_if)):
            raise ConditionFailedError(name)
        self._writes += 1
        self.kept[name] = StoredObject(body, str(self._writes), self.now)
        return str(self._writes)

    def names(self, prefix: str) -> Iterator[str]:
        return iter(sorted(name for name in self.kept if name.startswith(prefix)))

    def delete(self, name: str) -> None:
        self.kept.pop(name, None)


def held(objects: Any, run: str, number: int = 0) -> AbstractContextManager[BucketLock]:
    """The lock of a run, or of a shard of it."""
    holder = LockHolder.here(run, "source", "target")
    shard = Shard(run, number, ("app",)) if number else None
    return held_with_others(
        shard, lambda name: BucketLock(objects, holder, name=name), lambda own: seen_locks(objects, own)
    )


def test_a_run_removes_the_locks_of_shards_that_ended_and_reads_none_of_its_own() -> None:
    objects = Objects()
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
    objects = Objects()
    with held(objects, "first"), held(objects, "first", 1):
        pass
    before = set(objects.kept)
    with held(objects, "second", 1):
        assert set(objects.kept) == before | {"shard-second-1"}


def test_a_shard_that_is_at_work_keeps_its_lock_and_others_out() -> None:
    objects: Any = Objects()
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
    objects: Any = Objects()
    with lock_of(objects, "first") as lock:
        objects.now -= 7200
        with pytest.raises(LockHeldError, match=r"7200 s ahead .*/lock can be removed"), lock_of(objects, "second"):
            pass
        assert lock._renew()
        with pytest.raises(LockHeldError, match="0 s old"), lock_of(objects, "second"):
            pass


def test_a_lock_dated_a_little_ahead_is_as_good_as_one_of_just_now() -> None:
    """Machines of one store have clocks of their own: nobody is told to remove what a run at work holds."""
    objects: Any = Objects()
    with lock_of(objects, "first"):
        objects.now -= EXPIRY_SECONDS
        with pytest.raises(LockHeldError, match="is 0 s old"), lock_of(objects, "second"):
            pass


def lock_of(objects: Any, run: str) -> BucketLock:
    return BucketLock(objects, LockHolder.here(run, "source", "target"))


def test_one_run_holds_the_lock_of_a_pair_until_it_ends_or_gives_no_sign_of_life() -> None:
    objects: Any = Objects()
    with lock_of(objects, "r1") as lock:
        assert not lock._heart.is_lost
        for waited in (0.0, EXPIRY_SECONDS):
            objects.now += waited
            with pytest.raises(LockHeldError, match="run r1 on "), lock_of(objects, "r2"):
                pytest.fail("both runs are inside")
        with lock_of(Objects(), "r3"):
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
    objects: Any = Objects()
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


class Racing(Objects):
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
    class LosesAnAnswer(Objects):
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
    class Refusing(Objects):
        def put(self, name: str, body: bytes, *, only_if: str | None = None, if_absent: bool = False) -> str:
            raise ConditionFailedError(name)

    with pytest.raises(LockHeldError, match="is taking the lock"), lock_of(Refusing(), "r1"):
        pytest.fail("it is not inside")


def test_a_lock_that_can_not_be_released_expires() -> None:
    class Away(Objects):
        def put(self, name: str, body: bytes, *, only_if: str | None = None, if_absent: bool = False) -> str:
            if body == b"{}":
                raise StateError("it is away")
            return super().put(name, body, only_if=only_if, if_absent=if_absent)

    objects: Any = Away()
    with lock_of(objects, "r1"):
        pass
    assert b"r1" in objects.kept[PAIR].body


def test_the_last_word_counts_whatever_the_clocks_of_machines_say(monkeypatch: pytest.MonkeyPatch) -> None:
    objects: Any = Objects()
    for run, seconds, digest in (("z-ahead", 2e9, 0), ("y-behind", 1e9, 1), ("x-behind", 1e9, 0), ("w", 1e9, 1)):
        monkeypatch.setattr(ledger_bucket.time, "time_ns", lambda seconds=seconds: int(seconds * 1e9))
        ledger = bucket_ledger(objects, run)
        ledger.note_tag("app", "v1", DIGESTS[digest], None, 0, layout="app")
        ledger.close()
        assert bucket_ledger(objects, "next").tags_of("app")["v1"] == DIGESTS[digest]


def test_of_runs_that_do_not_know_of_each_other_the_later_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = Objects()
    runs = [bucket_ledger(objects, run) for run in ("z-first", "a-second")]
    for seconds, (run, digest) in enumerate(zip(runs, DIGESTS, strict=True), start=1000):
        monkeypatch.setattr(ledger_bucket.time, "time_ns", lambda seconds=seconds: seconds * 1_000_000_000)
        run.note_tag("app", "v1", digest, None, 0, layout="app")
        run.close()
    assert bucket_ledger(objects, "next").tags_of("app")["v1"] == DIGESTS[1]


def test_what_a_shard_writes_late_comes_after_what_was_made_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its machine's clock is behind, or its answer was, while another shard begins and finds many objects."""
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 3)
    objects: Any = Objects()

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
    objects = Objects()
    noted(objects, 4)
    before = bucket_ledger(objects, "reader").tags_of("app")
    assert (len(objects.kept), len(before)) == (4, 5)
    noted(objects, 1)
    assert bucket_ledger(objects, "reader").tags_of("app") == {**before, "moving": DIGESTS[0]}
    assert len(objects.kept) == 1
    noted(objects, 2)
    assert bucket_ledger(objects, "reader").tags_of("app")["moving"] == DIGESTS[1], "later words come after it"


def test_objects_that_can_not_be_made_one_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class ReadOnly(Objects):
        def put(self, name: str, body: bytes, *, only_if: str | None = None, if_absent: bool = False) -> str:
            if name.endswith("+"):
                raise StateError("it can't be written")
            return super().put(name, body, only_if=only_if, if_absent=if_absent)

    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 2)
    objects = ReadOnly()
    noted(objects, 4)
    assert (len(objects.kept), len(bucket_ledger(objects, "reader").tags_of("app"))) == (4, 5)


@pytest.mark.parametrize("times", [1, 4, 5])
def test_a_ledger_that_is_made_one_while_it_is_read_is_read_again_and_not_for_ever(times: int) -> None:
    class Vanishing(Objects):
        def get(self, name: str) -> StoredObject | None:
            self.read.append(name)
            return None if len(self.read) <= times else super().get(name)

    objects = Objects()
    noted(objects, 1)
    vanishing = Vanishing()
    vanishing.kept = objects.kept
    if times < 5:
        assert bucket_ledger(vanishing, "reader").tags_of("app")["v0"] == DIGESTS[0]
    else:
        with pytest.raises(StateError, match="faster"):
            bucket_ledger(vanishing, "reader")


def test_that_a_repository_was_begun_is_kept_at_once() -> None:
    objects = Objects()
    bucket_ledger(objects, "r1").note_started("app")
    assert bucket_ledger(objects, "r2").was_started("app")


AWAY = sdk.EndpointConnectionError(endpoint_url="http://s3.example")
ENDED = sdk.ClientError(
    {"Error": {"Code": "ExpiredToken", "Message": "The token has expired."}, "ResponseMetadata": {}}, "PutObject"
)
TAKEN = {"ETag": '"1"'}


class Answers:
    """A client that gives these answers, one after the other, and the last of them for good."""

    def __init__(self, *answers: dict[str, str] | Exception) -> None:
        self._answers = list(answers)
        self.calls = 0

    def put_object(self, **_: Any) -> dict[str, str]:
        self.calls += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def objects_of(*answers: dict[str, str] | Exception) -> StateObjects:
    return asking(Answers(*answers))


def asking(client: Any) -> StateObjects:
    objects = StateObjects(client, BucketAddress("bucket", "pair/"), Stop(), patience=30)
    objects._retrying.sleep = lambda _: None
    return objects


def test_a_store_that_goes_away_while_a_run_goes_on_is_asked_again_and_one_that_never_was_there_is_not() -> None:
    objects = objects_of(TAKEN, AWAY, AWAY, TAKEN)
    assert [objects.put(name, b"") for name in "ab"] == ['"1"', '"1"']
    with pytest.raises(StateError, match="bucket/pair: the S3 endpoint does not answer"):
        objects_of(AWAY, TAKEN).put("a", b"")


def test_a_store_that_stays_away_is_waited_for_once(caplog: pytest.LogCaptureFixture) -> None:
    """Not for the ledger, and then for the report as long once more."""
    client = Answers(TAKEN, AWAY, AWAY, AWAY, AWAY, TAKEN, AWAY, TAKEN)
    objects = asking(client)
    objects.put("ledger", b"")
    objects._retrying.stop = lambda state: state.attempt_number == 3
    for calls in (4, 5):
        with pytest.raises(StateError):
            objects.put("ledger", b"")
        assert client.calls == calls
    assert [objects.put(name, b"") for name in ("ledger", "report")] == ['"1"', '"1"'], "it is there again"
    told = [message.partition(":")[0] for message in caplog.messages]
    away, back = "the state is away, and waited for, 30 s at most", "the state is there again"
    assert told == [away, back, away, back]


def test_credentials_of_the_state_that_end_in_the_middle_end_the_ledger_and_no_thread() -> None:
    """What could not be kept in time is told by the next call, whatever kept it from that."""
    lines = ledger_bucket.LedgerBucket(objects_of(TAKEN, ENDED), "r1")
    lines.append({"started": "app"})
    lines.flush()
    lines.append({"started": "other"})
    lines._lines._flush_in_time()  # as its timer does
    with pytest.raises(StateError, match="refuses the credentials"):
        lines.append({"started": "more"})


def test_a_state_that_may_not_be_written_is_told_with_the_rights_that_it_needs() -> None:
    """Not with those of a source, which the keys may well have."""
    denied = sdk.ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {}}, "PutObject")
    with pytest.raises(StateError, match=r"s3://bucket/pair/lock is denied .*s3:PutObject and s3:DeleteObject"):
        objects_of(denied).put("lock", b"")


def test_a_machine_without_room_for_temporary_files_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    with pytest.raises(ConfigurationError, match="set TMPDIR"):
        StateBucket(BucketAddress("bucket", ""), BucketAccess(), "source", "target", Stop())
