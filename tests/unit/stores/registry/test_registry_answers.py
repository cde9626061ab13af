"""What a registry answered becomes the exception that says what to do."""

import json
import time
from collections.abc import Callable
from email.utils import formatdate
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci import errors
from tasks.registry_ports import Deletion
from tasks.stores.hidden_secrets import remember
from tasks.stores.registry.push_answers import manifest_error_of, opening_error_of, upload_error_of
from tasks.stores.registry.registry_answers import (
    MAX_REFUSAL_SIZE,
    MAX_RETRY_AFTER,
    check_api,
    deletion_of,
    describe,
    error_codes,
    error_of,
    retry_after,
)
from tasks.stores.registry.transport.http_answers import HttpAnswer

PAGE = "(a page for people, as of a proxy or firewall before it)"


def answered(
    status: int, *codes: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> HttpAnswer:
    listed = json.dumps({"errors": [{"code": code, "message": f"about {code}"} for code in codes]}).encode()
    return HttpAnswer(status, headers or {}, listed if body is None else body, "https://h/v2/")


@pytest.mark.parametrize(
    "body",
    [
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"<center>The plain HTTP request was sent to HTTPS port</center>",
    ],
)
def test_a_registry_that_wants_tls_is_said_to_want_it(body: bytes) -> None:
    assert "leave out --plain-http" in describe(answered(400, body=body))
    assert "--plain-http" not in describe(answered(404, body=body))
    assert "--plain-http" not in describe(answered(400, body=b"malformed HTTP request"))


@pytest.mark.parametrize("said", ["No required SSL certificate was sent", "The SSL certificate error"])
def test_a_registry_behind_nginx_that_wants_a_certificate_is_said_to_want_it(said: str) -> None:
    page = f"<html>\r\n<head><title>400 {said}</title></head>".encode()
    assert "client.cert and client.key" in describe(answered(400, body=page))
    assert describe(answered(404, body=page)) == f"404 {PAGE}"


@pytest.mark.parametrize("body", [b"<html>", b"\r\n <!doctype html>", b"\xef\xbb\xbf<html>"])
def test_a_page_for_people_is_no_api(body: bytes) -> None:
    page = HttpAnswer(200, {}, body, "https://me:hidden@h/sign_in?key=hidden")
    with pytest.raises(errors.UnexpectedAnswerError, match="people, from https://h/sign_in: is it a registry"):
        check_api(page, "https://h/v2/")


@pytest.mark.parametrize("body", [b"", b"{}", b"true"])
def test_the_media_type_says_nothing_of_what_is_an_api(body: bytes) -> None:
    """Quay's answer is `true`, as text/html."""
    check_api(answered(200, body=body, headers={"Content-Type": "text/html"}), "https://h/v2/")


SECONDARY_LIMIT = b"""{
  "code": "DENIED",
  "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
}"""
"""GitHub's."""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answered(401, "UNAUTHORIZED"), errors.AuthenticationError),
        (answered(403, "DENIED"), errors.PermissionDeniedError),
        (answered(413), errors.PayloadTooLargeError),
        (answered(429), errors.RateLimitedError),
        (answered(400, "TOOMANYREQUESTS"), errors.RateLimitedError),
        (answered(403, body=SECONDARY_LIMIT), errors.RateLimitedError),
        (answered(403, body=json.dumps({"errors": [json.loads(SECONDARY_LIMIT)]}).encode()), errors.RateLimitedError),
        (answered(403, body=b"no right to team/rate-limit"), errors.PermissionDeniedError),
        (answered(408), errors.RegistryUnavailableError),
        (answered(499), errors.RegistryUnavailableError),
        (answered(500, "UNKNOWN"), errors.RegistryUnavailableError),
        (answered(503), errors.RegistryUnavailableError),
        (answered(404, "NAME_UNKNOWN"), errors.RegistryError),
        (answered(302), errors.UnexpectedAnswerError),
        (answered(204), errors.UnexpectedAnswerError),
    ],
)
def test_an_answer_becomes_the_exception_that_says_what_to_do(
    answer: HttpAnswer, expected: type[errors.RegistryError]
) -> None:
    error = error_of(answer, "trying")
    assert type(error) is expected
    assert (error.status, error.codes) == (answer.status, error_codes(answer))
    assert str(error).startswith("trying: ")


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        (answered(404, "BLOB_UNKNOWN"), True),
        (answered(404, "UNKNOWN"), True),
        (answered(404, body=b'{"errors":[{"status":404,"message":"Item _uploads/1 does not exist"}]}'), True),
        (answered(404, body=b"<html>404 Not Found</html>"), True),
        (answered(404, "NAME_UNKNOWN"), False),
        (answered(400, "BLOB_UNKNOWN"), False),
        (answered(400, body=b"<html>400 Bad Request</html>"), False),
    ],
    ids=["GitHub", "Artifactory", "Artifactory's own form", "a proxy", "no repository", "400", "400 without a code"],
)
def test_what_is_unknown_when_a_blob_is_sent_is_an_upload_that_was_lost(answer: HttpAnswer, passes: bool) -> None:
    """Where a manifest is sent, the same words mean that it misses one of its blobs, or is refused."""
    assert upload_error_of(answer, "sending").transient is passes
    assert not manifest_error_of(answer, "pushing").transient


