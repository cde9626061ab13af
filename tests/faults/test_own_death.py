"""A run may be stopped or killed at any moment: it ends in time, and the next one takes up what is missing."""

import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest

from infra.real_parts import Registry, wait_until
from tasks.stores.bucket.object_stream import LARGE
from tests.support.command import Layoutlift, interrupt
from tests.support.content import tree
from tests.support.deaths import end_and_finish
from tests.support.fault_proxy import FaultProxy, Silence, Sip
from tests.support.layouts import LayoutBuilder
from tests.support.scripted_registry import Reply, Request, ScriptedRegistry
from tests.support.scripted_s3 import VARIABLES, content, etag, page

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


def range_of(raw: bytes) -> Callable[[Request], Reply]:
    """Answers with the first range of an object, and with the head alone of any other."""

    def answer(request: Request) -> Reply:
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        part = raw[first : last + 1]
        head = {"ETag": etag(raw), "Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(raw)}"}
        return Reply(206, {**head, "Content-Length": str(len(part))}, part if not first else b"", silent=bool(first))

    return answer


@pytest.fixture
def stalling_bucket(tmp_path: Path) -> Generator[ScriptedRegistry]:
    """A bucket with one tag, whose layer stalls behind its first range."""
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[bytes(3 * LARGE)])
    files = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in layout.write().rglob("*") if path.is_file()
    }
    script = ScriptedRegistry()
    script.always("GET", "/bucket", page(files))
    for key, raw in files.items():
        script.always("GET", f"/bucket/{key}", range_of(raw) if len(raw) > LARGE else content(raw))
    yield script
    script.stop()


def test_ctrl_c_ends_in_time_though_what_was_read_ahead_of_a_bucket_stalls(
    layoutlift: Layoutlift, docker_registry: Registry, stalling_bucket: ScriptedRegistry, prefix: str
) -> None:
    """The run itself is over at once, as it was waiting for its turn to send."""
    layoutlift.environment.update(VARIABLES)
    options = ("--endpoint-url", stalling_bucket.url, "--limit-rate", "100KB/s")
    target = f"{docker_registry.host}/{prefix}"
    with layoutlift.running("migrate", "s3://bucket", target, "--json", *options) as process:
        wait_until(
            lambda: sum("range" in each.headers for each in stalling_bucket.requests) > 1, what="it reads ahead"
        )
        code, _, stderr, seconds = interrupt(process, within=90)
    assert code == 130, stderr
    assert seconds < ENDS_WITHIN
    assert "Traceback" not in stderr


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
        name = f"{prefix}/{round_number}"
        end_and_finish(layoutlift, docker_registry, proxy, folder, name, [Popen.kill] * 5, seed=round_number)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_killed_fifty_times_a_migration_still_ends_complete_and_sends_nothing_twice(
    layoutlift: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    for round_number in range(10):
        folder = tmp_path / str(round_number)
        name = f"{prefix}/{round_number}"
        end_and_finish(layoutlift, docker_registry, proxy, folder, name, [Popen.kill] * 5, seed=round_number)
