"""A target that points elsewhere: what is read may come from there, credentials and content never go there."""

from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tasks.oci.errors import LayoutliftError, UntrustedConnectionError
from tasks.ports import BlobArrival
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.registry_store import RegistryStore
from tests.support.command import Layoutlift
from tests.support.content import blob, image
from tests.support.fault_proxy import BLOB_PUT, Change, FaultProxy, Say, Upstream
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.registry_view import RepositoryView
from tests.support.scripted_registry import Reply, ScriptedRegistry

MakeStore = Callable[..., RegistryStore]
CONTENT = random_bytes(11, 300_000)
MANIFESTS, BLOBS, TAGS = ".*/manifests/.*", ".*/blobs/sha256:.*", ".*/tags/list"
REDIRECTS = [301, 302, 303, 307, 308]

READS: dict[str, tuple[str, str, Callable[[RegistryStore, str], object]]] = {
    "ask for a manifest": ("HEAD", MANIFESTS, lambda store, name: store.resolve_manifest(name, "v1")),
    "ask for a blob": ("HEAD", BLOBS, lambda store, name: store.has_blob(name, blob(CONTENT).descriptor)),
    "fetch a manifest": ("GET", MANIFESTS, lambda store, name: store.fetch_manifest(name, "v1")),
    "fetch a blob": ("GET", BLOBS, lambda store, name: store.fetch_blob(name, blob(CONTENT).descriptor).read()),
    "list tags": ("GET", TAGS, lambda store, name: store.list_tags(name)),
}
WRITES: dict[str, tuple[str, str, Callable[[RegistryStore, str], object]]] = {
    "begin an upload": ("POST", BLOB_PUT, lambda store, name: store.push_blob(name, blob(CONTENT[1:]))),
    "send a blob": ("PUT", BLOB_PUT, lambda store, name: store.push_blob(name, blob(CONTENT[1:]))),
    "send a manifest": ("PUT", MANIFESTS, lambda store, name: store.push_manifest(name, "v2", image(b"{}"))),
}


@pytest.fixture
def elsewhere() -> Generator[ScriptedRegistry]:
    """Another host, which takes and gives whatever it is asked."""
    made = ScriptedRegistry()
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH"):
        made.always(method, "/taken", Reply(201, {"Location": "/taken"}))
    yield made
    made.stop()


@pytest.fixture
def store(proxy: FaultProxy, make_store: MakeStore, prefix: str) -> RegistryStore:
    """A store with credentials, which it has been asked for, and something at the target."""
    made = make_store(proxy.host, Credentials("me", "secret"))
    proxy.when("HEAD", ".*", Say(401, {"WWW-Authenticate": 'Basic realm="x"'}))
    made.resolve_manifest(prefix, "v1")
    for content in (CONTENT, b"{}"):
        made.push_blob(prefix, blob(content))
    made.push_manifest(prefix, "v1", image(b"{}"))
    assert "authorization" in proxy.seen[-1].headers
    return made


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize(("method", "path", "read"), READS.values(), ids=READS)
def test_what_is_read_elsewhere_is_asked_for_without_credentials(
    store: RegistryStore,
    proxy: FaultProxy,
    elsewhere: ScriptedRegistry,
    prefix: str,
    status: int,
    method: str,
    path: str,
    read: Callable[[RegistryStore, str], object],
) -> None:
    proxy.when(method, path, Say(status, {"Location": f"{elsewhere.url}/taken"}), times=99)
    with suppress(LayoutliftError):  # what is there is not what was asked for
        read(store, prefix)
    assert {request.method for request in elsewhere.requests} <= {"GET", "HEAD"}
    assert not any({"authorization", "cookie"} & request.headers.keys() for request in elsewhere.requests)


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize(("method", "path", "write"), WRITES.values(), ids=WRITES)
def test_what_is_written_goes_nowhere_else(
    store: RegistryStore,
    proxy: FaultProxy,
    elsewhere: ScriptedRegistry,
    prefix: str,
    status: int,
    method: str,
    path: str,
    write: Callable[[RegistryStore, str], object],
) -> None:
    proxy.when(method, path, Say(status, {"Location": f"{elsewhere.url}/taken"}), times=99)
    with pytest.raises(LayoutliftError):
        write(store, prefix)
    assert elsewhere.requests == []


def test_a_chunk_goes_nowhere_else_either(
    store: RegistryStore, proxy: FaultProxy, elsewhere: ScriptedRegistry, prefix: str
) -> None:
    proxy.when("PUT", BLOB_PUT, Say(413), times=99)
    there = lambda answer: Upstream(answer.status, answer.headers | {"Location": f"{elsewhere.url}/taken"}, b"")  # noqa: E731
    proxy.when("PATCH", BLOB_PUT, Change(there), times=99)
    with pytest.raises(UntrustedConnectionError):
        store.push_blob(prefix, blob(CONTENT[1:]))
    assert elsewhere.requests == []


def test_what_lies_elsewhere_is_not_pushed_as_the_backup_of_a_tag(
    layoutlift: Layoutlift,
    docker_registry: Registry,
    proxy: FaultProxy,
    elsewhere: ScriptedRegistry,
    prefix: str,
    tmp_path: Path,
) -> None:
    """The place may be one that this machine reaches, and the target does not."""
    RepositoryView(docker_registry, f"{prefix}/app").push_image("v1")
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"ours"])
    layout.write()
    elsewhere.always("GET", "/inside", Reply(200, {"Content-Type": "application/json"}, b'{"secret": 1}'))
    proxy.when("GET", ".*/manifests/v1", Say(307, {"Location": f"{elsewhere.url}/inside"}), times=99)
    options = ("--on-conflict", "overwrite", "--backup-tag", "old-{tag}")
    ended = layoutlift.migrate(tmp_path, f"{proxy.host}/{prefix}", *options, code=1)
    assert elsewhere.asked("GET", "/inside")
    assert proxy.asked("PUT", ".*/manifests/.*") == []
    assert ended.outcomes == {"app:v1": "backup_refused"}


def test_the_place_of_an_upload_may_be_absolute(store: RegistryStore, proxy: FaultProxy, prefix: str) -> None:
    def absolute(answer: Upstream) -> Upstream:
        place = answer.headers["Location"].partition("/v2/")[2]
        return Upstream(answer.status, answer.headers | {"Location": f"{proxy.url}/v2/{place}"}, answer.body)

    proxy.when("POST", BLOB_PUT, Change(absolute), times=99)
    assert store.push_blob(prefix, blob(CONTENT[1:])) is BlobArrival.PUSHED


def test_a_store_that_follows_everywhere_would_be_seen(elsewhere: ScriptedRegistry) -> None:
    """What a client does that takes its headers along."""
    import urllib.request  # noqa: PLC0415

    request = urllib.request.Request(f"{elsewhere.url}/taken", headers={"Authorization": "Basic x"})
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()
    assert any("authorization" in each.headers for each in elsewhere.requests)