def test_a_form_of_manifest_that_is_not_implemented_is_refused_for_good() -> None:
    """Gitea says so of what it does not know; a minute of asking again would be lost for each tag."""
    body = {"errors": [{"code": "UNSUPPORTED", "message": "Schema version is not supported"}]}
    error = manifest_error_of(answered(501, body=json.dumps(body).encode()), "pushing")
    assert type(error) is errors.ManifestRefusedError
    assert not error.transient


FULL_2 = {"DriverName": "filesystem", "Enclosed": {"Op": "write", "Path": "/v2/startedat", "Err": 28}}
FULL_3 = f"filesystem: write /{'deep/' * 80}startedat: no space left on device"


@pytest.mark.parametrize("detail", [FULL_2, FULL_3], ids=["distribution 2.8", "distribution 3"])
def test_a_target_that_says_that_it_is_full_is_not_asked_again(detail: object) -> None:
    """As both answered on a disk without room; the path in it may be longer than what is shown of an answer."""
    body = {"errors": [{"code": "UNKNOWN", "message": "unknown error", "detail": detail}]}
    answer = answered(500, body=json.dumps(body).encode())
    for error in (error_of(answer, "sending"), manifest_error_of(answer, "pushing")):
        assert type(error) is errors.TargetFullError
        assert not error.transient
    assert type(error_of(answered(507), "sending")) is errors.TargetFullError


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (412, "PRECONDITION", "Failed to process request due to 'team/app:v1' configured as immutable."),
        (
            400,
            "TAG_INVALID",
            "The image tag 'v1' already exists and cannot be overwritten because the tag is immutable.",
        ),
        (403, "DENIED", "cannot update tag v1. The repository has enabled tag immutability"),
        (400, "UNKNOWN", "The requested tag already exists and cannot be overwritten."),
        (409, "UNKNOWN", "tag is immutable and cannot be overwritten"),
        (400, "BLOB_UPLOAD_INVALID", "Repository does not allow updating assets: hosted"),
        (400, "BLOB_UPLOAD_INVALID", "hosted/v2/team/app/manifests/v1 cannot be updated"),
        (405, "REGISTRY_DISALLOWED_OPERATION", "The operation is disallowed on this registry, repository or image."),
    ],
    ids=["Harbor", "Amazon ECR", "Google", "Alibaba", "Quay", "Nexus", "newer Nexus", "Azure"],
)
def test_a_tag_that_a_rule_of_the_target_holds_is_named_as_one(status: int, code: str, words: str) -> None:
    """They may have such rules for some tags of a repository only, which is not known before the push."""
    body = {"errors": [{"code": code, "message": words}]}
    error = manifest_error_of(answered(status, body=json.dumps(body).encode()), "pushing")
    assert type(error) is errors.ImmutableTagError
    assert isinstance(error, errors.ManifestRefusedError)
    assert error.code == "immutable_tag"


