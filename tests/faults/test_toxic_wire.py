"""The wire itself at its worst, by Toxiproxy: what passes costs nothing, what stays is given up in time and named."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.real_parts import Registry, SeaweedFS, ToxicProxy, Toxiproxy, wait_until
from tasks.endpoints import TargetOptions, open_target
from tasks.oci.errors import TargetUnavailableError, TransferStalledError, TransportError
from tasks.patience import TARGET_TIMEOUT
from tasks.ports import BlobArrival
from tasks.stop import Stop
from tasks.stores.registry import request_retry, target_outage
from tasks.stores.registry.registry_store import RegistryStore
from tests.support.buckets import upload
from tests.support.command import Layoutlift
from tests.support.content import blob, tree
from tests.support.layouts import random_bytes
from tests.support.registry_view import RepositoryView

MakeStore = Callable[..., RegistryStore]
LARGE = random_bytes(8, 2_000_000)
PASSES_AFTER = 0.7
GIVES_UP_WITHIN = 30.0
ONE_BYTE_A_SECOND = {"average_size": 1, "size_variation": 0, "delay": 1_000_000}

TOXICS = {
    "reset at once": ("reset_peer", "upstream", {"timeout": 0}),
    "reset in mid-body": ("reset_peer", "upstream", {"timeout": 150}),
    "cut in mid-body": ("limit_data", "upstream", {"bytes": 700_000}),
    "answer cut": ("limit_data", "downstream", {"bytes": 40}),
    "answer reset": ("reset_peer", "downstream", {"timeout": 0}),
    "black hole": ("timeout", "upstream", {"timeout": 0}),
    "answers fall into a black hole": ("timeout", "downstream", {"timeout": 0}),
    "black hole that closes": ("timeout", "upstream", {"timeout": 200}),
    "a byte a second": ("slicer", "upstream", ONE_BYTE_A_SECOND),
    "answers by a byte a second": ("slicer", "downstream", ONE_BYTE_A_SECOND),
}
toxics = pytest.mark.parametrize(("kind", "stream", "attributes"), TOXICS.values(), ids=TOXICS)


@toxics
def test_what_passes_costs_nothing(
    wire: ToxicProxy,
    make_store: MakeStore,
    docker_registry: Registry,
    prefix: str,
    kind: str,
    stream: str,
    attributes: dict[str, int],
) -> None:
    wire.add("latency", "downstream", latency=20, jitter=10)
    toxic = wire.add(kind, stream, **attributes)
    healing = threading.Timer(PASSES_AFTER, wire.remove, [toxic])
    healing.start()
    store = make_store(wire.host, first_wait=0.2, stall_timeout=1.0)
    assert store.push_blob(prefix, blob(LARGE)) is BlobArrival.PUSHED
    healing.join()
    assert RepositoryView(docker_registry, prefix).blob(blob(LARGE).descriptor.digest) == LARGE
    assert store.fetch_blob(prefix, blob(LARGE).descriptor).read() == LARGE


@toxics
def test_what_stays_is_given_up_in_time_and_named(
    wire: ToxicProxy, make_store: MakeStore, prefix: str, kind: str, stream: str, attributes: dict[str, int]
) -> None:
    wire.add(kind, stream, **attributes)
    started = time.monotonic()
    with pytest.raises(TransportError) as raised:
        make_store(wire.host, stall_timeout=0.5).push_blob(prefix, blob(LARGE))
    assert time.monotonic() - started < GIVES_UP_WITHIN
    assert wire.host in str(raised.value)


def test_a_connection_that_is_closed_slowly_is_no_fault(wire: ToxicProxy, make_store: MakeStore, prefix: str) -> None:
    wire.add("slow_close", "downstream", delay=2000)
    wire.add("slow_close", "upstream", delay=2000)
    store = make_store(wire.host)
    assert store.push_blob(prefix, blob(LARGE)) is BlobArrival.PUSHED
    assert store.fetch_blob(prefix, blob(LARGE).descriptor).read() == LARGE


def test_a_thin_line_is_no_stall(wire: ToxicProxy, make_store: MakeStore, prefix: str) -> None:
    """Reading takes several times the stall deadline, and bytes come all the time."""
    store = make_store(wire.host, stall_timeout=1.0)
    store.push_blob(prefix, blob(LARGE))
    wire.add("bandwidth", "downstream", rate=600)
    started = time.monotonic()
    assert store.fetch_blob(prefix, blob(LARGE).descriptor).read() == LARGE
    assert time.monotonic() - started > 2.0


def test_reading_back_through_a_black_hole_is_given_up(wire: ToxicProxy, make_store: MakeStore, prefix: str) -> None:
    make_store(wire.host).push_blob(prefix, blob(LARGE))
    wire.add("timeout", "downstream", timeout=0)
    with pytest.raises(TransferStalledError):
        make_store(wire.host, stall_timeout=0.5).fetch_blob(prefix, blob(LARGE).descriptor).read()


def test_a_run_over_a_wire_that_is_cut_again_and_again_ends_complete(
    wire: ToxicProxy, layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    over = threading.Event()

    def cut() -> None:
        for _ in range(8):
            with wire.away():
                over.wait(0.2)
            if over.wait(0.6):
                return

    source = tree(tmp_path / "s", repositories=3, tags=5, size=200_000)
    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        ended = layoutlift.migrate(source, f"{wire.host}/{prefix}", "--limit-rate", "1M")
    finally:
        over.set()
        cutter.join()
    assert ended.totals["copied"] == 15
    assert layoutlift.verify(source, f"{docker_registry.host}/{prefix}", "--depth", "content").totals["tags"] == 15


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A run that tries twice before it asks whether the target is there at all, and asks every tenth of a second."""
    monkeypatch.setattr(request_retry, "MAX_ATTEMPTS", 2)
    monkeypatch.setattr(target_outage, "KNOCK_SECONDS", 0.1)
    return monkeypatch


