"""A blob arrives once and whole, or not at all."""

import contextlib
import io
import sys
from collections.abc import Callable

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    AuthenticationError,
    AuthorizationExpiredError,
    ConnectionFailedError,
    DigestMismatchError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RegistryError,
    RegistryUnavailableError,
    TargetFullError,
    UnexpectedAnswerError,
    UntrustedConnectionError,
    UploadBrokeOffError,
)
from tasks.ports import BlobArrival
from tasks.stores.pacing import RequestGate
from tasks.stores.registry import blob_upload, upload_tries
from tasks.stores.registry.blob_upload import SMALL_BLOB
from tasks.stores.registry.chunked_upload import CHUNK_SIZES
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.registry_store import RegistryStore
from tasks.stores.verified_content import VerifiedContent
from tests.support.scripted_registry import Reply, Request, ScriptedRegistry

MakeStore = Callable[..., RegistryStore]
UPLOADS = "/v2/app/blobs/uploads/"
SESSION = "/v2/app/blobs/uploads/1"
ACCEPTED = Reply(202, {"Location": f"{SESSION}?_state=a%2Fb"})
SMALL, LARGE = b"small", b"x" * (SMALL_BLOB + 1)
LOST_CODES = ("BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UNKNOWN", "UNKNOWN")
sizes = pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])


def blob(data: bytes, real: bytes | None = None) -> VerifiedContent:
    descriptor = Descriptor("application/x", Digest.of(data), len(data))
    return VerifiedContent(descriptor, lambda: contextlib.nullcontext(io.BytesIO(data if real is None else real)))


@sizes
def test_a_blob_is_sent_whole_in_one_put(script: ScriptedRegistry, make_store: MakeStore, data: bytes) -> None:
    script.expect("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(201))
    assert make_store(script.host).push_blob("app", blob(data)) is BlobArrival.PUSHED
    (sent,) = script.asked("PUT", SESSION)
    assert sent.body == data
    assert sent.query == {"_state": ["a/b"], "digest": [Digest.of(data)]}
    assert sent.headers["content-length"] == str(len(data))
    assert sent.headers["content-type"] == "application/octet-stream"
    assert "transfer-encoding" not in sent.headers


@pytest.mark.parametrize("location", [SESSION, "1", "http://{host}" + SESSION, "http://{host}" + SESSION + "?"])
def test_the_place_of_an_upload_may_be_written_in_every_form(
    script: ScriptedRegistry, make_store: MakeStore, location: str
) -> None:
    script.expect("POST", UPLOADS, Reply(202, {"Location": location.format(host=script.host)}))
    script.expect("PUT", SESSION, Reply(201))
    make_store(script.host).push_blob("app", blob(SMALL))
    assert script.asked("PUT", SESSION)[0].query == {"digest": [Digest.of(SMALL)]}


def test_an_upload_counts_only_where_the_registry_says_that_it_made_something(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """Some answer 204; a 200 is what a proxy's page of welcome comes with."""
    script.always("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(204), Reply(200))
    store = make_store(script.host)
    assert store.push_blob("app", blob(LARGE)) is BlobArrival.PUSHED
    with pytest.raises(RegistryError):
        store.push_blob("app", blob(LARGE))


LOST = {
    **{code: b'{"errors":[{"code":"%s","message":"no such upload"}]}' % code.encode() for code in LOST_CODES},
    "a page": b"<html><head><title>404 Not Found</title></head></html>",
    "nothing": b"",
}


@sizes
@pytest.mark.parametrize("body", LOST.values(), ids=LOST)
def test_an_upload_that_the_registry_forgot_is_begun_again(
    script: ScriptedRegistry, make_store: MakeStore, data: bytes, body: bytes
) -> None:
    """As one that was started anew between the question and the blob, or one of several behind one name."""
    lost = Reply(404, body=body)
    script.expect("POST", UPLOADS, ACCEPTED, ACCEPTED)
    script.expect("PUT", SESSION, lost, Reply(201))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(data)}", Reply(404))
    assert make_store(script.host).push_blob("app", blob(data)) is BlobArrival.PUSHED
    assert [sent.body for sent in script.asked("PUT", SESSION)] == [data, data]


@sizes
@pytest.mark.parametrize("body", [b"<html>404 Not Found</html>", LOST["UNKNOWN"], LOST["BLOB_UNKNOWN"]])
def test_an_upload_that_is_unknown_each_time_was_not_lost_and_is_not_sent_six_times_over(
    script: ScriptedRegistry, make_store: MakeStore, data: bytes, body: bytes
) -> None:
    """As behind a proxy that leads nobody to the place of an upload."""
    script.always("POST", UPLOADS, ACCEPTED)
    script.always("PUT", SESSION, Reply(404, body=body))
    script.always("HEAD", f"/v2/app/blobs/{Digest.of(data)}", Reply(404))
    with pytest.raises(RegistryError, match=r"404 .*of an upload that it had just opened.*, 3 times") as caught:
        make_store(script.host).push_blob("app", blob(data))
    assert (type(caught.value), caught.value.transient) == (RegistryError, False)
    assert len(script.asked("PUT", SESSION)) == 3


OUT_OF_ORDER = {
    "distribution 3": b'{"errors":[{"code":"RANGE_INVALID","message":"invalid content range"}]}',
    "Amazon ECR": b'{"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"First byte of the layer part is 0"}]}',
    "nothing": b"",
}


@sizes
@pytest.mark.parametrize("body", OUT_OF_ORDER.values(), ids=OUT_OF_ORDER)
def test_an_upload_that_the_registry_has_another_part_of_is_begun_again_and_not_six_times_over(
    script: ScriptedRegistry, make_store: MakeStore, data: bytes, body: bytes
) -> None:
    """By 416, where a proxy sent a request twice, say; distribution 2.8 says 404 of the same."""
    script.always("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(416, body=body), Reply(201))
    script.always("HEAD", f"/v2/app/blobs/{Digest.of(data)}", Reply(404))
    store = make_store(script.host)
    assert store.push_blob("app", blob(data)) is BlobArrival.PUSHED
    script.always("PUT", SESSION, Reply(416, body=body))
    with pytest.raises(RegistryError, match=r"416 .*of an upload that it had just opened.*, 3 times") as caught:
        store.push_blob("app", blob(data))
    assert (type(caught.value), caught.value.transient) == (RegistryError, False)
    assert [sent.body for sent in script.asked("PUT", SESSION)] == [data] * 5


UNKNOWN = b'{"errors":[{"code":"BLOB_UNKNOWN"}]}'


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("POST", UPLOADS, 429, b""),
        ("POST", UPLOADS, 503, b""),
        ("PUT", SESSION, 429, b""),
        ("PUT", SESSION, 503, b""),
        ("PUT", SESSION, 404, UNKNOWN),
    ],
)
def test_the_pause_that_a_registry_wants_within_an_upload_is_one_of_all_workers(
    script: ScriptedRegistry,
    make_store: MakeStore,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    status: int,
    body: bytes,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(RequestGate, "pause", lambda _, seconds: pauses.append(seconds))
    script.expect(method, path, Reply(status, {"Retry-After": "7"}, body))
    script.always("POST", UPLOADS, ACCEPTED)
    script.always("PUT", SESSION, Reply(201))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(LARGE)}", Reply(404))
    assert make_store(script.host).push_blob("app", blob(LARGE)) is BlobArrival.PUSHED
    assert pauses == [7.0]


@pytest.mark.parametrize(("status", "waits"), [(504, True), (524, True), (502, False), (500, False)])
def test_a_blob_whose_answer_a_proxy_did_not_wait_for_is_looked_for_as_long_as_storing_it_may_take(
    script: ScriptedRegistry, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, status: int, waits: bool
) -> None:
    monkeypatch.setattr(blob_upload, "COMMITTED_BYTES_A_SECOND", 1_000)
    looks = [Reply(404), Reply(404), Reply(headers={"Content-Length": str(len(LARGE))})] if waits else [Reply(404)]
    script.expect("POST", UPLOADS, *[ACCEPTED] * (1 if waits else 2))
    script.expect("PUT", SESSION, Reply(status), *([] if waits else [Reply(201)]))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(LARGE)}", *looks)
    assert make_store(script.host).push_blob("app", blob(LARGE)) is BlobArrival.PUSHED


