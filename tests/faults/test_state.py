"""The state of a run when its disk is full, and two runs at one place."""

import shutil
import subprocess
import sys
from pathlib import Path

from infra.real_parts import wait_until
from tests.support.command import LAYOUTLIFT, Layoutlift
from tests.support.content import tree
from tests.support.fault_proxy import BLOB_PUT, FaultProxy, Silence

LIMITED = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit fails as on a full disk
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_full_disk_is_one_clear_line_and_the_next_run_goes_on(
    layoutlift: Layoutlift, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 4, 20, size=500), f"{proxy.host}/{prefix}"
    layoutlift.program = (sys.executable, "-c", LIMITED, "4096", LAYOUTLIFT)
    ended = layoutlift.migrate(source, target, code=1)
    assert "can't be written" in ended.stderr
    layoutlift.program = (LAYOUTLIFT,)
    again = layoutlift.migrate(source, target)
    assert again.totals["copied"] + again.totals["up_to_date"] == 80
    stored = proxy.stored()
    assert sorted(stored) == sorted(set(stored))


def test_a_second_run_is_refused_and_names_the_first_until_that_is_dead(
    layoutlift: Layoutlift, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 1, 1), f"{proxy.host}/{prefix}"
    proxy.when("PUT", BLOB_PUT, Silence(), times=99)
    with layoutlift.running("migrate", source, target) as first:
        wait_until(lambda: proxy.held >= 1, what="the first run is at work")
        refused = layoutlift.migrate(source, target, code=3)
        assert f"pid {first.pid}" in refused.stderr
        assert subprocess.Popen.poll(first) is None
        first.kill()
        first.communicate()
    proxy.heal()
    assert layoutlift.migrate(source, target).totals["copied"] == 1


def test_lost_state_costs_time_and_nothing_else(
    layoutlift: Layoutlift, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s", 2, 3), f"{proxy.host}/{prefix}"
    layoutlift.migrate(source, target)
    shutil.rmtree(layoutlift.home / "state")
    assert layoutlift.migrate(source, target).totals["up_to_date"] == 6
