"""A skipped test is a failed one where every real part can be had."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SKIPPING = """
import pytest
def test_skipped(): pytest.skip("no such tool")
@pytest.mark.xfail
def test_expected(): assert False
"""


@pytest.mark.parametrize(("required", "status"), [("1", 1), ("0", 0)])
def test_skips_fail_only_where_parts_are_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: str, status: int
) -> None:
    monkeypatch.setenv("LAYOUTLIFT_REQUIRE_REAL_PARTS", required)
    monkeypatch.setenv("PYTHONPATH", str(CONFTEST.parents[1]))  # where its plugins are
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_it.py").write_text(SKIPPING)
    outcome = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == status, outcome.stdout
    assert "no such tool" in outcome.stdout
    assert "1 xfailed" in outcome.stdout