def test_a_blob_whose_answer_was_lost_is_looked_for_as_long_as_storing_it_may_take(
    script: ScriptedRegistry, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To send it beside the first one, which the registry has whole, is what distribution 2.8 loses tags by."""
    monkeypatch.setattr(blob_upload, "COMMITTED_BYTES_A_SECOND", 1_000)
    script.expect("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(drop=True))
    there = Reply(headers={"Content-Length": str(len(LARGE))})
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(LARGE)}", Reply(404), Reply(404), there)
    assert make_store(script.host).push_blob("app", blob(LARGE)) is BlobArrival.PUSHED


def test_a_blob_that_does_not_come_in_the_time_that_storing_it_takes_is_sent_again(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("POST", UPLOADS, ACCEPTED, ACCEPTED)
    script.expect("PUT", SESSION, Reply(504), Reply(201))
    script.always("HEAD", f"/v2/app/blobs/{Digest.of(LARGE)}", Reply(404))
    assert make_store(script.host).push_blob("app", blob(LARGE)) is BlobArrival.PUSHED


def test_a_blob_is_not_sent_to_another_host(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("POST", UPLOADS, Reply(202, {"Location": f"http://me:secret@{elsewhere.host}/u"}))
    with pytest.raises(UntrustedConnectionError, match=f": {elsewhere.host}$"):
        make_store(script.host).push_blob("app", blob(SMALL))


@pytest.mark.parametrize("named", ["127.0.0.1", "127.0.0.1:", "me:secret@127.0.0.1"])
def test_a_place_that_lacks_the_port_of_the_registry_alone_is_at_the_registry(
    script: ScriptedRegistry, make_store: MakeStore, named: str
) -> None:
    """A proxy at another port than the usual one that tells the registry its name, and no port."""
    place = {"Location": f"http://{named}{SESSION}?_state=a%2Fb"}
    script.expect("POST", UPLOADS, Reply(202, place), Reply(202, place))
    script.expect("PUT", SESSION, Reply(413), Reply(201))
    script.expect("PATCH", SESSION, *[Reply(202, place)] * 2)
    assert make_store(script.host).push_blob("app", blob(LARGE)) is BlobArrival.PUSHED
    assert {tuple(sent.query["_state"]) for sent in script.asked("PATCH", SESSION)} == {("a/b",)}


@pytest.mark.parametrize(
    "origin", ["https://127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.1:1", "http://h.test"]
)
def test_any_other_place_than_the_registry_without_its_port_is_another_host(
    script: ScriptedRegistry, make_store: MakeStore, origin: str
) -> None:
    """What names a port means it, and so does what names another scheme."""
    script.expect("POST", UPLOADS, Reply(202, {"Location": f"{origin}{SESSION}"}))
    with pytest.raises(UntrustedConnectionError, match="another host"):
        make_store(script.host).push_blob("app", blob(LARGE))


def test_another_host_is_not_told_without_end(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("POST", UPLOADS, Reply(202, {"Location": f"http://{'h' * 60_000}/u"}))
    with pytest.raises(UntrustedConnectionError) as raised:
        make_store(script.host).push_blob("app", blob(SMALL))
    assert len(str(raised.value)) < 1_000


def test_an_upload_without_a_place_is_said_so(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("POST", UPLOADS, Reply(202))
    with pytest.raises(UnexpectedAnswerError):
        make_store(script.host).push_blob("app", blob(SMALL))


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_altered_content_never_arrives(script: ScriptedRegistry, make_store: MakeStore, data: bytes) -> None:
    """A large one is on its way when it is found out: the registry gets less than it was promised."""
    script.always("POST", UPLOADS, ACCEPTED)
    script.always("PUT", SESSION, Reply(201))
    with pytest.raises(DigestMismatchError):
        make_store(script.host).push_blob("app", blob(data, data[:-1] + b"!"))
    assert all(len(request.body) < len(data) for request in script.asked("PUT", SESSION))


def test_a_small_blob_takes_one_request_where_the_registry_takes_it(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("POST", UPLOADS, Reply(201), Reply(201))
    store = make_store(script.host)
    for _ in range(2):
        assert store.push_blob("app", blob(SMALL)) is BlobArrival.PUSHED
    assert [(sent.body, sent.query) for sent in script.requests] == [(SMALL, {"digest": [Digest.of(SMALL)]})] * 2
    assert {sent.headers["content-type"] for sent in script.requests} == {"application/octet-stream"}


@pytest.mark.parametrize("answers", [[ACCEPTED], [Reply(400), ACCEPTED]], ids=["ignored", "refused"])
def test_a_registry_that_does_not_take_it_is_asked_once(
    script: ScriptedRegistry, make_store: MakeStore, answers: list[Reply]
) -> None:
    script.expect("POST", UPLOADS, *answers, ACCEPTED)
    script.expect("PUT", SESSION, Reply(201), Reply(201))
    store = make_store(script.host)
    for _ in range(2):
        assert store.push_blob("app", blob(SMALL)) is BlobArrival.PUSHED
    assert [sent.body for sent in script.asked("PUT", SESSION)] == [SMALL, SMALL]
    assert script.asked("POST", UPLOADS)[-1].query == {}


@pytest.mark.parametrize("mount_from", [None, "other"])
def test_a_registry_that_refuses_a_body_with_the_question_gets_none_with_it_from_then_on(
    script: ScriptedRegistry, make_store: MakeStore, mount_from: str | None
) -> None:
    script.always("POST", UPLOADS, lambda asked: Reply(405) if asked.query else ACCEPTED)
    script.always("PUT", SESSION, Reply(201))
    store = make_store(script.host)
    for _ in range(2):
        assert store.push_blob("app", blob(SMALL), mount_from) is BlobArrival.PUSHED
    sent = [len(sent.body) for sent in script.asked("POST", UPLOADS) if "mount" not in sent.query]
    assert sent == [len(SMALL), 0, 0]


def test_a_registry_that_refuses_all_for_one_repository_is_sent_further_ones_for_others(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    secret = UPLOADS.replace("app", "secret")
    script.expect("POST", UPLOADS, Reply(201), Reply(201))
    script.always("POST", secret, Reply(403))
    store = make_store(script.host)
    for _ in range(2):
        with pytest.raises(PermissionDeniedError):
            store.push_blob("secret", blob(SMALL))
        assert store.push_blob("app", blob(SMALL)) is BlobArrival.PUSHED
    assert [bool(asked.query) for asked in script.asked("POST", secret)] == [True, False] * 2


def test_a_mount_sends_nothing(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("POST", UPLOADS, Reply(201))
    assert make_store(script.host).push_blob("app", blob(SMALL), "other") is BlobArrival.MOUNTED
    assert script.requests[0].query == {"mount": [Digest.of(SMALL)], "from": ["other"]}


def test_a_mount_that_is_not_done_becomes_an_upload(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(201))
    assert make_store(script.host).push_blob("app", blob(SMALL), "other") is BlobArrival.PUSHED


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_mount_that_is_refused_becomes_an_upload(
    script: ScriptedRegistry, make_store: MakeStore, status: int
) -> None:
    script.expect("POST", UPLOADS, Reply(status), ACCEPTED)
    script.expect("PUT", SESSION, Reply(201))
    assert make_store(script.host).push_blob("app", blob(SMALL), "other") is BlobArrival.PUSHED
    assert "mount" not in script.asked("POST", UPLOADS)[1].query


@pytest.mark.parametrize("mount_from", ["base", None], ids=["mount", "single POST"])
@pytest.mark.parametrize("status", [500, 501])
def test_a_way_that_a_registry_breaks_at_is_not_gone_again(
    script: ScriptedRegistry, make_store: MakeStore, mount_from: str | None, status: int
) -> None:
    def no_other_way(request: Request) -> Reply:
        return Reply(status) if request.query else ACCEPTED

    script.always("POST", UPLOADS, no_other_way)
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(SMALL)}", Reply(404))
    script.expect("PUT", SESSION, Reply(201))
    assert make_store(script.host).push_blob("app", blob(SMALL), mount_from) is BlobArrival.PUSHED
    assert len(script.asked("POST", UPLOADS)) == 2


@pytest.mark.parametrize("took_one", [False, True])
def test_a_registry_that_only_ever_broke_at_a_single_post_gets_no_further_one(
    script: ScriptedRegistry, make_store: MakeStore, took_one: bool
) -> None:
    """Each would cost a failure and a wait; a registry that took one before was merely broken for the moment."""
    if took_one:
        script.expect("POST", UPLOADS, Reply(201))
    script.always("POST", UPLOADS, lambda asked: Reply(500) if asked.query else ACCEPTED)
    script.always("HEAD", f"/v2/app/blobs/{Digest.of(SMALL)}", Reply(404))
    script.always("PUT", SESSION, Reply(201))
    store = make_store(script.host)
    for _ in range(2 + took_one):
        assert store.push_blob("app", blob(SMALL)) is BlobArrival.PUSHED
    single = [bool(asked.query) for asked in script.asked("POST", UPLOADS)]
    assert single == ([True, True, False, True, False] if took_one else [True, False, False])


def test_a_mount_at_a_registry_that_is_away_for_a_moment_is_tried_again_as_one(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("POST", UPLOADS, Reply(503), Reply(201))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(SMALL)}", Reply(404))
    assert make_store(script.host).push_blob("app", blob(SMALL), "base") is BlobArrival.MOUNTED


@pytest.mark.parametrize("reason", [',error="insufficient_scope"', ""], ids=["said", "not said"])
def test_a_mount_that_needs_more_rights_than_there_are_becomes_an_upload(
    script: ScriptedRegistry, make_store: MakeStore, reason: str
) -> None:
    numbers = iter(range(10))
    script.always("GET", "/token", lambda _: Reply(body=b'{"token":"t%d"}' % next(numbers)))
    more = Reply(401, {"WWW-Authenticate": f'Bearer realm="{script.url}/token"{reason}'})
    script.expect("POST", UPLOADS, more, more, Reply(201))
    store = make_store(script.host, Credentials("me", "x"))
    assert store.push_blob("app", blob(SMALL), "other") is BlobArrival.PUSHED
    assert "mount" not in script.asked("POST", UPLOADS)[2].query


def test_a_mount_asks_for_the_right_to_write_here_and_to_read_the_other_repository_and_no_more(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """Without the first the mount is refused and all is sent; with more, who may only read there gets no token."""
    script.always("GET", "/token", Reply(body=b'{"token":"t"}'))
    challenge = Reply(401, {"WWW-Authenticate": f'Bearer realm="{script.url}/token"'})
    script.expect("POST", UPLOADS, challenge, Reply(201))
    store = make_store(script.host, Credentials("me", "x"))
    assert store.push_blob("app", blob(SMALL), "other") is BlobArrival.MOUNTED
    scopes = script.asked("GET", "/token")[-1].query["scope"]
    assert sorted(scopes) == ["repository:app:pull,push", "repository:other:pull"]


TOO_FAST = b'{"errors":[{"code":"TOOMANYREQUESTS"}]}'


@pytest.mark.parametrize("reply", [Reply(429), Reply(400, body=TOO_FAST)], ids=["429", "400"])
def test_a_mount_that_comes_too_fast_is_tried_again_as_one(
    script: ScriptedRegistry, make_store: MakeStore, reply: Reply
) -> None:
    script.expect("POST", UPLOADS, reply, Reply(201))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(SMALL)}", Reply(404))
    assert make_store(script.host).push_blob("app", blob(SMALL), "other") is BlobArrival.MOUNTED


@sizes
@pytest.mark.parametrize("failure", [Reply(500), Reply(drop=True)], ids=["500", "reset"])
def test_a_failed_upload_starts_anew_with_all_its_bytes(
    script: ScriptedRegistry, make_store: MakeStore, data: bytes, failure: Reply
) -> None:
    script.expect("POST", UPLOADS, ACCEPTED, ACCEPTED)
    script.expect("PUT", SESSION, failure, Reply(201))
    script.always("HEAD", f"/v2/app/blobs/{Digest.of(data)}", Reply(404))
    make_store(script.host).push_blob("app", blob(data))
    assert script.asked("PUT", SESSION)[-1].body == data


@sizes
def test_a_pause_that_is_wanted_where_a_blob_is_looked_for_says_nothing_of_the_blob(
    script: ScriptedRegistry, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """It was sent once more at once, against the wish, and beside the first one."""
    pauses: list[float] = []
    monkeypatch.setattr(RequestGate, "pause", lambda _, seconds: pauses.append(seconds))
    monkeypatch.setattr(blob_upload, "COMMITTED_BYTES_A_SECOND", 1_000)
    path, size = f"/v2/app/blobs/{Digest.of(data)}", {"Content-Length": str(len(data))}
    script.expect("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(drop=True))
    script.expect("HEAD", path, Reply(429, {"Retry-After": "7"}))
    if data == LARGE:  # which the registry may still be storing
        script.expect("HEAD", path, Reply(404))
    script.expect("HEAD", path, Reply(headers=size))
    assert make_store(script.host).push_blob("app", blob(data)) is BlobArrival.PUSHED
    assert pauses == [7.0]


def test_an_answer_that_was_lost_costs_no_second_upload(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(drop=True))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(SMALL)}", Reply(headers={"Content-Length": "5"}))
    assert make_store(script.host).push_blob("app", blob(SMALL)) is BlobArrival.PUSHED


@sizes
def test_a_blob_that_is_refused_because_it_is_there_has_arrived(
    script: ScriptedRegistry, make_store: MakeStore, data: bytes
) -> None:
    """Nexus keeps a blob once for all repositories; set to change nothing, it refuses the second of two uploads."""
    there = b'{"errors":[{"code":"BLOB_UPLOAD_INVALID","detail":"hosted/v2/-/blobs/sha256:1 cannot be updated"}]}'
    script.expect("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(400, body=there))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(data)}", Reply(headers={"Content-Length": str(len(data))}))
    assert make_store(script.host).push_blob("app", blob(data)) is BlobArrival.PUSHED


def test_a_blob_that_is_refused_and_not_there_is_not_sent_again(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}'))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(SMALL)}", Reply(404))
    with pytest.raises(RegistryError, match="DIGEST_INVALID"):
        make_store(script.host).push_blob("app", blob(SMALL))


def test_what_arrived_in_another_size_is_sent_again(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("POST", UPLOADS, ACCEPTED, ACCEPTED)
    script.expect("PUT", SESSION, Reply(drop=True), Reply(201))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(SMALL)}", Reply(headers={"Content-Length": "4"}))
    assert make_store(script.host).push_blob("app", blob(SMALL)) is BlobArrival.PUSHED
    assert len(script.asked("PUT", SESSION)) == 2


def test_a_blob_that_is_too_large_is_not_sent_again(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(413))
    with pytest.raises(PayloadTooLargeError):
        make_store(script.host).push_blob("app", blob(SMALL))


def test_a_full_disk_that_is_told_as_too_large_leads_to_no_chunks(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    said = b'{"errors":[{"status":413,"message":"Datastore disk usage is too high."}]}'
    script.expect("POST", UPLOADS, ACCEPTED)
    script.expect("PUT", SESSION, Reply(413, body=said))
    with pytest.raises(TargetFullError, match="Datastore disk usage"):
        make_store(script.host).push_blob("app", blob(b"x" * 400_000))


def test_a_quota_that_is_told_as_too_large_says_nothing_of_sizes(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """As Forgejo and Swift tell it, also to a request without a body; the next blob may find room."""
    data = b"x" * 400_000
    script.expect("POST", UPLOADS, ACCEPTED, Reply(413), ACCEPTED)
    script.expect("PUT", SESSION, Reply(413), Reply(201))
    store = make_store(script.host)
    with pytest.raises(TargetFullError, match="starting the upload"):
        store.push_blob("app", blob(data))
    assert store.push_blob("app", blob(data)) is BlobArrival.PUSHED
    assert [len(sent.body) for sent in script.asked("PUT", SESSION)] == [len(data)] * 2


@sizes
def test_an_upload_that_is_refused_as_too_large_before_any_byte_of_it_was_sent_finds_no_room(
    script: ScriptedRegistry, make_store: MakeStore, data: bytes
) -> None:
    script.always("POST", UPLOADS, Reply(413))
    with pytest.raises(TargetFullError):
        make_store(script.host).push_blob("app", blob(data))


def test_chunks_are_smaller_than_what_was_refused_and_than_the_blob(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    data = b"x" * 400_000
    smallest = CHUNK_SIZES[-1]
    script.expect("POST", UPLOADS, *[ACCEPTED] * 3)
    script.expect("PUT", SESSION, Reply(413), Reply(201), Reply(201))
    script.expect("PATCH", SESSION, *[ACCEPTED] * 4)
    store = make_store(script.host)
    for _ in range(2):
        assert store.push_blob("app", blob(data)) is BlobArrival.PUSHED
    assert [len(sent.body) for sent in script.asked("PATCH", SESSION)] == [smallest, len(data) - smallest] * 2
    assert len(script.asked("PUT", SESSION)[0].body) == len(data)
    assert [len(sent.body) for sent in script.asked("PUT", SESSION)[1:]] == [0, 0], "what is refused is remembered"


@pytest.mark.parametrize("answer", [Reply(500), Reply(drop=True)])
def test_chunks_that_are_all_there_are_given_the_time_to_be_stored(
    script: ScriptedRegistry, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, answer: Reply
) -> None:
    monkeypatch.setattr(blob_upload, "COMMITTED_BYTES_A_SECOND", 1_000)
    data = b"x" * 400_000
    script.expect("POST", UPLOADS, ACCEPTED, ACCEPTED)
    script.expect("PATCH", SESSION, ACCEPTED, ACCEPTED)
    script.expect("PUT", SESSION, Reply(413), answer)
    there = Reply(headers={"Content-Length": str(len(data))})
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(data)}", Reply(404), Reply(404), there)
    assert make_store(script.host).push_blob("app", blob(data)) is BlobArrival.PUSHED


def test_chunks_of_an_upload_that_was_lost_are_not_waited_for(
    script: ScriptedRegistry, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was answered, so nothing of it is being stored; of 10 GiB, that was nine minutes."""
    monkeypatch.setattr(blob_upload, "COMMITTED_BYTES_A_SECOND", 1_000)
    data = b"x" * 400_000
    script.expect("POST", UPLOADS, *[ACCEPTED] * 3)
    script.expect("PATCH", SESSION, *[ACCEPTED] * 4)
    script.expect("PUT", SESSION, Reply(413), Reply(404), Reply(201))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(data)}", Reply(404))
    assert make_store(script.host).push_blob("app", blob(data)) is BlobArrival.PUSHED


