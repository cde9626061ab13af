"""Applies a plan's file in a process of its own, which a test may kill: `python -m tests.support.cleaner_process`."""

import sys
from pathlib import Path

from tasks.cleanup_applies import CleanerOptions, open_cleaner
from tasks.cleanups import new_plan_id, open_plan
from tasks.stores.pacing import Stop
from tasks.stores.s3_address import BucketAccess


def main(file: str, *flags: str) -> int:
    """Apply the plan; 1 when something is not as it should be."""
    stop = Stop()
    with open_plan(Path(file)) as plan:
        header = plan.header
        options = CleanerOptions(
            header.source, BucketAccess(), header.timing, new_plan_id(), only_writer="--i-am-the-only-writer" in flags
        )
        with open_cleaner(options, stop) as cleaner:
            problems = [problem for outcome in cleaner.apply(plan.repositories()) for problem in outcome.problems]
    for problem in problems:
        print(problem.path, problem.code, problem.message)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
