"""A run may be stopped or killed at any moment: it ends in time, and the next one takes up what is missing."""

import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest

from infra.real_parts import Registry, wait_until
from tests.support.command import Layoutlift, interrupt
from tests.support.content import tree
from tests.support.deaths import end_and_finish
from tests.support.fault_proxy import FaultProxy, Silence, Sip

ENDS_WITHIN = 10.0


@contextmanager
def stalled_run(
    layoutlift: Layoutlift, proxy: FaultProxy, source: Path, prefix: str, *options: str
) -> Generator[object]:
    with layoutlift.running("migrate", source, f"{proxy.host}/{prefix}", "--json", *options) as process:
        wait_until(lambda: proxy.held >= 1, what="the registry stalls")
        yield process


@pytest.mark.parametrize("stall", [Silence(), Silence(at=1000), Sip(0.2)], ids=["answers", "reads", "sips"])
def test_ctrl_c_ends_in_time_with_a_report_though_the_registry_stalls(
    layoutlift: Layoutlift, proxy: FaultProxy, tmp_path: Path, prefix: str, stall: object
) -> None:
    proxy.when("PUT", ".*/blobs/uploads/.*", stall, times=99)
    with stalled_run(layoutlift, proxy, tree(tmp_path / "s", size=900_000), prefix) as process:
        code, _, stderr, seconds = interrupt(process, within=30)
    assert code == 130, stderr
    assert seconds < ENDS_WITHIN
    assert "Traceback" not in stderr
    assert {row["error"]["code"] for row in layoutlift.last_report["tags"] if row["error"]} <= {"interrupted"}
    assert layoutlift.last_report["totals"]["copied"] == 0


def test_ctrl_c_ends_in_time_though_the_registry_never_answers(
    layoutlift: Layoutlift, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.when("GET", "/v2/", Silence(), times=9)
    with stalled_run(layoutlift, proxy, tree(tmp_path / "s"), "any") as process:
        code, _, _, seconds = interrupt(process, within=30)
    assert code == 130
    assert seconds < ENDS_WITHIN


def test_sigterm_ends_in_time_with_a_report(
    layoutlift: Layoutlift, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    proxy.when("PUT", ".*/blobs/uploads/.*", Silence(), times=99)
    with stalled_run(layoutlift, proxy, tree(tmp_path / "s"), prefix) as process:
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - started < ENDS_WITHIN
    assert layoutlift.last_report["tags"] or layoutlift.last_report["findings"]


def test_killed_ten_times_a_migration_still_ends_complete_and_sends_nothing_twice(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    for round_number in range(2):  # few deaths a tree, so that runs die in its beginning, middle and end
        folder = tmp_path / str(round_number)
        end_and_finish(layoutlift, docker_registry, proxy, folder, f"{prefix}/{round_number}", [Popen.kill] * 5)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_killed_fifty_times_a_migration_still_ends_complete_and_sends_nothing_twice(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    for round_number in range(10):
        folder = tmp_path / str(round_number)
        end_and_finish(layoutlift, docker_registry, proxy, folder, f"{prefix}/{round_number}", [Popen.kill] * 5)
