"""Credentials that end, belong elsewhere, or are wrong; and secrets that must not be seen."""

import base64
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tasks.oci.errors import PermissionDeniedError, RegistryUnavailableError
from tasks.ports import BlobArrival
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.registry_store import RegistryStore
from tests.support.command import Layoutlift
from tests.support.content import blob, tree
from tests.support.fault_proxy import BLOB_PUT, Change, FaultProxy, Say
from tests.support.layouts import random_bytes
from tests.support.scripted_registry import Reply, Request, ScriptedRegistry

MakeStore = Callable[..., RegistryStore]
LARGE = random_bytes(9, 700_000)
USER = Credentials("me", "secret")
PASSWORD = "hunter2-not-to-be-seen"


@dataclass
class Tokens:
    """A token server, and a guard before a registry that asks for a token of the right scope."""

    server: ScriptedRegistry = field(default_factory=ScriptedRegistry)
    given: list[str] = field(default_factory=list)

    def give(self, request: Request) -> Reply:
        self.given.append(" ".join(request.query.get("scope", [])))
        return Reply(body=json.dumps({"token": f"token-{len(self.given)}", "expires_in": 300}).encode())

    def challenge(self, scope: str = "") -> Say:
        return Say(401, {"WWW-Authenticate": f'Bearer realm="{self.server.url}/token",service="r"{scope}'})


@pytest.fixture
def tokens() -> Generator[Tokens]:
    made = Tokens()
    made.server.always("GET", "/token", made.give)
    yield made
    made.server.stop()


@pytest.mark.parametrize("where", ["POST", "PUT"])
def test_a_token_that_ends_in_the_middle_is_renewed_before_or_after_a_body(
    proxy: FaultProxy, make_store: MakeStore, prefix: str, tokens: Tokens, where: str
) -> None:
    store = make_store(proxy.host, USER)
    proxy.when("HEAD", ".*", tokens.challenge())
    store.resolve_manifest(prefix, "v1")
    proxy.when(where, BLOB_PUT, tokens.challenge())
    assert store.push_blob(prefix, blob(LARGE)) is BlobArrival.PUSHED
    assert len(tokens.given) == 2
    assert proxy.stored() != []


def test_each_repository_has_a_token_of_its_own_scope(
    proxy: FaultProxy, make_store: MakeStore, prefix: str, tokens: Tokens
) -> None:
    store = make_store(proxy.host, USER)
    proxy.when("HEAD", ".*", tokens.challenge())
    for name in ("a", "b", "a"):
        store.resolve_manifest(f"{prefix}/{name}", "v1")
    assert tokens.given == [f"repository:{prefix}/{name}:pull,push" for name in "ab"]
    sent = [seen.headers.get("authorization") for seen in proxy.seen]
    assert sent == [None, "Bearer token-1", "Bearer token-2", "Bearer token-1"]


def test_a_token_server_that_fails_for_a_moment_is_asked_again(
    proxy: FaultProxy, make_store: MakeStore, prefix: str, tokens: Tokens
) -> None:
    tokens.server.expect("GET", "/token", Reply(503), Reply(500), Reply(drop=True))
    proxy.when("POST", BLOB_PUT, tokens.challenge())
    assert make_store(proxy.host, USER).push_blob(prefix, blob(LARGE)) is BlobArrival.PUSHED


def test_a_token_server_that_stays_broken_is_named(
    proxy: FaultProxy, make_store: MakeStore, prefix: str, tokens: Tokens
) -> None:
    tokens.server.always("GET", "/token", Reply(502))
    proxy.when("HEAD", ".*", tokens.challenge(), times=99)
    with pytest.raises(RegistryUnavailableError, match="token server"):
        make_store(proxy.host, USER).resolve_manifest(prefix, "v1")


def test_a_token_that_is_never_good_enough_fails_without_a_storm(
    proxy: FaultProxy, make_store: MakeStore, prefix: str, tokens: Tokens
) -> None:
    proxy.when("HEAD", ".*", tokens.challenge(), times=99)
    with pytest.raises(PermissionDeniedError):
        make_store(proxy.host, USER).resolve_manifest(prefix, "v1")
    assert len(proxy.seen) <= 3


