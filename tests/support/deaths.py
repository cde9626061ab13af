"""Runs that die at moments of their own, one after the other, until one may go to its end."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import Popen

from infra.real_parts import Registry, wait_until
from tests.support.command import Layoutlift
from tests.support.content import tree
from tests.support.fault_proxy import FaultProxy
from tests.support.registry_view import everything_tagged

TAGS = 24
Death = Callable[[Popen[str]], None]


def end_and_finish(
    layoutlift: Layoutlift,
    registry: Registry,
    proxy: FaultProxy,
    folder: Path,
    prefix: str,
    deaths: Sequence[Death],
) -> None:
    """End runs after random numbers of requests, then run to the end and prove everything."""
    dice = random.Random(f"{prefix} {len(deaths)}")
    source = tree(folder / "source", repositories=4, tags=TAGS // 4, size=30_000, seed=dice.randrange(10**6))
    target = f"{proxy.host}/{prefix}"
    for die in deaths:
        goal = len(proxy.seen) + dice.randint(1, 60)
        with layoutlift.running("migrate", source, target) as process:
            wait_until(
                lambda goal=goal, p=process: len(proxy.seen) >= goal or p.poll() is not None,
                what="requests",
                deadline_seconds=90,
            )
            die(process)
            process.communicate(timeout=30)
        wait_until(lambda: proxy.busy == 0, what="the registry has done what was under way")
    ended = layoutlift.migrate(source, target, "--depth", "content")
    assert ended.totals["copied"] + ended.totals["up_to_date"] == TAGS
    layoutlift.standalone = True
    assert layoutlift.verify(source, target, "--depth", "content").totals["tags"] == TAGS
    assert len(everything_tagged(registry, prefix)) == TAGS
    stored = proxy.stored()
    assert sorted(set(stored)) == sorted(stored), "something was sent again that the target had"
