"""What runs rely on of their state holds wherever it is kept: in a folder, and in a bucket of a real S3 store."""

import errno
import itertools
import json
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.real_parts import SeaweedFS, wait_until
from tasks.endpoints import open_state
from tasks.ledger.ledger_memory import LedgerEntry, LedgerPart
from tasks.oci.errors import ConfigurationError, LockHeldError, StateError
from tasks.ports import Shard
from tasks.stop import Stop
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_client import make_client
from tasks.stores.state import (
    bucket_lock,
    ledger_bucket,
    ledger_folder,
    lock_holder,
    object_parts,
    run_state,
    state_bucket,
    state_directory,
)
from tasks.stores.state.json_lines import json_line
from tasks.stores.state.lock_holder import LockHolder
from tasks.stores.state.run_state import RunState
from tasks.stores.state.state_objects import StateObjects
from tests.support.buckets import use_environment
from tests.support.lock_race import how_many_get_in

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha512:" + "cd" * 64
_numbers = itertools.count()
OpenState = Callable[..., RunState]


@pytest.fixture(params=["folder", "bucket"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenState:
    """`opened(target="…")`: the state of a pair, each time as another process would open it."""
    where = str(tmp_path)
    if request.param == "bucket":
        where = f"s3://{in_bucket(request, monkeypatch)}/some/prefix"

    def open_again(target: str = "registry.example:5000") -> RunState:
        return open_state(where, "/mnt/bucket", target, BucketAccess(), Stop())

    return open_again


def in_bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    seaweedfs: SeaweedFS = request.getfixturevalue("seaweedfs")
    use_environment(seaweedfs, monkeypatch)
    return seaweedfs.create_bucket(f"state-{next(_numbers)}")


@pytest.fixture
def objects(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StateObjects:
    address = BucketAddress(in_bucket(request, monkeypatch), "pair/")
    return StateObjects(make_client(BucketAccess()), address, Stop(), patience=0)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks that beat every 0.2 s and expire after five: a store's times may be whole seconds, and a beat be late."""
    monkeypatch.setattr(lock_holder, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(lock_holder, "EXPIRY_SECONDS", 5.0)


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, locks are taken by another machine."""
    monkeypatch.setattr(lock_holder.socket, "gethostname", lambda: "another-machine")


def test_one_run_at_a_time_and_the_other_learns_whose_it_is(opened: OpenState) -> None:
    with opened().lock("r1"):
        with pytest.raises(LockHeldError, match="run r1 on "), opened().lock("r2"):
            pytest.fail("both runs are inside")
        with opened("registry.example/other").lock("r3"):
            pass
    with opened().lock("r2"):
        pass


def test_the_shards_of_one_run_are_inside_together_and_nobody_else(opened: OpenState) -> None:
    one, two = (Shard("r1", number, ("app",)) for number in (1, 2))
    foreign = Shard("r9", 1, ("app",))
    with opened().lock("r1"), opened().lock("s1", None, one), opened().lock("s2", None, two):
        for intruder in (("r2",), ("s1-again", None, one), ("s9", None, foreign)):
            with pytest.raises(LockHeldError), opened().lock(*intruder):
                pytest.fail(f"{intruder} is inside")
    with opened().lock("r2"):
        pass


def test_shards_that_outlive_their_run_keep_others_out(opened: OpenState) -> None:
    with opened().lock("s1", None, Shard("r1", 1, ("app",))):
        for intruder in (("r2",), ("s9", None, Shard("r9", 2, ("app",))), ("s9", None, Shard("r1-9", 2, ("app",)))):
            with pytest.raises(LockHeldError, match="run s1 on "), opened().lock(*intruder):
                pytest.fail(f"{intruder} is inside")
        with opened().lock("s2", None, Shard("r1", 2, ("app",))):
            pass
    with opened().lock("r2"), pytest.raises(LockHeldError, match="run r2 on "):
        opened().lock("s1", None, Shard("r1", 1, ("app",))).__enter__()


def test_of_a_run_and_a_shard_of_another_never_both_get_in(opened: OpenState) -> None:
    for attempt in range(5):
        shards = (None, Shard(f"r{attempt}", 1, ("a",)))
        assert how_many_get_in([opened().lock("racer", None, shard) for shard in shards]) <= 1


def test_just_one_of_many_gets_in(opened: OpenState) -> None:
    for _ in range(5):
        assert how_many_get_in([opened().lock("racer") for _ in range(6)]) == 1


@pytest.mark.usefixtures("hurried")
def test_a_holder_that_gives_no_sign_of_life_loses_the_lock_and_is_told(
    opened: OpenState, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, asleep = threading.Event(), threading.Event()
    with ExitStack() as second:
        with opened().lock("r1", lost.set) as first:
            renew = first._heart._renew
            first._heart._renew = lambda: renew() if not asleep.is_set() else True
            elsewhere(monkeypatch)
            expired = time.monotonic() + 6.5
            while time.monotonic() < expired:  # only its heartbeat keeps the lock
                assert not enters(second, opened().lock("r2"))
                asleep.wait(0.1)  # which nobody ends: the heart is to have room
            asleep.set()
            wait_until(lambda: enters(second, opened().lock("r2")), what="the lock has expired")
            asleep.clear()
            assert lost.wait(30)
        with pytest.raises(LockHeldError, match="run r2 "), opened().lock("r3"):  # what is lost is not released
            pass


def enters(stack: ExitStack, lock: AbstractContextManager[object]) -> bool:
    try:
        stack.enter_context(lock)
    except LockHeldError:
        return False
    return True


def test_a_killed_process_of_this_machine_loses_its_lock_at_once(
    opened: OpenState, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened().lock("r1"):
        monkeypatch.setattr(LockHolder, "is_dead", property(lambda _: True))
        with opened().lock("r2"):
            pass


def test_the_next_run_knows_what_this_one_wrote(opened: OpenState) -> None:
    ledger = opened().ledger("r1")
    assert ledger.entry("app", "v1") is None
    ledger.note_started("app")
    ledger.note_tag("app", "v1", DIGEST, "content", 3, layout="app")
    ledger.note_tag("app", "v2", DIGEST, None, 0, layout="app")
    ledger.close()
    ledger.close()
    later = opened().ledger("r2")
    later.note_tag("app", "v2", OTHER, None, 0, layout="app")
    later.close()
    again = opened().ledger("r3")
    assert again.entry("app", "v1") == LedgerEntry(DIGEST, "content", 3)
    assert again.entry("app", "v2") == LedgerEntry(OTHER, None, 0)
    assert again.was_started("app")
    assert not again.was_started("other")
    assert opened("registry.example/other").ledger("r1").entry("app", "v1") is None


def test_a_run_that_is_killed_has_said_that_it_began(opened: OpenState) -> None:
    opened().ledger("r1").note_started("app")  # and no close
    assert opened().ledger("r2").was_started("app")


def test_what_a_killed_run_was_about_to_bring_is_known_until_the_tag_is_noted(opened: OpenState) -> None:
    first = opened().ledger("r1")
    first.note_coming("app", "v1", DIGEST, layout="app")
    first.note_coming("app", "v2", DIGEST, layout="App")
    first.close()
    again = opened().ledger("r2")
    again.note_coming("app", "v1", OTHER, layout="app")
    assert again.entry("app", "v1") is None
    again.close()
    later = opened().ledger("r3")
    assert [later.may_have_brought("app", "v1", each, layout="app") for each in (DIGEST, OTHER)] == [True, True]
    assert not later.may_have_brought("app", "v2", DIGEST, layout="app"), "another layout's"
    later.note_tag("app", "v1", DIGEST, None, 0, layout="app")
    assert not later.may_have_brought("app", "v1", OTHER, layout="app")
    later.close()
    last = opened().ledger("r4")
    assert not last.may_have_brought("app", "v1", OTHER, layout="app")
    assert last.may_have_brought("app", "v2", DIGEST, layout="App")


def test_many_runs_are_made_one_and_nothing_is_lost(opened: OpenState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 5)
    monkeypatch.setattr(ledger_folder, "MOST_FILES", 5)
    monkeypatch.setattr(ledger_folder, "IDLE_SECONDS", -1.0)
    monkeypatch.setattr(ledger_bucket, "SETTLED_SECONDS", -60.0)
    for number in range(14):
        ledger = opened().ledger(f"r{number:02}")
        ledger.note_tag("app", f"v{number}", DIGEST, None, 0, layout="app")
        ledger.note_tag("app", "latest", f"sha256:{number:064x}", None, 0, layout="app")
        ledger.close()
    last = opened().ledger("last")
    wanted = {f"v{number}": DIGEST for number in range(14)} | {"latest": f"sha256:{13:064x}"}
    assert last.tags_of("app") == wanted


def test_a_part_of_a_run_knows_its_own_alone_and_leaves_the_rest_to_the_others(
    opened: OpenState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were what it knows made one of many files or objects, all that it does not know would be gone."""
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 5)
    monkeypatch.setattr(ledger_folder, "MOST_FILES", 5)
    for number in range(14):
        ledger = opened().ledger(f"r{number:02}", LedgerPart(frozenset(), frozenset()))
        for name in ("App", "other"):
            ledger.note_started(name.lower())
            ledger.note_tag(name.lower(), f"v{number}", DIGEST, None, 0, layout=name)
            ledger.note_layout(name, name.lower(), f"etag-{number}", "settings")
        ledger.close()
    monkeypatch.setattr(ledger_folder, "IDLE_SECONDS", -1.0)
    monkeypatch.setattr(ledger_bucket, "SETTLED_SECONDS", -60.0)
    tags = {f"v{number}": DIGEST for number in range(14)}
    part = opened().ledger("part", LedgerPart(frozenset({"App"}), frozenset({"app"})))
    assert (part.tags_of("app"), part.tags_of("other")) == (tags, {})
    assert (part.was_started("app"), part.was_started("other")) == (True, False)
    assert part.layouts() == ["App"]
    part.note_tag("app", "v14", DIGEST, None, 0, layout="App")
    part.close()
    for _ in range(2):
        whole = opened().ledger("whole")
        assert (whole.tags_of("app"), whole.tags_of("other")) == ({**tags, "v14": DIGEST}, tags)
        assert (whole.was_started("other"), set(whole.layouts())) == (True, {"App", "other"})
        whole.close()


def test_the_report_is_kept(opened: OpenState, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("{}")
    assert "report.json" in opened().keep_report("r1", report)


def reported(state: RunState, run: str) -> str:
    """Have a run leave its report; where it is kept."""
    report = state.run_folder(run) / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text("{}")
    return state.keep_report(run, report)


def is_there(place: str) -> bool:
    if not place.startswith("s3://"):
        return Path(place).exists()
    bucket, _, key = place.removeprefix("s3://").partition("/")
    return "Contents" in make_client(BucketAccess()).list_objects_v2(Bucket=bucket, Prefix=key)


def test_reports_of_old_runs_go_and_the_newest_and_all_young_ones_stay(
    opened: OpenState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_state, "KEPT_RUNS", 2)
    places = [reported(opened(), f"r{number}") for number in range(4)]
    places.append(reported(opened("registry.example/other"), "r4"))
    assert all(map(is_there, places)), "all are of the last day"
    monkeypatch.setattr(run_state, "KEPT_SECONDS", -1.0)
    places.append(reported(opened(), "r5"))
    assert list(map(is_there, places)) == [False, False, False, True, True, True]


def test_reports_that_can_not_be_removed_are_told_of_and_fail_no_run(
    opened: OpenState, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise StateError("denied")

    def refuse_folder(_: object) -> None:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(run_state, "KEPT_RUNS", 0)
    monkeypatch.setattr(run_state, "KEPT_SECONDS", -1.0)
    monkeypatch.setattr(StateObjects, "delete", refuse)
    monkeypatch.setattr(state_directory, "shutil", SimpleNamespace(rmtree=refuse_folder))
    assert is_there(reported(opened(), "r1"))
    (said,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert "old runs" in said
    assert "denied" in said


def test_of_very_many_old_reports_a_bucket_loses_the_oldest_and_nothing_else(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_state, "KEPT_RUNS", 1)
    monkeypatch.setattr(run_state, "KEPT_SECONDS", -1.0)
    monkeypatch.setattr(state_bucket, "FORGOTTEN_AT_ONCE", 2)
    where = f"s3://{in_bucket(request, monkeypatch)}/x"
    state = open_state(where, "/mnt/bucket", "host", BucketAccess(), Stop())
    objects = state._objects
    for number in range(4):
        objects.put(f"runs/r{number}/report.json", b"{}")
    objects.put("runs/r0/of-somebody-else", b"1")
    reported(state, "r4")
    left = ["runs/r0/of-somebody-else", *(f"runs/r{number}/report.json" for number in (2, 3, 4))]
    assert list(objects.names("")) == left


def test_objects_of_a_ledger_stay_few(objects: StateObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_bucket, "MOST_OBJECTS", 5)
    monkeypatch.setattr(ledger_bucket, "SETTLED_SECONDS", -60.0)
    for number in range(7):
        lines = ledger_bucket.LedgerBucket(objects, f"r{number}")
        lines.read()
        lines.append({"started": f"app{number}"})
        lines.close()
    assert len(list(objects.names("ledger-"))) == 2


def test_a_large_object_is_read_in_parts_and_is_whole(objects: StateObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"app{number}" for number in range(20)]
    objects.put("ledger-0", b"".join(json_line({"started": name}) for name in names))
    objects.put("ledger-1", b"")
    monkeypatch.setattr(object_parts, "PART_BYTES", 50)
    assert ledger_bucket.LedgerBucket(objects, "r").read().started == set(names)


def test_what_is_no_line_is_passed_over(objects: StateObjects) -> None:
    objects.put("ledger-0", b'{"started":"app"}\n{"repository": "app", "tag": "v9", "dig')
    objects.put("ledger-1", b"\xff\xfe\n[1]\nnull\n" + b"[" * 100_000)
    objects.put("ledger-2", b'{"started":"other"}\n')
    assert ledger_bucket.LedgerBucket(objects, "r").read().started == {"app", "other"}


def test_lines_reach_the_bucket_without_another_call(objects: StateObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_bucket, "FLUSH_SECONDS", 0.1)
    lines = ledger_bucket.LedgerBucket(objects, "r")
    lines.append({"started": "app"})
    wait_until(lambda: list(objects.names("ledger-")) != [], what="the line is kept")
    lines.close()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"run": 1}'])
def test_a_lock_that_can_not_be_read_counts_until_it_expires(
    objects: StateObjects, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    objects.put("lock", content)
    lock = bucket_lock.BucketLock(objects, LockHolder.here("r", "s", "t"))
    with pytest.raises(LockHeldError, match="another run is taking the lock"), lock:
        pass
    monkeypatch.setattr(lock_holder, "EXPIRY_SECONDS", -1.0)
    with lock:
        assert json.loads(objects.get("lock").body)["run"] == "r"
    assert objects.get("lock").body == b"{}"
    assert list(objects.names("probe-")) == []


class LosesAnswers:
    """A client whose writes are carried out, and whose next answer to one gets lost and is asked for again."""

    def __init__(self, client: object) -> None:
        self._client = client
        self.lose = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def put_object(self, **request: object) -> object:
        answer = self._client.put_object(**request)
        if self.lose and request["Key"].endswith("/lock"):
            self.lose -= 1
            answer = self._client.put_object(**request)  # the SDK's own second attempt
        return answer


@pytest.mark.usefixtures("hurried")
def test_a_lock_whose_answer_was_lost_is_held_and_renewed_all_the_same(objects: StateObjects) -> None:
    objects._client = LosesAnswers(objects._client)
    objects._client.lose = 1
    with bucket_lock.BucketLock(objects, LockHolder.here("r", "s", "t")) as lock:
        objects._client.lose = 1
        wait_until(lambda: json.loads(objects.get("lock").body)["beat"] > 4, what="the heart went on beating")
        assert not lock._heart.is_lost
    assert objects.get("lock").body == b"{}"


class IgnoresConditions:
    """A client of a store that takes every write."""

    def __init__(self, client: object, ignored: tuple[str, ...]) -> None:
        self._client = client
        self._ignored = ignored

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def put_object(self, **request: object) -> object:
        return self._client.put_object(**{k: v for k, v in request.items() if k not in self._ignored})


@pytest.mark.parametrize("ignored", [("IfMatch",), ("IfNoneMatch",), ("IfMatch", "IfNoneMatch")])
def test_a_store_that_ignores_conditions_is_refused_and_keeps_nothing(
    objects: StateObjects, ignored: tuple[str, ...]
) -> None:
    objects._client = IgnoresConditions(objects._client, ignored)
    with pytest.raises(ConfigurationError, match="conditional writes"):
        bucket_lock.BucketLock(objects, LockHolder.here("r", "s", "t")).__enter__()
    assert list(objects.names("")) == []


@pytest.mark.parametrize(
    ("variable", "value"), [("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]
)
def test_a_bucket_that_does_not_let_us_in_is_told_of_at_once(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    bucket = in_bucket(request, monkeypatch)
    monkeypatch.setenv(variable, value)
    state = open_state(f"s3://{bucket}/x", "/mnt/bucket", "host", BucketAccess(), Stop())
    with pytest.raises(StateError, match=f"s3://{bucket}/x"), state.lock("r"):
        pass
    with pytest.raises(StateError, match=f"s3://{bucket}/x"):
        state.ledger("r")


def test_whose_a_tag_is_is_told_below_the_target_s_prefix(opened: OpenState) -> None:
    ledger = opened("registry.example:5000/team").ledger("r1")
    ledger.note_tag("team/app", "v1", DIGEST, "manifest", 0, layout="app")
    ledger.note_tag("team/app", "v2", DIGEST, "manifest", 0, layout="team/app")
    ledger.close()
    again = opened("registry.example:5000/team/").ledger("r2")
    assert (again.brought_to("team/app", "app"), again.brought_to("team/app", "team/app")) == (
        {"v1": DIGEST},
        {"v2": DIGEST},
    )
    assert again.entry("team/app", "v1") == LedgerEntry(DIGEST, "manifest")
