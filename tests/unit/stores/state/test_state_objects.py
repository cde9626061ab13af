"""What a store of small objects says is waited for, asked again, or told as what it means for a state."""

import tempfile
import tracemalloc
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as sdk
from mypy_boto3_s3 import S3Client

from tasks.ledger.ledger_memory import LedgerEntry, LedgerPart, tag_line
from tasks.oci.errors import ConfigurationError, StateError
from tasks.stop import Stop
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_client import make_client
from tasks.stores.state import ledger_bucket, object_parts, state_bucket
from tasks.stores.state.json_lines import json_line
from tasks.stores.state.state_bucket import StateBucket
from tasks.stores.state.state_objects import StateObjects
from tests.support.buckets import moto_bucket
from tests.support.scripted_registry import Reply, ScriptedRegistry
from tests.support.scripted_s3 import content, etag, page, refusal
from tests.support.stops import Unhurried

AWAY = sdk.EndpointConnectionError(endpoint_url="http://s3.example")
AWAY_FOR_A_MOMENT = sdk.ConnectionClosedError(endpoint_url="http://s3.example")
ENDED = sdk.ClientError(
    {"Error": {"Code": "ExpiredToken", "Message": "The token has expired."}, "ResponseMetadata": {}}, "PutObject"
)
SLOW_DOWN = sdk.ClientError({"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "PutObject")
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


class Reading:
    """A client that reads what it is to write as the SDK does, a part at a time, and fails at its first attempt."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.read: list[int] = []

    def put_object(self, **sent: Any) -> dict[str, str]:
        body = sent["Body"]
        self.bodies.append(body)
        self.read.append(sum(map(len, iter(lambda: body.read(65_536), b""))))
        if len(self.read) == 1:
            raise AWAY_FOR_A_MOMENT
        return TAKEN

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        return {"IsTruncated": False}


def test_a_file_is_sent_as_one_and_from_its_start_at_each_attempt(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1" * 100_000)
    client = Reading()
    with (tmp_path / "file").open("rb") as opened:
        assert asking(client).put("name", opened) == '"1"'
        assert client.bodies == [opened, opened]
    assert client.read == [100_000, 100_000]


def test_a_part_that_breaks_off_is_asked_for_again_and_those_before_it_are_not(
    script: ScriptedRegistry, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(object_parts, "PART_BYTES", 4)
    dated = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "ETag": '"1"'}
    second = Reply(206, {**dated, "Content-Range": "bytes 4-6/7"}, b"efg")
    script.expect("GET", "/bucket/pair/name", Reply(200, dated, b"abcdefg"), replace(second, cut=1), second)
    objects = asking(make_client(BucketAccess(script.url)))
    first = objects.part("name")
    assert first is not None
    last = objects.part("name", first)
    assert last is not None
    assert (first.body, first.is_last, last.body, last.is_last) == (b"abcd", False, b"efg", True)
    ranges = [request.headers.get("range") for request in script.asked("GET", "/bucket/pair/name")]
    assert ranges == [None, "bytes=4-6", "bytes=4-6"]


@pytest.mark.parametrize(
    ("headers", "said"),
    [({"ETag": '"2"', "Content-Range": "bytes 4-6/7"}, None), ({"ETag": '"1"'}, "does not know ranges")],
)
def test_a_part_of_another_object_is_none_and_all_of_it_no_part(
    script: ScriptedRegistry, environment: pytest.MonkeyPatch, headers: dict[str, str], said: str | None
) -> None:
    environment.setattr(object_parts, "PART_BYTES", 4)
    script.expect("GET", "/bucket/pair/name", Reply(200, {"ETag": '"1"'}, b"abcdefg"), Reply(206, headers, b"efg"))
    objects = asking(make_client(BucketAccess(script.url)))
    first = objects.part("name")
    with nullcontext() if said is None else pytest.raises(StateError, match=said):
        assert objects.part("name", first) is None


class Streamed:
    """A client with one object, whose body comes as it is read."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get_object(self, **asked: str) -> dict[str, Any]:
        begin = int(asked.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        length = len(self._content) - begin
        more = {"ContentRange": f"bytes {begin}-{len(self._content) - 1}/*"} if begin else {}
        return {"Body": Body(memoryview(self._content)[begin:]), "ETag": '"1"', "ContentLength": length, **more}

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        found = {"Key": "pair/ledger-00000000000001-r+", "LastModified": datetime(2026, 1, 1, tzinfo=UTC)}
        return {"IsTruncated": False, "Contents": [found]}


class Body:
    def __init__(self, content: memoryview) -> None:
        self._content = content

    def read(self, count: int | None = None) -> bytes:
        return bytes(self._content[:count])

    def close(self) -> None:
        pass


def test_a_large_ledger_is_not_in_memory_as_a_whole_while_a_shard_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_parts, "PART_BYTES", 200_000)
    lines = (tag_line(f"app{n % 100}", f"v{n}", LedgerEntry(f"sha256:{n:064}")) for n in range(20_000))
    content = b"".join(map(json_line, lines))
    objects = asking(Streamed(content))
    tracemalloc.start()
    try:
        memory = ledger_bucket.LedgerBucket(objects, "shard").read(LedgerPart(None, frozenset({"app7"})))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(list(memory.lines())) == 200
    assert peak < len(content) / 3


def test_a_report_is_kept_without_being_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report, client = tmp_path / "report.json", Reading()
    with report.open("wb") as opened:
        opened.truncate(50_000_000)
    monkeypatch.setattr(state_bucket, "make_client", lambda *_: client)
    state = StateBucket(BucketAddress("bucket", ""), BucketAccess(), "source", "target", Stop())
    state._objects._retrying.sleep = lambda _: None
    tracemalloc.start()
    try:
        state.keep_report("run", report)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert client.read == [50_000_000, 50_000_000]
    assert peak < 5_000_000


class Busy:
    """A client of a store that is asked for less, so many times, whatever is written."""

    def __init__(self, client: S3Client, refuses: int = 0) -> None:
        self._client = client
        self.refuses = refuses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **asked: Any) -> Any:
        if self.refuses:
            self.refuses -= 1
            raise SLOW_DOWN
        return self._client.put_object(**asked)


def test_a_store_that_asks_for_less_is_waited_for_when_a_lock_is_taken_and_not_by_a_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that is told so at its start would else end, and one that waits in a beat would lose its lock."""
    with moto_bucket("bucket", monkeypatch) as client:
        busy = Busy(client, refuses=4)
        monkeypatch.setattr(state_bucket, "make_client", lambda *_: busy)
        state = StateBucket(BucketAddress("bucket", ""), BucketAccess(), "source", "target", Unhurried())
        with state.lock("run") as lock:
            busy.refuses = 4
            with pytest.raises(StateError, match="slow down"):
                lock._renew()
            assert busy.refuses == 3
            busy.refuses = 0
            assert lock._renew()


def test_a_report_that_is_gone_is_told_so(tmp_path: Path) -> None:
    state = StateBucket(BucketAddress("bucket", ""), BucketAccess(), "source", "target", Stop())
    with pytest.raises(StateError, match="gone can't be read: No such file"):
        state.keep_report("run", tmp_path / "gone")


@pytest.fixture
def scripted(
    script: ScriptedRegistry, environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> StateObjects:
    """The state in a bucket of a scripted server, whose probe is `/bucket/probe-new`."""
    del environment
    monkeypatch.setattr("secrets.token_hex", lambda _: "new")
    return StateObjects(make_client(BucketAccess(script.url)), BucketAddress("bucket", ""), Stop(), patience=0)


def test_a_store_that_says_that_it_knows_no_conditions_is_refused_as_one_that_ignores_them(
    script: ScriptedRegistry, scripted: StateObjects
) -> None:
    """As Backblaze B2 does."""
    script.always("PUT", "/bucket/probe-new", refusal("NotImplemented", 501))
    script.always("DELETE", "/bucket/probe-new", Reply(204))
    with pytest.raises(ConfigurationError, match="does not keep to conditional writes"):
        scripted.check_conditions()


def test_a_lost_answer_is_not_taken_for_conditions_that_the_store_does_not_keep_to(
    script: ScriptedRegistry, scripted: StateObjects
) -> None:
    """What was asked again is refused, as it was carried out before; what is there tells."""
    refused, dated = refusal("PreconditionFailed", 412), {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    script.always("PUT", "/bucket/probe-new", refused)
    script.expect("GET", "/bucket/probe-new", content(b"1", **dated), content(b"2", **dated), content(b"2", **dated))
    script.always("DELETE", "/bucket/probe-new", Reply(204))
    assert scripted.check_conditions() == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    sent = script.asked("PUT", "/bucket/probe-new")
    assert [(request.body, request.headers.get("if-match")) for request in sent][-1] == (b"2", etag(b"1"))


def test_a_store_that_refuses_what_it_must_take_is_no_place_for_a_lock(
    script: ScriptedRegistry, scripted: StateObjects
) -> None:
    script.always("PUT", "/bucket/probe-new", refusal("PreconditionFailed", 412))
    script.always("GET", "/bucket/probe-new", refusal("NoSuchKey", 404))
    script.always("DELETE", "/bucket/probe-new", Reply(204))
    with pytest.raises(ConfigurationError, match="does not keep to conditional writes"):
        scripted.check_conditions()


def test_what_a_store_fails_at_is_not_taken_for_conditions_that_it_does_not_know(
    script: ScriptedRegistry, scripted: StateObjects
) -> None:
    script.always("PUT", "/bucket/probe-new", refusal("Strange", 400))
    script.always("DELETE", "/bucket/probe-new", Reply(204))
    with pytest.raises(StateError, match=r"^the state can't be written: .*Strange"):
        scripted.check_conditions()


def test_a_listing_that_leads_back_to_where_it_was_is_told_so(
    script: ScriptedRegistry, scripted: StateObjects
) -> None:
    for token in "aba":
        script.expect("GET", "/bucket", page({"run": b"1"}, more=token))
    with pytest.raises(StateError, match=r"^the state: the listing of s3://bucket does not go on"):
        list(scripted.names("r"))
    assert len(script.requests) == 3


def test_what_can_not_be_removed_is_told_so(script: ScriptedRegistry, scripted: StateObjects) -> None:
    script.always("DELETE", "/bucket/name", refusal("Strange", 400))
    with pytest.raises(StateError, match=r"^the state can't be written: .*Strange"):
        scripted.delete("name")
