"""A run beside a running one, and a run that is stopped in the middle."""

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.layout_builder import LayoutBuilder, random_bytes
from infra.real_parts import Registry, wait_until
from tests.support.command import LAYOUTLIFT, Layoutlift, interrupt, wait_for_upload, wait_for_words
from tests.support.fault_proxy import FaultProxy
from tests.support.registry_view import everything_tagged

SIZE = 3_000_000
SLOWLY = ("--limit-rate", "1M", "--jobs", "2")
ENDS_WITHIN_SECONDS = 10
CTRL_C, CURSOR_HIDDEN, CURSOR_SHOWN = b"\x03", b"\x1b[?25l", b"\x1b[?25h"
NO_HEAD_START = ("--hours", "00:00-24:00")
"""With hours to keep, nothing is sent before Prefect has begun the flow and taken SIGTERM over."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """More than can be sent slowly in the time of a test."""
    for number in range(10):
        layout = LayoutBuilder(tmp_path / f"app-{number}")
        for tag in range(2):
            layout.image(f"v{tag}", layers=[random_bytes(10 * number + tag, SIZE)])
        layout.write()
    return tmp_path


def test_a_run_beside_a_running_one_is_refused(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    with layoutlift.running("migrate", source, target, *SLOWLY) as process:
        wait_until(lambda: any(layoutlift.home.rglob("lock")), what="the first run holds its lock")
        beside = layoutlift.migrate(source, target, code=3)
        assert f"pid {process.pid}" in beside.stderr
        assert beside.stderr.count("\n") == 1
        layoutlift.plan(source, target)  # changes nothing, and so needs no lock
        layoutlift.migrate(source, f"{target}-elsewhere", "--include", "app-0:v0")
    again = layoutlift.migrate(source, target)  # the first one was killed: its lock is not in the way
    assert again.totals["copied"] + again.totals["up_to_date"] == 20


@pytest.mark.parametrize("with_prefect", [False, True], ids=["standalone", "flow"])
def test_a_run_that_may_wait_begins_when_the_other_one_has_ended_or_leaves_when_it_is_told_to(
    with_prefect: bool,
    layoutlift: Layoutlift,
    docker_registry: Registry,
    prefix: str,
    source: Path,
    request: pytest.FixtureRequest,
) -> None:
    if with_prefect:
        request.getfixturevalue("lifted")  # the same command, which runs its flows on the local server from then on
    target = f"{docker_registry.host}/{prefix}"
    patiently = ("migrate", source, target, "--lock-timeout", "4m")
    with layoutlift.running("migrate", source, target, *SLOWLY, *NO_HEAD_START) as first:
        wait_until(lambda: any(layoutlift.home.rglob("lock")), what="the first run holds its lock")
        with layoutlift.running(*patiently) as second:
            wait_for_words(second, f"pid {first.pid}")
            code, _, stderr, seconds = interrupt(second, within=2 * ENDS_WITHIN_SECONDS)
            assert code == 130, stderr
            assert seconds < ENDS_WITHIN_SECONDS
        with layoutlift.running(*patiently) as third:
            wait_for_words(third, f"pid {first.pid}")
            assert interrupt(first, within=2 * ENDS_WITHIN_SECONDS)[0] == 130
            _, stderr = third.communicate(timeout=60)
            assert third.returncode == 0, stderr
    assert layoutlift.last_report["totals"]["tags"] == len(everything_tagged(docker_registry, prefix)) == 20


@pytest.mark.parametrize(
    ("with_prefect", "by", "options"),
    [(False, signal.SIGINT, ()), (True, signal.SIGINT, ()), (True, signal.SIGTERM, NO_HEAD_START)],
    ids=["standalone", "flow", "terminated flow"],
)
def test_a_signal_ends_a_run_in_order_and_a_rerun_completes_it(
    with_prefect: bool,
    by: signal.Signals,
    options: tuple[str, ...],
    layoutlift: Layoutlift,
    docker_registry: Registry,
    prefix: str,
    source: Path,
    request: pytest.FixtureRequest,
) -> None:
    if with_prefect:
        request.getfixturevalue("lifted")  # the same command, which runs its flows on the local server from then on
    target = f"{docker_registry.host}/{prefix}"
    with layoutlift.running("migrate", source, target, *SLOWLY, *options) as process:
        wait_for_upload(docker_registry.storage / f"docker/registry/v2/repositories/{prefix}")
        code, stdout, stderr, seconds = interrupt(process, within=2 * ENDS_WITHIN_SECONDS, by=by)
    assert code == 130, stderr
    assert seconds < ENDS_WITHIN_SECONDS
    assert "Traceback" not in stdout + stderr
    assert "  report: " in stdout
    report = layoutlift.last_report
    outcomes = {row["outcome"] for row in report["tags"]}
    assert outcomes <= {"copied", "failed"}
    assert "failed" in outcomes
    assert {row["error"]["code"] for row in report["tags"] if row["error"]} == {"interrupted"}
    arrived = everything_tagged(docker_registry, prefix)
    assert set(arrived) == {f"{r['repository']}:{r['tag']}" for r in report["tags"] if r["outcome"] == "copied"}

    ended = layoutlift.migrate(source, target)
    assert set(ended.outcomes.values()) <= {"copied", "up_to_date"}
    assert ended.totals["tags"] == len(everything_tagged(docker_registry, prefix)) == 20
    layoutlift.verify(source, target, "--depth", "content")


ON_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_terminal_that_is_closed_ends_a_run_in_order(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, source: Path
) -> None:
    """As when the ssh session ends in which somebody began it: nothing that it still says can be written."""
    line = layoutlift.line("migrate", source, f"{docker_registry.host}/{prefix}", *SLOWLY, "--metrics", "run.prom")
    ours, its = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, LAYOUTLIFT, *line],
        cwd=layoutlift.home,
        env=layoutlift.full_environment(),
        stdin=its,
        stdout=its,
        stderr=its,
    ) as process:
        os.close(its)
        wait_for_upload(docker_registry.storage / f"docker/registry/v2/repositories/{prefix}")
        os.close(ours)
        assert process.wait(2 * ENDS_WITHIN_SECONDS) == 130
    codes = {row["error"]["code"] for row in layoutlift.last_report["tags"] if row["error"]}
    assert codes == {"interrupted"}
    (running,) = re.findall(
        r"^layoutlift_run_running{.*} (.+)$", (layoutlift.home / "run.prom").read_text(), re.MULTILINE
    )
    assert float(running) == 0
    assert not any(layoutlift.home.rglob("lock"))


def test_a_terminal_has_its_cursor_again_when_a_second_ctrl_c_has_ended_a_run_at_once(
    layoutlift: Layoutlift, source: Path
) -> None:
    """Bars hide it. The run is held by a report into a pipe that nobody reads."""
    os.mkfifo(layoutlift.home / "report.json")
    ours, its = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, LAYOUTLIFT, *layoutlift.line("check", source)],
        env=layoutlift.full_environment({"TERM": "xterm"}),
        stdin=its,
        stdout=its,
        stderr=its,
    ) as process:
        os.close(its)
        try:
            shown = read_until(ours, CURSOR_HIDDEN)
            os.write(ours, CTRL_C)
            shown += read_until(ours, b"stopping")
            os.write(ours, CTRL_C)
            shown += read_until(ours, None)
            assert process.wait(ENDS_WITHIN_SECONDS) == 130
        finally:
            process.kill()
    os.close(ours)
    assert shown.rfind(CURSOR_SHOWN) > shown.rfind(CURSOR_HIDDEN)


def read_until(terminal: int, wanted: bytes | None) -> bytes:
    """What a terminal is told until that comes, or nobody has it open any more."""
    told = b""
    while wanted is None or wanted not in told:
        if not select.select([terminal], [], [], 2 * ENDS_WITHIN_SECONDS)[0]:
            pytest.fail(f"{wanted!r} did not come after {told!r}")
        try:
            told += os.read(terminal, 4096)
        except OSError:
            break
    return told


def test_a_killed_run_leaves_nothing_in_the_way_and_is_not_sent_twice(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, prefix: str, source: Path
) -> None:
    target = f"{proxy.host}/{prefix}"
    with layoutlift.running("migrate", source, target, "--limit-rate", "5M", "--jobs", "2") as process:
        wait_until(lambda: len(everything_tagged(docker_registry, prefix)) > 1, what="some tags have arrived")
        process.kill()
        process.communicate()
    wait_until(lambda: proxy.busy == 0, what="the registry has done what was under way")
    arrived = everything_tagged(docker_registry, prefix)
    ended = layoutlift.migrate(source, target)
    current = {name for name, outcome in ended.outcomes.items() if outcome == "up_to_date"}
    assert set(arrived) == current
    assert ended.totals["bytes_pushed"] < (20 - len(arrived)) * (SIZE + 1000)