def test_an_answer_of_megabytes_is_not_taken_apart() -> None:
    """Nobody has so much to say, and no thread of the run works meanwhile; its status and first code tell enough."""
    body = json.dumps({"errors": [{"code": "DENIED", "message": "quota exceeded"}] * 100_000}).encode()
    error = error_of(answered(403, body=body), "sending")
    assert (type(error), error.codes) == (errors.PermissionDeniedError, ("DENIED",))
    assert len(str(error)) < 400


@pytest.mark.parametrize("count", [1_000, 2_000])
def test_each_of_many_missing_blobs_may_be_named_and_their_code_is_kept_once(count: int) -> None:
    """As distribution does, of a manifest with a thousand layers; of more than is taken apart the first counts."""
    missing = {"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry", "detail": "sha256:" + "a" * 64}
    body = json.dumps({"errors": [missing] * count}).encode()
    assert (len(body) >= MAX_REFUSAL_SIZE) == (count == 2_000)
    error = manifest_error_of(answered(404, body=body), "pushing")
    assert type(error) is errors.MissingReferencedContentError
    assert error.codes == ("MANIFEST_BLOB_UNKNOWN",)


@pytest.mark.parametrize(
    ("begun", "codes"),
    [
        (b'\n{ "errors" : [ {"message": "m", "code": "DENIED"}', ("DENIED",)),
        (b'{"errors":[{"code":"NAME_UNKNOWN","detail":"', ("NAME_UNKNOWN",)),
        (b'{"errors":[{"message":"' + b"m" * 4_096 + b'","code":"DENIED"}', ()),
        (b'{"code":"DENIED","errors":[', ()),
        (b'"code":"' * 1_000, ()),
        (b"", ()),
    ],
)
def test_of_a_refusal_that_is_too_long_the_code_at_its_beginning_is_told(
    begun: bytes, codes: tuple[str, ...]
) -> None:
    """It may be cut off where that much of it was read."""
    assert error_codes(answered(400, body=begun.ljust(MAX_REFUSAL_SIZE))) == codes


def test_words_that_only_begin_like_such_a_rule_are_gone_through_at_once() -> None:
    """An answer may have megabytes of them, and no thread of the run works while a pattern looks for its end."""
    body = {"errors": [{"code": "UNKNOWN", "message": "/manifests/" * 15_000}]}
    begun = time.process_time()
    assert type(manifest_error_of(answered(400, body=json.dumps(body).encode()), "pushing")) is (
        errors.ManifestRefusedError
    )
    assert time.process_time() - begun < 1


HARBOR_FULL = "adding 29.0 MiB of storage resource, which when updated to current usage of 9.0 GiB will exceed the \
configured upper limit of 9.0 GiB."


