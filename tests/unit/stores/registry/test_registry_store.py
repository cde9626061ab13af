"""A registry is asked precisely: what is missing and what it can't say are kept apart."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import pytest

from infra.real_parts.waiting import wait_until
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    AuthenticationError,
    ConnectionFailedError,
    ContentNotFoundError,
    DamagedAtTargetError,
    DigestMismatchError,
    LayoutliftError,
    ManifestRefusedError,
    MissingReferencedContentError,
    PermissionDeniedError,
    RegistryError,
    RegistryUnavailableError,
    SizeMismatchError,
    UnexpectedAnswerError,
    is_transient,
)
from tasks.oci.media_types import IMAGE_INDEX, IMAGE_MANIFEST, MANIFESTS
from tasks.oci.registry_profiles import RegistryKind, profile_of
from tasks.ports import RemoteManifest
from tasks.registry_ports import Deletion
from tasks.stores.pacing import RequestGate
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.registry_store import RegistryStore
from tasks.stores.registry.request_retry import MAX_ATTEMPTS, MOST_LOOKS
from tasks.stores.registry.transport.http_answers import HttpAnswer
from tests.support.scripted_registry import Reply, Request, ScriptedRegistry

MakeStore = Callable[..., RegistryStore]
CONTENT = b"content"
BLOB = Descriptor("application/x", Digest.of(CONTENT), len(CONTENT))
BLOB_PATH = f"/v2/team/app/blobs/{BLOB.digest}"
MANIFEST_PATH = "/v2/team/app/manifests/v1"
TAGS_PATH = "/v2/team/app/tags/list"
REFERRERS_PATH = f"/v2/team/app/referrers/{BLOB.digest}"
MANIFEST = RemoteManifest(b' {"odd": "bytes"} ', IMAGE_MANIFEST)


def test_manifests_are_asked_for_in_every_type_and_as_they_are(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("GET", MANIFEST_PATH, Reply(200, {"Content-Type": f"{IMAGE_INDEX}; charset=utf-8"}, MANIFEST.raw))
    found = make_store(script.host).fetch_manifest("team/app", "v1")
    assert found == RemoteManifest(MANIFEST.raw, IMAGE_INDEX)
    headers = script.requests[0].headers
    assert headers["accept-encoding"] == "identity"


def test_a_manifest_of_any_type_is_seen(script: ScriptedRegistry, make_store: MakeStore) -> None:
    """A tag of a type that we don't know would else seem free where a registry goes by `Accept`, as most do."""
    script.expect("HEAD", MANIFEST_PATH, Reply(headers={"Docker-Content-Digest": BLOB.digest}))
    assert make_store(script.host).resolve_manifest("team/app", "v1") == BLOB.digest
    accepted = script.requests[0].headers["accept"].split(", ")
    assert set(accepted[:-1]) >= MANIFESTS
    assert accepted[-1] == "*/*"


def test_missing_is_none(script: ScriptedRegistry, make_store: MakeStore) -> None:
    for method, path in (
        ("GET", MANIFEST_PATH),
        ("HEAD", MANIFEST_PATH),
        ("HEAD", BLOB_PATH),
        ("GET", BLOB_PATH),
        ("GET", REFERRERS_PATH),
    ):
        script.expect(method, path, Reply(404, body=b'{"errors":[]}' if method == "GET" else b""))
    script.expect("GET", TAGS_PATH, Reply(404, body=b'{"errors":[{"code":"NAME_UNKNOWN"}]}'))
    store = make_store(script.host)
    assert store.fetch_manifest("team/app", "v1") is None
    assert store.resolve_manifest("team/app", "v1") is None
    assert store.has_blob("team/app", BLOB) is False
    assert store.list_tags("team/app") == frozenset()
    assert store.list_referrers("team/app", BLOB.digest) is None
    with pytest.raises(ContentNotFoundError):
        store.fetch_blob("team/app", BLOB).read()


@pytest.mark.parametrize(
    ("status", "expected"), [(403, PermissionDeniedError), (400, RegistryError), (406, RegistryError)]
)
def test_what_a_registry_can_not_say_is_never_missing(
    script: ScriptedRegistry, make_store: MakeStore, status: int, expected: type[RegistryError]
) -> None:
    for method in ("HEAD", "GET"):
        script.expect(method, BLOB_PATH, Reply(status))
        script.expect(method, MANIFEST_PATH, Reply(status))
    store = make_store(script.host)
    for act in (lambda: store.has_blob("team/app", BLOB), lambda: store.resolve_manifest("team/app", "v1")):
        with pytest.raises(expected):
            act()


