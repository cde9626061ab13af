"""Each request carries the right authorization, fetched once, and no secret goes where it should not."""

import base64
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.real_parts import wait_until
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    LayoutliftError,
    PermissionDeniedError,
    RateLimitedError,
    RegistryError,
    RegistryUnavailableError,
    TransferStalledError,
    UnexpectedAnswerError,
    UntrustedConnectionError,
)
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.ports import RemoteManifest
from tasks.registry_ports import Deletion
from tasks.stores.registry.challenges import MOST_OTHERS, Challenge, KeptChallenges, parse_challenges
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.registry_auth import MOST_TOKENS, Authorizer
from tasks.stores.registry.registry_store import RegistryStore
from tasks.stores.registry.scopes import repository_scope
from tasks.stores.registry.transport.http_answers import HttpAnswer
from tasks.stores.registry.transport.http_pool import HttpPool
from tests.support.counting_lock import CountingLock
from tests.support.scripted_registry import Reply, Request, ScriptedRegistry

MakeStore = Callable[..., RegistryStore]
ME = Credentials("me", "pass:word")
BASIC = "Basic " + base64.b64encode(b"me:pass:word").decode()
FOUND = Reply(200, {"Docker-Content-Digest": Digest.of(b"x")})


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", ()),
        ('Basic realm="a, b"', (Challenge("basic", {"realm": "a, b"}),)),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push",error="invalid_token"',
            (
                Challenge(
                    "bearer",
                    {
                        "realm": "https://a/t",
                        "service": "s",
                        "scope": "repository:a/b:pull,push",
                        "error": "invalid_token",
                    },
                ),
            ),
        ),
        (
            'Negotiate, BASIC realm=plain , Bearer Realm = "q\\"uote"',
            (
                Challenge("negotiate", {}),
                Challenge("basic", {"realm": "plain"}),
                Challenge("bearer", {"realm": 'q"uote'}),
            ),
        ),
        ('realm="without a scheme"', ()),
    ],
)
def test_every_challenge_of_a_header_is_read(header: str, challenges: tuple[Challenge, ...]) -> None:
    assert parse_challenges(header) == challenges


@given(st.text())
def test_any_header_is_read_without_an_error(header: str) -> None:
    parse_challenges(header)


def test_a_header_of_millions_of_challenges_is_not_made_objects_of() -> None:
    assert len(parse_challenges("a," * 1_000_000)) < 10_000


def test_ways_that_can_not_be_gone_are_not_told_without_end() -> None:
    made = Authorizer("https://registry.example", lambda: ME, TokenServer())
    with pytest.raises(AuthenticationError) as raised:
        made.refused((), None, ", ".join(f"way{number}" for number in range(100_000)))
    assert len(str(raised.value)) < 1_000


def challenge(realm: str) -> Reply:
    return Reply(401, {"WWW-Authenticate": f'Bearer realm="{realm}/token",service="registry"'})


def token(value: str, **more: object) -> Reply:
    return Reply(body=json.dumps({"token": value, **more}).encode())


def token_of_scope(request: Request) -> Reply:
    return token("for " + " and ".join(request.query.get("scope", ["nothing"])))


def guarded(*accepted: str, realm: str) -> Callable[[Request], Reply]:
    """Answers who shows one of these headers, and challenges everybody else."""

    def answer(request: Request) -> Reply:
        return FOUND if request.headers.get("authorization") in accepted else challenge(realm)

    return answer