@pytest.mark.parametrize(
    "words",
    [
        HARBOR_FULL,
        f"Quota exceeded when processing the request of {HARBOR_FULL}",
        "Quota has been exceeded on namespace",
        "Quota has been exceed on namespace",
        "The repository with name 'app' already has the maximum allowed number of images which is '10000'",
        "Adding tag 'v1' to an image exceeds the maximum allowed number of tags per image which is '1000'",
    ],
    ids=["Harbor's quotas", "Harbor", "Quay", "Quay as it is", "Amazon ECR, images", "Amazon ECR, tags of one"],
)
def test_a_quota_that_is_used_up_is_not_taken_for_missing_rights(words: str) -> None:
    """Harbor, Quay and Amazon ECR answer 403 and DENIED to both."""
    body = {"errors": [{"code": "DENIED", "message": words}]}
    answer = answered(403, body=json.dumps(body).encode())
    for error in (error_of(answer, "sending"), manifest_error_of(answer, "pushing")):
        assert type(error) is errors.TargetFullError
    missing_rights = {"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}
    assert (
        type(error_of(answered(403, body=json.dumps(missing_rights).encode()), "x")) is errors.PermissionDeniedError
    )


def test_a_full_disk_is_not_taken_for_a_blob_that_is_too_large() -> None:
    """Artifactory's answer to every upload; a higher limit on bodies would not help."""
    words = "Datastore disk usage is too high. Contact your Artifactory administrator to add additional storage space"
    body = {"errors": [{"status": 413, "message": words}]}
    answer = answered(413, body=json.dumps(body).encode())
    assert type(error_of(answer, "sending")) is errors.TargetFullError


def test_a_quota_that_another_status_speaks_of_ends_no_run() -> None:
    """As a limit on the size of one blob or of one request, which the next may well keep to."""
    body = {"errors": [{"code": "SIZE_INVALID", "message": HARBOR_FULL}]}
    for status, expected in ((413, errors.PayloadTooLargeError), (400, errors.RegistryError)):
        assert type(error_of(answered(status, body=json.dumps(body).encode()), "sending")) is expected


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        (Deletion.DELETED, (200, 202, 204)),
        (Deletion.MISSING, (404,)),
        (Deletion.UNSUPPORTED, (400, 405, 501)),
    ],
)
def test_what_became_of_a_deletion_is_told_by_its_status(said: Deletion, statuses: tuple[int, ...]) -> None:
    assert {deletion_of(answered(status), "DELETE /v2/") for status in statuses} == {said}


def test_a_lock_of_azure_is_a_refusal_and_not_a_registry_that_does_not_delete() -> None:
    """The tag is somebody's to keep; a way around it is for registries that know no other."""
    with pytest.raises(errors.RegistryError, match="REGISTRY_DISALLOWED_OPERATION"):
        deletion_of(answered(405, "REGISTRY_DISALLOWED_OPERATION"), "DELETE /v2/")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (201, errors.UnexpectedAnswerError),
        (307, errors.UnexpectedAnswerError),
        (401, errors.AuthenticationError),
        (403, errors.PermissionDeniedError),
        (429, errors.RateLimitedError),
        (503, errors.RegistryUnavailableError),
    ],
)
def test_a_deletion_that_was_not_judged_is_none(status: int, expected: type[errors.RegistryError]) -> None:
    with pytest.raises(expected):
        deletion_of(answered(status), "DELETE /v2/")


def test_a_deletion_that_comes_too_fast_is_none_whatever_the_status() -> None:
    with pytest.raises(errors.RateLimitedError):
        deletion_of(answered(400, "TOOMANYREQUESTS"), "DELETE /v2/")


@pytest.mark.parametrize("detail", [{"Err": 280}, {"Err": 5}, "input/output error"])
def test_another_trouble_with_the_disk_may_pass(detail: object) -> None:
    body = {"errors": [{"code": "UNKNOWN", "message": "unknown error", "detail": detail}]}
    assert type(error_of(answered(500, body=json.dumps(body).encode()), "sending")) is errors.RegistryUnavailableError


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answered(400, "MANIFEST_BLOB_UNKNOWN"), errors.MissingReferencedContentError),
        (answered(404, "BLOB_UNKNOWN"), errors.MissingReferencedContentError),
        (answered(400, "MANIFEST_INVALID"), errors.MissingReferencedContentError),
        (answered(400, "LayersNotFound"), errors.MissingReferencedContentError),
        (answered(400, "TAG_INVALID"), errors.ManifestRefusedError),
        (answered(415), errors.ManifestRefusedError),
        (answered(400, body=b"<html>"), errors.ManifestRefusedError),
        (answered(413), errors.PayloadTooLargeError),
        (answered(403, "DENIED"), errors.PermissionDeniedError),
        (answered(500, "MANIFEST_BLOB_UNKNOWN"), errors.MissingReferencedContentError),
        (answered(429, "MANIFEST_INVALID"), errors.RateLimitedError),
        (answered(503, "of the immutable storage"), errors.RegistryUnavailableError),
    ],
)
def test_a_refused_manifest_is_told_from_one_whose_children_are_missing(
    answer: HttpAnswer, expected: type[errors.RegistryError]
) -> None:
    assert type(manifest_error_of(answer, "pushing")) is expected


