"""How far sharded migrations scale, by a model that real runs feed and check (`make simulate`).

python -m tests.benchmarks.simulate            the table, the plot, from the figures that are kept
python -m tests.benchmarks.simulate --measure  run really: what a tag costs, and one worker against two
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks.scale_model import Costs, Outcome, Place, Repository, simulate, source_of
from tests.benchmarks.targets import CountingDistribution, FarAway, requests_of
from tests.benchmarks.workloads import WORKLOADS, ready

CHECKOUT = Path(__file__).resolve().parents[2]
MEASURED = Path(__file__).parent / "kept" / "scale-measured.json"
PLOT = CHECKOUT / "docs" / "images" / "scale.svg"
TREE = "small"
REPOSITORIES, TAGS, BYTES = 10_000, 5_000_000, 200e12
BLOBS_A_TAG = 4  # of its own: manifest, configuration, two layers
WORKERS = (1, 2, 4, 8, 16, 32, 64)
GET_PRICE, LIST_PRICE = 0.0004 / 1_000, 0.005 / 1_000  # dollars a request to S3: an input, look at your bill
PLACES = {
    "one registry node (16 cores, 25 Gbit/s)": Place(),
    "eight registry nodes": replace(
        Place(), registry_cores=8 * 16, registry_requests=8 * 5_000, registry_network=8 * 3.1e9
    ),
    "eight registry nodes, small images: 1 TB in all": replace(
        Place(), registry_cores=8 * 16, registry_requests=8 * 5_000, registry_network=8 * 3.1e9
    ),
}
COLOURS, MARKS = ("#0072b2", "#d55e00", "#009e73"), ("o", "s", "^")


class FurtherAway(FarAway):
    """So far that waiting is most of the time, whatever else this machine is busy with."""

    delay_milliseconds = 150


def main(arguments: list[str]) -> int:
    """Print how far the model is off what was measured, and the table, and write the plot."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.simulate", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="make the real runs anew")
    if parser.parse_args(arguments).measure:
        MEASURED.write_text(json.dumps(measure(), indent=1) + "\n")
    measured = json.loads(MEASURED.read_text())
    costs = costs_of(measured)
    print(f"a small tag, measured: {costs}")
    check(measured, costs)
    curves = {}
    for name, place in PLACES.items():
        size = 1e12 if "1 TB" in name else BYTES
        source = source_of(REPOSITORIES, TAGS, size)
        curves[name] = [simulate(source, costs, place, count, objects=TAGS * BLOBS_A_TAG) for count in WORKERS]
        print(f"\n{name}: largest repository {max(each.tags for each in source):,} tags")
        print("\n".join(_line(count, made) for count, made in zip(WORKERS, curves[name], strict=True)))
    print(f"\n{_prices(costs)}")
    draw(curves)
    return 0


def costs_of(measured: dict[str, Any]) -> Costs:
    """What a small tag costs, as measured."""
    return Costs(**measured["costs"])


def check(measured: dict[str, Any], costs: Costs) -> None:
    """Say what one worker and two took at a distant registry, and what the model says of that."""
    far = measured["far"]
    tags = far["repositories"] * far["tags_each"]
    at_once = far["jobs"] / (tags * costs.registry_requests)
    round_trip = far["round_trip"] + far["seconds_near"] * at_once  # what a request takes here without the distance
    place = replace(Place(), round_trip=round_trip, connections=far["jobs"], registry_cores=2.0, start_seconds=0.0)
    source = [Repository(far["tags_each"], 8_192.0)] * far["repositories"]
    for count in (1, 2):
        model = simulate(source, costs, place, count, objects=0, shards=count)
        real = far[f"seconds_{count}"]
        away = f"{far['round_trip'] * 1000:.0f} ms away"
        off = model.copying / real - 1
        print(f"{count} worker(s), {away}: {real:.1f} s, modelled {model.copying:.1f} s ({off:+.0%})")