def test_a_target_that_goes_away_in_mid_run_is_waited_for(
    impatient: pytest.MonkeyPatch, wire: ToxicProxy, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    def is_missed() -> bool:
        return any("is away" in message for message in caplog.messages)

    with open_target(TargetOptions(wire.host, plain_http=True), Stop(), write=True) as store:
        with ThreadPoolExecutor(1) as pool, wire.away():
            pushing = pool.submit(store.push_blob, prefix, blob(LARGE))
            wait_until(is_missed, what="the target is missed")
        assert pushing.result() is BlobArrival.PUSHED


def test_a_target_that_stays_away_is_given_up_by_name(
    impatient: pytest.MonkeyPatch, wire: ToxicProxy, prefix: str
) -> None:
    impatient.setenv(TARGET_TIMEOUT, "0")
    with (
        open_target(TargetOptions(wire.host, plain_http=True), Stop(), write=True) as store,
        wire.away(),
        pytest.raises(TargetUnavailableError, match="has not been there"),
    ):
        store.push_blob(prefix, blob(LARGE))


@pytest.fixture(scope="session")
def filled_bucket(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> str:
    bucket = seaweedfs.create_bucket("toxic")
    upload(seaweedfs, tree(tmp_path_factory.mktemp("tree"), 1, 2, size=1_500_000), bucket)
    return bucket


@pytest.fixture
def bucket_wire(toxiproxy: Toxiproxy, seaweedfs: SeaweedFS, filled_bucket: str, layoutlift: Layoutlift) -> ToxicProxy:
    """The wire to an S3 store with a tree in `s3://toxic`."""
    wire = toxiproxy.proxy(seaweedfs.endpoint.removeprefix("http://"))
    layoutlift.environment |= seaweedfs.environment() | {"AWS_ENDPOINT_URL": f"http://{wire.host}"}
    return wire


def test_a_bucket_whose_answers_are_cut_off_is_read_on(bucket_wire: ToxicProxy, layoutlift: Layoutlift) -> None:
    bucket_wire.add("limit_data", "downstream", bytes=1_000_000)  # every connection, to the end
    checked = layoutlift.check("s3://toxic", "--depth", "content")
    assert checked.totals["tags"] == 2


def test_a_bucket_that_stays_away_ends_the_run_by_name(bucket_wire: ToxicProxy, layoutlift: Layoutlift) -> None:
    with bucket_wire.away():
        ended = layoutlift.check("s3://toxic", code=1)
    assert "does not answer" in ended.stderr
