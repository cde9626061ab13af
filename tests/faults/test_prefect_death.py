"""A run as a flow may be killed or ended too: the next one takes up what is missing."""

import subprocess
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.deaths import end_and_finish
from tests.support.fault_proxy import FaultProxy

Process = subprocess.Popen


@pytest.mark.timeout(600, func_only=True)  # the server's first start is the session's, and no part of the promise
def test_killed_as_a_flow_a_migration_still_ends_complete_and_sends_nothing_twice(
    lifted: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    end_and_finish(lifted, docker_registry, proxy, tmp_path, prefix, [Process.kill, Process.terminate])


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("die", [Process.kill, Process.terminate], ids=["killed", "ended"])
def test_killed_often_as_a_flow_a_migration_still_ends_complete_and_sends_nothing_twice(
    lifted: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str, die: object
) -> None:
    for number in range(2):
        folder = tmp_path / str(number)
        lifted.standalone = False
        name, deaths = f"{prefix}/{number}", [die] * 5
        end_and_finish(lifted, docker_registry, proxy, folder, name, deaths, seed=number)  # type: ignore[arg-type]
