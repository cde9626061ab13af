"""What a store of small objects says is waited for, asked again, or told as what it means for a state."""

import tempfile
from typing import Any

import pytest
from botocore import exceptions as sdk

from tasks.oci.errors import ConfigurationError, StateError
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.pacing import Stop
from tasks.stores.state import ledger_bucket
from tasks.stores.state.state_bucket import StateBucket
from tasks.stores.state.state_objects import StateObjects

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