@pytest.mark.parametrize("status", [405, 501])
def test_where_head_is_refused_all_is_read_and_head_sent_no_more(
    script: ScriptedRegistry, make_store: MakeStore, status: int
) -> None:
    """Some proxies let only GET through; what is read may count as a pull, so HEAD is tried first."""
    for path in (MANIFEST_PATH, BLOB_PATH):
        script.expect("HEAD", path, Reply(status))
    script.expect("GET", MANIFEST_PATH, Reply(body=MANIFEST.raw), Reply(404))
    script.expect("GET", BLOB_PATH, Reply(body=CONTENT), Reply(503), Reply(404), Reply(body=b"other"))
    store = make_store(script.host)
    assert store.resolve_manifest("team/app", "v1") == Digest.of(MANIFEST.raw)
    assert store.resolve_manifest("team/app", "v1") is None
    assert store.has_blob("team/app", BLOB)
    assert not store.has_blob("team/app", BLOB)
    with pytest.raises(DamagedAtTargetError, match="with 5 bytes instead of 7"):
        store.has_blob("team/app", BLOB)


def test_a_head_that_is_led_to_an_address_for_get_is_refused_there_and_nowhere_else(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_store: MakeStore
) -> None:
    """The method is part of what a store's signed addresses are signed for; Pulp and GitLab were seen to do that."""
    led = Reply(307, {"Location": f"{elsewhere.url}/signed?X-Signature=secret"})
    script.expect("HEAD", BLOB_PATH, led)
    script.expect("GET", BLOB_PATH, led, led)
    script.expect("HEAD", MANIFEST_PATH, Reply(headers={"Docker-Content-Digest": Digest.of(MANIFEST.raw)}))
    elsewhere.expect("HEAD", "/signed", Reply(403))
    elsewhere.expect("GET", "/signed", Reply(body=CONTENT), Reply(403))
    store = make_store(script.host)
    assert store.has_blob("team/app", BLOB)
    with pytest.raises(PermissionDeniedError):
        store.has_blob("team/app", BLOB)
    assert store.resolve_manifest("team/app", "v1") == Digest.of(MANIFEST.raw)


