"""The example for cron says what keeps it from beginning."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deployments" / "examples" / "scheduled-migration.sh"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("/nowhere", "/nowhere is no directory"),
        ("s3://tut", "takes a mounted directory; for s3://tut"),
        (None, "is empty: is the bucket mounted?"),
    ],
)
def test_a_source_that_the_script_can_not_take_is_told_apart(source: str | None, said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = subprocess.run(
        ["bash", SCRIPT, source or tmp_path / "empty", "registry.invalid"],
        env={"PATH": "/usr/bin:/bin", "LAYOUTLIFT_REPORTS": str(tmp_path / "reports")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert said in ended.stderr
