"""The examples of scripts say what keeps them from beginning, and keep what later runs need."""

import os
import subprocess
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "deployments" / "examples"
SCRIPT = EXAMPLES / "scheduled-migration.sh"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("/nowhere", "/nowhere is no directory that can be read: ls: "),
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


def test_a_mount_that_hangs_does_not_keep_the_script(tmp_path: Path) -> None:
    (tmp_path / "ls").write_text("#!/bin/sh\nexec sleep 60\n")  # what a look at such a mount is like
    (tmp_path / "ls").chmod(0o755)
    ended = subprocess.run(
        ["bash", SCRIPT, tmp_path, "registry.invalid"],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "LAYOUTLIFT_REPORTS": str(tmp_path / "reports"),
            "LAYOUTLIFT_SOURCE_TIMEOUT": "0.2",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (ended.returncode, ended.stderr) == (2, f"{tmp_path} does not answer: restart the mount\n")


def test_the_script_makes_the_folder_for_state_for_its_user_alone(tmp_path: Path) -> None:
    """The first that is made below it would else decide the rights of all that layoutlift puts there later."""
    subprocess.run(
        ["bash", SCRIPT, "/nowhere", "registry.invalid"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=False,
        umask=0o022,
    )
    assert (tmp_path / ".local" / "state" / "layoutlift").stat().st_mode & 0o777 == 0o700


def test_reports_of_the_script_are_kept_for_90_days_and_nothing_else_goes(tmp_path: Path) -> None:
    source, reports, commands, link = (tmp_path / name for name in ("source", "another disk", "commands", "reports"))
    for folder in (source / "app", reports / "kept", commands):
        folder.mkdir(parents=True)
    (commands / "layoutlift").write_text("#!/bin/sh\nexit ${ENDED:-0}\n")
    (commands / "layoutlift").chmod(0o755)
    old = ["2026-01-31-migrate.json", "2026-01-31-verify.json"]
    others = ["2026-02-01-migrate.json", "2026-01-31-plan.json", "kept/2026-01-31-migrate.json"]
    others.append("2026-01-31-before-the-cut-over-migrate.json")
    link.symlink_to(reports)
    for name in (*old, *others):
        (reports / name).touch()
    for name in (*old, *others[1:]):
        os.utime(reports / name, times=(time.time() - 92 * 86_400,) * 2)

    def run(ended: str) -> set[str]:
        subprocess.run(
            ["bash", SCRIPT, source, "registry.invalid"],
            env={"PATH": f"{commands}:/usr/bin:/bin", "LAYOUTLIFT_REPORTS": str(link), "ENDED": ended},
            check=ended == "0",
        )
        return {str(path.relative_to(reports)) for path in reports.rglob("*.json")}

    assert run(ended="2") == {*old, *others}, "no later one is there"
    assert run(ended="0") == set(others)


def step_for_ci(tmp_path: Path, layoutlift: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The step with `layoutlift` in place of ours."""
    (tmp_path / "layoutlift").write_text(f"#!/bin/sh\n{layoutlift}\n")
    (tmp_path / "layoutlift").chmod(0o755)
    given = {"SOURCE_DIRECTORY": "/s", "REGISTRY": "r", "REGISTRY_USER": "u", "REGISTRY_PASSWORD": "p"}
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **given, **more}
    return subprocess.run(
        ["sh", EXAMPLES / "ci-step.sh"], env=environment, capture_output=True, text=True, check=False
    )


def test_the_step_for_ci_has_all_commands_keep_their_ledger_where_it_was_told(tmp_path: Path) -> None:
    """On a machine that is new each time, a tag that an earlier run brought and that has moved would be refused."""
    said = 'echo "$1 ${LAYOUTLIFT_STATE-}"'
    without = step_for_ci(tmp_path, said)
    assert (without.returncode != 0, without.stdout, "LAYOUTLIFT_STATE" in without.stderr) == (True, "", True)
    told = step_for_ci(tmp_path, said, LAYOUTLIFT_STATE="s3://state").stdout
    assert told.splitlines() == ["plan s3://state", "migrate s3://state"]


def test_the_plan_of_the_step_for_ci_leaves_the_files_of_the_migration_alone(tmp_path: Path) -> None:
    """In its metrics stands when a migration ended well last, which an alert is about."""
    said = 'echo "$1 ${LAYOUTLIFT_METRICS-} ${LAYOUTLIFT_REPORT-}"'
    files = {"LAYOUTLIFT_METRICS": "lift.prom", "LAYOUTLIFT_REPORT": "lift.json"}
    told = step_for_ci(tmp_path, said, LAYOUTLIFT_STATE="s3://state", **files).stdout
    assert told.splitlines() == ["plan  ", "migrate lift.prom lift.json"]


def test_the_migration_of_the_step_for_ci_is_the_process_that_a_cancelled_job_tells_to_end(tmp_path: Path) -> None:
    """A shell that waits for a command does not pass on what it is sent."""
    process_of = step_for_ci(tmp_path, 'echo "$1 $$ $PPID"', LAYOUTLIFT_STATE="s3://state").stdout.split()
    assert process_of[::3] == ["plan", "migrate"]
    assert process_of[2] == process_of[4], "the shell of the plan became the migration"
