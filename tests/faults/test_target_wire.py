"""What happens on the way to a target: connections that break, stall, or end at the wrong place."""

import ssl
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import trustme

from infra.real_parts import Registry, ZotInPlace
from tasks.oci.errors import TransferStalledError, TransportError, UntrustedConnectionError
from tasks.ports import BlobArrival
from tasks.stop import Stop
from tasks.stores.pacing import Pace, PacedContent
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.registry_store import RegistryStore
from tests.support.command import Layoutlift
from tests.support.content import blob, image, tree
from tests.support.fault_proxy import (
    BLOB_PUT,
    Change,
    CutAnswer,
    Drip,
    FaultProxy,
    LoseAnswer,
    Reset,
    Say,
    Silence,
    Sip,
    Upstream,
)
from tests.support.layouts import random_bytes
from tests.support.real_parts import running
from tests.support.registry_view import RepositoryView
from tests.support.scripted_registry import Reply, ScriptedRegistry

MakeStore = Callable[..., RegistryStore]
LARGE = random_bytes(8, 2_000_000)
GIVES_UP_WITHIN = 30.0


@pytest.mark.parametrize(
    "fault", [Reset(), Reset(at=1), Reset(at=1_000_000), Silence(at=500_000)], ids=["before", "1st", "mid", "stall"]
)
def test_an_upload_that_breaks_is_begun_again_whole(
    proxy: FaultProxy, make_store: MakeStore, docker_registry: Registry, prefix: str, fault: object
) -> None:
    proxy.when("PUT", BLOB_PUT, fault, times=2)
    assert make_store(proxy.host, stall_timeout=2.0).push_blob(prefix, blob(LARGE)) is BlobArrival.PUSHED
    assert RepositoryView(docker_registry, prefix).blob(blob(LARGE).descriptor.digest) == LARGE
    assert len(proxy.asked("PUT", BLOB_PUT)) == 3


def test_a_blob_that_takes_longer_than_a_target_gives_a_request_goes_in_chunks(
    make_store: MakeStore, tmp_path: Path
) -> None:
    """As zot's own limit of a minute, which cuts each request for a large blob."""
    limited = {
        "distSpecVersion": "1.1.1",
        "storage": {"rootDirectory": str(tmp_path / "storage"), "dedupe": False, "gc": False},
        "http": {"address": "127.0.0.1", "readTimeout": "2s", "writeTimeout": "2s"},
        "log": {"level": "info"},
    }
    slow = PacedContent(blob(random_bytes(9, 68 * 1024**2)), Pace(24 * 1024**2, Stop()), lambda _: None)
    with running(ZotInPlace(tmp_path / "zot", configuration=limited, environment={})) as zot:
        assert make_store(zot.host).push_blob("app", slow) is BlobArrival.PUSHED
        assert make_store(zot.host).has_blob("app", slow.descriptor)


def test_a_blob_whose_answer_was_lost_is_found_and_not_sent_again(
    proxy: FaultProxy, make_store: MakeStore, prefix: str
) -> None:
    proxy.when("PUT", BLOB_PUT, LoseAnswer())
    assert make_store(proxy.host).push_blob(prefix, blob(LARGE)) is BlobArrival.PUSHED
    assert sum(seen.body for seen in proxy.asked("PUT", BLOB_PUT)) == len(LARGE)


def test_a_manifest_whose_answer_was_lost_is_stored(proxy: FaultProxy, make_store: MakeStore, prefix: str) -> None:
    store = make_store(proxy.host)
    store.push_blob(prefix, blob(b"{}"))
    proxy.when("PUT", r".*/manifests/.*", LoseAnswer(), times=2)
    store.push_manifest(prefix, "v1", image(b"{}"))
    assert store.resolve_manifest(prefix, "v1") is not None


