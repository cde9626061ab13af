"""The way to the target leads through a proxy where the environment says so; its password stays with it."""

import ssl
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import trustme

from infra.real_parts import Registry
from tasks.oci.errors import AuthenticationError, ConnectionFailedError, UntrustedConnectionError
from tasks.ports import BlobArrival
from tasks.stores.registry.registry_store import RegistryStore
from tests.support.command import Layoutlift
from tests.support.connect_proxy import ConnectProxy
from tests.support.content import blob, tree
from tests.support.layouts import random_bytes
from tests.support.scripted_registry import Reply, ScriptedRegistry

MakeStore = Callable[..., RegistryStore]
LOGIN = ("lifter", "hunter2-not-to-be-seen")


@pytest.fixture
def make_proxy() -> Generator[Callable[..., ConnectProxy]]:
    made: list[ConnectProxy] = []

    def make(login: tuple[str, str] | None = None) -> ConnectProxy:
        made.append(ConnectProxy(login))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


@pytest.fixture
def secure(tmp_path: Path) -> Generator[tuple[ScriptedRegistry, str]]:
    """A registry that calls itself registry.test, and the file of the authority that says so."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("registry.test").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = ScriptedRegistry(context)
    yield server, str(tmp_path / "ca.pem")
    server.stop()


def test_tls_goes_through_a_tunnel_which_the_proxy_can_not_look_into(
    secure: tuple[ScriptedRegistry, str], make_store: MakeStore, make_proxy: Callable[..., ConnectProxy]
) -> None:
    server, ca_file = secure
    server.always("HEAD", "/v2/app/manifests/v1", Reply(404))
    proxy = make_proxy(LOGIN)
    environment = {"HTTPS_PROXY": f"http://{LOGIN[0]}:{LOGIN[1]}@{proxy.host}"}
    host = f"registry.test:{server.port}"
    store = make_store(host, plain_http=False, ca_file=ca_file, environment=environment)
    for _ in range(3):
        assert store.resolve_manifest("app", "v1") is None
    assert [line.rpartition(" ")[0] for line in proxy.seen] == [f"CONNECT {host}"]
    assert proxy.secrets == [proxy.wanted]
    assert not any("proxy-authorization" in request.headers for request in server.requests)


def test_a_certificate_is_checked_through_a_tunnel_too(
    secure: tuple[ScriptedRegistry, str], make_store: MakeStore, make_proxy: Callable[..., ConnectProxy]
) -> None:
    server, ca_file = secure
    environment = {"HTTPS_PROXY": f"http://{make_proxy().host}"}
    store = make_store(f"other.test:{server.port}", plain_http=False, ca_file=ca_file, environment=environment)
    with pytest.raises(UntrustedConnectionError):
        store.resolve_manifest("app", "v1")


def test_plain_http_is_forwarded_with_blobs_and_all(
    docker_registry: Registry, make_store: MakeStore, make_proxy: Callable[..., ConnectProxy], prefix: str
) -> None:
    proxy = make_proxy()
    host = f"registry.test:{docker_registry.port}"
    store = make_store(host, environment={"http_proxy": f"http://{proxy.host}"})
    content = blob(random_bytes(3, 900_000))
    assert store.push_blob(prefix, content) is BlobArrival.PUSHED
    assert store.has_blob(prefix, content.descriptor)
    assert all(f" http://{host}/v2/{prefix}/" in line for line in proxy.seen)


def test_no_proxy_leads_past_it(
    docker_registry: Registry, make_store: MakeStore, make_proxy: Callable[..., ConnectProxy], prefix: str
) -> None:
    proxy = make_proxy()
    environment = {"HTTP_PROXY": f"http://{proxy.host}", "NO_PROXY": "registry.test"}
    store = make_store(f"registry.test:{docker_registry.port}", environment=environment)
    with pytest.raises(ConnectionFailedError):  # nobody but the proxy knows this name
        store.resolve_manifest(prefix, "v1")
    assert proxy.seen == []


@pytest.mark.parametrize("plain", [True, False])
def test_a_proxy_that_wants_another_password_is_asked_once_and_named(
    make_store: MakeStore, make_proxy: Callable[..., ConnectProxy], plain: bool
) -> None:
    proxy = make_proxy(LOGIN)
    environment = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), f"http://me:wrong-word@{proxy.host}")
    store = make_store("registry.test:5000", plain_http=plain, environment=environment)
    with pytest.raises(AuthenticationError, match="proxy") as caught:
        store.resolve_manifest("app", "v1")
    assert "wrong-word" not in str(caught.value)
    assert len(proxy.seen) == 1


def test_a_proxy_that_is_not_there_is_named_as_the_cause(make_store: MakeStore) -> None:
    environment = {"HTTPS_PROXY": "http://me:wrong-word@127.0.0.1:1"}
    store = make_store("registry.test:5000", plain_http=False, environment=environment)
    with pytest.raises(ConnectionFailedError, match="through the proxy") as caught:
        store.resolve_manifest("app", "v1")
    assert "wrong-word" not in str(caught.value)


def test_a_proxy_without_tls_that_is_asked_with_it_is_told_by_what_helps(make_store: MakeStore) -> None:
    proxy = ScriptedRegistry()
    try:
        environment = {"HTTPS_PROXY": f"https://{proxy.host}"}
        store = make_store("registry.test:5000", plain_http=False, environment=environment)
        with pytest.raises(ConnectionFailedError, match=r"through the proxy: .* name it as http://host:port\)$"):
            store.resolve_manifest("app", "v1")
    finally:
        proxy.stop()


def test_an_upload_is_not_sent_to_another_host_through_a_proxy_either(
    make_store: MakeStore, make_proxy: Callable[..., ConnectProxy]
) -> None:
    server = ScriptedRegistry()
    try:
        server.always("HEAD", f"/v2/app/blobs/{blob(b'x').descriptor.digest}", Reply(404))
        server.always("POST", "/v2/app/blobs/uploads/", Reply(202, {"Location": "http://storage.test:1/put"}))
        proxy = make_proxy()
        store = make_store(f"registry.test:{server.port}", environment={"HTTP_PROXY": f"http://{proxy.host}"})
        with pytest.raises(UntrustedConnectionError):
            store.push_blob("app", blob(b"x"))
        assert not any("storage.test" in line for line in proxy.seen)
    finally:
        server.stop()


def test_a_migration_goes_through_a_proxy_and_tells_nobody_its_password(
    layoutlift: Layoutlift,
    docker_registry: Registry,
    make_proxy: Callable[..., ConnectProxy],
    tmp_path: Path,
    prefix: str,
) -> None:
    proxy = make_proxy(LOGIN)
    environment = {"HTTP_PROXY": f"http://{LOGIN[0]}:{LOGIN[1]}@{proxy.host}"}
    target = f"registry.test:{docker_registry.port}/{prefix}"
    ended = layoutlift.migrate(tree(tmp_path / "s", 1, 2), target, environment=environment)
    assert ended.totals["copied"] == 2
    assert len(proxy.seen) >= ended.totals["requests"]
    written = [path.read_bytes() for path in layoutlift.home.rglob("*") if path.is_file()]
    assert not any(LOGIN[1].encode() in content for content in [ended.output.encode(), *written])