def config(home: Path, host: str, password: str) -> dict[str, str]:
    auth = base64.b64encode(f"lifter:{password}".encode()).decode()
    (home / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(home)}


def test_a_wrong_password_fails_at_once_with_one_clear_line(
    layoutlift: Layoutlift, private_registry: Registry, tmp_path: Path
) -> None:
    proxy = FaultProxy(private_registry.host)
    try:
        environment = config(tmp_path, proxy.host, PASSWORD)
        ended = layoutlift.migrate(tree(tmp_path / "s"), proxy.host, code=2, environment=environment)
    finally:
        proxy.stop()
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "refuse" in ended.stderr
    assert PASSWORD not in ended.output
    assert len(proxy.seen) <= 2


NO_MORE = Say(401, {"WWW-Authenticate": 'Basic realm="x"'})
AS_IT_IS = Change(lambda answer: answer)


def test_a_password_that_ends_in_the_middle_stops_the_rest_and_is_said_once_a_tag(
    layoutlift: Layoutlift, private_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    proxy = FaultProxy(private_registry.host)
    try:
        environment = config(tmp_path, proxy.host, private_registry.login[1])
        proxy.when("GET", "/v2/", AS_IT_IS, times=2)  # with no password, and with a good one
        proxy.when("GET", "/v2/", NO_MORE, times=99)
        proxy.when("PUT", r".*/app-1/manifests/v1", NO_MORE, times=99)
        source = tree(tmp_path / "s", 2, 4)
        line = ("--jobs", "1")
        ended = layoutlift.migrate(source, f"{proxy.host}/{prefix}", *line, code=1, environment=environment)
        assert len(ended.rows) == 8
        assert set(ended.outcomes.values()) == {"copied", "authentication"}
        proxy.heal()
        again = layoutlift.migrate(source, f"{proxy.host}/{prefix}", environment=environment)
        assert again.totals["up_to_date"] == ended.totals["copied"]
    finally:
        proxy.stop()


@pytest.mark.parametrize("refusal", [NO_MORE, Say(403)], ids=["401", "403"])
def test_a_repository_that_is_forbidden_costs_no_other_and_is_told_of_once(
    layoutlift: Layoutlift, private_registry: Registry, tmp_path: Path, prefix: str, refusal: Say
) -> None:
    proxy = FaultProxy(private_registry.host)
    try:
        environment = config(tmp_path, proxy.host, private_registry.login[1])
        proxy.when(".*", r".*/app-1/.*", refusal, times=99)
        ended = layoutlift.migrate(
            tree(tmp_path / "s", 3, 2), f"{proxy.host}/{prefix}", code=1, environment=environment
        )
    finally:
        proxy.stop()
    assert ended.findings == {("app-1", "permission_denied")}
    assert "(the source has 2 tags of it)" in ended.output
    assert set(ended.outcomes.values()) == {"copied"}
    assert len(ended.rows) == 4


def test_no_secret_is_in_any_output_report_state_or_list_of_processes(
    layoutlift: Layoutlift, private_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    password = private_registry.login[1]
    proxy = FaultProxy(private_registry.host)
    pair = base64.b64encode(f"lifter:{password}".encode()).decode()
    words = f"login lifter with password {password} failed, lifter:{password} by Authorization: Basic {pair} ({pair})"
    echo = Say(400, {}, json.dumps({"errors": [{"code": "X", "message": words}]}).encode())
    try:
        proxy.when("PUT", ".*/manifests/v0", echo, times=99)
        environment = {"LAYOUTLIFT_TARGET_USERNAME": "lifter"}
        ended = layoutlift.migrate(
            tree(tmp_path / "s", 1, 2),
            f"{proxy.host}/{prefix}",
            "--password-stdin",
            code=1,
            stdin=f"{password}\n",
            environment=environment,
        )
    finally:
        proxy.stop()
    secrets = [password, pair]
    assert "login lifter with password … failed" in ended.output
    assert not any(secret in ended.output for secret in secrets)
    written = [path for path in layoutlift.home.rglob("*") if path.is_file()]
    assert written
    for path in written:
        content = path.read_bytes().decode(errors="replace")
        assert not any(secret in content for secret in secrets), path