UNSUPPORTED = {"code": "UNSUPPORTED", "message": "The operation is unsupported."}
READ_ONLY = {"code": "DENIED", "message": "System is currently read-only. Pulls will succeed"}


DISABLED = {"code": "METHOD NOT ALLOWED", "message": "Pushes to the registry are currently disabled. Please contact"}
HARBORS = {"code": "DENIED", "message": "The system is in read only mode. Any modification is prohibited."}


def refused_by(status: int, error: dict[str, str]) -> HttpAnswer:
    return answered(status, body=json.dumps({"errors": [error]}).encode())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answered(405, body=b"Method not allowed\n"), id="distribution, read only"),
        pytest.param(refused_by(405, UNSUPPORTED), id="distribution, a cache"),
        pytest.param(refused_by(405, READ_ONLY), id="Quay, read only"),
        pytest.param(refused_by(405, DISABLED), id="Quay, without pushes"),
        pytest.param(refused_by(403, HARBORS), id="Harbor, read only"),
    ],
)
def test_a_registry_that_takes_no_uploads_is_said_to_be_one(answer: HttpAnswer) -> None:
    """As the two kinds of distribution answer; a cache is easily named in place of what it is one of."""
    for error in (opening_error_of(answer, "starting"), manifest_error_of(answer, "pushing")):
        assert type(error) is errors.RegistryError
        assert "it takes no uploads" in str(error)
        assert error.status == answer.status


@pytest.mark.parametrize("words", ["", "the token is read-only", "you have read only access to this repository"])
def test_a_right_to_read_only_is_a_right_that_is_missing(words: str) -> None:
    answer = refused_by(403, {"code": "DENIED", "message": words})
    for error in (opening_error_of(answer, "starting"), manifest_error_of(answer, "pushing")):
        assert type(error) is errors.PermissionDeniedError
        assert "uploads" not in str(error)


def test_a_manifest_that_is_refused_by_405_for_its_form_is_refused_as_one() -> None:
    """Amazon ECR's answer to what it takes for no JSON; it takes others."""
    words = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
    body = {"errors": [{"code": "UNSUPPORTED", "message": words}]}
    error = manifest_error_of(answered(405, body=json.dumps(body).encode()), "pushing")
    assert type(error) is errors.ManifestRefusedError
    assert "uploads" not in str(error)


def test_an_upload_into_what_somebody_has_locked_at_azure_is_told_in_its_own_words() -> None:
    error = opening_error_of(answered(405, "REGISTRY_DISALLOWED_OPERATION"), "starting")
    assert type(error) is errors.RegistryError
    assert "uploads" not in str(error)


@given(st.integers(200, 599), st.binary(max_size=200))
def test_any_body_can_be_described_in_one_line(status: int, body: bytes) -> None:
    text = describe(answered(status, body=body))
    assert text.isprintable()
    assert len(text) <= 300


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"errors": null}', b'{"errors": {}}', b'{"errors": [1, null]}', b"[" * 100_000, b"\xff"],
    ids=lambda body: repr(body[:20]),
)
def test_bodies_of_another_form_have_no_codes(body: bytes) -> None:
    assert error_codes(answered(500, body=body)) == ()