def test_what_is_too_large_for_one_request_is_mounted_all_the_same(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    data = b"x" * 400_000
    script.expect("POST", UPLOADS, ACCEPTED, ACCEPTED, Reply(201))
    script.expect("PUT", SESSION, Reply(413), Reply(201))
    script.expect("PATCH", SESSION, ACCEPTED, ACCEPTED)
    store = make_store(script.host)
    assert store.push_blob("app", blob(data)) is BlobArrival.PUSHED
    assert store.push_blob("app", blob(data), "other") is BlobArrival.MOUNTED


def test_what_is_too_large_for_one_request_and_is_not_mounted_goes_in_chunks_at_once(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    data = b"x" * 400_000
    script.expect("POST", UPLOADS, *[ACCEPTED] * 4)
    script.expect("PUT", SESSION, Reply(413), Reply(201), Reply(201))
    script.expect("PATCH", SESSION, *[ACCEPTED] * 4)
    store = make_store(script.host)
    for source in (None, "other"):
        assert store.push_blob("app", blob(data), source) is BlobArrival.PUSHED
    assert [len(sent.body) for sent in script.asked("PUT", SESSION)] == [len(data), 0, 0]


@sizes
@pytest.mark.parametrize("mount_from", [None, "other"])
def test_a_target_that_takes_no_uploads_is_said_to_be_one(
    script: ScriptedRegistry, make_store: MakeStore, data: bytes, mount_from: str | None
) -> None:
    script.always("POST", UPLOADS, Reply(405, body=b"Method not allowed"))
    with pytest.raises(RegistryError, match="it takes no uploads: set to be read only"):
        make_store(script.host).push_blob("app", blob(data), mount_from)


@pytest.mark.parametrize("status", [201, 400], ids=["done already", "refused"])
def test_a_session_that_is_not_opened_is_an_error_and_no_mount(
    script: ScriptedRegistry, make_store: MakeStore, status: int
) -> None:
    """Nothing was sent, and there is nothing to mount."""
    script.expect("POST", UPLOADS, Reply(status))
    with pytest.raises(RegistryError):
        make_store(script.host).push_blob("app", blob(LARGE))
    assert len(script.requests) == 1


def test_authorization_that_ends_during_a_large_upload_starts_it_anew(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    challenge = Reply(401, {"WWW-Authenticate": f'Bearer realm="{script.url}/token"'})
    script.expect("GET", "/token", Reply(body=b'{"token":"a"}'), Reply(body=b'{"token":"b"}'))
    script.expect("POST", UPLOADS, challenge, ACCEPTED, ACCEPTED)
    script.expect("PUT", SESSION, challenge, Reply(201))
    script.expect("HEAD", f"/v2/app/blobs/{Digest.of(LARGE)}", Reply(404))
    make_store(script.host, Credentials("me", "x")).push_blob("app", blob(LARGE))
    assert script.asked("PUT", SESSION)[-1].body == LARGE
    assert AuthorizationExpiredError.transient


@pytest.mark.parametrize("needed", ["pull,push,create", "*"])
@pytest.mark.parametrize("mounted_from", [None, "other"])
def test_a_right_that_a_registry_wants_for_uploads_besides_is_sent_with_all_of_the_upload(
    script: ScriptedRegistry, make_store: MakeStore, needed: str, mounted_from: str | None
) -> None:
    wanted = f"repository:app:{needed}"

    def guarded(answer: Reply) -> Callable[[Request], Reply]:
        named = {"WWW-Authenticate": f'Bearer realm="{script.url}/token",scope="{wanted}"'}
        return lambda request: answer if wanted in request.headers.get("authorization", "") else Reply(401, named)

    script.always("GET", "/token", lambda request: Reply(body=f'{{"token":"{request.query["scope"]}"}}'.encode()))
    script.always("POST", UPLOADS, guarded(ACCEPTED))
    script.always("PUT", SESSION, guarded(Reply(201)))
    store = make_store(script.host, Credentials("me", "x"))
    assert store.push_blob("app", blob(LARGE), mounted_from) is BlobArrival.PUSHED
    assert len(script.asked("PUT", SESSION)) == 1


def test_a_push_that_is_not_allowed_fails_at_once(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("POST", UPLOADS, *[Reply(401, {"WWW-Authenticate": "Basic"})] * 2)
    with pytest.raises(AuthenticationError):
        make_store(script.host, Credentials("me", "wrong")).push_blob("app", blob(LARGE))


CUT_AT = 12 * 1024**2
HUGE = b"x" * (32 * 1024**2)
"""More than is on its way between two sockets: a request that is cut within it is noticed before its end."""


@pytest.fixture
def cut(script: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch) -> ScriptedRegistry:
    """A registry that resets every request that takes too long, here by its bytes."""
    monkeypatch.setattr(upload_tries, "MAY_BE_CUT", CUT_AT)
    monkeypatch.setattr(upload_tries, "SHORTEST_LIMIT", 0.0)
    script.cut_bodies(CUT_AT)
    script.always("POST", UPLOADS, ACCEPTED)
    script.always("HEAD", f"/v2/app/blobs/{Digest.of(HUGE)}", Reply(404))
    return script


def change_the_line(cut: ScriptedRegistry, *, after: int, longest: int | None = None) -> None:
    """Once so many requests had a blob whole, take `longest` bytes of a body, or all."""

    def opened(_: Request) -> Reply:
        if len(cut.asked("PUT", SESSION)) == after:
            cut.longest_body = longest
        return ACCEPTED

    cut.always("POST", UPLOADS, opened)


def test_a_blob_that_is_cut_twice_goes_in_chunks_that_take_less_time(
    cut: ScriptedRegistry, make_store: MakeStore
) -> None:
    cut.always("PUT", SESSION, Reply(201))
    cut.always("PATCH", SESSION, ACCEPTED)
    store = make_store(cut.host)
    assert store.push_blob("app", blob(HUGE)) is BlobArrival.PUSHED
    assert b"".join(sent.body for sent in cut.asked("PATCH", SESSION)) == HUGE
    assert [len(sent.body) for sent in cut.asked("PUT", SESSION)] == [CUT_AT, CUT_AT, 0]
    store.push_blob("app", blob(HUGE))
    assert len(cut.asked("PUT", SESSION)) == 4, "the next one goes in chunks at once"


@pytest.mark.parametrize(
    "refusal", [*map(Reply, (400, 403, 404, 405, 413, 501, 500)), Reply(404, body=LOST["UNKNOWN"])], ids=repr
)
def test_a_blob_that_is_cut_and_that_may_not_go_in_chunks_is_sent_whole_as_before(
    cut: ScriptedRegistry, make_store: MakeStore, refusal: Reply
) -> None:
    cut.always("PATCH", SESSION, refusal)

    change_the_line(cut, after=4)
    cut.always("PUT", SESSION, Reply(201))
    assert make_store(cut.host).push_blob("app", blob(HUGE)) is BlobArrival.PUSHED
    assert [len(sent.body) for sent in cut.asked("PUT", SESSION)] == [CUT_AT] * 4 + [len(HUGE)]
    assert len(cut.asked("PATCH", SESSION)) <= len(CHUNK_SIZES), "chunks are tried in one attempt only"


def test_a_blob_that_is_cut_and_of_whose_chunks_each_is_out_of_order_is_sent_whole_in_the_end(
    cut: ScriptedRegistry, make_store: MakeStore
) -> None:
    """Whatever is wrong with `Content-Range` to such a registry."""
    cut.always("PATCH", SESSION, Reply(416))

    change_the_line(cut, after=2)
    cut.always("PUT", SESSION, Reply(201))
    assert make_store(cut.host).push_blob("app", blob(HUGE)) is BlobArrival.PUSHED
    assert [len(sent.body) for sent in cut.asked("PUT", SESSION)] == [CUT_AT] * 2 + [len(HUGE)]
    assert len(cut.asked("PATCH", SESSION)) == 3


@pytest.mark.parametrize(
    ("status", "codes", "refuses"),
    [(404, (), True), (404, ("UNKNOWN",), True), (404, ("BLOB_UNKNOWN",), False), (500, (), False)],
)
def test_what_knows_no_chunks_may_say_so_by_404_before_all_of_the_first_has_come(
    monkeypatch: pytest.MonkeyPatch, status: int, codes: tuple[str, ...], refuses: bool
) -> None:
    monkeypatch.setattr(upload_tries, "SHORTEST_LIMIT", 0.0)
    tried = upload_tries.UploadTries(Descriptor("application/x", Digest.of(b""), 10 * 1024**3))
    for _ in range(3):
        body = tried.body(iter([b"some", b"more"]), tried.descriptor.size)
        next(body), next(body)
        tried.note_failure(ConnectionFailedError("reset"))
    error = RegistryUnavailableError("no", status=status, codes=codes)
    assert tried.refuses_chunks(error) is refuses
    tried.note_taken()
    assert not tried.refuses_chunks(error)


def test_a_chunk_that_is_cut_too_is_followed_by_smaller_ones(cut: ScriptedRegistry, make_store: MakeStore) -> None:
    cut.always("PUT", SESSION, Reply(201))
    cut.always("PATCH", SESSION, ACCEPTED)

    change_the_line(cut, after=2, longest=3 * 1024**2)
    assert make_store(cut.host).push_blob("app", blob(HUGE)) is BlobArrival.PUSHED
    assert max(len(sent.body) for sent in cut.asked("PATCH", SESSION)[1:]) < 3 * 1024**2


def test_that_a_blob_breaks_off_each_time_is_said_with_where_and_when(
    cut: ScriptedRegistry, make_store: MakeStore
) -> None:
    cut.always("PATCH", SESSION, Reply(405))
    cut.always("PUT", SESSION, Reply(201))
    with pytest.raises(UploadBrokeOffError, match=r"broke off after \d+ s at \d\d MiB of 32 MiB, 6 times: .* limit"):
        make_store(cut.host).push_blob("app", blob(HUGE))
    assert [len(sent.body) for sent in cut.asked("PUT", SESSION)] == [CUT_AT] * 6


def test_what_breaks_before_anything_of_a_blob_went_is_no_limit(cut: ScriptedRegistry, make_store: MakeStore) -> None:
    cut.always("PUT", SESSION, Reply(drop=True))
    cut.longest_body = None
    with pytest.raises(ConnectionFailedError):
        make_store(cut.host).push_blob("app", blob(HUGE))
    assert len(cut.asked("PUT", SESSION)) == 6
    error = ConnectionFailedError("reset")
    tried = upload_tries.UploadTries(blob(HUGE).descriptor)
    for _ in range(6):
        tried.body(iter([HUGE]), len(HUGE))
        tried.note_failure(error)
    assert (tried.is_cut, tried.as_limit(error)) == (False, None)


def test_a_blob_that_breaks_off_once_is_sent_whole_again(cut: ScriptedRegistry, make_store: MakeStore) -> None:
    change_the_line(cut, after=1)
    cut.always("PUT", SESSION, Reply(201))
    assert make_store(cut.host).push_blob("app", blob(HUGE)) is BlobArrival.PUSHED
    assert [len(sent.body) for sent in cut.asked("PUT", SESSION)] == [CUT_AT, len(HUGE)]


def test_a_blob_that_is_reset_at_once_is_sent_whole_again(
    cut: ScriptedRegistry, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No limit of a request's time is that short, and chunks for it would be very small, and very many."""
    monkeypatch.setattr(upload_tries, "SHORTEST_LIMIT", 600.0)
    cut.cut_bodies(300 * 1024)

    change_the_line(cut, after=2)
    cut.always("PUT", SESSION, Reply(201))
    assert make_store(cut.host).push_blob("app", blob(HUGE)) is BlobArrival.PUSHED
    assert [len(sent.body) for sent in cut.asked("PUT", SESSION)][2:] == [len(HUGE)]


def test_the_first_chunks_are_not_tiny_however_little_went_and_the_next_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upload_tries, "SHORTEST_LIMIT", 0.0)
    tried = upload_tries.UploadTries(Descriptor("application/x", Digest.of(b""), 10 * 1024**3))

    def broken_off() -> int:
        body = tried.body(iter([bytes(300 * 1024), b"more"]), tried.descriptor.size)
        next(body), next(body)
        tried.note_failure(ConnectionFailedError("reset"))
        return tried.too_long

    assert [broken_off() for _ in range(3)] == [sys.maxsize, 5 * 1024**2, 150 * 1024]


@pytest.mark.parametrize(
    "refusal", [*map(Reply, (502, 503, 504)), Reply(404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')]
)
def test_chunks_are_tried_again_where_the_answer_to_the_first_tells_of_the_moment(
    cut: ScriptedRegistry, make_store: MakeStore, refusal: Reply
) -> None:
    cut.expect("PATCH", SESSION, refusal)
    cut.always("PATCH", SESSION, ACCEPTED)
    cut.always("PUT", SESSION, Reply(201))
    assert make_store(cut.host).push_blob("app", blob(HUGE)) is BlobArrival.PUSHED
    assert [len(sent.body) for sent in cut.asked("PUT", SESSION)] == [CUT_AT, CUT_AT, 0]


def test_a_blob_that_breaks_off_at_its_beginning_sends_no_smaller_ones_in_chunks(
    cut: ScriptedRegistry, make_store: MakeStore
) -> None:
    cut.cut_bodies(1024**2)
    cut.always("PUT", SESSION, Reply(201))
    cut.always("PATCH", SESSION, ACCEPTED)

    change_the_line(cut, after=2)
    store = make_store(cut.host)
    for data in (HUGE, HUGE[: CUT_AT - 1]):
        assert store.push_blob("app", blob(data)) is BlobArrival.PUSHED
    assert [len(sent.body) for sent in cut.asked("PUT", SESSION)][2:] == [0, CUT_AT - 1]
