"""A Prefect server that goes away neither stops nor corrupts a run, and never decides what its exit code says."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from infra.real_parts import ToxicProxy, Toxiproxy, wait_until
from tests.support.command import Layoutlift
from tests.support.content import tree
from tests.support.fault_proxy import Change, FaultProxy, Upstream
from tests.support.prefect_history import PrefectHistory

GIVES_UP_SOON = {"PREFECT_CLIENT_MAX_RETRIES": "1"}


@pytest.fixture
def history(prefect_environment: dict[str, str]) -> PrefectHistory:
    return PrefectHistory.of(prefect_environment)


@pytest.fixture
def prefect_wire(toxiproxy: Toxiproxy, history: PrefectHistory) -> ToxicProxy:
    """The way to the Prefect server, which a test can cut."""
    return toxiproxy.proxy(history.url.removeprefix("http://"))


@pytest.fixture
def lifted(layoutlift: Layoutlift, prefect_wire: ToxicProxy) -> Layoutlift:
    """The command, running its flows on that server."""
    layoutlift.environment = {"PREFECT_API_URL": f"http://{prefect_wire.host}/api"}
    layoutlift.standalone = False
    return layoutlift


def held_at_the_first_manifest(proxy: FaultProxy) -> tuple[threading.Event, threading.Event]:
    """Have the answer to the first manifest wait; what says that it does, and what lets it through."""
    reached, released = threading.Event(), threading.Event()

    def hold(answer: Upstream) -> Upstream:
        reached.set()
        assert released.wait(60)
        return answer

    proxy.when("PUT", ".*/manifests/.*", Change(hold), times=1)
    return reached, released


def run_while_away(
    lifted: Layoutlift,
    proxy: FaultProxy,
    line: tuple[Path, str],
    away: AbstractContextManager[None],
    until: Callable[[], bool],
) -> tuple[int, str]:
    """A migration whose server goes away once manifests are written, until the condition holds or it ends."""
    reached, released = held_at_the_first_manifest(proxy)
    with lifted.running("migrate", *line) as process:
        wait_until(lambda: reached.is_set() or process.poll() is not None, what="manifests are written")
        assert process.poll() is None, process.communicate()
        with away:
            released.set()
            wait_until(lambda: until() or process.poll() is not None, what="it goes on", deadline_seconds=180)
        _, stderr = process.communicate(timeout=180)
    assert "Traceback" not in stderr
    return process.returncode, stderr


def test_a_prefect_server_away_during_a_copy_costs_nothing(
    lifted: Layoutlift,
    history: PrefectHistory,
    prefect_wire: ToxicProxy,
    proxy: FaultProxy,
    tmp_path: Path,
    prefix: str,
) -> None:
    source, target = tree(tmp_path / "s"), f"{proxy.host}/{prefix}"
    all_tagged = lambda: sum("/manifests/v" in seen.path for seen in proxy.seen if seen.method == "PUT") == 6  # noqa: E731
    code, stderr = run_while_away(lifted, proxy, (source, target), prefect_wire.away(), all_tagged)
    assert code == 0, stderr
    assert "lost" not in stderr
    assert lifted.last_report["totals"]["copied"] == 6
    assert history.the_run(f"{source} → {target}")["state_type"] == "COMPLETED"
    lifted.standalone = True
    assert lifted.verify(source, target, "--depth", "content").totals["tags"] == 6


FIVE_MINUTES = 300.0
SLOWLY = ("--limit-rate", "40k", "--jobs", "2")
"""So that the copy, of 60 tags with 250 kB each, lasts longer than the server is away."""


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_a_prefect_server_away_for_five_minutes_neither_stops_nor_corrupts_a_copy(
    lifted: Layoutlift,
    history: PrefectHistory,
    prefect_wire: ToxicProxy,
    proxy: FaultProxy,
    tmp_path: Path,
    prefix: str,
) -> None:
    source, target = tree(tmp_path / "s", repositories=12, tags=5, size=250_000), f"{proxy.host}/{prefix}"
    tagged = lambda: sum("/manifests/v" in seen.path for seen in proxy.seen if seen.method == "PUT")  # noqa: E731
    with lifted.running("migrate", source, target, *SLOWLY) as process:
        wait_until(lambda: tagged() > 0, what="the copy is at work", deadline_seconds=120)
        with prefect_wire.away():
            before, began = tagged(), time.monotonic()
            wait_until(
                lambda: time.monotonic() - began > FIVE_MINUTES or process.poll() is not None,
                what="five minutes are over",
                deadline_seconds=FIVE_MINUTES + 60,
            )
            assert process.poll() is None, process.communicate()
            assert tagged() > before + 20, "the copy went on meanwhile"
        _, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert lifted.last_report["totals"]["copied"] == 60
    assert sorted(set(proxy.stored())) == sorted(proxy.stored())
    assert history.the_run(f"{source} → {target}")["state_type"] == "COMPLETED"
    lifted.standalone = True
    assert lifted.verify(source, target, "--depth", "content").totals["tags"] == 60


@pytest.mark.parametrize(("broken", "code"), [(False, 0), (True, 1)], ids=["complete", "incomplete"])
def test_a_prefect_server_that_does_not_come_back_changes_no_exit_code(
    lifted: Layoutlift,
    prefect_wire: ToxicProxy,
    proxy: FaultProxy,
    tmp_path: Path,
    prefix: str,
    broken: bool,
    code: int,
) -> None:
    source, target = tree(tmp_path / "s"), f"{proxy.host}/{prefix}"
    if broken:
        (source / "app-1" / "index.json").write_bytes(b"{")
    lifted.environment |= GIVES_UP_SOON
    ended, stderr = run_while_away(lifted, proxy, (source, target), prefect_wire.away(), lambda: False)
    assert ended == code, stderr
    assert lifted.last_report["totals"]["copied"] == (3 if broken else 6)
    assert f"the Prefect server at http://{prefect_wire.host} was lost" in stderr
    assert ("no tag has a problem, but 1 other thing has one" in stderr) == broken


@pytest.mark.operations  # two servers are started and three runs done: a minute or two
def test_a_local_server_that_is_killed_costs_no_mapping_after_it(
    layoutlift: Layoutlift, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    layoutlift.environment = GIVES_UP_SOON  # and a server of its own, which the command starts
    file = tmp_path / "two.yaml"
    mappings = "".join(f"- target: {proxy.host}/{prefix}/{name}\n" for name in ("first", "second"))
    file.write_text(
        f"version: 1\ndefaults: {{source: {tree(tmp_path / 's')}, plain_http: true, hours: '00:00-24:00'}}\n"
        f"mappings:\n{mappings}"
    )
    record = layoutlift.home / "prefect" / "server.json"
    reached, released = held_at_the_first_manifest(proxy)
    try:
        with layoutlift.running_plainly("migrate", "-c", file) as process:
            wait_until(lambda: reached.is_set() or process.poll() is not None, what="the first mapping is at work")
            killed = json.loads(record.read_bytes())["pid"]
            os.kill(killed, signal.SIGKILL)
            released.set()
            stdout, stderr = process.communicate(timeout=200)
        assert process.returncode == 0, stderr
        assert "2 of 2 mappings complete" in stdout
        assert json.loads(record.read_bytes())["pid"] != killed
        history = PrefectHistory.of({"PREFECT_HOME": str(record.parent)})
        assert history.the_run(f"{tmp_path / 's'} → {proxy.host}/{prefix}/second")["state_type"] == "COMPLETED"
    finally:
        layoutlift("server", "stop")
