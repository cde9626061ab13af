"""The Prefect server on PostgreSQL takes many runs at once, and its history has all of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.real_parts.postgresql import program
from tests.operations.load import TASKS
from tests.support.real_parts import skipped_where_unavailable

AT_ONCE = 20
END_WITHIN = 1_500
CLONE = Path(__file__).parents[2]


@pytest.mark.operations
@pytest.mark.timeout(END_WITHIN + 100)
def test_twenty_runs_at_once_on_postgresql() -> None:
    with skipped_where_unavailable():
        program("postgres")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.operations.load", "postgresql", str(AT_ONCE)],
        cwd=CLONE,
        capture_output=True,
        text=True,
        timeout=END_WITHIN,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert (result["completed_runs"], result["failed_runs"]) == (AT_ONCE, 0)
    assert (result["tasks_written_down"], result["locked"]) == (AT_ONCE * TASKS, 0)
