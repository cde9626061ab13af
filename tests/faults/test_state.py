"""The state of a run when its disk is full or it is in a bucket, and two runs at one place."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from infra.real_parts import SeaweedFS, wait_until
from tests.support.command import LAYOUTLIFT, Layoutlift
from tests.support.content import tree
from tests.support.fault_proxy import BLOB_PUT, FaultProxy, Silence

LIMITED = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit fails as on a full disk
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # half of a compiled module would break all who come later
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


ANOTHER_MACHINE = """
import socket, sys
import tasks.stores.state.lock_holder as locks
name, locks.EXPIRY_SECONDS, locks.HEARTBEAT_SECONDS = sys.argv.pop(1), float(sys.argv.pop(1)), 0.5
socket.gethostname = lambda: name
from flows.cli import main
main()
"""


def machine(name: str, home: Path, environment: dict[str, str], expiry: float = 60.0) -> Layoutlift:
    """The command on a machine of its own: another name, another disk; locks of others expire for it as told."""
    home.mkdir(exist_ok=True)
    return Layoutlift(home, environment, (sys.executable, "-c", ANOTHER_MACHINE, name, str(expiry)))


def test_two_machines_with_their_state_in_a_bucket_keep_out_of_each_others_way(
    seaweedfs: SeaweedFS, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    bucket = seaweedfs.create_bucket("state-of-two-machines")
    state = ("--state", f"s3://{bucket}/layoutlift")
    source, target = tree(tmp_path / "s", 2, 2), f"{proxy.host}/{prefix}"
    one = machine("machine-one", tmp_path / "one", seaweedfs.environment())
    two = machine("machine-two", tmp_path / "two", seaweedfs.environment())
    proxy.when("PUT", BLOB_PUT, Silence(), times=99)
    with one.running("migrate", source, target, *state) as first:
        wait_until(lambda: proxy.held >= 1, what="the first run is at work")
        refused = two.migrate(source, target, *state, code=3)
        assert f"machine-one (pid {first.pid})" in refused.stderr
        first.kill()
        first.communicate()
    proxy.heal()
    assert "machine-one" in two.migrate(source, target, *state, code=3).stderr  # its death can't be seen from here
    two = machine("machine-two", two.home, two.environment, expiry=3.0)  # which is later
    wait_until(lambda: not is_held(two, source, target, *state), what="the dead machine's lock expires")
    assert two.last_report["totals"]["copied"] + two.last_report["totals"]["up_to_date"] == 4
    again = one.migrate(source, target, *state)
    assert again.totals["up_to_date"] == 4
    stored = proxy.stored()
    assert sorted(stored) == sorted(set(stored))
    (kept,) = re.findall(rf"report: .*, s3://{bucket}/(\S+)", again.stdout)
    report = seaweedfs.client().get_object(Bucket=bucket, Key=kept)["Body"].read()
    assert json.loads(report)["tags"] == again.report["tags"]
    assert seaweedfs.secret_key not in report.decode() + again.output + refused.output


def is_held(command: Layoutlift, source: Path, target: str, *options: str) -> bool:
    with command.running("migrate", source, target, *options) as process:
        process.communicate()
    assert process.returncode in {0, 3}
    return process.returncode == 3


def test_with_its_state_in_a_bucket_a_run_knows_what_an_earlier_one_wrote(
    seaweedfs: SeaweedFS, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    """The source moved a tag: without a ledger that is a conflict, and another machine must know it is none."""
    state = ("--state", f"s3://{seaweedfs.create_bucket('state-of-a-moved-tag')}")
    target = f"{proxy.host}/{prefix}"
    one = machine("machine-one", tmp_path / "one", seaweedfs.environment())
    two = machine("machine-two", tmp_path / "two", seaweedfs.environment())
    one.migrate(tree(tmp_path / "s", 1, 1, seed=1), target, *state)
    shutil.rmtree(tmp_path / "s")
    moved = tree(tmp_path / "s", 1, 1, seed=2)
    assert two.migrate(moved, target, code=1).totals["refused"] == 1  # its own disk knows nothing
    assert two.migrate(moved, target, *state).totals["copied"] == 1