def test_the_reason_of_a_refusal_is_shown_and_not_what_the_specification_says_of_its_code() -> None:
    """As zot words it; its description of the code alone would fill the line."""
    detail = {
        "description": "During upload, manifests undergo several checks ensuring validity. " * 5,
        "jsonSchemaValidation": "'/layers' does not validate with https://opencontainers.org/schema/image/manifest"
        "#/properties/layers/type: expected array, but got null",
        "reference": "v1",
    }
    error = {"code": "MANIFEST_INVALID", "message": "manifest invalid", "detail": detail}
    shown = describe(answered(400, body=json.dumps({"errors": [error]}).encode()))
    assert shown.startswith("400 MANIFEST_INVALID: manifest invalid")
    assert "expected array, but got null" in shown
    alone = {"errors": [error | {"detail": {"description": "nothing but the code's own"}}]}
    assert "nothing but the code's own" in describe(answered(400, body=json.dumps(alone).encode()))


def test_control_characters_of_an_answer_do_not_reach_the_terminal() -> None:
    body = json.dumps({"errors": [{"code": "X", "message": "a\x1b[2Jb\nc"}]}).encode()
    assert describe(answered(400, body=body)) == "400 X: a [2Jb c"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("refused Basic Ym9iOlMzY3JldFB3 here", "refused Basic … here"),
        ("{'Authorization': 'Bearer eyJhbGciOi.J9.abc-_d'}", "{'Authorization': 'Bearer …'}"),
        ("authorization: bearer c2VjcmV0c2VjcmV0", "authorization: bearer …"),
        ("see https://store/x?X-Amz-Signature=SIG&Y=1 for more", "see https://store/x?… for more"),
        ("{'url': 'https://bob:pw@store/x?sig=SIG'}", "{'url': 'https://store/x?…'}"),
        ("Bearer token is missing", "Bearer token is missing"),
        ("Basic authentication is off, see https://h/docs", "Basic authentication is off, see https://h/docs"),
    ],
)
def test_a_secret_that_a_registry_repeats_is_not_shown(message: str, shown: str) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": message}]}).encode()
    assert describe(answered(403, body=body)) == f"403 DENIED: {shown}"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"details": "invalid repository name"}\n', '400 {"details": "invalid repository name"}'),
        (b"tag v1\r\n is reserved", "400 tag v1 is reserved"),
        (b'{"errors": [{"code": "DENIED"}]}', "400 DENIED"),
        (b"\n<html><title>400 Bad Request</title></html>", f"400 {PAGE}"),
        (b"<!DOCTYPE html><p>Request blocked</p>", f"400 {PAGE}"),
        (b"<h1>Forbidden</h1>", f"400 {PAGE}"),
        (b'<?xml version="1.0"?><html><title>Denied</title></html>', f"400 {PAGE}"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "400"),
        (b"\xff\x00", "400 \N{REPLACEMENT CHARACTER} "),
        (b"", "400"),
    ],
)
def test_why_is_told_in_whatever_form_it_is_said_but_for_a_page_for_people(body: bytes, shown: str) -> None:
    """Docker Hub and Quay leave the specification's form for some of their refusals.

    A page is none of the registry's, as a rule; XML is the answer of a store that it leads to.
    """
    assert describe(answered(400, body=body)) == shown


def test_a_secret_in_what_has_no_form_is_not_shown_where_the_line_is_cut_either() -> None:
    text = describe(answered(403, body=b"see https://bob:" + b"x" * 400 + b"@store/ for more"))
    assert text == "403 see https://store/ for more"


def test_a_secret_in_the_detail_of_an_error_is_not_shown_where_the_line_is_cut_either() -> None:
    detail = {"url": f"https://store/{'x' * 200}?sig=SIGSECRET", "sent": ["Basic Ym9iOlMzY3JldFB3"]}
    body = json.dumps({"errors": [{"code": "DENIED", "detail": detail}]}).encode()
    text = describe(answered(403, body=body))
    assert "SIG" not in text
    assert "Ym9i" not in text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        ("0", 0),
        ("-5", 0),
        ("999999", MAX_RETRY_AFTER),
        ("3, 3", 3),
        ("3, 4", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}) == seconds