def test_a_registry_that_asks_for_nothing_gets_no_secret(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("HEAD", "/v2/app/manifests/v1", FOUND)
    make_store(script.host, ME).resolve_manifest("app", "v1")
    assert "authorization" not in script.requests[0].headers


def test_basic_authentication_takes_one_more_request_once(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("HEAD", "/v2/app/manifests/v1", Reply(401, {"WWW-Authenticate": 'Basic realm="r"'}), FOUND, FOUND)
    store = make_store(script.host, ME)
    store.resolve_manifest("app", "v1")
    store.resolve_manifest("app", "v1")
    assert [request.headers.get("authorization") for request in script.requests] == [None, BASIC, BASIC]


def test_a_wrong_password_fails_at_once(script: ScriptedRegistry, make_store: MakeStore) -> None:
    refusal = Reply(401, {"WWW-Authenticate": 'Basic realm="r"'}, b'{"errors":[{"code":"UNAUTHORIZED"}]}')
    script.expect("HEAD", "/v2/app/manifests/v1", refusal, refusal)
    with pytest.raises(AuthenticationError) as raised:
        make_store(script.host, ME).resolve_manifest("app", "v1")
    assert len(script.requests) == 2
    assert "word" not in str(raised.value)


def test_a_repository_that_a_good_password_may_not_use_says_nothing_of_others(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    asks = {"WWW-Authenticate": 'Basic realm="r"'}
    script.expect("GET", "/v2/", Reply(401, asks), Reply(), Reply())
    script.expect("HEAD", "/v2/secret/manifests/v1", Reply(401, asks))
    script.expect("HEAD", "/v2/app/manifests/v1", FOUND)
    store = make_store(script.host, ME)
    store.check_access()
    with pytest.raises(PermissionDeniedError):
        store.resolve_manifest("secret", "v1")
    assert store.resolve_manifest("app", "v1") is not None


def as_harbor(*accepted: str, realm: str, found: Reply = FOUND) -> Callable[[Request], Reply]:
    """Asks whoever shows nothing for a token, and whoever shows what is not enough for a password."""

    def answer(request: Request) -> Reply:
        shown = request.headers.get("authorization")
        if shown in accepted:
            return found
        return challenge(realm) if shown is None else Reply(401, {"WWW-Authenticate": 'Basic realm="harbor"'})

    return answer


def sent_to(script: ScriptedRegistry, *words: str) -> list[str | None]:
    """What was shown with the requests whose paths have one of these words."""
    return [each.headers.get("authorization") for each in script.requests if any(word in each.path for word in words)]


def test_a_repository_that_wants_a_password_where_a_token_gives_no_right_says_nothing_of_others(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """Harbor, Gitea and Forgejo do, and they would take the password for all else."""
    script.always("GET", "/token", token_of_scope)
    script.always("GET", "/v2/", as_harbor("Bearer for nothing", realm=script.url))
    script.always("PUT", "/v2/secret/manifests/v1", as_harbor(realm=script.url))
    mine = as_harbor("Bearer for repository:app:pull,push", realm=script.url)
    script.always("HEAD", "/v2/app/manifests/v1", mine)
    taken = as_harbor("Bearer for repository:app:pull,push", realm=script.url, found=Reply(201))
    script.always("PUT", "/v2/app/manifests/v1", taken)
    store, manifest = make_store(script.host, ME), RemoteManifest(b"{}", IMAGE_MANIFEST)
    store.check_access()
    for _ in range(2):
        with pytest.raises(PermissionDeniedError, match="refuses the credentials: 401"):
            store.push_manifest("secret", "v1", manifest)
        assert store.resolve_manifest("app", "v1") is not None
        store.push_manifest("app", "v1", manifest)
    assert sent_to(script, "/app/") == ["Bearer for repository:app:pull,push"] * 4
    asked = [each.query.get("scope") for each in script.asked("GET", "/token")]
    assert asked == [None, ["repository:secret:pull,push"], ["repository:app:pull,push"]]


def test_a_tag_that_may_not_be_deleted_says_nothing_of_others(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.always("GET", "/token", token_of_scope)
    script.always("GET", "/v2/", as_harbor("Bearer for nothing", realm=script.url))
    script.always("DELETE", "/v2/secret/manifests/v1", as_harbor(realm=script.url))
    granted = "Bearer for repository:app:pull,push,delete"
    script.always("DELETE", "/v2/app/manifests/v1", as_harbor(granted, realm=script.url, found=Reply(202)))
    store = make_store(script.host, ME)
    store.check_access()
    with pytest.raises(PermissionDeniedError):
        store.delete_tag("secret", "v1", lambda: True)
    assert store.delete_tag("app", "v1", lambda: True) is Deletion.DELETED
    assert sent_to(script, "/app/") == [granted]


def test_repositories_of_one_host_may_each_ask_in_their_own_way(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """Nexus can have them so behind one name."""

    def basic_only(request: Request) -> Reply:
        is_good = request.headers.get("authorization") == BASIC
        return FOUND if is_good else Reply(401, {"WWW-Authenticate": 'Basic realm="r"'})

    script.always("GET", "/token", token_of_scope)
    script.always("HEAD", "/v2/a/manifests/v1", guarded("Bearer for repository:a:pull,push", realm=script.url))
    script.always("HEAD", "/v2/b/manifests/v1", basic_only)
    script.always("HEAD", "/v2/c/manifests/v1", guarded("Bearer for repository:c:pull,push", realm=script.url))
    script.always("HEAD", "/v2/secret/manifests/v1", Reply(401, {"WWW-Authenticate": 'Basic realm="r"'}))
    store = make_store(script.host, ME)
    for name in "abcabc":
        assert store.resolve_manifest(name, "v1") is not None
    script.always("GET", "/v2/", guarded("Bearer for nothing", realm=script.url))
    with pytest.raises(PermissionDeniedError):
        store.resolve_manifest("secret", "v1")
    assert sent_to(script, "/a/", "/c/")[1:] == [f"Bearer for repository:{each}:pull,push" for each in "acac"]
    assert sent_to(script, "/b/") == ["Bearer for repository:b:pull,push", BASIC, BASIC]


@pytest.mark.parametrize(
    ("asks", "refusal"),
    [
        ("Negotiate", PermissionDeniedError),
        ('Bearer realm="{url}/of-secret"', PermissionDeniedError),
        ('Bearer realm="https://[auth/token"', UntrustedConnectionError),
    ],
)
@pytest.mark.parametrize("of_host", ["Basic", 'Bearer realm="{url}/token"'], ids=["Basic", "Bearer"])
def test_a_repository_that_asks_for_what_can_not_be_given_says_nothing_of_others(
    script: ScriptedRegistry, make_store: MakeStore, asks: str, refusal: type[LayoutliftError], of_host: str
) -> None:
    script.always("GET", "/token", token("t"))
    script.always("GET", "/of-secret", Reply(404))
    script.expect("GET", "/v2/", Reply(401, {"WWW-Authenticate": of_host.format(url=script.url)}), Reply())
    script.always("HEAD", "/v2/secret/manifests/v1", Reply(401, {"WWW-Authenticate": asks.format(url=script.url)}))
    script.always("HEAD", "/v2/app/manifests/v1", FOUND)
    store = make_store(script.host, ME)
    store.check_access()
    with pytest.raises(refusal):
        store.resolve_manifest("secret", "v1")
    assert store.resolve_manifest("app", "v1") is not None
    assert sent_to(script, "/app/") == ["Bearer t" if of_host.startswith("Bearer") else BASIC]


def test_a_repository_that_wants_a_password_where_there_is_none_says_nothing_of_what_all_may_read(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """Harbor's public projects, beside one that is not, and lists of referrers before 2.8."""
    script.always("GET", "/token", token_of_scope)
    script.always("GET", "/v2/", as_harbor("Bearer for nothing", realm=script.url))
    refused = as_harbor(realm=script.url)
    script.always("HEAD", "/v2/secret/manifests/v1", refused)
    script.always("GET", f"/v2/app/referrers/{Digest.of(b'x')}", refused)
    read = as_harbor("Bearer for repository:app:pull,push", realm=script.url)
    script.always("HEAD", "/v2/app/manifests/v1", read)
    store = make_store(script.host)
    store.check_access()
    with pytest.raises(PermissionDeniedError, match="none is configured; log in"):
        store.resolve_manifest("secret", "v1")
    assert store.list_referrers("app", Digest.of(b"x")) is None
    assert store.resolve_manifest("app", "v1") is not None


@pytest.mark.parametrize("write", [False, True])
def test_a_repository_that_wants_a_password_where_all_may_come_in_says_nothing_of_others_to_who_reads(
    script: ScriptedRegistry, make_store: MakeStore, write: bool
) -> None:
    """Whoever writes has forgotten to log in, and would be told so of each of thousands of repositories."""
    script.always("GET", "/v2/", Reply())
    script.always("HEAD", "/v2/secret/manifests/v1", Reply(401, {"WWW-Authenticate": 'Basic realm="r"'}))
    script.always("HEAD", "/v2/push/app/manifests/v1", FOUND)
    store = make_store(script.host, write=write)
    store.check_access()
    with pytest.raises(AuthenticationError if write else PermissionDeniedError, match="none is configured; log in"):
        store.resolve_manifest("secret", "v1")
    if not write:
        assert store.resolve_manifest("push/app", "v1") is not None
        store.check_access()


def test_a_password_that_is_taken_no_more_is_refused_for_all(script: ScriptedRegistry, make_store: MakeStore) -> None:
    refusal = Reply(401, {"WWW-Authenticate": 'Basic realm="r"'})
    script.expect("GET", "/v2/", refusal, Reply(), refusal)
    script.expect("HEAD", "/v2/app/manifests/v1", refusal)
    store = make_store(script.host, ME)
    store.check_access()
    with pytest.raises(AuthenticationError):
        store.resolve_manifest("app", "v1")


def test_whoever_knocks_asks_the_token_server_too(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_store: MakeStore
) -> None:
    """A token that is still good lets into a registry that grants no new ones: it is away for every other scope."""
    script.always("GET", "/v2/", guarded("Bearer t1", realm=elsewhere.url))
    elsewhere.expect("GET", "/token", token("t1"), Reply(503))
    store = make_store(script.host, ME)
    store.check_access()
    with pytest.raises(RegistryUnavailableError):
        store.knock()


def test_a_password_that_is_missing_is_said_so_with_the_remedy(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("GET", "/v2/", Reply(401, {"WWW-Authenticate": 'Basic realm="r"'}))
    with pytest.raises(AuthenticationError, match="LAYOUTLIFT_TARGET_PASSWORD"):
        make_store(script.host).check_access()


@pytest.mark.parametrize("header", ["", "Negotiate", "Bearer service=x"])
def test_a_way_that_can_not_be_gone_is_said_so(script: ScriptedRegistry, make_store: MakeStore, header: str) -> None:
    script.expect("GET", "/v2/", Reply(401, {"WWW-Authenticate": header}))
    with pytest.raises(AuthenticationError, match="not supported"):
        make_store(script.host, ME).check_access()


HELPER_FAILED = ConfigurationError("docker-credential-cloud failed for registry.example")


def finder(*answers: Credentials | LayoutliftError) -> Callable[[], Credentials]:
    """What finds credentials, or fails, one after the other."""
    left = list(answers)

    def find() -> Credentials:
        answer = left.pop(0)
        if isinstance(answer, LayoutliftError):
            raise answer
        return answer

    return find


@pytest.mark.parametrize("scheme", ['Basic realm="r"', 'Bearer realm="https://auth.example/token"'])
def test_a_helper_that_fails_after_it_gave_a_password_is_away_as_its_network_may_be(scheme: str) -> None:
    made = Authorizer("https://registry.example", finder(ME, HELPER_FAILED, ME), TokenServer())
    made.refused((), None, scheme)
    made.header(())
    made.forget(())
    with pytest.raises(ConnectionFailedError, match="docker-credential-cloud failed") as raised:
        made.header(())
    assert raised.value.transient
    assert made.header(())


BEARER = 'Bearer realm="https://auth.example/token"'


def test_a_helper_is_asked_once_for_the_tokens_of_many_repositories() -> None:
    made = Authorizer("https://registry.example", finder(ME), TokenServer())
    made.refused((), None, BEARER)
    assert [made.header((scope,)) for scope in "abc"] == ["Bearer t1", "Bearer t2", "Bearer t3"]
    assert made.credentials.get() == ME


def test_a_helper_is_asked_again_when_what_it_gave_comes_to_its_end() -> None:
    clock, brief = Clock(), Credentials("me", "brief", lifetime=100.0)
    made = Authorizer("https://registry.example", finder(brief, ME), TokenServer(), clock)
    found = [made.credentials.get()]
    for moment in (1079, 1081):
        clock.now = moment
        found.append(made.credentials.get())
    assert found == [brief, brief, ME]


def test_a_password_that_a_token_server_takes_no_more_is_asked_for_once_more() -> None:
    old, new = Credentials("me", "old"), Credentials("me", "new")
    refused = HttpAnswer(401, {}, b"", "https://auth.example/token")
    server, valid = TokenServer(), [old.basic(), new.basic()]

    def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> HttpAnswer:
        return server(method, url, headers, body) if headers["Authorization"] in valid else refused

    made = Authorizer("https://registry.example", finder(old, new, new), send)
    made.refused((), None, BEARER)
    assert made.header(("a",)) == "Bearer t1"
    valid.remove(old.basic())
    assert made.header(("b",)) == "Bearer t2"
    valid.clear()
    with pytest.raises(AuthenticationError):
        made.header(("c",))


def test_a_helper_that_never_gave_a_password_is_a_mistake_of_the_configuration() -> None:
    made = Authorizer("https://registry.example", finder(HELPER_FAILED), TokenServer())
    made.refused((), None, 'Basic realm="r"')
    with pytest.raises(ConfigurationError, match="docker-credential-cloud failed"):
        made.header(())


def test_whoever_only_reads_asks_for_no_right_to_write() -> None:
    assert repository_scope("team/app", write=False) == "repository:team/app:pull"


def test_scopes_are_kept_apart(script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_store: MakeStore) -> None:
    elsewhere.always("GET", "/token", token_of_scope)
    for name in ("a", "b"):
        wanted = f"Bearer for repository:{name}:pull,push"
        script.always("HEAD", f"/v2/{name}/manifests/v1", guarded(wanted, realm=elsewhere.url))
    store = make_store(script.host, ME)
    for name in ("a", "b", "a", "b"):
        assert store.resolve_manifest(name, "v1") is not None
    assert [request.query["scope"] for request in elsewhere.requests] == [
        ["repository:a:pull,push"],
        ["repository:b:pull,push"],
    ]
    assert {request.headers["authorization"] for request in elsewhere.requests} == {BASIC}
    assert len(script.requests) == 5


def test_the_password_goes_to_the_token_server_only(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_store: MakeStore
) -> None:
    elsewhere.expect("GET", "/token", token("t"))
    script.expect("HEAD", "/v2/app/manifests/v1", challenge(elsewhere.url), FOUND)
    make_store(script.host, ME).resolve_manifest("app", "v1")
    assert [request.headers.get("authorization") for request in script.requests] == [None, "Bearer t"]


def test_without_credentials_a_token_is_asked_for_anonymously(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("GET", "/token", token("t"))
    script.expect("HEAD", "/v2/app/manifests/v1", challenge(script.url), FOUND)
    make_store(script.host).resolve_manifest("app", "v1")
    assert "authorization" not in script.asked("GET", "/token")[0].headers


def test_a_stale_token_is_renewed_once(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("GET", "/token", token("old"), token("new"))
    script.expect("HEAD", "/v2/app/manifests/v1", challenge(script.url), FOUND, challenge(script.url), FOUND)
    store = make_store(script.host, ME)
    store.resolve_manifest("app", "v1")
    store.resolve_manifest("app", "v1")
    assert [r.headers.get("authorization") for r in script.asked("HEAD", "/v2/app/manifests/v1")] == [
        None,
        "Bearer old",
        "Bearer old",
        "Bearer new",
    ]


def test_a_token_that_is_refused_when_new_is_not_renewed_for_ever(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("GET", "/token", token("one"))
    script.expect("HEAD", "/v2/app/manifests/v1", challenge(script.url), challenge(script.url))
    with pytest.raises(PermissionDeniedError):
        make_store(script.host, ME).resolve_manifest("app", "v1")


def token_unless(*refused: str) -> Callable[[Request], Reply]:
    """A token server that grants any scope but these; an empty one is that of no scope."""

    def answer(request: Request) -> Reply:
        scopes = request.query.get("scope", [""])
        return Reply(401) if any(each in refused for each in scopes) else token_of_scope(request)

    return answer


def only_one_repository_is_forbidden(script: ScriptedRegistry, store: RegistryStore) -> None:
    """`secret` is, by the token server, and `app` is there all the same."""
    script.expect("HEAD", "/v2/secret/manifests/v1", challenge(script.url))
    script.expect("HEAD", "/v2/app/manifests/v1", FOUND)
    with pytest.raises(PermissionDeniedError, match="repository:secret:pull,push only"):
        store.resolve_manifest("secret", "v1")
    assert store.resolve_manifest("app", "v1") is not None


def test_a_scope_that_the_token_server_refuses_says_nothing_of_others(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.always("GET", "/token", token_unless("repository:secret:pull,push"))
    only_one_repository_is_forbidden(script, make_store(script.host, ME))


@pytest.mark.parametrize("hiccup", [Reply(503), Reply(429), Reply(drop=True)], ids=["503", "429", "reset"])
def test_a_token_server_that_fails_for_the_moment_after_it_refused_a_scope_says_nothing_of_the_credentials(
    script: ScriptedRegistry, make_store: MakeStore, hiccup: Reply
) -> None:
    replies = iter([Reply(401), hiccup, Reply(401), token("of no scope"), token("for app")])
    script.always("GET", "/token", lambda _: next(replies))
    only_one_repository_is_forbidden(script, make_store(script.host, ME))


def test_a_token_server_that_has_no_token_of_no_scope_is_believed_in_what_it_said_of_one() -> None:
    def refuse(_: str, url: str, _headers: object, _body: bytes | None) -> HttpAnswer:
        return HttpAnswer(401 if "scope=" in url else 200, {}, b"{}", url)

    made = Authorizer("https://registry.example", lambda: ME, refuse)
    made.refused((), None, 'Bearer realm="https://auth.example/token"')
    with pytest.raises(AuthenticationError):
        made.header(("repository:app:pull",))


def test_a_token_server_that_refuses_every_scope_refuses_the_credentials(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.always("GET", "/token", token_unless("repository:app:pull,push", ""))
    script.expect("HEAD", "/v2/app/manifests/v1", challenge(script.url))
    with pytest.raises(AuthenticationError):
        make_store(script.host, ME).resolve_manifest("app", "v1")


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TokenServer:
    """Gives a new token each time, with a lifetime."""

    def __init__(self, **more: object) -> None:
        self.more = more
        self.asked: list[tuple[str, str, bytes | None]] = []

    def __call__(self, method: str, url: str, headers: object, body: bytes | None) -> HttpAnswer:
        del headers
        self.asked.append((method, url, body))
        return HttpAnswer(200, {}, json.dumps({"access_token": f"t{len(self.asked)}", **self.more}).encode(), url)


def authorizer(server: TokenServer, clock: Clock, credentials: Credentials | None = ME) -> Authorizer:
    made = Authorizer("https://registry.example", lambda: credentials, server, clock)
    made.refused((), None, 'Bearer realm="https://auth.example/token?x=1",service="s v"')
    return made


@pytest.mark.parametrize(
    ("more", "fresh", "stale"),
    [({"expires_in": 300}, 239, 241), ({}, 47, 49), ({"expires_in": float("nan")}, 0.7, 0.9)],
)
def test_a_token_is_renewed_before_it_ends(more: dict[str, object], fresh: float, stale: float) -> None:
    server, clock = TokenServer(**more), Clock()
    made = authorizer(server, clock)
    scope = (repository_scope("a", write=False),)
    assert made.header(scope) == "Bearer t1"
    clock.now = 1000 + fresh
    assert made.header(scope) == "Bearer t1"
    clock.now = 1000 + stale
    assert made.header(scope) == "Bearer t2"


def test_a_token_that_another_worker_has_renewed_is_not_thrown_away() -> None:
    server, clock = TokenServer(), Clock()
    made = authorizer(server, clock)
    old = made.header(("s",))
    made.refused(("s",), old, 'Bearer realm="https://auth.example/token"')
    new = made.header(("s",))
    made.refused(("s",), old, 'Bearer realm="https://auth.example/token"')
    assert made.header(("s",)) == new == "Bearer t2"


def test_many_workers_fetch_one_token() -> None:
    server, clock = TokenServer(), Clock()
    made = authorizer(server, clock)
    headers: list[str | None] = []
    threads = [threading.Thread(target=lambda: headers.append(made.header(("s",)))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert headers == ["Bearer t1"] * 16
    assert len(server.asked) == 1


class Silent:
    """A token server that says nothing before it is let go, and then fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.over = threading.Event()

    def __call__(self, *_: object) -> HttpAnswer:
        self.asked += 1
        assert self.over.wait(30)
        raise TransferStalledError("the token server went silent")


@pytest.mark.parametrize(("scopes", "asked"), [("abcd", 4), ("aaaa", 1)])
def test_a_token_server_that_hangs_is_waited_for_once(
    scopes: str, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight workers would else wait for it eight times as long, one after the other."""
    server, lock = Silent(), CountingLock()
    made = Authorizer("https://registry.example", lambda: ME, server)
    made.refused((), None, 'Bearer realm="https://auth.example/token"')
    monkeypatch.setattr(made, "_lock", lock)
    with ThreadPoolExecutor(len(scopes)) as pool:
        waiting = [pool.submit(made.header, (scope,)) for scope in scopes]
        try:
            wait_until(lambda: (lock.number, server.asked) == (4, asked), what="all have come", deadline_seconds=20)
        finally:
            server.over.set()
    assert [type(each.exception()) for each in waiting] == [TransferStalledError] * 4
    assert server.asked == asked


def test_tokens_are_kept_in_bounded_memory() -> None:
    server = TokenServer(expires_in=3600)
    made = authorizer(server, Clock())
    for number in range(MOST_TOKENS + 1):
        made.header((f"s{number}",))
    made.header((f"s{MOST_TOKENS}",))
    assert len(server.asked) == MOST_TOKENS + 1
    made.header(("s0",))
    assert len(server.asked) == MOST_TOKENS + 2, "the first one was not let go"
    assert "t1" not in repr(made.__dict__)


def test_what_repositories_ask_for_is_kept_in_bounded_memory() -> None:
    kept, of_host, of_others = KeptChallenges(), Challenge("bearer", {"realm": "r"}), Challenge("basic")
    kept.keep((), of_host)
    for number in range(MOST_OTHERS + 1):
        kept.keep((f"s{number}",), of_others)
    assert [kept.of((f"s{number}",)) for number in (0, 1, MOST_OTHERS)] == [of_host, of_others, of_others]


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_that_a_token_server_asks_for_is_said_so_with_the_remedy(
    script: ScriptedRegistry, make_store: MakeStore, status: int
) -> None:
    script.expect("GET", "/v2/", challenge(script.url))
    script.expect("GET", "/token", Reply(status))
    with pytest.raises(AuthenticationError, match="none is configured; log in"):
        make_store(script.host).check_access()


def test_a_login_that_is_missing_for_a_push_is_said_so_with_the_remedy(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """Docker Hub grants everybody a token, of which only the push shows that it gives no right to that."""
    script.always("PUT", "/v2/app/manifests/v1", challenge(script.url))
    script.always("GET", "/token", token("of nobody"))
    for credentials, said in ((None, "none is configured; log in"), (ME, "refuses the credentials")):
        with pytest.raises(PermissionDeniedError, match=said):
            make_store(script.host, credentials).push_manifest("app", "v1", RemoteManifest(b"{}", IMAGE_MANIFEST))


@pytest.mark.parametrize("origin", ["https://registry.example", "http://registry.example"])
def test_a_token_server_at_no_web_address_is_not_asked(origin: str) -> None:
    server = TokenServer()
    made = Authorizer(origin, lambda: ME, server)
    made.refused((), None, 'Bearer realm="https://[auth/token"')
    with pytest.raises(UntrustedConnectionError, match="no web address"):
        made.header(())
    assert server.asked == []


def test_a_realm_with_letters_that_no_address_may_hold_is_asked_escaped(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("GET", "/v2/", Reply(401, {"WWW-Authenticate": f'Bearer realm="{script.url}/t\u00e9"'}))
    script.expect("GET", "/t%E9", Reply(404))
    with pytest.raises(AuthenticationError, match="404"):
        make_store(script.host).check_access()


def test_what_may_be_secret_in_a_realm_is_not_shown() -> None:
    made = Authorizer("https://registry.example", lambda: ME, lambda *_: HttpAnswer(403, {}, b"", ""))
    made.refused((), None, 'Bearer realm="https://me:hidden@auth.example/token?key=hidden"')
    with pytest.raises(AuthenticationError, match=r"https://auth\.example/token") as raised:
        made.header(())
    assert "hidden" not in str(raised.value)


def test_a_realm_with_a_query_is_extended() -> None:
    server = TokenServer()
    authorizer(server, Clock()).header(("a", "b"))
    assert server.asked[0][:2] == ("GET", "https://auth.example/token?x=1&service=s+v&scope=a&scope=b")


def test_an_identity_token_is_exchanged_by_post() -> None:
    server = TokenServer()
    made = authorizer(server, Clock(), Credentials(identity_token="identity"))
    assert made.header(("repository:a:pull", "repository:b:pull")) == "Bearer t1"
    method, url, body = server.asked[0]
    assert (method, url) == ("POST", "https://auth.example/token?x=1")
    assert body is not None
    assert parse_qs(body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["identity"],
        "service": ["s v"],
        "client_id": ["layoutlift"],
        "scope": ["repository:a:pull repository:b:pull"],
    }


@pytest.mark.parametrize("realm", ["http://auth.example/token", "ftp://auth.example", "/token", "HTTP://a"])
def test_a_secret_is_not_sent_in_the_clear_when_the_registry_is_encrypted(realm: str) -> None:
    server = TokenServer()
    made = Authorizer("https://registry.example", lambda: ME, server)
    made.refused((), None, f'Bearer realm="{realm}"')
    with pytest.raises(UntrustedConnectionError):
        made.header(())
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b"", AuthenticationError),
        (403, b"", AuthenticationError),
        (403, b'{"message": "You have exceeded a secondary rate limit."}', RateLimitedError),
        (404, b"", AuthenticationError),
        (429, b"", RateLimitedError),
        (408, b"", RegistryUnavailableError),
        (499, b"", RegistryUnavailableError),
        (500, b"", RegistryUnavailableError),
        (503, b"", RegistryUnavailableError),
        (200, b"", UnexpectedAnswerError),
        (200, b"[]", UnexpectedAnswerError),
        (200, b"{}", UnexpectedAnswerError),
        (200, b'{"token": 1}', UnexpectedAnswerError),
        (200, b'{"token": "a\\r\\nHost: evil"}', UnexpectedAnswerError),
        (200, b'{"token": "%s"}' % (b"t" * 65_537), UnexpectedAnswerError),
        (200, b'{"token": "t", "expires_in": "soon"}', UnexpectedAnswerError),
        (200, b'{"token": "t", "expires_in": 1%s}' % (b"0" * 400), UnexpectedAnswerError),
        (200, b"[" * 100_000, UnexpectedAnswerError),
    ],
)
def test_a_token_server_that_gives_no_token_is_told_apart(
    status: int, body: bytes, expected: type[LayoutliftError]
) -> None:
    made = Authorizer("https://h", lambda: ME, lambda _m, url, _h, _b: HttpAnswer(status, {}, body, url))
    made.refused((), None, 'Bearer realm="https://auth.example/token"')
    with pytest.raises(LayoutliftError) as raised:
        made.header(())
    assert type(raised.value) is expected
    assert "evil" not in str(raised.value)


def test_why_a_token_server_refuses_is_told() -> None:
    body = b'{"details":"personal access token is expired"}'
    made = Authorizer("https://h", lambda: ME, lambda _m, url, _h, _b: HttpAnswer(401, {}, body, url))
    made.refused((), None, 'Bearer realm="https://auth.example/token"')
    with pytest.raises(AuthenticationError, match=r"refused the credentials .*personal access token is expired"):
        made.header(())


def test_a_token_server_that_is_busy_is_asked_again(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("GET", "/token", Reply(503), token("t"))
    script.always("HEAD", "/v2/app/manifests/v1", guarded("Bearer t", realm=script.url))
    assert make_store(script.host, ME).resolve_manifest("app", "v1") is not None


def test_a_blob_read_back_is_authorized_like_all_else(
    script: ScriptedRegistry, make_store: MakeStore, make_pool: Callable[..., HttpPool]
) -> None:
    del make_pool
    descriptor = Descriptor("application/x", Digest.of(b"x"), 1)
    path = f"/v2/app/blobs/{descriptor.digest}"
    script.expect("GET", path, Reply(401, {"WWW-Authenticate": "Basic"}, b"x" * 1000), Reply(body=b"x"))
    script.expect("HEAD", path, Reply(headers={"Content-Length": "1"}))
    store = make_store(script.host, ME, connections=1)
    assert store.fetch_blob("app", descriptor).read() == b"x"
    assert store.has_blob("app", descriptor)
    assert store.requests_made == 3


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitedError), (503, RegistryUnavailableError)])
def test_why_a_token_server_gives_none_for_the_moment_is_told(status: int, kind: type[RegistryError]) -> None:
    """As Docker Hub's does after too many wrong passwords, of whatever machine at that address."""
    body = b'{"details":"too many failed login attempts for username or IP address"}'
    made = Authorizer("https://h", lambda: ME, lambda _m, url, _h, _b: HttpAnswer(status, {}, body, url))
    made.refused((), None, 'Bearer realm="https://auth.example/token"')
    with pytest.raises(kind, match=f"answered {status} .*too many failed login attempts"):
        made.header(())


def test_why_a_token_server_wants_a_login_is_told() -> None:
    body = b'{"errors":[{"code":"DENIED","message":"this address may not come without one"}]}'
    made = Authorizer("https://h", lambda: None, lambda _m, url, _h, _b: HttpAnswer(403, {}, body, url))
    made.refused((), None, 'Bearer realm="https://auth.example/token"')
    with pytest.raises(AuthenticationError, match=r"none is configured; .*this address may not come without one"):
        made.header(())


def test_a_wish_of_the_token_server_to_wait_is_heard() -> None:
    headers = {"Retry-After": "45"}
    made = Authorizer("https://h", lambda: ME, lambda _m, url, _h, _b: HttpAnswer(429, headers, b"", url))
    made.refused((), None, 'Bearer realm="https://auth.example/token"')
    with pytest.raises(RateLimitedError) as raised:
        made.header(())
    assert raised.value.retry_after == 45


BLOB = Descriptor("application/x", Digest.of(b"x"), 1)


def test_a_blob_that_may_not_be_read_back_says_nothing_of_others(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("GET", "/token", token("t"))
    script.expect("GET", f"/v2/app/blobs/{BLOB.digest}", *[challenge(script.url)] * 2)
    with pytest.raises(PermissionDeniedError):
        make_store(script.host, ME).fetch_blob("app", BLOB).read()


def test_an_authorization_that_ended_is_renewed_for_reading_back_too(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    ended = Reply(403, body=b'{"errors":[{"code":"DENIED","message":"Your authorization token has expired."}]}')
    script.expect("GET", "/token", token("any"), token("old"), token("new"))
    script.expect("GET", "/v2/", challenge(script.url), Reply())
    script.expect("GET", f"/v2/app/blobs/{BLOB.digest}", ended, Reply(body=b"x"))
    store = make_store(script.host, ME)
    store.check_access()
    assert store.fetch_blob("app", BLOB).read() == b"x"
    sent = [each.headers["authorization"] for each in script.asked("GET", f"/v2/app/blobs/{BLOB.digest}")]
    assert sent == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_a_host_that_the_registry_leads_to_may_not_ask_for_the_password(
    script: ScriptedRegistry, elsewhere: ScriptedRegistry, make_store: MakeStore, method: str, scheme: str
) -> None:
    """Who keeps the blobs could else name a token server of its own, and would be sent the password."""
    path = f"/v2/app/blobs/{BLOB.digest}"
    asks = f'{scheme} realm="{elsewhere.url}/token"'
    elsewhere.always("GET", "/token", token("t"))
    elsewhere.expect(method, "/data", Reply(401, {"WWW-Authenticate": asks}))
    script.expect("HEAD", "/v2/app/manifests/v1", Reply(401, {"WWW-Authenticate": "Basic"}), FOUND, FOUND)
    script.expect(method, path, Reply(307, {"Location": f"{elsewhere.url}/data"}))
    store = make_store(script.host, ME)
    store.resolve_manifest("app", "v1")
    with pytest.raises(PermissionDeniedError, match=r"127\.0\.0\.1:\d+/data"):
        store.has_blob("app", BLOB) if method == "HEAD" else store.fetch_blob("app", BLOB).read()
    assert [request.path for request in elsewhere.requests] == ["/data"]
    store.resolve_manifest("app", "v1")
    assert script.requests[-1].headers["authorization"] == BASIC
