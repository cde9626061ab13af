"""A migration on the processes of a local Dask cluster, one of which is killed in the middle."""

import asyncio
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster, Security
from distributed.comm import connect

from flows.scale import dask_work
from infra.real_parts import Registry, wait_until
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView

pytestmark = pytest.mark.operations  # starts several processes that import Prefect and Dask

REPOSITORIES = 8
TAGS = ("v1", "v2")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(REPOSITORIES):
        layout = LayoutBuilder(tmp_path / "bucket" / f"app-{number}")
        for tag in TAGS:
            layout.image(tag, layers=[os.urandom(50_000)])
        layout.write()
    return tmp_path / "bucket"


class Stranger(Security):
    """Trusts everybody, and has certificates that nobody knows."""

    def get_connection_args(self, role: str) -> dict[str, Any]:
        arguments: dict[str, Any] = super().get_connection_args(role)
        if arguments["ssl_context"] is not None:
            arguments["ssl_context"].verify_mode = ssl.CERT_NONE
        return arguments


def dask_workers(marker: str) -> Iterator[int]:
    """The processes of Dask workers whose environment has `marker`, and nobody else's."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment, line = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in environment and b"spawn_main" in line:
            yield int(folder.name)


def test_the_parts_of_a_migration_are_done_by_dask_workers_even_if_one_dies(
    layoutlift: Layoutlift,
    prefect_environment: dict[str, str],
    docker_registry: Registry,
    prefix: str,
    source: Path,
) -> None:
    marker = f"LAYOUTLIFT_TEST={prefix}-{os.getpid()}"
    name, _, value = marker.partition("=")
    layoutlift.environment = prefect_environment | {name: value}
    layoutlift.standalone = False
    target = f"{docker_registry.host}/{prefix}"
    views = [RepositoryView(docker_registry, f"{prefix}/app-{number}") for number in range(REPOSITORIES)]
    killed: list[int] = []

    def kill_one_at_work() -> None:
        wait_until(lambda: any(view.tags for view in views), what="a worker is at work", deadline_seconds=120)
        for pid in list(dask_workers(marker))[-1:]:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    killer = threading.Thread(target=kill_one_at_work)
    killer.start()
    ended = layoutlift.migrate(source, target, "--task-runner", "dask", "--limit-rate", "400k")
    killer.join()
    assert killed
    assert len(ended.rows) == REPOSITORIES * len(TAGS)
    assert set(ended.outcomes.values()) <= {"copied", "up_to_date"}
    assert all(row["verified"] == "manifest" for row in ended.rows.values())
    assert all(set(view.tags) == set(TAGS) for view in views)
    again = layoutlift.migrate(source, target, "--task-runner", "dask")
    assert (again.totals["up_to_date"], again.totals["blobs_pushed"]) == (REPOSITORIES * len(TAGS), 0)


def test_no_process_of_a_cluster_of_our_own_is_sampled_by_dask() -> None:
    with dask_work._runner(None) as runner:
        sampled = runner.client.run(lambda dask_worker: "profile" in dask_worker.periodic_callbacks)
        assert set(sampled.values()) == {False}
        assert not [each.name for each in threading.enumerate() if each.name == "Profile"]


def test_a_cluster_of_our_own_takes_nobody_else_of_this_machine_in() -> None:
    """Whoever is let in has its workers run anything, with the passwords in their environment."""
    with dask_work._runner(None) as runner:
        workers = runner.client.scheduler_info(n_workers=-1)["workers"]
        addresses = [runner.client.scheduler.address, *workers, *(each["nanny"] for each in workers.values())]
        for address in addresses:
            stranger = Stranger.temporary() if address.startswith("tls:") else Stranger()
            with pytest.raises(OSError):
                asyncio.run(connect(address, timeout=5, **stranger.get_connection_args("client")))


def test_the_parts_of_a_migration_are_done_by_a_cluster_that_is_there_already(
    layoutlift: Layoutlift,
    prefect_environment: dict[str, str],
    docker_registry: Registry,
    prefix: str,
    source: Path,
) -> None:
    layoutlift.environment, layoutlift.standalone = prefect_environment, False
    target = f"{docker_registry.host}/{prefix}"
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        options = ("--task-runner", "dask", "--dask-scheduler", cluster.scheduler_address)
        ended = layoutlift.migrate(source, target, *options)
        assert len(cluster.scheduler_info["workers"]) == 2, "the cluster is not ours to end"
        worked = cluster.scheduler.transition_counter
        verified = layoutlift.verify(source, target, *options)
        assert cluster.scheduler.transition_counter > worked, "it is the cluster that verified"
    assert ended.totals["copied"] == verified.totals["up_to_date"] == REPOSITORIES * len(TAGS)
    assert worked > 0, "it is the cluster that did the work"
    assert all(row["verified"] == "manifest" for row in ended.rows.values())
