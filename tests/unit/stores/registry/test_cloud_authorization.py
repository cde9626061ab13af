"""How the clouds' registries want to be asked, as their documentation says: scripted answers, our requests."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tasks.oci.digest import Digest
from tasks.oci.errors import PermissionDeniedError
from tasks.registry_ports import Deletion
from tasks.stores.registry.credentials import Credentials, find_credentials
from tasks.stores.registry.registry_auth import Authorizer
from tasks.stores.registry.registry_store import RegistryStore
from tasks.stores.registry.scopes import scopes_after
from tasks.stores.registry.transport.http_answers import HttpAnswer
from tests.support.scripted_registry import Reply, Request, ScriptedRegistry

MakeStore = Callable[..., RegistryStore]
AZURE_USER = "00000000-0000-0000-0000-000000000000"
FOUND = Reply(200, {"Docker-Content-Digest": Digest.of(b"x")})
HOUR = 3600.0


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def bearer(realm: str, service: str) -> Reply:
    named = f',service="{service}"' if service else ""
    return Reply(401, {"WWW-Authenticate": f'Bearer realm="{realm}"{named}'})


@pytest.mark.parametrize("user", ["<token>", AZURE_USER])
def test_azure_gets_the_refresh_token_and_gives_an_access_token(
    script: ScriptedRegistry, make_store: MakeStore, user: str
) -> None:
    script.expect("HEAD", "/v2/app/manifests/v1", bearer(f"{script.url}/oauth2/token", "team.azurecr.io"), FOUND)
    script.expect("POST", "/oauth2/token", Reply(body=json.dumps({"access_token": "granted"}).encode()))
    store = make_store(script.host, Credentials.of(user, "refresh-token"))
    assert store.resolve_manifest("app", "v1") is not None
    asked = parse_qs(script.requests[1].body.decode())
    assert asked["grant_type"] == ["refresh_token"]
    assert asked["refresh_token"] == ["refresh-token"]
    assert asked["service"] == ["team.azurecr.io"]
    assert asked["scope"] == ["repository:app:pull,push"]
    assert script.requests[2].headers["authorization"] == "Bearer granted"


def guarded_by_action(realm: str, action: str) -> Callable[[Request], Reply]:
    """Lets in whoever has a token for one action alone, and names it to all others, as Azure's registry does."""

    def answer(request: Request) -> Reply:
        scope = f"repository:{request.path.split('/')[2]}:{action}"
        if request.headers.get("authorization") == f"Bearer for {scope}":
            return Reply(body=b'{"tags":["v1"]}')
        return Reply(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="team.azurecr.io",scope="{scope}"'})

    return answer


def token_of_scope(request: Request) -> Reply:
    return Reply(body=json.dumps({"access_token": f"for {request.query['scope'][0]}"}).encode())


def test_what_azure_grants_for_a_list_of_tags_alone_is_asked_for_by_its_name(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """A token of a scope map lists tags by its `metadata/read`, which no scope of a pull or push grants."""
    for name in ("a", "b"):
        script.always("GET", f"/v2/{name}/tags/list", guarded_by_action(f"{script.url}/token", "metadata_read"))
        script.always("HEAD", f"/v2/{name}/manifests/v1", FOUND)
    script.always("GET", "/token", token_of_scope)
    store = make_store(script.host, Credentials.of("lifter", "password"))
    for name in ("a", "b", "a"):
        assert store.list_tags(name) == {"v1"}
        assert store.resolve_manifest(name, "v1") is not None
    scopes = [request.query["scope"] for request in script.asked("GET", "/token")]
    granted = ("a:metadata_read", "a:pull,push", "b:metadata_read", "b:pull,push")
    assert sorted(scopes) == [[f"repository:{each}"] for each in granted]


def test_who_may_push_to_azure_and_not_list_is_told_of_each_tag_by_itself(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    """The scope map for a push that Azure comes with lacks the right."""

    def only_for_a_push(request: Request) -> Reply:
        scopes = request.query.get("scope", [])
        return Reply(401) if scopes == ["repository:app:metadata_read"] else Reply(body=b'{"token":"t"}')

    script.always("GET", "/v2/app/tags/list", guarded_by_action(f"{script.url}/token", "metadata_read"))
    script.always("GET", "/token", only_for_a_push)
    script.expect("HEAD", "/v2/app/manifests/latest", Reply(404))
    assert make_store(script.host, Credentials.of("lifter", "password")).list_tags("app") is None


@pytest.mark.parametrize(
    "named",
    [
        "",
        "repository:app:pull",
        "repository:app:push,pull",
        "repository:other:delete",
        "registry:catalog:*",
        "repository:app:pull repository:other:pull",
        "nonsense",
        pytest.param(f"repository:app:pull,push,{'x' * 1_000}", id="as long as none is"),
    ],
)
def test_a_scope_that_is_no_more_of_the_same_repository_is_not_asked_for(named: str) -> None:
    asked = ("repository:app:pull,push",)
    assert scopes_after(f'Bearer realm="https://a/t",scope="{named}"', asked) == asked


def test_azures_name_and_token_serve_where_only_a_password_is_taken(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("HEAD", "/v2/app/manifests/v1", Reply(401, {"WWW-Authenticate": 'Basic realm="r"'}), FOUND)
    make_store(script.host, Credentials.of(AZURE_USER, "refresh")).resolve_manifest("app", "v1")
    assert script.requests[1].headers["authorization"] == basic(AZURE_USER, "refresh")


@pytest.mark.parametrize("written", ["identitytoken", "auth", "environment"])
def test_azures_token_is_known_wherever_it_is_kept(tmp_path: Path, written: str) -> None:
    auth = base64.b64encode(f"{AZURE_USER}:refresh".encode()).decode()
    entries = {
        "identitytoken": {"auth": base64.b64encode(f"{AZURE_USER}:".encode()).decode(), "identitytoken": "refresh"},
        "auth": {"auth": auth},
        "environment": {},
    }
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"team.azurecr.io": entries[written]}}))
    environment = {"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path)}
    if written == "environment":
        environment |= {"LAYOUTLIFT_TARGET_USERNAME": AZURE_USER, "LAYOUTLIFT_TARGET_PASSWORD": "refresh"}
    found = find_credentials("team.azurecr.io", "", environment)
    assert found is not None
    assert (found.identity_token, found.password) == ("refresh", "")


def test_google_names_no_service_and_is_sent_none(script: ScriptedRegistry, make_store: MakeStore) -> None:
    script.expect("HEAD", "/v2/p/r/app/manifests/v1", bearer(f"{script.url}/v2/token", ""), FOUND)
    script.expect("GET", "/v2/token", Reply(body=b'{"token": "t"}'))
    store = make_store(script.host, Credentials("oauth2accesstoken", "ya29.token"))
    store.resolve_manifest("p/r/app", "v1")
    assert script.requests[1].query == {"scope": ["repository:p/r/app:pull,push"]}
    assert script.requests[1].headers["authorization"] == basic("oauth2accesstoken", "ya29.token")


@pytest.mark.parametrize("robot", ["robot$team+lift", "team+robot"])
def test_robots_of_harbor_and_quay_keep_their_signs(
    script: ScriptedRegistry, make_store: MakeStore, robot: str
) -> None:
    script.expect(
        "HEAD", "/v2/team/app/manifests/v1", bearer(f"{script.url}/service/token", "harbor-registry"), FOUND
    )
    script.expect("GET", "/service/token", Reply(body=b'{"token": "t"}'))
    make_store(script.host, Credentials(robot, "s")).resolve_manifest("team/app", "v1")
    assert script.requests[1].headers["authorization"] == basic(robot, "s")


def token_but_for(*undecoded: str) -> Callable[[Request], Reply]:
    """A token server that says 400 of a scope with other actions than it knows, as Quay's does."""
    message = b'{"errors":[{"code":"INVALID_REQUEST","message":"Unable to decode repository and actions"}]}'

    def answer(request: Request) -> Reply:
        (scope,) = request.query.get("scope", ["none"])
        named = json.dumps({"token": f"for {scope}"}).encode()
        return Reply(400, body=message) if scope.rpartition(":")[2] in undecoded else Reply(body=named)

    return answer


def test_quay_deletes_for_whoever_may_push_and_knows_no_scope_for_it(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    def delete(request: Request) -> Reply:
        granted = f"Bearer for repository:{request.path.split('/')[2]}:pull,push"
        is_good = request.headers.get("authorization") == granted
        return Reply(202) if is_good else bearer(f"{script.url}/token", "quay")

    script.always("GET", "/token", token_but_for("pull,push,delete"))
    for name in ("app", "lib"):
        script.always("DELETE", f"/v2/{name}/manifests/v1", delete)
    store = make_store(script.host, Credentials.of("team+robot", "s"))
    for name in ("app", "app", "lib"):
        assert store.delete_tag(name, "v1", lambda: True) is Deletion.DELETED
    asked = [scope for each in script.asked("GET", "/token") for scope in each.query.get("scope", ())]
    assert asked == [f"repository:{each}" for each in ("app:pull,push,delete", "app:pull,push", "lib:pull,push")]


@pytest.mark.parametrize("answers", [401, 403, "no token"])
def test_a_scope_for_deletions_is_asked_for_until_something_was_deleted_without(
    script: ScriptedRegistry, make_store: MakeStore, answers: int | str
) -> None:
    """It may be this repository's token alone that was refused, and what else is refused is told as it is."""
    refuses_both = answers == "no token"
    script.always("GET", "/token", token_but_for("pull,push,delete", *(["pull,push"] if refuses_both else [])))
    challenge = bearer(f"{script.url}/token", "quay")
    script.expect("DELETE", "/v2/app/manifests/v1", challenge)
    script.always("DELETE", "/v2/app/manifests/v1", challenge if answers == 401 else Reply(403))
    store = make_store(script.host, Credentials.of("team+robot", "s"))
    for _ in range(2):
        with pytest.raises(PermissionDeniedError):
            store.delete_tag("app", "v1", lambda: True)
    asked = [scope for each in script.asked("GET", "/token") for scope in each.query.get("scope", ())]
    assert asked.count("repository:app:pull,push,delete") == 2


@pytest.mark.parametrize("write", [False, True])
def test_what_may_not_be_read_may_not_be_there_yet_for_whoever_only_looks(
    script: ScriptedRegistry, make_store: MakeStore, write: bool
) -> None:
    """Quay answers so to a robot that may make repositories, and makes one where a token for a push is asked for."""
    for method, path in (("GET", "/v2/app/tags/list"), ("HEAD", "/v2/app/manifests/latest")):
        script.always(method, path, bearer(f"{script.url}/token", "quay"))
    script.always("GET", "/token", token_of_scope)
    store = make_store(script.host, Credentials.of("team+robot", "s"), write=write)
    with pytest.raises(PermissionDeniedError, match="refuses the credentials: 401") as caught:
        store.list_tags("app")
    assert ("is not there yet" in str(caught.value)) is not write
    assert caught.value.status == 401


def test_a_token_server_that_calls_itself_harbors_makes_the_target_a_harbor(
    script: ScriptedRegistry, make_store: MakeStore
) -> None:
    script.expect("GET", "/v2/", bearer(f"{script.url}/service/token", "harbor-registry"), Reply(200))
    script.expect("GET", "/service/token", Reply(body=b'{"token": "t"}'))
    store = make_store(script.host, Credentials("me", "s"))
    store.check_access()
    assert store.profile.title == "Harbor"


def test_a_password_that_ends_is_fetched_anew_before_it_does() -> None:
    now = [0.0]
    given: list[str] = []

    def find() -> Credentials:
        given.append(f"password-{len(given)}")
        return Credentials("AWS", given[-1], lifetime=12 * HOUR)

    made = Authorizer("https://h", find, lambda *_: HttpAnswer(500, {}, b"", ""), clock=lambda: now[0])
    made.refused((), None, 'Basic realm="ecr"')
    for hours, expected in ((0, "password-0"), (9, "password-0"), (10, "password-1"), (19, "password-1")):
        now[0] = hours * HOUR
        assert made.header(()) == basic("AWS", expected)


def test_amazons_403_for_an_ended_token_has_a_new_one_fetched(
    script: ScriptedRegistry, make_pool: Callable[..., object], make_store: MakeStore
) -> None:
    del make_pool
    ended = (
        b'{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try."}]}'
    )
    script.expect("GET", "/v2/", Reply(401, {"WWW-Authenticate": 'Basic realm="r"'}), Reply(200))
    script.expect("GET", "/v2/app/manifests/v1", Reply(403, body=ended), Reply(body=b"{}"))
    store = make_store(script.host, Credentials("AWS", "one"))
    secrets = iter(["one", "two"])
    store._provider._authorizer.credentials._find = lambda: Credentials("AWS", next(secrets))
    store.check_access()
    assert store.fetch_manifest("app", "v1") is not None
    sent = [request.headers.get("authorization") for request in script.requests]
    assert sent == [None, basic("AWS", "one"), basic("AWS", "one"), basic("AWS", "two")]


def test_docker_hubs_pull_limit_is_known_once_it_was_said(script: ScriptedRegistry, make_store: MakeStore) -> None:
    headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "97;w=21600", **FOUND.headers}
    script.expect("HEAD", "/v2/library/app/manifests/v1", FOUND, Reply(200, headers))
    store = make_store(script.host)
    store.resolve_manifest("library/app", "v1")
    assert store.rate_limit is None
    store.resolve_manifest("library/app", "v1")
    assert store.rate_limit == "97;w=21600 left of 100;w=21600"