def test_retry_after_as_a_date() -> None:
    seconds = retry_after({"Retry-After": formatdate(time.time() + 100, usegmt=True)})
    assert seconds is not None
    assert 90 < seconds <= 100
    assert retry_after({"Retry-After": formatdate(0, usegmt=True)}) == 0


@pytest.mark.parametrize("unit", [1, 1000])
def test_retry_after_as_a_moment_in_unix_time(unit: int) -> None:
    """It is neither of the specification's forms; read as seconds, it would be a pause of an hour."""
    seconds = retry_after({"Retry-After": str(int((time.time() + 100) * unit))})
    assert seconds is not None
    assert 90 < seconds <= 100
    assert retry_after({"Retry-After": str(int((time.time() - 100) * unit))}) == 0


@pytest.mark.parametrize("zone", ["", " GMT", " -0000", " +0000"])
@pytest.mark.parametrize("local", ["UTC", "JST-9", "PET5"])
def test_retry_after_as_a_date_without_a_zone_is_of_gmt(
    monkeypatch: pytest.MonkeyPatch, local: str, zone: str
) -> None:
    monkeypatch.setenv("TZ", local)
    time.tzset()
    try:
        value = formatdate(time.time() + 100, usegmt=True).removesuffix(" GMT")
        seconds = retry_after({"Retry-After": value + zone})
    finally:
        monkeypatch.undo()
        time.tzset()
    assert seconds is not None
    assert 90 < seconds <= 100


@pytest.mark.parametrize("behind", [7200, -7200])
@pytest.mark.parametrize("form", [lambda moment: formatdate(moment, usegmt=True), str])
def test_a_moment_to_come_back_at_is_of_the_clock_of_whoever_names_it(
    behind: int, form: Callable[[int], str]
) -> None:
    """By ours, each pause would be the longest where it is hours behind, and none where it is ahead."""
    there = int(time.time()) + behind
    said = {"Retry-After": form(there + 5), "Date": formatdate(there, usegmt=True)}
    assert retry_after(said) == 5


@pytest.mark.parametrize("date", ["", "soon", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"])
def test_an_answer_without_a_date_that_can_be_read_is_of_now(date: str) -> None:
    seconds = retry_after({"Retry-After": formatdate(time.time() + 100, usegmt=True), "Date": date})
    assert seconds is not None
    assert 90 < seconds <= 100


@given(st.text() | st.floats().map(str))
def test_any_retry_after_is_a_bounded_wait_or_none(value: str) -> None:
    seconds = retry_after({"Retry-After": value})
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


def test_the_wish_of_the_registry_travels_with_the_exception() -> None:
    for status in (429, 503):
        error = error_of(answered(status, headers={"Retry-After": "7"}), "trying")
        assert isinstance(error, errors.RateLimitedError | errors.RegistryUnavailableError)
        assert error.retry_after == 7


@pytest.mark.parametrize(
    "secret",
    ['quo"ted\\pass', "both'quo\"tes", "käse-und-brot", "line\nbreak\there", "two  blanks", "a+b%c/d=e f", "<b>&amp"],
)
def test_what_this_process_was_given_is_left_out_in_whatever_form_it_is_repeated(secret: str) -> None:
    """As text within JSON, in another language's repr of it, in an address, or as words."""
    remember(secret)
    as_go = json.dumps(secret).replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
    forms = {
        secret,
        " ".join(secret.split()),
        *(json.dumps(secret, ensure_ascii=each)[1:-1] for each in (True, False)),
        as_go[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
    }
    for form in forms:
        assert describe(answered(400, body=f"I know {form}.".encode())) == "400 I know …."
    listed = [{"message": f"I know {secret}."}, {"detail": {"known": secret}}, {"detail": [secret]}]
    for error, words in zip(listed, ("I know ….", "{'known': '…'}", "['…']"), strict=True):
        shown = describe(answered(400, body=json.dumps({"errors": [{"code": "X", **error}]}).encode()))
        assert shown.replace('"', "'") == f"400 X: {words}"
