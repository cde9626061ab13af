"""What an S3 store says is told in one line, and what passes is waited for."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError, SSLError

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ConfigurationError,
    ContentNotFoundError,
    InterruptedRunError,
    InvalidLayoutError,
    LayoutliftError,
    SourceError,
    SourceReadError,
    SourceUnavailableError,
    SourceWriteError,
    StateError,
)
from tasks.stop import Stop
from tasks.stores.bucket import listing_end, s3_bucket, s3_client
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_bucket import ATTEMPTS, S3Bucket
from tasks.stores.bucket.s3_client import make_client
from tasks.stores.bucket.s3_errors import DeniedError, NotAdmittedError, UnwrittenError
from tasks.stores.bucket.s3_writing import KEYS_A_REQUEST, WritableS3Bucket
from tasks.stores.bucket.writable_bucket import BucketWriter
from tasks.stores.silence import LEAST_FAILURES
from tasks.stores.state.state_objects import StateObjects
from tests.support.scripted_registry import Reply, Request, ScriptedRegistry
from tests.support.scripted_s3 import (
    BLOB,
    BLOB_KEY,
    CONTENT,
    INDEX,
    MARKER,
    OpenBucket,
    always,
    content,
    open_scripted,
    page,
    refusal,
)

pytestmark = pytest.mark.usefixtures("environment")

XML = {"Content-Type": "application/xml"}


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (refusal("NoSuchKey", 404), ContentNotFoundError, "does not exist"),
        (refusal("AccessDenied", 403), SourceError, "access to .* is denied .*s3:GetObject"),
        (refusal("AccessDenied", 403, "not authorized to perform: kms:Decrypt"), SourceError, "KMS key"),
        (refusal("AccessDenied", 403, "User u/kms-reader is not authorized"), SourceError, "access to .* is denied"),
        (refusal("KMS.DisabledException", 400), SourceError, "KMS key"),
        (
            refusal("InvalidObjectState", 403, more="<StorageClass>GLACIER</StorageClass>"),
            SourceError,
            r"archived \(GLACIER\); restore it first",
        ),
        (refusal("InternalError", 500), SourceReadError, "for the moment"),
        (refusal("ExpiredToken", 400), SourceUnavailableError, "refuses the credentials"),
        (refusal("NoSuchBucket", 404), SourceUnavailableError, "^the bucket does not exist$"),
        (
            refusal("NoSuchBucket", 404, more="<BucketName>other</BucketName>"),
            SourceUnavailableError,
            "^the bucket other does not exist$",
        ),
        (
            refusal("NoSuchBucket", 404, "Bucket not found: kms-images"),
            SourceUnavailableError,
            "^the bucket does not exist$",
        ),
        (refusal("Strange", 400, "line\none"), SourceError, "Strange: line one"),
    ],
)
def test_a_refusal_is_told_as_what_it_is(
    script: ScriptedRegistry, bucket: OpenBucket, reply: Reply, error: type[LayoutliftError], words: str
) -> None:
    always(script, BLOB_KEY, reply)
    script.always("GET", "/bucket", page({BLOB_KEY.removeprefix("/bucket/"): CONTENT}))
    with pytest.raises(error, match=words) as raised:
        bucket().blob("app", BLOB).read()
    assert type(raised.value).code == error.code
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "reply",
    [refusal("NoSuchBucket", 404), refusal("AccessDenied", 403), refusal("InvalidAccessKeyId", 403)],
    ids=["no bucket", "denied", "no such key pair"],
)
def test_a_bucket_that_does_not_let_us_in_is_wrong_configuration(
    script: ScriptedRegistry, bucket: OpenBucket, reply: Reply
) -> None:
    always(script, "/bucket", reply)
    with pytest.raises(ConfigurationError, match="s3://bucket can't be listed"):
        bucket().list_layouts()


def test_a_bucket_that_is_elsewhere_wherever_it_is_asked_for_is_told_in_one_line(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    """Amazon says where; of who does not, the SDK asks in a circle."""
    always(script, "/bucket", refusal("PermanentRedirect", 301))
    script.always("HEAD", "/bucket", Reply(301))
    with pytest.raises(ConfigurationError, match=r"led elsewhere, .*; set AWS_REGION or --endpoint-url$"):
        bucket().list_layouts()


@pytest.mark.parametrize("code", ["SecondLevelDomainForbidden", "PathStyleDomainForbidden"])
def test_a_store_that_wants_the_bucket_in_its_host_s_name_is_told_with_what_helps(
    script: ScriptedRegistry, bucket: OpenBucket, code: str
) -> None:
    always(script, "/bucket", refusal(code, 403, "Please use virtual hosted style to access."))
    with pytest.raises(ConfigurationError, match=rf"{code}: .*; set addressing_style = virtual below s3 = in the"):
        bucket().list_layouts()


def test_without_credentials_one_line_says_so(
    environment: pytest.MonkeyPatch, script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    del script
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    with pytest.raises(ConfigurationError, match="no usable credentials for S3"):
        bucket().list_layouts()


def test_credentials_that_had_expired_when_they_came_are_told_in_one_line(
    environment: pytest.MonkeyPatch, script: ScriptedRegistry, bucket: OpenBucket, tmp_path: Path
) -> None:
    """As a clock that is wrong makes of good ones."""
    del script
    keys = {"AccessKeyId": "AKID", "SecretAccessKey": "a secret"}
    expired = {"Version": 1, "Expiration": "2020-01-01T00:00:00Z", **keys}
    (tmp_path / "told.json").write_text(json.dumps(expired))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/told.json\n")
    environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    with pytest.raises(ConfigurationError, match=r"no usable credentials for S3: .* expired"):
        bucket().list_layouts()


@pytest.fixture
def lent(environment: pytest.MonkeyPatch, script: ScriptedRegistry, tmp_path: Path) -> Reply:
    """Credentials as a job in the cloud gets them for a token: soon over, and so asked for anew at each use."""
    (tmp_path / "token").write_text("a token")
    environment.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    environment.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
    environment.setenv("AWS_ENDPOINT_URL_STS", script.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    keys = "<AccessKeyId>A</AccessKeyId><SecretAccessKey>B</SecretAccessKey><SessionToken>C</SessionToken>"
    credentials = f"<Credentials>{keys}<Expiration>{soon}</Expiration></Credentials>"
    body = f"<R><AssumeRoleWithWebIdentityResult>{credentials}</AssumeRoleWithWebIdentityResult></R>"
    return Reply(200, XML, body.encode())


def not_lent(code: str, status: int) -> Reply:
    return Reply(status, XML, f"<R><Error><Code>{code}</Code><Message>No.</Message></Error></R>".encode())


@pytest.mark.parametrize(
    ("code", "status"), [("ExpiredTokenException", 400), ("AccessDenied", 403)], ids=["token", "role"]
)
def test_credentials_that_can_not_be_renewed_in_mid_run_are_no_refusal_of_one_object(
    script: ScriptedRegistry, lent: Reply, code: str, status: int
) -> None:
    """As when the token has run out, or the role was taken away."""
    is_over = threading.Event()
    script.always("POST", "/", lambda _: not_lent(code, status) if is_over.is_set() else lent)
    always(script, "/bucket", page({"app/oci-layout": MARKER}))
    source = open_scripted(script)
    assert list(source.list_layouts()) == ["app"]
    is_over.set()
    with pytest.raises(NotAdmittedError, match=rf"^no usable credentials for S3: {code}: No") as told:
        source.blob("app", BLOB).read()
    assert "s3:GetObject" not in str(told.value)


def test_so_are_those_that_can_not_be_renewed_just_after_the_first_answer(
    script: ScriptedRegistry, lent: Reply
) -> None:
    def answer(_: Request) -> Reply:
        return not_lent("AccessDenied", 403) if script.asked("GET", "/bucket") else lent

    script.always("POST", "/", answer)
    always(script, "/bucket", page({"app/oci-layout": MARKER}))
    with pytest.raises(ConfigurationError, match="no usable credentials for S3: AccessDenied: No"):
        open_scripted(script).list_layouts()


@pytest.mark.parametrize(
    "said",
    [
        Reply(400, {}, b"Client sent an HTTP request to an HTTPS server.\n"),
        Reply(400, {"Content-Type": "text/html"}, b"<html>\r\n<head><title>The plain HTTP request\r\n</html>"),
    ],
    ids=["Go", "nginx"],
)
def test_an_endpoint_with_tls_that_is_asked_without_is_told(
    script: ScriptedRegistry, bucket: OpenBucket, said: Reply
) -> None:
    always(script, "/bucket", said)
    with pytest.raises(ConfigurationError, match=r"no S3 store .* http:// or https://\?$"):
        bucket().list_layouts()


def test_an_endpoint_without_tls_that_is_asked_with_it_is_told() -> None:
    plain = SSLError(endpoint_url="https://store", error="[SSL: WRONG_VERSION_NUMBER] wrong version number")
    with pytest.raises(SourceUnavailableError, match=r"does not answer: .* http:// or https://\?$"):
        answering(plain).stat("key")


def test_an_endpoint_that_never_answered_is_unavailable(bucket: OpenBucket, script: ScriptedRegistry) -> None:
    script.stop()
    with pytest.raises(SourceUnavailableError, match="endpoint does not answer") as raised:
        bucket().list_layouts()
    assert "\n" not in str(raised.value)


def test_a_store_that_asks_to_slow_down_is_asked_again_until_it_answers(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    slow = refusal("SlowDown", 503)
    script.expect("GET", "/bucket", slow, page({"app/index.json": INDEX, "app/oci-layout": MARKER}), page({}))
    script.expect("GET", BLOB_KEY, slow, slow, content(CONTENT))
    source = bucket()
    assert list(source.list_layouts()) == ["app"]
    assert source.blob("app", BLOB).read() == CONTENT


@pytest.mark.timeout(15)
def test_a_store_that_answers_again_is_read_as_fast_as_before(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    """The SDK's adaptive mode sees no read that goes well, and would leave two seconds between them for good."""
    slow = refusal("SlowDown", 503)
    script.expect("GET", BLOB_KEY, *[content(CONTENT)] * 20, *[slow] * 2, *[content(CONTENT)] * 20)
    source = bucket()
    for _ in range(40):
        assert source.blob("app", BLOB).read() == CONTENT


