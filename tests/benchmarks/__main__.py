"""The benchmarks (`make bench`, `make bench-quick`): everybody copies the same trees, side by side."""

import argparse
import hashlib
import json
import signal
import sys
import time
from pathlib import Path

from tasks.oci.errors import ProgramMissingError
from tests.benchmarks import campaign, goals, plotting, reporting
from tests.benchmarks.measuring import bench, tools_versions
from tests.benchmarks.statistics_of import Results
from tests.benchmarks.workloads import cache_folder

CHECKOUT = Path(__file__).resolve().parents[2]
INTERRUPTED = 143
LISTINGS = ("tiny", "index")


def main(arguments: list[str]) -> int:
    """Measure, print, keep; 1 when a goal falls short."""
    options = _parse(arguments)
    versions = tools_versions()
    plan = campaign.quick_plan() if options.quick else campaign.full_plan()
    kept = campaign.Kept(cache_folder() / "measurements" / _key(versions))
    if options.fresh:
        kept.forget()
    with bench() as ready_bench:
        listings = () if options.quick else LISTINGS
        measured = campaign.run(plan, ready_bench, kept, listings=listings, minutes=options.minutes)
        results = Results(list(measured))
        verdicts = goals.judge(results)
        _tell(results, verdicts)
        if not options.quick:
            _keep(results, verdicts, versions)
        print("bench: removing what the runs left; that may take minutes", flush=True)
    return 0 if verdicts and all(verdict.passes for verdict in verdicts) else 1


def _tell(results: Results, verdicts: list[goals.Verdict]) -> None:
    print(f"\n{reporting.table(results)}\n")
    print("\n".join((*map(str, verdicts), goals.told_beyond(verdicts))), flush=True)


def _keep(results: Results, verdicts: list[goals.Verdict], versions: dict[str, str]) -> None:
    date = time.strftime("%Y-%m-%d", time.gmtime())
    content = reporting.record(results, verdicts, versions, date)
    print(f"kept as {reporting.write_record(f'{date}-peers', content).relative_to(CHECKOUT)}")
    plotting.write_plot(results, reporting.RESULTS / f"{date}-peers.svg", date)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="layoutlift, regsync and the oras script, one round")
    parser.add_argument("--fresh", action="store_true", help="measure again what was finished earlier")
    parser.add_argument(
        "--minutes",
        type=float,
        default=campaign.MOST_MINUTES,
        help="begin nothing after so many (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def _key(versions: dict[str, str]) -> str:
    """What a campaign's measurements depend on: others are not mixed with them."""
    sources = sorted(path for top in ("flows", "tasks", "infra") for path in (CHECKOUT / top).rglob("*.py"))
    digest = hashlib.sha256(json.dumps([versions, reporting.machine()]).encode())
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))  # so that everything started is ended
    try:
        sys.exit(main(sys.argv[1:]))
    except ProgramMissingError as missing:
        sys.exit(f"bench: {missing}")