def measure() -> dict[str, Any]:
    """Real runs on the small tree: requests and seconds of a core for a tag, and one worker against two, far away."""
    workload = WORKLOADS[TREE]
    names = workload.repository_names
    with tempfile.TemporaryDirectory(prefix="layoutlift-scale-") as folder, ExitStack() as stack:
        work = Path(folder)
        registry = stack.enter_context(CountingDistribution(work / "registry"))
        before, counted = _cpu(registry.pid), requests_of(registry)
        alone = _migrate(f"{registry.host}/near", [names])
        after = requests_of(registry)
        if counted is None or after is None:
            raise SystemExit("the registry does not count its requests")
        requests = after.total() - counted.total()
        far = stack.enter_context(FurtherAway(work / "far", registry.host))
        halves = [names[: len(names) // 2], names[len(names) // 2 :]]
        one = _migrate(f"{far.host}/one", [names])
        two = _migrate(f"{far.host}/two", halves)
        registry_cpu = _cpu(registry.pid) - before
        near = _migrate(f"{registry.host}/nothing", [["no-such-repository"]])
        nothing = _migrate(f"{far.host}/nothing", [["no-such-repository"]])
    tags = workload.tag_count
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "costs": {
            "registry_requests": requests / tags,
            "source_gets": 4.0,  # manifest, configuration, two layers
            "engine_cpu": (alone["cpu"] - near["cpu"]) / tags,
            "registry_cpu": registry_cpu / (3 * tags),
        },
        "far": {
            "round_trip": 2 * FurtherAway.delay_milliseconds / 1_000,
            "jobs": 8,
            "repositories": workload.repositories,
            "tags_each": workload.tags,
            "seconds_near": alone["seconds"] - near["seconds"],
            "seconds_1": one["seconds"] - nothing["seconds"],
            "seconds_2": two["seconds"] - nothing["seconds"],
        },
    }


def _migrate(target: str, parts: list[list[str]]) -> dict[str, float]:
    """Wall time and processor time of one command for each part, all at once."""
    before, began = os.times(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="layoutlift-scale-state-") as state:
        running = []
        for number, names in enumerate(parts):
            command = [Path(sys.executable).with_name("layoutlift"), "migrate", str(ready(WORKLOADS[TREE])), target]
            chosen = [option for name in names for option in ("--include", name)]
            options = ["--plain-http", "--standalone", "--jobs", "8", "--state", f"{state}/{number}", *chosen]
            running.append(subprocess.Popen(command + options, cwd=CHECKOUT, stdout=subprocess.DEVNULL))
        codes = [process.wait() for process in running]
    after = os.times()
    if any(codes):
        raise SystemExit(f"a run ended with {codes}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": time.monotonic() - began, "cpu": cpu}


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _line(workers: int, made: Outcome) -> str:
    hours = 3_600
    return (
        f"{workers:3} workers: {made.wall / hours:6.1f} h = {made.listing / hours:.1f} listing + "
        f"{made.copying / hours:.1f} copying + {made.gathering / hours:.2f} gathering; "
        f"first limit: {made.first_limit}"
    )


def _prices(costs: Costs) -> str:
    gets, lists = TAGS * costs.source_gets, TAGS * BLOBS_A_TAG / 1_000
    dollars = gets * GET_PRICE + lists * LIST_PRICE
    return (
        f"requests: {TAGS * costs.registry_requests / 1e6:.1f} million to the registry; "
        f"to S3 {gets / 1e6:.1f} million GET and {lists:,.0f} LIST, {dollars:.2f} dollars "
        f"at {GET_PRICE * 1_000} and {LIST_PRICE * 1_000} a thousand"
    )


def draw(curves: dict[str, list[Outcome]]) -> None:
    """Hours over workers, both logarithmic."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a while
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for (name, made), colour, mark in zip(curves.items(), COLOURS, MARKS, strict=True):
        axes.plot(WORKERS, [each.wall / 3_600 for each in made], color=colour, marker=mark, label=name)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="workers (one core and 10 Gbit/s each)",
        ylabel="hours",
        title="10,000 repositories, 5,000,000 tags, 200 TB: modelled, not measured",
    )
    axes.set_xticks(WORKERS, [str(count) for count in WORKERS])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    with mpl.rc_context({"svg.hashsalt": "layoutlift"}):  # the same hours make the same file
        FigureCanvasSVG(figure).print_svg(PLOT, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