def test_why_something_may_not_be_read_is_asked_by_get_and_head_sent_on(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """No answer to HEAD has words; Harbor gives 412 for what is not scanned or signed, if a project wants that."""
    error = {"code": "PROJECTPOLICYVIOLATION", "message": "current image without scanning cannot be pulled"}
    said = Reply(412, body=json.dumps({"errors": [error]}).encode())
    for path in (MANIFEST_PATH, BLOB_PATH):
        script.expect("HEAD", path, Reply(412), Reply(404))
        script.expect("GET", path, said)
    store = make_store(script.host)
    for act in (lambda: store.has_blob("team/app", BLOB), lambda: store.resolve_manifest("team/app", "v1")):
        with pytest.raises(RegistryError, match=r"412 PROJECTPOLICYVIOLATION: .* cannot be pulled"):
            act()
        assert not act(), "HEAD is taken, and tells what is not there"


def test_where_get_is_refused_too_nothing_is_known(script: ScriptedRegistry, make_store: MakeStore) -> None:
    for method in ("HEAD", "GET"):
        script.expect(method, MANIFEST_PATH, Reply(405))
        script.expect(method, BLOB_PATH, Reply(405))
    store = make_store(script.host)
    for act in (lambda: store.has_blob("team/app", BLOB), lambda: store.resolve_manifest("team/app", "v1")):
        with pytest.raises(RegistryError, match="405"):
            act()


@pytest.mark.parametrize("reply", [Reply(500), Reply(503), Reply(drop=True), Reply(429)])
def test_a_registry_that_is_broken_for_the_moment_is_asked_again(
    script: ScriptedRegistry, make_store: MakeStore, reply: Reply
) -> None:
    script.expect("HEAD", BLOB_PATH, reply, reply, Reply(headers={"Content-Length": "7"}))
    assert make_store(script.host).has_blob("team/app", BLOB)


def test_a_registry_that_stays_broken_is_said_so(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("HEAD", BLOB_PATH, *[Reply(502)] * MAX_ATTEMPTS)
    with pytest.raises(RegistryUnavailableError):
        make_store(script.host).has_blob("team/app", BLOB)


@pytest.mark.parametrize("status", [429, 503])
def test_one_wish_to_wait_holds_every_worker(script: ScriptedRegistry, make_store: MakeStore, status: int) -> None:
    store = make_store(script.host)
    script.expect("HEAD", BLOB_PATH, Reply(status, {"Retry-After": "1"}), Reply(headers={"Content-Length": "7"}))
    script.expect("HEAD", MANIFEST_PATH, Reply(404))
    worker = threading.Thread(target=store.has_blob, args=("team/app", BLOB))
    worker.start()
    wait_until(lambda: store._retry._gate._open_at > 0, what="the first worker is told to wait")
    store.resolve_manifest("team/app", "v1")
    worker.join()
    told, *others = script.requests
    assert len(others) == 2
    assert all(0.9 <= other.at - told.at < 30 for other in others)


def test_a_blob_of_another_size_is_said_so(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("HEAD", BLOB_PATH, Reply(headers={"Content-Length": "6"}))
    with pytest.raises(DamagedAtTargetError):
        make_store(script.host).has_blob("team/app", BLOB)


@pytest.mark.parametrize("headers", [{"Content-Length": "0"}, {"Transfer-Encoding": "chunked"}])
def test_a_head_without_a_length_worth_the_name_is_no_proof_of_an_empty_blob(
    script: ScriptedRegistry, make_store: MakeStore, headers: dict[str, str]
) -> None:
    """Proxies say of an answer without a body that its length is 0, or nothing of it; an upload that broke off may
    leave 0 bytes.
    """
    script.always("HEAD", BLOB_PATH, Reply(headers=headers))
    script.expect("GET", BLOB_PATH, Reply(500), Reply(body=CONTENT), Reply(body=b""))
    store = make_store(script.host)
    assert store.has_blob("team/app", BLOB)
    with pytest.raises(DamagedAtTargetError, match="0 bytes instead of 7"):
        store.has_blob("team/app", BLOB)


def test_an_empty_blob_is_asked_for_once(script: ScriptedRegistry, make_store: MakeStore) -> None:
    empty = replace(BLOB, digest=Digest.of(b""), size=0)
    script.expect("HEAD", f"/v2/team/app/blobs/{empty.digest}", Reply(headers={"Content-Length": "0"}))
    assert make_store(script.host).has_blob("team/app", empty)


def test_a_header_that_a_proxy_repeats_says_what_it_says_once(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    digest = Digest.of(MANIFEST.raw)
    repeated = {"Docker-Content-Digest": f"{digest}, {digest}"}
    script.expect("HEAD", BLOB_PATH, Reply(headers={"Content-Length": "7, 7"}))
    script.expect("HEAD", MANIFEST_PATH, Reply(headers=repeated))
    script.expect("PUT", MANIFEST_PATH, Reply(201, repeated))
    store = make_store(script.host)
    assert store.has_blob("team/app", BLOB)
    assert store.resolve_manifest("team/app", "v1") == digest
    store.push_manifest("team/app", "v1", MANIFEST)


def test_digests_that_differ_are_no_proof_of_what_was_stored(script: ScriptedRegistry, make_store: MakeStore) -> None:
    differing = f"{Digest.of(MANIFEST.raw)}, {BLOB.digest}"
    script.expect("PUT", MANIFEST_PATH, Reply(201, {"Docker-Content-Digest": differing}))
    with pytest.raises(UnexpectedAnswerError, match="instead"):
        make_store(script.host).push_manifest("team/app", "v1", MANIFEST)


@pytest.mark.parametrize("headers", [{}, {"Docker-Content-Digest": "sha256:nonsense"}])
def test_a_registry_that_names_no_digest_is_read_and_hashed(
    script: ScriptedRegistry, make_store: MakeStore, headers: dict[str, str]
) -> None:
    script.expect("HEAD", MANIFEST_PATH, Reply(headers=headers))
    script.expect("GET", MANIFEST_PATH, Reply(body=MANIFEST.raw))
    assert make_store(script.host).resolve_manifest("team/app", "v1") == Digest.of(MANIFEST.raw)


@pytest.mark.parametrize("before", [Reply(404), Reply(headers={"Docker-Content-Digest": BLOB.digest})])
def test_a_tag_that_shows_a_little_after_its_push_is_looked_for_again(
    script: ScriptedRegistry, make_store: MakeStore, before: Reply
) -> None:
    """A cache before the registry, or copies of its database, may answer with what was there before."""
    digest = Digest.of(MANIFEST.raw)
    script.expect("HEAD", MANIFEST_PATH, before, Reply(503), before, Reply(headers={"Docker-Content-Digest": digest}))
    assert make_store(script.host).resolve_pushed("team/app", "v1", digest) == digest


def test_a_tag_that_does_not_show_after_its_push_is_looked_for_a_few_times(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("HEAD", MANIFEST_PATH, *[Reply(404)] * MOST_LOOKS)
    assert make_store(script.host).resolve_pushed("team/app", "v1", BLOB.digest) is None


def test_what_the_target_can_not_say_of_a_tag_is_not_asked_again_and_again(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("HEAD", MANIFEST_PATH, Reply(404), Reply(403))
    script.expect("GET", MANIFEST_PATH, Reply(403))
    with pytest.raises(PermissionDeniedError):
        make_store(script.host).resolve_pushed("team/app", "v1", BLOB.digest)


def page(*tags: object, following: str | None = None) -> Reply:
    headers = {} if following is None else {"Link": f'<{following}>; rel="next"'}
    return Reply(200, headers, json.dumps({"name": "team/app", "tags": list(tags)}).encode())


@pytest.mark.parametrize(
    "following",
    [
        "/v2/team/app/tags/list?n=2&last=b%2Fx",
        "list?n=2&last=b%2Fx",
        "http://inside.example/v2/team/app/tags/list?n=2&last=b%2Fx",
        "http://inside.example//v2/team/app/tags/list?n=2&last=b%2Fx",
    ],
)
def test_every_page_of_tags_is_read(script: ScriptedRegistry, make_store: MakeStore, following: str) -> None:
    """A proxy may put its own host into the link; it is the registry that is asked all the same."""
    script.expect("GET", TAGS_PATH, page("a", "b", following=following), page(), page("z"))
    script._once["GET", TAGS_PATH][1] = page(following="/v2/team/app/tags/list?n=3")
    assert make_store(script.host).list_tags("team/app") == {"a", "b", "z"}
    assert script.requests[1].query == {"n": ["2"], "last": ["b/x"]}


def test_a_link_that_leads_nowhere_is_said_so(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("GET", TAGS_PATH, page("a", following="http://[::1/v2"))
    with pytest.raises(UnexpectedAnswerError, match="next page"):
        make_store(script.host).list_tags("team/app")


def test_a_page_may_be_larger_than_any_manifest(script: ScriptedRegistry, make_store: MakeStore) -> None:
    tags = [f"{number:0128}" for number in range(80_000)]
    script.expect("GET", TAGS_PATH, page(*tags))
    assert make_store(script.host).list_tags("team/app") == set(tags)


@pytest.mark.parametrize(
    "link",
    [
        '</v2/team/app/tags/list?n=0>; rel="prev", </v2/team/app/tags/list?n=2>; rel="next"',
        '</v2/team/app/tags/list?n=2>; title="a; b"; REL=next, </v2/other>; rel=last',
        '<list?n=2>; rel="last next"',
        "<list?n=2>; rel=last; rel=next",
        '/v2/team/app/tags/list?n=2; rel="next"',
        "</v2/team/app/tags/list?n=2>; rel='next'",
    ],
)
def test_the_next_page_is_told_from_other_links(script: ScriptedRegistry, make_store: MakeStore, link: str) -> None:
    script.expect("GET", TAGS_PATH, replace(page("a"), headers={"Link": link}), page("b"))
    assert make_store(script.host).list_tags("team/app") == {"a", "b"}
    assert script.requests[1].query == {"n": ["2"]}


@pytest.mark.parametrize("nameless", [b'{"errors":[]}', b'{"errors":[{"code":"UNKNOWN"}]}', b'{"name":"team/app"}'])
@pytest.mark.parametrize("page", [1, 2])
def test_a_page_that_lists_nothing_not_even_an_empty_list_does_not_say_that_there_are_no_tags(
    script: ScriptedRegistry, make_store: MakeStore, nameless: bytes, page: int
) -> None:
    """Gateways answer 200 with an error, and what others hold would be overwritten, as if it were not there."""
    good = Reply(headers={"Link": f"<{TAGS_PATH}?last=a>; rel=next"}, body=b'{"tags":["a"]}')
    script.expect("GET", TAGS_PATH, *[good][: page - 1], Reply(body=nameless))
    assert make_store(script.host).list_tags("team/app") is None


def test_a_list_of_tags_that_is_null_is_an_empty_one(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("GET", TAGS_PATH, Reply(body=b'{"tags":null}'))
    assert make_store(script.host).list_tags("team/app") == frozenset()


@pytest.mark.parametrize("link", ['</v2/team/app/tags/list?n=0>; rel="prev"', '<next>; rel="nextish"', "<x>"])
def test_other_links_lead_to_no_page(script: ScriptedRegistry, make_store: MakeStore, link: str) -> None:
    script.expect("GET", TAGS_PATH, replace(page("a"), headers={"Link": link}))
    assert make_store(script.host).list_tags("team/app") == {"a"}


def test_pages_in_a_circle_end_and_are_not_taken_for_all_tags(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.always("GET", TAGS_PATH, page("a", None, 1, following=TAGS_PATH))
    assert make_store(script.host).list_tags("team/app") is None


def test_what_is_no_tag_is_not_taken_for_one(script: ScriptedRegistry, make_store: MakeStore) -> None:
    """It would be shown as one that the target has besides, however long it is."""
    listed = ["v1", "x" * 128, "x" * 129, "a b", "../v1", "\x1b[2J", "", 7, None]
    script.expect("GET", TAGS_PATH, Reply(body=json.dumps({"tags": listed}).encode()))
    assert make_store(script.host).list_tags("team/app") == {"v1", "x" * 128}


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_a_registry_that_lists_no_tags_is_not_taken_for_one_without(
    script: ScriptedRegistry, make_store: MakeStore, status: int
) -> None:
    script.expect("GET", TAGS_PATH, Reply(status, body=b"404 page not found"))
    script.expect("GET", TAGS_PATH, page("a", following=f"{TAGS_PATH}?n=2"), Reply(404))
    store = make_store(script.host)
    assert store.list_tags("team/app") is None
    assert store.list_tags("team/app") is None


def test_a_list_that_is_asked_for_too_fast_is_asked_for_again_whatever_the_status(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """With 400 it was taken for one that the registry does not have."""
    too_fast = Reply(400, body=b'{"errors":[{"code":"TOOMANYREQUESTS"}]}')
    script.expect("GET", TAGS_PATH, too_fast, page("v1"))
    assert make_store(script.host).list_tags("team/app") == {"v1"}


@pytest.mark.parametrize("pages", [0, 1])
def test_a_list_that_a_proxy_does_not_wait_for_is_not_the_fate_of_all_its_tags(
    script: ScriptedRegistry, make_store: MakeStore, caplog: pytest.LogCaptureFixture, pages: int
) -> None:
    """Distribution takes minutes for that of a large repository in a bucket; each tag can be asked for by itself."""
    script.expect("GET", TAGS_PATH, *[page("v1", following=f"<{TAGS_PATH}?last=v1>; rel=next")] * pages)
    script.expect("GET", TAGS_PATH, *[Reply(504)] * MAX_ATTEMPTS)
    assert make_store(script.host).list_tags("team/app") is None
    assert "each tag of team/app is asked for by itself" in caplog.text


def test_who_may_push_and_not_list_is_told_of_each_tag_by_itself(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """The rights that Amazon documents for a push leave `ecr:ListImages` out."""
    denied = b'{"errors":[{"code":"DENIED","message":"not authorized to perform: ecr:ListImages"}]}'
    script.expect("GET", TAGS_PATH, Reply(403, body=denied))
    script.expect("HEAD", "/v2/team/app/manifests/latest", Reply(404))
    assert make_store(script.host).list_tags("team/app") is None


def test_a_repository_of_which_nothing_may_be_asked_is_told_of_before_its_tags(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("GET", TAGS_PATH, Reply(403, body=b'{"errors":[{"code":"DENIED"}]}'))
    for method in ("HEAD", "GET"):
        script.expect(method, "/v2/team/app/manifests/latest", Reply(403))
    with pytest.raises(PermissionDeniedError, match="403"):
        make_store(script.host).list_tags("team/app")


@pytest.mark.parametrize(("kind", "expected"), [(RegistryKind.HARBOR, frozenset()), (RegistryKind.GENERIC, None)])
def test_a_harbor_says_in_its_own_way_that_there_is_no_repository(
    script: ScriptedRegistry, make_store: MakeStore, kind: RegistryKind, expected: frozenset[str] | None
) -> None:
    """Else each tag and blob of a first copy is asked for; of others the code may mean that they list no tags."""
    script.expect("GET", TAGS_PATH, Reply(404, body=b'{"errors":[{"code":"NOT_FOUND","message":"not found"}]}'))
    store = make_store(script.host)
    store.profile = profile_of(kind, script.host)
    assert store.list_tags("team/app") == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"[" * 100_000])
def test_a_list_that_is_none_is_said_so(script: ScriptedRegistry, make_store: MakeStore, body: bytes) -> None:
    script.expect("GET", TAGS_PATH, Reply(body=body))
    with pytest.raises(UnexpectedAnswerError):
        make_store(script.host).list_tags("team/app")


def test_a_list_from_elsewhere_is_named_without_what_its_address_grants(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    signed = f"{script.url}/signed?X-Signature=secret"
    script.expect("GET", TAGS_PATH, Reply(307, {"Location": signed}))
    script.expect("GET", "/signed", Reply(body=b"<html>"))
    with pytest.raises(UnexpectedAnswerError, match="/signed") as raised:
        make_store(script.host).list_tags("team/app")
    assert "secret" not in str(raised.value)


def test_a_type_is_not_longer_than_types_are(script: ScriptedRegistry, make_store: MakeStore) -> None:
    """It is in the ledger, or in what a verification says of each tag."""
    script.expect("GET", MANIFEST_PATH, Reply(200, {"Content-Type": "t" * 60_000}, MANIFEST.raw))
    manifest = make_store(script.host).fetch_manifest("team/app", "v1")
    assert manifest == RemoteManifest(MANIFEST.raw, "t" * 255)


def test_referrers_are_their_digests(script: ScriptedRegistry, make_store: MakeStore) -> None:
    body = json.dumps({"manifests": [{"digest": Digest.of(b"r")}]}).encode()
    script.expect("GET", REFERRERS_PATH, Reply(body=body))
    assert make_store(script.host).list_referrers("team/app", BLOB.digest) == {Digest.of(b"r")}


def test_a_referrer_of_an_unknown_algorithm_hides_no_other(script: ScriptedRegistry, make_store: MakeStore) -> None:
    entries = [{"digest": "blake3:00"}, None, {"digest": Digest.of(b"r")}]
    script.expect("GET", REFERRERS_PATH, Reply(body=json.dumps({"manifests": entries}).encode()))
    assert make_store(script.host).list_referrers("team/app", BLOB.digest) == {Digest.of(b"r")}


@pytest.mark.parametrize(
    "reply",
    [
        *map(Reply, (400, 404, 405, 406, 501)),
        Reply(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"),
        Reply(200, {"Content-Type": "application/json"}, b'{"errors":[{"code":"UNSUPPORTED"}]}'),
    ],
    ids=lambda reply: f"{reply.status} {reply.headers.get('Content-Type', '')}",
)
def test_every_way_to_have_no_referrers_api_is_understood(
    script: ScriptedRegistry, make_store: MakeStore, reply: Reply
) -> None:
    script.expect("GET", REFERRERS_PATH, reply)
    assert make_store(script.host).list_referrers("team/app", BLOB.digest) is None
    assert script.requests[0].headers["accept"] == IMAGE_INDEX


def test_a_list_of_referrers_that_is_null_is_an_empty_one(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("GET", REFERRERS_PATH, Reply(body=b'{"manifests":null}'))
    assert make_store(script.host).list_referrers("team/app", BLOB.digest) == frozenset()


def test_a_registry_that_forbids_to_ask_for_referrers_has_no_such_list(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """Harbor before 2.8 answers 401, with no word on how to be let in, whatever token it is shown."""
    script.always("GET", "/token", Reply(body=b'{"token":"good"}'))
    script.expect("GET", "/v2/", Reply(401, {"WWW-Authenticate": f'Bearer realm="{script.url}/token"'}), Reply())
    script.expect("GET", REFERRERS_PATH, Reply(401), Reply(403))
    store = make_store(script.host, Credentials("me", "x"))
    store.check_access()
    assert store.list_referrers("team/app", BLOB.digest) is None
    assert store.list_referrers("team/app", BLOB.digest) is None, "as a firewall does"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_page_for_people_is_no_list_of_referrers_and_is_not_asked_for(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_store: MakeStore, status: int
) -> None:
    """As GitHub does; the page that it leads to answers 429 to many, which would stop the whole run."""
    script.expect("GET", REFERRERS_PATH, Reply(status, {"Location": f"{elsewhere.url}/packages"}))
    assert make_store(script.host).list_referrers("team/app", BLOB.digest) is None
    assert elsewhere.requests == []


def test_a_manifest_is_pushed_byte_for_byte(script: ScriptedRegistry, make_store: MakeStore) -> None:
    stored = {"Docker-Content-Digest": Digest.of(MANIFEST.raw)}
    script.expect("PUT", MANIFEST_PATH, Reply(201, stored), Reply(201))
    store = make_store(script.host)
    for _ in range(2):
        store.push_manifest("team/app", "v1", MANIFEST)
    assert script.requests[0].body == MANIFEST.raw
    assert script.requests[0].headers["content-type"] == IMAGE_MANIFEST


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_manifest_is_stored_with_any_answer_that_says_so(
    script: ScriptedRegistry, make_store: MakeStore, status: int
) -> None:
    """Quay said 202 for years."""
    script.expect("PUT", MANIFEST_PATH, Reply(status))
    make_store(script.host).push_manifest("team/app", "v1", MANIFEST)


@pytest.mark.parametrize("stored", [Digest.of(b"other"), "nonsense", "sha384:" + "a" * 96, "sha512:abc"])
def test_a_registry_that_stored_something_else_is_caught(
    script: ScriptedRegistry, make_store: MakeStore, stored: str
) -> None:
    script.expect("PUT", MANIFEST_PATH, Reply(201, {"Docker-Content-Digest": stored}))
    with pytest.raises(UnexpectedAnswerError, match="stored"):
        make_store(script.host).push_manifest("team/app", "v1", MANIFEST)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("MANIFEST_BLOB_UNKNOWN", MissingReferencedContentError), ("TAG_INVALID", ManifestRefusedError)],
)
def test_a_refused_manifest_is_sent_once(
    script: ScriptedRegistry, make_store: MakeStore, code: str, expected: type[RegistryError]
) -> None:
    script.expect("PUT", MANIFEST_PATH, Reply(400, body=json.dumps({"errors": [{"code": code}]}).encode()))
    with pytest.raises(expected):
        make_store(script.host).push_manifest("team/app", "v1", MANIFEST)


@pytest.mark.parametrize("lost", [Reply(drop=True), Reply(504)], ids=["no answer", "a gateway's"])
@pytest.mark.parametrize(("kept", "well"), [(MANIFEST.raw, True), (b"theirs", False)])
def test_a_tag_that_moves_no_more_is_no_refusal_where_only_the_answer_was_lost(
    script: ScriptedRegistry, make_store: MakeStore, lost: Reply, kept: bytes, well: bool
) -> None:
    """Artifactory forbids it by 403, in words of its own."""
    for refusal in (Reply(400, body=b'{"errors":[{"code":"TAG_INVALID"}]}'), Reply(403)):
        script.expect("PUT", MANIFEST_PATH, lost, refusal)
        script.expect("HEAD", MANIFEST_PATH, Reply(200, {"Docker-Content-Digest": Digest.of(kept)}))
        expected = ManifestRefusedError if refusal.status == 400 else PermissionDeniedError
        with nullcontext() if well else pytest.raises(expected):
            make_store(script.host).push_manifest("team/app", "v1", MANIFEST)


def test_a_tag_is_asked_about_once_more_after_each_pause_that_the_target_wants(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """Others may push it in that time, and it would be theirs."""
    store, asked = make_store(script.host), []

    def may_write() -> bool:
        asked.append((len(script.requests), store._retry._gate.is_open))
        return len(asked) < 3

    script.expect("PUT", MANIFEST_PATH, Reply(429, {"Retry-After": "1"}), Reply(429, {"Retry-After": "1"}))
    store.push_tag("team/app", "v1", MANIFEST, may_write)
    assert asked == [(0, True), (1, True), (2, True)]


@pytest.mark.parametrize("status", [429, 503])
def test_the_pause_that_a_registry_wants_for_a_manifest_is_one_of_all_workers(
    script: ScriptedRegistry, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(RequestGate, "pause", lambda _, seconds: pauses.append(seconds))
    script.expect("PUT", MANIFEST_PATH, Reply(status, {"Retry-After": "7"}), Reply(201))
    make_store(script.host).push_manifest("team/app", "v1", MANIFEST)
    assert pauses == [7.0]


def test_a_tag_is_asked_about_once_more_before_each_attempt_to_delete_it(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    store, answers = make_store(script.host), [True, False]
    script.expect("DELETE", MANIFEST_PATH, Reply(429, {"Retry-After": "1"}))
    assert store.delete_tag("team/app", "v1", lambda: answers.pop(0)) is Deletion.LEFT
    assert answers == []


def test_a_tag_is_asked_about_once_more_where_another_worker_is_told_to_wait_meanwhile(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    store, asked = make_store(script.host), []

    def may_write() -> bool:
        asked.append(len(script.requests))
        if len(asked) == 1:
            store._retry._gate.pause(0.5)
        return True

    script.expect("PUT", MANIFEST_PATH, Reply(201))
    store.push_tag("team/app", "v1", MANIFEST, may_write)
    assert asked == [0, 0]


def test_a_manifest_whose_children_are_missed_after_a_lost_answer_is_not_taken_for_stored(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """The tag may have had that digest before."""
    missing = Reply(404, body=b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}')
    script.expect("PUT", MANIFEST_PATH, Reply(504), missing)
    with pytest.raises(MissingReferencedContentError):
        make_store(script.host).push_manifest("team/app", "v1", MANIFEST)


@pytest.mark.parametrize("more", [b"", b"x"])
def test_content_of_which_only_the_end_was_lost_is_read(
    script: ScriptedRegistry, make_store: MakeStore, more: bytes
) -> None:
    chunk = b"%x\r\n%s\r\n" % (len(CONTENT), CONTENT)
    cut = Reply(headers={"Transfer-Encoding": "chunked"}, body=chunk, cut=len(chunk))
    rest = Reply(206, {"Content-Range": f"bytes {len(CONTENT)}-"}, more) if more else Reply(416)
    script.expect("GET", BLOB_PATH, cut, rest)
    with pytest.raises(SizeMismatchError) if more else nullcontext():
        assert make_store(script.host).fetch_blob("team/app", BLOB).read() == CONTENT


AT = 1024 * 1024 + 3
LARGE = bytes(AT) + CONTENT
"""More than is read at a time."""


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (Reply(206, {"Content-Range": f"bytes {AT}-{AT + 6}/{AT + 7}"}, CONTENT), None),
        (Reply(body=LARGE), None),
        (Reply(206, {"Content-Range": f"bytes 0-{AT + 6}/{AT + 7}"}, LARGE), UnexpectedAnswerError),
        (Reply(206, {}, CONTENT), UnexpectedAnswerError),
        (Reply(416), RegistryError),
    ],
    ids=["the rest", "all of it", "another part", "a part not named", "none of it"],
)
def test_content_that_broke_off_is_read_on_and_an_answer_of_other_bytes_is_no_altered_content(
    script: ScriptedRegistry, make_store: MakeStore, rest: Reply, expected: type[LayoutliftError] | None
) -> None:
    blob = Descriptor("application/x", Digest.of(LARGE), len(LARGE))
    path = f"/v2/team/app/blobs/{blob.digest}"
    script.expect("GET", path, Reply(body=LARGE, cut=AT), rest)
    with nullcontext() if expected is None else pytest.raises(expected):
        assert make_store(script.host).fetch_blob("team/app", blob).read() == LARGE
    assert [each.headers.get("range") for each in script.requests] == [None, f"bytes={AT}-"]


def test_content_read_back_is_checked(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("GET", BLOB_PATH, Reply(body=CONTENT), Reply(body=CONTENT[:-1] + b"X"), Reply(body=CONTENT + b"x"))
    blob = make_store(script.host).fetch_blob("team/app", BLOB)
    assert blob.read() == CONTENT
    with pytest.raises(DigestMismatchError):
        blob.read()
    with pytest.raises(SizeMismatchError):
        blob.read()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(503), RegistryUnavailableError),
        (Reply(403), PermissionDeniedError),
        (Reply(body=CONTENT, cut=3), ConnectionFailedError),
    ],
)
def test_why_content_can_not_be_read_back_is_told_apart(
    script: ScriptedRegistry, make_store: MakeStore, reply: Reply, expected: type[Exception]
) -> None:
    script.always("GET", BLOB_PATH, reply)
    with pytest.raises(expected) as raised:
        make_store(script.host).fetch_blob("team/app", BLOB).read()
    assert is_transient(raised.value) == (expected is not PermissionDeniedError)


def test_a_refusal_names_what_was_asked_of_whom(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.always("GET", "/v2/", Reply(403))
    for method in ("HEAD", "GET"):
        script.always(method, MANIFEST_PATH, Reply(403))
    store = make_store(script.host)
    with pytest.raises(PermissionDeniedError, match=f"^GET http://{script.host}/v2/: "):
        store.check_access()
    with pytest.raises(PermissionDeniedError, match=f"^GET http://{script.host}{MANIFEST_PATH}: "):
        store.resolve_manifest("team/app", "v1")


def test_whoever_wants_no_tls_where_all_leads_to_it_is_told_at_once(
    script: ScriptedRegistry, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions would be led there, and each upload refused."""
    store = make_store(script.host)
    led = HttpAnswer(200, {}, b"", "https://registry.example/v2/")
    monkeypatch.setattr(store._provider, "knock", lambda: led)
    with pytest.raises(UnexpectedAnswerError, match="leave out --plain-http"):
        store.check_access()


def test_access_is_checked_and_what_is_asked_for_that_counts(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("GET", "/v2/", Reply(), Reply(404), Reply(401))
    store = make_store(script.host)
    store.check_access()
    with pytest.raises(UnexpectedAnswerError, match="registry"):
        store.check_access()
    with pytest.raises(AuthenticationError):
        store.check_access()
    assert store.requests_made == 3
    assert store.host == script.host


def test_whoever_knocks_takes_no_connection_that_may_be_dead(script: ScriptedRegistry, make_store: MakeStore) -> None:
    """As after a laptop slept: nobody ends what is idle, and each would be asked for a whole deadline in vain."""
    workers = 8
    in_use = threading.Barrier(workers)

    def together(_: Request) -> Reply:
        in_use.wait(30)
        return Reply(headers={"Content-Length": str(BLOB.size)})

    script.always("HEAD", BLOB_PATH, together)
    script.expect("GET", "/v2/", Reply())
    store = make_store(script.host, stall_timeout=30.0)
    with ThreadPoolExecutor(workers) as pool:
        assert all(pool.map(lambda _: store.has_blob("team/app", BLOB), range(workers)))
    idle = {asked.connection for asked in script.requests}
    assert len(idle) == workers
    store.knock()
    assert script.requests[-1].connection not in idle
