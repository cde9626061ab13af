"""The trials of whole runs would see what they are for: each is made with a defect that was put in on purpose."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

from infra.real_parts import Registry, S3Fs, SeaweedFS, ToxicProxy, Toxiproxy, wait_until
from tasks.oci.errors import LockHeldError, TransportError
from tasks.stop import Stop
from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress
from tasks.stores.bucket.s3_client import make_client
from tasks.stores.registry import request_retry
from tasks.stores.registry.registry_store import RegistryStore
from tasks.stores.state.bucket_lock import BucketLock
from tasks.stores.state.lock_holder import LockHolder
from tasks.stores.state.state_objects import StateObjects
from tests.e2e import test_cutover
from tests.faults import test_prefect_away
from tests.support.buckets import use_environment
from tests.support.command import Layoutlift
from tests.support.content import blob, tree
from tests.support.deaths import end_and_finish
from tests.support.fault_proxy import FaultProxy
from tests.support.mutants import ASKS_FOR_NO_BLOB, SEES_NO_CHANGE, TELLS_OF_PREFECTS_ERRORS, mutant
from tests.support.prefect_history import PrefectHistory
from tests.support.real_parts import running

LARGE = os.urandom(2_000_000)
MakeStore = Callable[..., RegistryStore]


def test_a_run_that_sends_again_what_the_target_has_would_be_seen(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    blind = mutant(layoutlift, ASKS_FOR_NO_BLOB)
    with pytest.raises(AssertionError, match="sent again that the target had"):
        end_and_finish(blind, docker_registry, proxy, tmp_path, prefix, [Popen.kill] * 3)


@pytest.mark.soak
def test_a_run_that_sends_again_what_the_target_has_would_be_seen_through_prefect_too(
    layoutlift: Layoutlift,
    prefect_environment: dict[str, str],
    docker_registry: Registry,
    proxy: FaultProxy,
    tmp_path: Path,
    prefix: str,
) -> None:
    layoutlift.environment, layoutlift.standalone = prefect_environment, False
    blind = mutant(layoutlift, ASKS_FOR_NO_BLOB)
    with pytest.raises(AssertionError, match="sent again that the target had"):
        end_and_finish(blind, docker_registry, proxy, tmp_path, prefix, [Popen.kill] * 3)


def test_a_lock_that_gives_way_to_nobody_would_be_seen(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    use_environment(seaweedfs, monkeypatch)
    address = BucketAddress(seaweedfs.create_bucket(f"locks-{os.urandom(6).hex()}"), "pair/")
    objects = StateObjects(make_client(BucketAccess()), address, Stop(), patience=0)
    first, second = (BucketLock(objects, LockHolder.here(name, "s", "t")) for name in ("r1", "r2"))
    with first:
        with pytest.raises(LockHeldError), second:
            pass
        monkeypatch.setattr(BucketLock, "_give_way", lambda *_: None)
        with second:
            pass


def test_a_store_that_tries_once_would_be_seen_on_a_toxic_wire(
    wire: ToxicProxy, make_store: MakeStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_retry, "MAX_ATTEMPTS", 1)
    wire.add("reset_peer", "upstream", timeout=0)
    with pytest.raises(TransportError):
        make_store(wire.host, first_wait=0.2).push_blob(prefix, blob(LARGE))


def test_a_cut_over_that_does_not_look_again_would_be_seen(
    layoutlift: Layoutlift, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    with pytest.raises(AssertionError):
        test_cutover.test_nothing_is_written_when_somebody_still_writes(
            mutant(layoutlift, SEES_NO_CHANGE), docker_registry, tmp_path, prefix
        )
    assert (tmp_path / "map.csv").exists()


@pytest.mark.soak
def test_a_run_that_ends_with_the_prefect_server_would_be_seen(
    layoutlift: Layoutlift,
    prefect_environment: dict[str, str],
    toxiproxy: Toxiproxy,
    proxy: FaultProxy,
    tmp_path: Path,
    prefix: str,
) -> None:
    wire = toxiproxy.proxy(PrefectHistory.of(prefect_environment).url.removeprefix("http://"))
    layoutlift.environment = {"PREFECT_API_URL": f"http://{wire.host}/api"}
    layoutlift.standalone = False
    with pytest.raises(AssertionError, match="Traceback"):
        test_prefect_away.test_a_prefect_server_that_does_not_come_back_changes_no_exit_code(
            mutant(layoutlift, TELLS_OF_PREFECTS_ERRORS), wire, proxy, tmp_path, prefix, broken=False, code=0
        )


@pytest.mark.soak
@pytest.mark.fuse
def test_a_run_that_waits_for_a_hung_mount_would_be_seen(
    layoutlift: Layoutlift, seaweedfs: SeaweedFS, docker_registry: Registry, tmp_path: Path, prefix: str
) -> None:
    """The patience that ends such a run is an option; with too much of it, it is seen to go on."""
    layoutlift.environment["LAYOUTLIFT_SOURCE_TIMEOUT"] = "86400"
    with running(S3Fs(tmp_path / "s3fs", s3=seaweedfs, bucket=seaweedfs.create_bucket(f"hung-{prefix}"))) as mount:
        tree(mount.mountpoint / "team", repositories=1, tags=1)
        os.kill(mount.pid, signal.SIGSTOP)
        try:
            with layoutlift.running("migrate", mount.mountpoint, f"{docker_registry.host}/{prefix}") as process:
                with pytest.raises(Exception, match="in vain"):
                    wait_until(lambda: process.poll() is not None, what="it ends", deadline_seconds=30)
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)
        finally:
            os.kill(mount.pid, signal.SIGCONT)