def test_connections_that_break_all_the_time_cost_no_tag(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    for method, fault in (
        ("GET", Reset()),
        ("HEAD", Reset()),
        ("POST", Reset()),
        ("PUT", Reset()),
        ("PUT", LoseAnswer()),
    ):
        proxy.when(method, ".*", fault, times=2)
    ended = layoutlift.migrate(tree(tmp_path, size=300_000), f"{proxy.host}/{prefix}")
    assert ended.totals["copied"] == 6
    layoutlift.verify(tmp_path, f"{docker_registry.host}/{prefix}", "--depth", "content")


def test_content_read_back_goes_on_where_it_broke(proxy: FaultProxy, make_store: MakeStore, prefix: str) -> None:
    store = make_store(proxy.host)
    store.push_blob(prefix, blob(LARGE))
    proxy.when("GET", ".*/blobs/.*", CutAnswer(at=1_500_000))
    proxy.when("GET", ".*/blobs/.*", Reset(), times=2)
    assert store.fetch_blob(prefix, blob(LARGE).descriptor).read() == LARGE
    ranges = [seen.headers.get("range") for seen in proxy.asked("GET", ".*/blobs/.*")]
    assert ranges == [None, *3 * ["bytes=1500000-"]]


@pytest.mark.parametrize("fault", [Silence(), Silence(at=0), Sip(0.05, after=65_536)], ids=["mute", "deaf", "sips"])
def test_a_peer_that_hardly_moves_is_given_up(
    proxy: FaultProxy, make_store: MakeStore, prefix: str, fault: object
) -> None:
    """Bytes that still come, one by one, keep no worker for ever."""
    data = random_bytes(3, 12_000_000)  # more than the buffers on the way hold
    proxy.when("PUT", BLOB_PUT, fault, times=99)
    started = time.monotonic()
    with pytest.raises(TransferStalledError):
        make_store(proxy.host, stall_timeout=0.5).push_blob(prefix, blob(data))
    assert time.monotonic() - started < GIVES_UP_WITHIN


def test_an_answer_that_drips_is_given_up(proxy: FaultProxy, make_store: MakeStore, prefix: str) -> None:
    store = make_store(proxy.host, stall_timeout=0.5)
    proxy.when("GET", ".*/manifests/v1", Drip(0.05), times=99)
    with pytest.raises(TransferStalledError):
        store.fetch_manifest(prefix, "v1")


def test_a_list_that_drips_is_given_up_and_no_tag_with_it(
    proxy: FaultProxy, make_store: MakeStore, prefix: str
) -> None:
    store = make_store(proxy.host, stall_timeout=0.5)
    proxy.when("GET", ".*/tags/list", Drip(0.05), times=99)
    assert store.list_tags(prefix) is None
    assert store.resolve_manifest(prefix, "v1") is None


def test_a_blob_whose_answer_drips_is_found_and_not_sent_again(
    proxy: FaultProxy, make_store: MakeStore, prefix: str
) -> None:
    proxy.when("PUT", BLOB_PUT, Drip(0.05), times=99)
    assert make_store(proxy.host, stall_timeout=3.0).push_blob(prefix, blob(LARGE)) is BlobArrival.PUSHED
    assert len(proxy.stored()) == 1


def test_a_slow_but_honest_line_is_no_stall(proxy: FaultProxy, make_store: MakeStore, prefix: str) -> None:
    """An upload may take many times the stall deadline, as long as it moves."""

    def parts() -> Generator[bytes]:
        for part in range(16):
            proxy.closing.wait(0.2)
            yield LARGE[part * 125_000 : (part + 1) * 125_000]

    store = make_store(proxy.host, stall_timeout=1.0)
    proxy.when("POST", BLOB_PUT, Say(202, {"Location": f"/v2/{prefix}/blobs/uploads/1?at=1"}))
    proxy.when("PUT", BLOB_PUT, Say(201))  # a registry's own pause before it answers is another matter
    started = store._provider.do_request(f"/v2/{prefix}/blobs/uploads/", "POST", b"", {}, ())
    digest = blob(LARGE).descriptor.digest
    url = f"{started.headers['Location']}&digest={digest}"
    answer = store._provider.do_request(url, "PUT", parts(), {"Content-Length": str(len(LARGE))}, ())
    assert answer.status == 201
    assert [seen.body for seen in proxy.asked("PUT", BLOB_PUT)] == [len(LARGE)]


@pytest.fixture
def tls_proxy(docker_registry: Registry, tmp_path: Path) -> Generator[tuple[FaultProxy, str]]:
    """A proxy that ends TLS, and the file of the authority that it is trusted by."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    made = FaultProxy(docker_registry.host, tls=context)
    yield made, str(tmp_path / "ca.pem")
    made.stop()


def test_http_in_a_location_behind_a_tls_proxy_is_read_as_https(
    tls_proxy: tuple[FaultProxy, str], make_store: MakeStore, docker_registry: Registry, prefix: str
) -> None:
    """The registry behind knows nothing of TLS and names places that begin with http."""
    proxy, ca_file = tls_proxy
    places: list[str] = []

    def look(answer: Upstream) -> Upstream:
        places.append(answer.headers["Location"])
        return answer

    proxy.when("POST", BLOB_PUT, Change(look), times=9)
    make_store(proxy.host, plain_http=False, ca_file=ca_file).push_blob(prefix, blob(LARGE))
    assert {place.partition(":")[0] for place in places} == {"http"}
    assert RepositoryView(docker_registry, prefix).blob(blob(LARGE).descriptor.digest) == LARGE


def test_a_refusal_that_comes_before_the_body_was_sent_is_read_through_tls_too(
    tls_proxy: tuple[FaultProxy, str], make_store: MakeStore, docker_registry: Registry, prefix: str
) -> None:
    """Python tells such an end of a connection in other words there; the blob goes in chunks then."""
    proxy, ca_file = tls_proxy
    data = random_bytes(9, 9_000_000)
    proxy.most_body = 5_000_000
    store = make_store(proxy.host, plain_http=False, ca_file=ca_file, stall_timeout=10.0)
    assert store.push_blob(prefix, blob(data)) is BlobArrival.PUSHED
    assert RepositoryView(docker_registry, prefix).blob(blob(data).descriptor.digest) == data
    assert len([seen for seen in proxy.seen if seen.status == 413]) <= 5


def test_a_certificate_that_is_not_trusted_ends_the_run_with_a_hint(
    layoutlift: Layoutlift, tls_proxy: tuple[FaultProxy, str], tmp_path: Path
) -> None:
    ended = layoutlift("migrate", tree(tmp_path / "s"), tls_proxy[0].host, "--standalone", code=2)
    assert "--ca-file" in ended.stderr
    assert ended.seconds < GIVES_UP_WITHIN


def test_credentials_and_blobs_never_follow_to_another_host(
    proxy: FaultProxy, make_store: MakeStore, prefix: str
) -> None:
    elsewhere = ScriptedRegistry()
    try:
        elsewhere.expect("GET", "/content", Reply(body=LARGE))
        secret = Credentials("me", "secret")
        store = make_store(proxy.host, secret)
        proxy.when("HEAD", ".*", Say(401, {"WWW-Authenticate": 'Basic realm="x"'}))
        store.resolve_manifest(prefix, "v1")
        proxy.when("GET", ".*/blobs/.*", Say(307, {"Location": f"{elsewhere.url}/content"}))
        assert store.fetch_blob(prefix, blob(LARGE).descriptor).read() == LARGE
        assert "authorization" in proxy.seen[-1].headers
        assert "authorization" not in elsewhere.requests[0].headers

        proxy.when("POST", BLOB_PUT, Say(202, {"Location": f"{elsewhere.url}/upload"}), times=9)
        with pytest.raises(UntrustedConnectionError):
            store.push_blob(prefix, blob(LARGE[1:]))
        assert len(elsewhere.requests) == 1
    finally:
        elsewhere.stop()


def test_a_connection_that_is_refused_for_ever_is_named(make_store: MakeStore) -> None:
    with pytest.raises(TransportError, match=r"127\.0\.0\.1:9/v2"):
        make_store("127.0.0.1:9").check_access()
