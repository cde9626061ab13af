"""Runs that die at moments of their own, one after the other, until one may go to its end."""

import random
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import Popen

from infra.real_parts import Registry, wait_until
from tests.support.command import Layoutlift
from tests.support.content import tree
from tests.support.fault_proxy import FaultProxy
from tests.support.registry_view import everything_tagged

TAGS = 24
MOST_REQUESTS = 35
"""So many, five times over, are fewer than a run of this tree makes, so that each is at work when it dies."""
STANDSTILL_SECONDS = 90.0
"""A flow's process has 3 to 30 s of importing before its first request, on a machine that has much to do."""
Death = Callable[[Popen[str]], None]
DIED = {-signal.SIGKILL, 130}
"""The exit codes of runs that were killed, or told to end."""


def end_and_finish(
    layoutlift: Layoutlift,
    registry: Registry,
    proxy: FaultProxy,
    folder: Path,
    prefix: str,
    deaths: Sequence[Death],
    *,
    seed: int = 0,
) -> None:
    """End runs at work after random numbers of requests, then run to the end and prove everything."""
    dice = random.Random(seed)
    source = tree(folder / "source", repositories=4, tags=TAGS // 4, size=30_000, seed=dice.randrange(10**6))
    target = f"{proxy.host}/{prefix}"
    for die in deaths:
        goal = len(proxy.seen) + dice.randint(1, MOST_REQUESTS)
        with layoutlift.running("migrate", source, target) as process:
            wait_for_requests(proxy, goal, process)
            die(process)
            output = process.communicate(timeout=30)
        assert process.returncode in DIED, f"it had ended before its death: {output}"
        wait_until(lambda: proxy.busy == 0, what="the registry has done what was under way")
    ended = layoutlift.migrate(source, target, "--depth", "content")
    assert ended.totals["copied"] + ended.totals["up_to_date"] == TAGS
    layoutlift.standalone = True
    assert layoutlift.verify(source, target, "--depth", "content").totals["tags"] == TAGS
    assert len(everything_tagged(registry, prefix)) == TAGS
    stored = proxy.stored()
    assert sorted(set(stored)) == sorted(stored), "something was sent again that the target had"


def wait_for_requests(proxy: FaultProxy, goal: int, process: Popen[str]) -> None:
    """Wait until so many requests were seen, or the run has ended: however slow it is, as long as it moves."""
    while (seen := len(proxy.seen)) < goal and process.poll() is None:
        wait_until(
            lambda seen=seen: len(proxy.seen) > seen or process.poll() is not None,
            what="the run makes a request",
            deadline_seconds=STANDSTILL_SECONDS,
        )