def answering(*answers: tuple[str, int] | Exception | None) -> S3Bucket:
    """A bucket whose client, in place of the SDK's, answers once each: a refusal, a failure, or an object."""
    waiting = iter(answers)

    def head_object(**_: object) -> dict[str, object]:
        if (answer := next(waiting)) is None:
            return {"ContentLength": 7, "LastModified": datetime.now(UTC)}
        if isinstance(answer, Exception):
            raise answer
        code, status = answer
        said = {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(said, "HeadObject")

    meta = SimpleNamespace(config=SimpleNamespace(signature_version="none"))
    client: Any = SimpleNamespace(head_object=head_object, meta=meta)
    return S3Bucket(client, "bucket", BucketAccess(), first_wait=0.001)


@pytest.mark.parametrize(("code", "status"), [("SlowDownRead", 503), ("NotReady", 503), ("Enough", 429)])
def test_a_store_may_have_a_word_of_its_own_for_it(code: str, status: int) -> None:
    assert answering(*[(code, status)] * (ATTEMPTS + 1), None).stat("key") is not None


def test_whoever_lends_credentials_may_ask_to_slow_down_too() -> None:
    said = {"Error": {"Code": "Throttling"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    assert answering(*[ClientError(said, "AssumeRole")] * (ATTEMPTS + 1), None).stat("key") is not None


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("ThrottlingException", 400)])
def test_a_store_whose_key_service_asks_to_slow_down_is_asked_again_until_it_answers(
    script: ScriptedRegistry, bucket: OpenBucket, code: str, status: int
) -> None:
    slow = refusal(code, status, "Please reduce your request rate for operations involving AWS KMS.")
    script.expect("GET", BLOB_KEY, *[slow] * (s3_client.ATTEMPTS + 1), content(CONTENT))
    assert bucket().blob("app", BLOB).read() == CONTENT


def test_a_key_service_that_fails_for_the_moment_is_no_key_that_is_refused(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    always(script, BLOB_KEY, refusal("InternalError", 500, "The KMS did not answer."))
    with pytest.raises(SourceReadError, match="for the moment"):
        bucket().blob("app", BLOB).read()


def test_being_told_to_slow_down_uses_up_no_attempt() -> None:
    slow, broken = ("SlowDown", 503), ("InternalError", 500)
    assert answering(*[slow] * ATTEMPTS, broken, slow, broken, None).stat("key") is not None
    with pytest.raises(SourceReadError, match="for the moment"):
        answering(*[slow] * ATTEMPTS, *[broken] * ATTEMPTS).stat("key")


def test_an_endpoint_that_is_away_for_a_moment_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A gateway that is started anew takes more than the second that a few attempts take."""
    away = EndpointConnectionError(endpoint_url="https://store")
    store = answering(None, *[away] * 3 * ATTEMPTS, None)
    assert [store.stat("key") is not None for _ in range(2)] == [True, True]
    said, last = caplog.messages
    assert "is away, and waited for, 300 s at most" in said
    assert "there again" in last
    monkeypatch.setattr(s3_bucket, "AWAY_SECONDS", 0.01)
    gone = answering(None, *[away] * 1000)
    assert gone.stat("key") is not None
    with pytest.raises(SourceUnavailableError, match="does not answer"):
        gone.stat("key")


def test_a_gateway_that_answers_for_a_store_that_is_started_anew_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One page of a long listing that fails throws away all of it."""
    store = answering(None, *[("502", 502), ("504", 504)] * 2 * ATTEMPTS, None)
    assert [store.stat("key") is not None for _ in range(2)] == [True, True]
    assert caplog.messages == [], "it may be of this one object alone"
    monkeypatch.setattr(s3_bucket, "AWAY_SECONDS", 0.01)
    gone = answering(None, *[("502", 502)] * 1000)
    assert gone.stat("key") is not None
    monkeypatch.setattr(s3_bucket, "TOLD_SECONDS", 0.0)
    with pytest.raises(SourceReadError, match=r"for the moment \(502: No.\)"):
        gone.stat("key")
    (said,) = caplog.messages
    assert re.fullmatch(r"the bucket is waited for since .* \(502: No.\)", said)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<hr><center>nginx</center>\r\n</html>\r\n",
        b'<!DOCTYPE html>\n<html lang="en"><head><title>Bad gateway</title></head></html>',
        b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>Bad gateway</h1></body></html>',
    ],
    ids=["nothing", "nginx", "HTML", "XHTML"],
)
def test_so_is_one_whatever_its_page_looks_like(
    script: ScriptedRegistry, bucket: OpenBucket, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """Of a page that can be read as XML the SDK says that it has a code, and that this is empty."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)  # between the SDK's own attempts
    always(script, "/bucket", page({"app/oci-layout": MARKER}))
    down = Reply(502, {"Content-Type": "text/html"}, said)
    script.expect("GET", BLOB_KEY, *[down] * (1 + ATTEMPTS * (1 + s3_client.ATTEMPTS)), content(CONTENT))
    source = bucket()
    assert list(source.list_layouts()) == ["app"]
    assert source.blob("app", BLOB).read() == CONTENT


def test_an_answer_without_a_code_is_told_by_its_status() -> None:
    with pytest.raises(SourceReadError, match=r"for the moment \(502: No.\)$"):
        answering(*[("", 502)] * ATTEMPTS).stat("key")


@pytest.mark.parametrize("said", [("InternalError", 502), ("500", 500)])
def test_a_store_that_fails_by_its_own_word_is_not_and_nor_is_a_gateway_behind_which_none_ever_answered(
    said: tuple[str, int],
) -> None:
    with pytest.raises(SourceReadError):
        answering(*[("502", 502)] * ATTEMPTS).stat("key")
    store = answering(None, *[said] * ATTEMPTS)
    assert store.stat("key") is not None
    with pytest.raises(SourceReadError):
        store.stat("key")


@pytest.mark.parametrize(("code", "status"), [("InternalError", 500), ("SlowDown", 503)])
def test_a_store_that_gives_nothing_any_more_is_given_up_and_not_asked_for_each_object(
    monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    """As when what stands before it answers in its place."""
    monkeypatch.setattr(s3_bucket, "SILENT_SECONDS", 0.0)
    monkeypatch.setattr(s3_bucket, "THROTTLED_SECONDS", 0.0)
    each = 1 if status == 503 else ATTEMPTS
    store = answering(None, *[(code, status)] * each * (LEAST_FAILURES - 1), None, *[(code, status)] * each * 9)
    assert store.stat("key") is not None
    for _ in range(LEAST_FAILURES - 1):
        with pytest.raises(SourceReadError):
            store.stat("key")
    assert store.stat("key") is not None, "which shows that it is there"
    for _ in range(LEAST_FAILURES - 1):
        with pytest.raises(SourceReadError):
            store.stat("key")
    with pytest.raises(SourceUnavailableError, match="gave nothing"):
        store.stat("key")


def test_a_store_that_lets_nothing_through_for_long_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slow = ("SlowDown", 503)
    assert answering(*[slow] * 9, None).stat("key") is not None
    assert caplog.messages == [], "a moment's patience is nothing to tell"
    monkeypatch.setattr(s3_bucket, "TOLD_SECONDS", 0.0)
    assert answering(*[slow] * 9, None).stat("key") is not None
    (said,) = caplog.messages
    assert re.fullmatch(
        r"the bucket is waited for since .* the store asks to slow down at key \(SlowDown: No.\)", said
    )


def test_an_endpoint_that_takes_requests_and_never_answers_is_said_so_and_asked_no_more_than_by_the_sdk(
    script: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)  # between the SDK's own attempts
    always(script, "/bucket", Reply(deaf=True, silent=True))
    access = BucketAccess(endpoint_url=script.url)
    store = S3Bucket(make_client(access, 0.1), "bucket", access, first_wait=0.001)
    with pytest.raises(SourceReadError, match="is that the address of an S3 store"):
        list(store.list_objects(""))
    assert len(script.requests) == s3_client.ATTEMPTS
    assert caplog.messages == ["the S3 endpoint has not answered for 0 s, and is asked again"]


def test_an_object_that_does_not_come_from_a_store_that_answers_is_asked_for_again() -> None:
    silent = ReadTimeoutError(endpoint_url="https://store")
    store = answering(None, silent, silent, None)
    assert [store.stat("key") is not None for _ in range(2)] == [True, True]


def test_a_handshake_that_breaks_is_not_taken_for_a_certificate() -> None:
    broken = SSLError(endpoint_url="https://store", error="[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred")
    store = answering(None, broken, broken, None)
    assert [store.stat("key") is not None for _ in range(2)] == [True, True]
    untrusted = SSLError(endpoint_url="https://store", error="[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")
    with pytest.raises(SourceUnavailableError, match=r"not trusted .*AWS_CA_BUNDLE"):
        answering(untrusted).stat("key")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", "renew it"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid", "clock"),
        ("hostname 's3.example' doesn't match 'elsewhere.example'", "of another host"),
        ("no appropriate subjectAltName fields were found", "names no host"),
    ],
    ids=["expired", "not yet valid", "of another host", "of no host"],
)
def test_a_certificate_that_is_no_good_is_told_with_what_helps(said: str, hint: str) -> None:
    """Whole, however long the address is that was asked; and not waited for, as an endpoint that is away is."""
    untrusted = SSLError(endpoint_url=f"https://store/{'long' * 50}", error=said)
    store = answering(None, untrusted)
    store.stat("key")
    with pytest.raises(NotAdmittedError, match=re.escape(f"({said}); ")) as told:
        store.stat("key")
    assert hint in str(told.value)
    assert "AWS_CA_BUNDLE" not in str(told.value)


def test_an_endpoint_without_tls_is_told_as_openssl_has_it_since_3_2() -> None:
    plain = SSLError(endpoint_url="https://store", error="[SSL] record layer failure (_ssl.c:1033)")
    with pytest.raises(SourceUnavailableError, match=r"does not answer: .* http:// or https://\?$"):
        answering(plain).stat("key")


def test_waiting_for_a_store_that_stays_slow_ends_with_the_run(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    always(script, BLOB_KEY, refusal("SlowDown", 503))
    stop = Stop()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(InterruptedRunError):
        bucket(stop=stop).blob("app", BLOB).read()


def test_a_body_that_is_cut_off_is_read_on_from_there(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    cut = Reply(200, {"ETag": '"1"', "Content-Length": "7"}, CONTENT, cut=3)
    rest = Reply(206, {"ETag": '"1"', "Content-Range": "bytes 3-6/7"}, CONTENT[3:])
    script.expect("GET", BLOB_KEY, cut, rest)
    assert bucket().blob("app", BLOB).read() == CONTENT
    assert script.requests[1].headers["range"] == "bytes=3-6"


def test_a_body_that_goes_on_as_another_object_is_refused(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    script.expect("GET", BLOB_KEY, Reply(200, {"ETag": '"1"', "Content-Length": "7"}, CONTENT, cut=3))
    always(script, BLOB_KEY, Reply(206, {"ETag": '"2"', "Content-Range": "bytes 3-6/7"}, CONTENT[3:]))
    with pytest.raises(SourceReadError, match="changed while it was read"):
        bucket().blob("app", BLOB).read()
    assert len(script.requests) == 2, "to ask again is of no use"


NO_LISTINGS = [
    b"",
    b'<html xmlns="http://www.w3.org/1999/xhtml"><body>Please log in</body></html>',
    b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
]


@pytest.mark.parametrize("body", NO_LISTINGS, ids=["nothing", "a page to log in at", "no way on"])
def test_what_is_no_whole_listing_is_not_taken_for_one_of_nothing(
    script: ScriptedRegistry, bucket: OpenBucket, body: bytes
) -> None:
    script.always("GET", "/bucket", Reply(200, XML, body))
    with pytest.raises(LayoutliftError, match="listing"):
        bucket().list_layouts()
    objects = StateObjects(make_client(BucketAccess(script.url)), BucketAddress("bucket", ""), Stop(), patience=0)
    with pytest.raises(StateError, match="listing"):
        list(objects.names(""))


PAGES = [
    pytest.param(b'<!doctype html><html lang="en"><head><meta charset="utf-8"></head></html>', id="console"),
    pytest.param(b"<html>&nbsp;</html>", id="old page"),
    pytest.param(b'{"ok": true}', id="other service"),
    pytest.param(NO_LISTINGS[0], id="nothing"),
    pytest.param(NO_LISTINGS[1], id="a page to log in at"),
]


@pytest.mark.parametrize("status", [200, 203])
@pytest.mark.parametrize("body", PAGES)
def test_an_endpoint_that_is_none_of_s3_is_wrong_configuration_and_no_failure_of_a_store(
    script: ScriptedRegistry, bucket: OpenBucket, body: bytes, status: int
) -> None:
    """As the address of a store's console is, beside that of the store."""
    script.always("GET", "/bucket", Reply(status, {"Content-Type": "text/html"}, body))
    with pytest.raises(
        ConfigurationError, match=r"is no (S3 store|listing); is the endpoint's address right"
    ) as raised:
        bucket().list_layouts()
    assert "<" not in str(raised.value)
    assert "500" not in str(raised.value)
    assert len(script.requests) <= s3_client.ATTEMPTS
    objects = StateObjects(make_client(BucketAccess(script.url)), BucketAddress("bucket", ""), Stop())
    with pytest.raises(StateError, match=r"is no (S3 store|listing); "):
        list(objects.names(""))


@pytest.mark.parametrize("status", [200, 203])
@pytest.mark.parametrize("body", PAGES)
def test_what_something_on_the_way_says_once_in_mid_run_is_asked_again(
    script: ScriptedRegistry, bucket: OpenBucket, body: bytes, status: int
) -> None:
    whole = page({"app/index.json": INDEX, "app/oci-layout": MARKER})
    script.expect("GET", "/bucket", whole, Reply(status, {"Content-Type": "text/html"}, body))
    script.always("GET", "/bucket", whole)
    source = bucket()
    assert [list(source.list_layouts()) for _ in range(2)] == [["app"], ["app"]]


def test_what_the_store_says_is_not_there_has_been_removed_from_the_state(script: ScriptedRegistry) -> None:
    """As some do, at the second attempt of a deletion whose answer was lost."""
    script.always("DELETE", "/bucket/gone", refusal("NoSuchKey", 404))
    StateObjects(make_client(BucketAccess(script.url)), BucketAddress("bucket", ""), Stop()).delete("gone")


def test_a_listing_that_does_not_say_that_it_ends_is_one_all_the_same(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    """Some small servers leave `IsTruncated` out where it would say no."""
    whole = page({"app/oci-layout": MARKER})
    body = whole.body.replace(b"<IsTruncated>false</IsTruncated>", b"")
    assert body != whole.body
    script.always("GET", "/bucket", Reply(200, XML, body))
    assert list(bucket().list_layouts()) == ["app"]


def test_a_store_that_answers_as_the_older_listing_does_is_told_with_the_way_that_is_left(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    body = page({"app/oci-layout": MARKER}).body.replace(b">false<", b">true<")
    script.always(
        "GET", "/bucket", Reply(200, XML, body.replace(b"<Contents>", b"<NextMarker>a</NextMarker><Contents>"))
    )
    with pytest.raises(ConfigurationError, match=r"does not go on .* only the older listing: mount the bucket"):
        bucket().list_layouts()


@pytest.mark.parametrize("ends", [1, 2, 3])
def test_a_listing_that_is_said_to_end_too_early_is_read_to_its_end(
    script: ScriptedRegistry, bucket: OpenBucket, caplog: pytest.LogCaptureFixture, ends: int
) -> None:
    """As some releases of RustFS and SeaweedFS end them."""
    keys = [f"{name}/oci-layout" for name in "abcd"]

    def answer(request: Request) -> Reply:
        after = request.query.get("start-after", [""])[0]
        return page(dict.fromkeys([each for each in keys if each > after][:ends], MARKER))

    script.always("GET", "/bucket", answer)
    assert list(bucket().list_layouts()) == list("abcd")
    (told,) = caplog.messages
    assert told.startswith(f"the listing of s3://bucket ended at {keys[ends - 1]}, and had more: ")


def test_a_listing_that_ends_too_early_of_what_was_just_written_is_read_to_its_end_all_the_same(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    now = datetime.now(UTC).isoformat().encode()
    keys = iter(range(3 * listing_end.ROUNDS * 100))

    def answer(_: Request) -> Reply:
        whole = page({f"{key:05}/oci-layout": MARKER for key in islice(keys, 100)})
        return replace(whole, body=whole.body.replace(b"2026-01-01T00:00:00Z", now))

    script.always("GET", "/bucket", answer)
    assert len(list(bucket().list_layouts())) == 3 * listing_end.ROUNDS * 100


@pytest.mark.parametrize("minutes_ago", [0, 5])
def test_a_listing_to_which_somebody_adds_for_ever_comes_to_an_end(
    script: ScriptedRegistry, bucket: OpenBucket, caplog: pytest.LogCaptureFixture, minutes_ago: int
) -> None:
    """As one who writes a key with the time in its name, again and again; what was there before is all read."""
    written = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    keys = iter(range(40))

    def answer(_: Request) -> Reply:
        whole = page({f"{key:03}/oci-layout": MARKER for key in islice(keys, 1)})
        return replace(whole, body=whole.body.replace(b"2026-01-01T00:00:00Z", written.isoformat().encode()))

    script.always("GET", "/bucket", answer)
    found = len(list(bucket().list_layouts()))
    if minutes_ago:
        assert (found, len(caplog.messages)) == (40, 1)
    else:
        assert found == 1 + listing_end.ROUNDS
        assert caplog.messages[-1].startswith(f"the listing of s3://bucket is read no further than {found - 1:03}/")


@pytest.mark.parametrize(
    "keys",
    [["app", "lib", "web"], ["web", "lib", "app"], ["lib", "web", "app"]],
    ids=["in order", "last first", "mixed"],
)
@pytest.mark.parametrize("knows_no_such", [True, False])
def test_a_store_that_does_not_know_from_where_to_list_is_believed(
    script: ScriptedRegistry,
    bucket: OpenBucket,
    caplog: pytest.LogCaptureFixture,
    keys: list[str],
    knows_no_such: bool,
) -> None:
    """As directory buckets don't, which list in no order, and R2 is said not to."""
    whole = page(dict.fromkeys([f"{key}/oci-layout" for key in keys], MARKER))
    script.expect("GET", "/bucket", whole)
    script.always("GET", "/bucket", refusal("NotImplemented", 501) if knows_no_such else whole)
    assert list(bucket().list_layouts()) == ["app", "lib", "web"]
    assert [request.query.get("start-after") for request in script.requests][1:] == [[f"{keys[-1]}/oci-layout"]]
    assert not caplog.messages


def test_a_bucket_that_goes_away_at_the_end_of_its_listing_is_not_taken_for_all_of_it(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    script.expect("GET", "/bucket", page({"app/oci-layout": MARKER}))
    script.always("GET", "/bucket", refusal("InternalError", 500))
    with pytest.raises(SourceUnavailableError, match="can't be listed"):
        bucket().list_layouts()


def test_versions_and_uploads_whose_listing_does_not_go_on_are_told_so(script: ScriptedRegistry) -> None:
    settings = BucketAccess(script.url)
    store = WritableS3Bucket(make_client(settings), "bucket", settings, first_wait=0.001)
    script.always("GET", "/bucket", Reply(200, XML, b"<Result><IsTruncated>true</IsTruncated></Result>"))
    with pytest.raises(SourceError, match="does not go on"):
        list(store.list_versions("app"))
    with pytest.raises(SourceError, match="does not go on"):
        list(store.list_uploads("app"))
    again = b"<Result><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker></Result>"
    script.always("GET", "/bucket", Reply(200, XML, again))
    with pytest.raises(SourceError, match="does not go on"):
        list(store.list_versions("app"))


def test_a_listing_that_leads_back_to_where_it_was_is_told_so(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    for token in "abcabc":
        script.expect("GET", "/bucket", page({"app/oci-layout": MARKER}, more=token))
    with pytest.raises(ConfigurationError, match="does not go on where it was cut off"):
        bucket().list_layouts()
    asked = [request.query.get("continuation-token") for request in script.requests]
    assert asked == [None, *([token] for token in "abcab")]


@pytest.mark.parametrize(
    "said", ["<Size>many</Size>", f"<Size>{'9' * 5_000}</Size>", "<LastModified>soon</LastModified>"]
)
def test_a_listing_with_a_number_or_time_that_is_none_is_told_in_one_line(
    script: ScriptedRegistry, bucket: OpenBucket, said: str
) -> None:
    whole, name = page({"app/oci-layout": MARKER}), said.partition(">")[0].removeprefix("<")
    body = re.sub(rf"<{name}>.*?</{name}>", said, whole.body.decode()).encode()
    always(script, "/bucket", replace(whole, body=body))
    with pytest.raises(ConfigurationError, match="what the store says of bucket can't be read") as raised:
        bucket().list_layouts()
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("lacking", ["Size", "LastModified", "Key"])
def test_a_listing_that_leaves_out_what_is_needed_of_an_object_is_told_in_a_line(
    script: ScriptedRegistry, bucket: OpenBucket, lacking: str
) -> None:
    whole = page({"app/oci-layout": MARKER})
    cut = re.sub(rf"<{lacking}>.*?</{lacking}>", "", whole.body.decode()).encode()
    script.always("GET", "/bucket", replace(whole, body=cut))
    with pytest.raises(ConfigurationError, match=rf"a listing of bucket has .* without {lacking}") as raised:
        bucket().list_layouts()
    assert "\n" not in str(raised.value)


def test_the_mark_of_a_folder_of_which_a_listing_says_no_more_than_its_name_is_no_object(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    """As S3Proxy lists it over a file system."""
    whole = page({"team/app/oci-layout": MARKER})
    body = whole.body.replace(b"<Contents>", b"<Contents><Key>team/</Key></Contents><Contents>", 1)
    script.always("GET", "/bucket", replace(whole, body=body))
    assert list(bucket().list_layouts()) == ["team/app"]


def test_listings_of_versions_uploads_and_state_without_names_are_told_so(script: ScriptedRegistry) -> None:
    settings = BucketAccess(script.url)
    store = WritableS3Bucket(make_client(settings), "bucket", settings, first_wait=0.001)
    objects = StateObjects(make_client(settings), BucketAddress("bucket", ""), Stop(), patience=0)
    for kind, names, error in (
        ("Version", lambda: store.list_versions("app"), SourceError),
        ("DeleteMarker", lambda: store.list_versions("app"), SourceError),
        ("Upload", lambda: store.list_uploads("app"), SourceError),
        ("Contents", lambda: objects.names(""), StateError),
    ):
        body = f"<Result><IsTruncated>false</IsTruncated><{kind}><Size>1</Size></{kind}></Result>"
        script.always("GET", "/bucket", Reply(200, XML, body.encode()))
        with pytest.raises(error, match="an object without Key"):
            list(names())


def test_a_store_without_etags_is_not_written_to(script: ScriptedRegistry) -> None:
    settings = BucketAccess(script.url)
    script.always("PUT", "/bucket/key", Reply())
    store = WritableS3Bucket(make_client(settings), "bucket", settings, first_wait=0.001)
    with pytest.raises(SourceWriteError, match="no ETag"):
        store.put("key", b"1")
    objects = StateObjects(make_client(settings), BucketAddress("bucket", ""), Stop(), patience=0)
    with pytest.raises(StateError, match="no ETag"):
        objects.put("key", b"1")


def test_a_store_that_does_not_say_how_old_a_blob_is_is_told_so(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    script.always("GET", "/bucket", page({}))
    script.always("HEAD", BLOB_KEY, Reply(200, {"Content-Length": "7"}))
    with pytest.raises(SourceError, match="how old"):
        bucket().stat_blob("app", BLOB.digest)


def test_a_store_that_does_not_say_how_old_the_state_is_is_told_so(script: ScriptedRegistry) -> None:
    script.always("GET", "/bucket/key", Reply(200, {"ETag": '"a"'}, b"1"))
    objects = StateObjects(make_client(BucketAccess(script.url)), BucketAddress("bucket", ""), Stop(), patience=0)
    with pytest.raises(StateError, match="how old key is"):
        objects.get("key")


def test_a_prefix_that_is_not_in_utf_8_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="UTF-8"):
        BucketAddress.parse("s3://bucket/\udcff")
    assert BucketAddress.parse("s3://bucket/\U0001f600").prefix == "\U0001f600/"


@pytest.mark.parametrize("span", ["bytes */9", "bytes x-y/z", "bytes 5-38/100", "bytes 0-33/100"])
def test_an_answer_that_is_not_all_of_a_small_file_is_no_file(
    script: ScriptedRegistry, bucket: OpenBucket, span: str
) -> None:
    script.always("GET", "/bucket/app/oci-layout", content(MARKER))
    script.always("GET", "/bucket/app/index.json", Reply(206, {"ETag": '"a"', "Content-Range": span}, INDEX))
    with pytest.raises(SourceError):
        bucket().read_index("app")


def test_the_requester_pays_where_told_to(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    always(script, "/bucket", page({"app/oci-layout": MARKER}))
    always(script, BLOB_KEY, content(CONTENT))
    source = bucket(request_payer=True)
    source.list_layouts()
    source.blob("app", BLOB).read()
    assert {request.headers["x-amz-request-payer"] for request in script.requests} == {"requester"}


@pytest.mark.parametrize(
    ("listed", "is_absent"),
    [
        ({}, True),
        ({"app/oci-layout.bak": MARKER, f"{BLOB_KEY[8:]}.bak": CONTENT}, True),
        ({"app/oci-layout": MARKER, BLOB_KEY[8:]: CONTENT}, False),
    ],
)
@pytest.mark.parametrize("what", ["index", "blob", "size"])
def test_what_is_denied_and_not_listed_is_not_there(
    script: ScriptedRegistry, bucket: OpenBucket, listed: dict[str, bytes], is_absent: bool, what: str
) -> None:
    """Amazon says so of what is absent to whoever may list no more than what is below a prefix."""
    key = "app/oci-layout" if what == "index" else BLOB_KEY.removeprefix("/bucket/")
    always(script, f"/bucket/{key}", refusal("AccessDenied", 403))
    script.always("HEAD", f"/bucket/{key}", Reply(403))

    def answer(request: Request) -> Reply:
        """Without what a listing of all blobs of the layout has."""
        prefix = request.query["prefix"][0]
        return page({each: raw for each, raw in listed.items() if each.startswith(prefix) and prefix.startswith(key)})

    script.always("GET", "/bucket", answer)
    source = bucket()
    if what == "size" and is_absent:
        assert source.stat_blob("app", BLOB.digest) is None
    else:
        absent = InvalidLayoutError if what == "index" else ContentNotFoundError
        with pytest.raises(absent if is_absent else DeniedError):
            {
                "index": lambda: source.read_index("app"),
                "blob": lambda: source.blob("app", BLOB).read(),
                "size": lambda: source.stat_blob("app", BLOB.digest),
            }[what]()
    assert script.asked("GET", "/bucket")[-1].query["prefix"] == [key]


def test_a_bucket_that_is_open_to_everybody_is_sent_no_credentials(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    always(script, "/bucket", page({"app/oci-layout": MARKER}))
    always(script, "/bucket/app/index.json", content(INDEX))
    always(script, BLOB_KEY, content(CONTENT))
    source = bucket(anonymous=True)
    source.list_layouts()
    source.read_index("app")
    source.blob("app", BLOB).read()
    assert len(script.requests) == 4
    for request in script.requests:
        assert "authorization" not in request.headers
        assert "X-Amz-Signature" not in request.query


def test_a_bucket_that_everybody_may_read_and_not_list_is_named_as_that(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    always(script, "/bucket", refusal("AccessDenied", 403))
    with pytest.raises(ConfigurationError, match=r"denied .* to whoever sends no credentials, as --no-sign-request"):
        bucket(anonymous=True).list_layouts()
    with pytest.raises(ConfigurationError, match="s3:ListBucket"):
        bucket().list_layouts()


def test_the_requester_pays_for_what_a_cleanup_looks_at_too(script: ScriptedRegistry) -> None:
    settings = BucketAccess(endpoint_url=script.url, request_payer=True)
    store = WritableS3Bucket(make_client(settings), "bucket", settings)
    for act in (store.list_uploads, store.list_versions):
        always(script, "/bucket", Reply(200, {}, b"<Result><IsTruncated>false</IsTruncated></Result>"))
        assert list(act("")) == []
    assert [request.headers.get("x-amz-request-payer") for request in script.requests] == ["requester"] * 2


def range_of(content: bytes, request: Request) -> Reply:
    """What a store gives of an object where a part of it is asked for."""
    start, stop = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
    headers = {"ETag": '"1"', "Content-Range": f"bytes {start}-{stop}/{len(content)}"}
    return Reply(206, headers, content[start : stop + 1])


def read_as_parts(
    script: ScriptedRegistry, bucket: OpenBucket, content: bytes, answer: Callable[[Request], Reply]
) -> int:
    """How many bytes come of a blob whose parts are answered so."""
    blob = Descriptor(BLOB.media_type, Digest.of(content), len(content))
    script.always("GET", f"/bucket/app/blobs/sha256/{blob.digest.encoded}", answer)
    with bucket().blob("app", blob).chunks() as chunks:
        return sum(len(chunk) for chunk in chunks)


def test_ranges_of_a_large_blob_are_asked_for_beside_each_other(script: ScriptedRegistry, bucket: OpenBucket) -> None:
    large = bytes(20 * 1024 * 1024)
    together = threading.Barrier(2)

    def part(request: Request) -> Reply:
        if not request.headers["range"].startswith("bytes=0-"):
            together.wait(10)
        return range_of(large, request)

    assert read_as_parts(script, bucket, large, part) == len(large)
    assert len(script.requests) == 3


def test_a_store_that_takes_no_condition_for_met_gives_a_large_blob(
    script: ScriptedRegistry, bucket: OpenBucket
) -> None:
    """As some releases of SeaweedFS: nothing is asked for under one, and what comes is compared."""
    large = bytes(20 * 1024 * 1024)

    def part(request: Request) -> Reply:
        if "if-match" in request.headers:
            return refusal("PreconditionFailed", 412)
        return range_of(large, request)

    assert read_as_parts(script, bucket, large, part) == len(large)


def test_a_write_that_is_denied_asks_for_what_a_write_needs(script: ScriptedRegistry) -> None:
    settings = BucketAccess(endpoint_url=script.url)
    store = WritableS3Bucket(make_client(settings), "bucket", settings)
    script.always("PUT", BLOB_KEY, refusal("AccessDenied", 403))
    with pytest.raises(SourceWriteError, match="s3:PutObject") as raised:
        store.put(BLOB_KEY.removeprefix("/bucket/"), b"")
    assert "s3:GetObject" not in str(raised.value)


@pytest.mark.parametrize(
    ("code", "status", "may_succeed_later"),
    [("InternalError", 500, True), ("NotImplemented", 501, False)],
)
def test_a_store_that_fails_at_a_write_is_told_from_one_that_does_not_know_it(
    code: str, status: int, may_succeed_later: bool, script: ScriptedRegistry
) -> None:
    settings = BucketAccess(endpoint_url=script.url)
    store = WritableS3Bucket(make_client(settings), "bucket", settings, first_wait=0.001)
    script.always("PUT", BLOB_KEY, refusal(code, status))
    with pytest.raises(SourceWriteError, match=code) as raised:
        store.put(BLOB_KEY.removeprefix("/bucket/"), b"")
    assert isinstance(raised.value, UnwrittenError) is may_succeed_later


@pytest.mark.parametrize("said", [refusal("NotImplemented", 501), refusal("MethodNotAllowed", 405), Reply(501)])
def test_a_store_that_does_not_know_versions_keeps_none(script: ScriptedRegistry, said: Reply) -> None:
    settings = BucketAccess(endpoint_url=script.url)
    store = WritableS3Bucket(make_client(settings), "bucket", settings, first_wait=0.001)
    script.always("GET", "/bucket", said)
    assert not store.keeps_versions()
    script.always("GET", "/bucket", refusal("AccessDenied", 403, "NotImplemented is the name of a user."))
    with pytest.raises(SourceError, match="denied"):
        store.keeps_versions()


@pytest.mark.parametrize(("status", "keeps"), [("Enabled", True), ("Suspended", False)])
def test_a_bucket_that_keeps_versions_no_more_is_told_to_hold_the_space_of_those_of_before(
    script: ScriptedRegistry, caplog: pytest.LogCaptureFixture, status: str, keeps: bool
) -> None:
    settings = BucketAccess(endpoint_url=script.url)
    writer = BucketWriter(WritableS3Bucket(make_client(settings), "bucket", settings), BucketAddress("bucket", ""))
    script.expect("GET", "/bucket", Reply(200, XML, f"<R><Status>{status}</Status></R>".encode()))
    assert [writer.keeps_versions for _ in range(2)] == [keeps] * 2
    assert len(caplog.messages) == (not keeps)
    assert all("lifecycle rule" in said for said in caplog.messages)


def left(*codes: str, message: str = "") -> Reply:
    """What is said of a deletion of which keys were left, one for each code."""
    rows = (
        f"<Error><Key>key {number}</Key><Code>{code}</Code><Message>{message}</Message></Error>"
        for number, code in enumerate(codes)
    )
    body = f"<DeleteResult>{''.join(rows)}</DeleteResult>"
    return Reply(200, {"Content-Type": "application/xml"}, body.encode())


@pytest.mark.parametrize(("code", "may_succeed_later"), [("InternalError", True), ("AccessDenied", False)])
def test_so_is_a_key_that_a_deletion_leaves(code: str, may_succeed_later: bool, script: ScriptedRegistry) -> None:
    settings = BucketAccess(endpoint_url=script.url)
    store = WritableS3Bucket(make_client(settings), "bucket", settings)
    script.always("POST", "/bucket", left(code))
    with pytest.raises(SourceWriteError, match=code) as raised:
        store.delete_unchanged({"key 0": "etag"})
    assert isinstance(raised.value, UnwrittenError) is may_succeed_later


def test_a_deletion_has_the_checksum_without_which_older_stores_delete_nothing(script: ScriptedRegistry) -> None:
    settings = BucketAccess(endpoint_url=script.url)
    store = WritableS3Bucket(make_client(settings), "bucket", settings)
    script.expect("POST", "/bucket", left())
    store.delete(["a key"])
    (asked,) = script.asked("POST", "/bucket")
    of_body = hashlib.md5(asked.body, usedforsecurity=False).digest()
    assert asked.headers["content-md5"] == base64.b64encode(of_body).decode()
    assert "content-md5" in asked.headers["authorization"], "it is signed"


def test_what_is_written_has_the_checksum_without_which_amazon_takes_nothing_where_objects_are_locked_by_default(
    script: ScriptedRegistry, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    settings = BucketAccess(endpoint_url=script.url)
    objects = StateObjects(make_client(settings), BucketAddress("bucket", ""), Stop(), patience=0)
    script.always("PUT", BLOB_KEY, Reply(200, {"ETag": '"1"'}))
    key = BLOB_KEY.removeprefix("/bucket/")
    WritableS3Bucket(make_client(settings), "bucket", settings).put(key, CONTENT)
    objects.put(key, CONTENT)
    with (tmp_path / "file").open("rb") as file:
        objects.put(key, file)
    of_body = base64.b64encode(hashlib.md5(CONTENT, usedforsecurity=False).digest()).decode()
    assert [request.body for request in script.requests] == [CONTENT] * 3
    assert [request.headers["content-md5"] for request in script.requests] == [of_body] * 3
    assert all("content-md5" in request.headers["authorization"] for request in script.requests), "it is signed"


def test_why_a_key_is_left_is_told_in_the_words_of_the_store(script: ScriptedRegistry) -> None:
    """A lock and a right that lacks have one code."""
    settings = BucketAccess(endpoint_url=script.url)
    store = WritableS3Bucket(make_client(settings), "bucket", settings)
    script.always("POST", "/bucket", left("AccessDenied", message="object protected\nby object lock."))
    with pytest.raises(SourceWriteError, match=r"\(AccessDenied: object protected by object lock\.\)$"):
        store.delete(["key 0"])


@pytest.mark.parametrize(
    ("method", "path", "ask", "right"),
    [
        ("GET", "/bucket", lambda store: list(store.list_uploads("app")), "s3:ListBucketMultipartUploads"),
        ("GET", "/bucket", lambda store: list(store.list_versions("app")), "s3:ListBucketVersions"),
        ("GET", "/bucket", lambda store: store.keeps_versions(), "s3:GetBucketVersioning"),
        ("DELETE", "/bucket/app", lambda store: store.abort_upload("app", "1"), "s3:AbortMultipartUpload"),
        ("POST", "/bucket", lambda store: store.delete(["app"]), "s3:DeleteObject"),
        ("POST", "/bucket", lambda store: store.delete([("app", "1")]), "s3:DeleteObjectVersion"),
    ],
)
def test_the_right_that_a_cleanup_lacks_is_named_and_none_that_it_has(
    script: ScriptedRegistry, method: str, path: str, ask: Callable[[WritableS3Bucket], object], right: str
) -> None:
    """Most stores say no more than that access is denied."""
    settings = BucketAccess(endpoint_url=script.url)
    store = WritableS3Bucket(make_client(settings), "bucket", settings)
    script.always(method, path, refusal("AccessDenied", 403, "Access Denied."))
    with pytest.raises(SourceError, match=rf"denied \(AccessDenied: Access Denied\.\); .*{right}\b") as raised:
        ask(store)
    assert not any(right in str(raised.value) for right in ("s3:GetObject", "s3:ListBucket ", "s3:PutObject"))


def test_keys_that_can_not_be_deleted_keep_no_others_from_it(script: ScriptedRegistry) -> None:
    settings = BucketAccess(endpoint_url=script.url)
    store = WritableS3Bucket(make_client(settings), "bucket", settings)
    script.expect("POST", "/bucket", left("AccessDenied", "NoSuchKey", "AccessDenied"), left("AccessDenied"), left())
    with pytest.raises(SourceWriteError, match=r"^key 0 was not deleted \(AccessDenied\), and 2 more$"):
        store.delete([f"key {number}" for number in range(2 * KEYS_A_REQUEST + 1)])
    assert len(script.asked("POST", "/bucket")) == 3
    script.expect("POST", "/bucket", left("PreconditionFailed", "AccessDenied"), left())
    with pytest.raises(SourceWriteError, match=r"^key 1 was not deleted \(AccessDenied\)$"):
        store.delete_unchanged({f"key {number}": "etag" for number in range(KEYS_A_REQUEST + 1)})
    assert len(script.asked("POST", "/bucket")) == 5
