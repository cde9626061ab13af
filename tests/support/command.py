"""Runs the installed command `layoutlift` as users run it, with a home and state of the test's own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import SeaweedFS, wait_until
from tests.support.warm_command import WARM

LAYOUTLIFT = Path(sys.executable).parent / "layoutlift"
STARTED_ANEW = (sys.executable, LAYOUTLIFT)
"""A program for tests of what a start takes; else commands are forked from a process that has imported them."""
DEADLINE_SECONDS = 240
TARGET_COMMANDS = frozenset({"migrate", "plan", "verify"})
WITH_STANDALONE = frozenset({"migrate", "verify"})

# Runs a command as the child of a small process, which writes down the child's peak memory in KiB: what the
# kernel says of a process's own child would include the memory of the process that it was forked from.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code and output, its report where it wrote one, how long it took."""

    code: int
    stdout: str
    stderr: str
    report: dict[str, Any]
    seconds: float

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def totals(self) -> dict[str, int]:
        return self.report["totals"]

    @property
    def rows(self) -> dict[tuple[str, str | None], dict[str, Any]]:
        """The report's tags by repository and tag; a tag that is there twice fails the test."""
        rows = {(row["repository"], row["tag"]): row for row in self.report["tags"]}
        assert len(rows) == len(self.report["tags"])
        return rows

    @property
    def outcomes(self) -> dict[str, str]:
        """The outcome of each `repository:tag`, or the code of the error that it has."""
        return {
            f"{repository}:{tag}": row["error"]["code"] if row["error"] else row["outcome"]
            for (repository, tag), row in self.rows.items()
        }

    @property
    def findings(self) -> set[tuple[str, str]]:
        """Path and code of each finding."""
        return {(finding["path"], finding["code"]) for finding in self.report["findings"]}


@dataclass
class Layoutlift:
    """`layoutlift(...)` runs the command as given; `migrate` and its like add what every test wants."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    program: tuple[str | Path, ...] = (LAYOUTLIFT,)
    standalone: bool = True
    deadline_seconds: float = DEADLINE_SECONDS

    def __call__(
        self,
        *arguments: str | Path,
        code: int = 0,
        stdin: str = "",
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run to the end; a code other than `code`, or a traceback, fails the test."""
        report = self.home / "report.json"
        report.unlink(missing_ok=True)
        started = time.monotonic()
        outcome = self._run([*map(str, self.program), *map(str, arguments)], stdin, cwd or self.home, environment)
        seconds = time.monotonic() - started
        written = json.loads(report.read_bytes()) if report.exists() else {}
        ended = Ended(outcome.returncode, outcome.stdout, outcome.stderr, written, seconds)
        assert ended.code == code, f"{arguments} ended with {ended.code}:\n{ended.output}"
        assert "Traceback" not in ended.output, ended.output
        return ended

    def _run(
        self, line: list[str], stdin: str, cwd: Path, environment: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[str]:
        everything, deadline = self.full_environment(environment), self.deadline_seconds
        ended = WARM.run(line, everything, cwd, stdin, deadline) if self.program == (LAYOUTLIFT,) else None
        return ended or subprocess.run(
            line, input=stdin, cwd=cwd, env=everything, capture_output=True, text=True, timeout=deadline, check=False
        )

    def migrate(self, source: Path, target: str, *options: str | Path, **more: Any) -> Ended:
        return self(*self.line("migrate", source, target, *options), **more)

    def plan(self, source: Path, target: str, *options: str | Path, **more: Any) -> Ended:
        return self(*self.line("plan", source, target, *options), **more)

    def verify(self, source: Path, target: str, *options: str | Path, **more: Any) -> Ended:
        return self(*self.line("verify", source, target, *options), **more)

    def check(self, source: Path, *options: str | Path, **more: Any) -> Ended:
        return self(*self.line("check", source, *options), **more)

    def listed(self, source: Path, *options: str, code: int = 0) -> dict[str, Any]:
        """What `ls --json` says."""
        return json.loads(self("ls", source, "--json", *options, code=code).stdout)

    def line(self, command: str, *arguments: str | Path) -> list[str]:
        """The arguments of a command, with a report where `Ended` looks for it."""
        options = ["--report", str(self.home / "report.json")]
        if command in TARGET_COMMANDS:
            options.append("--plain-http")
        if command in WITH_STANDALONE and self.standalone:
            options.append("--standalone")
        return [command, *map(str, arguments), *options]

    def running(self, command: str, *arguments: str | Path) -> AbstractContextManager[subprocess.Popen[str]]:
        """A command in the background, with what every test wants; see `running_plainly`."""
        return self.running_plainly(*self.line(command, *arguments))

    @contextmanager
    def running_plainly(self, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """A command as given in the background; killed at the end of the block if it still runs."""
        with subprocess.Popen(
            [*map(str, self.program), *map(str, arguments)],
            cwd=self.home,
            env=self.full_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def last_report(self) -> dict[str, Any]:
        return json.loads((self.home / "report.json").read_bytes())

    def full_environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Nothing of the user's own but the search path."""
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "PREFECT_HOME": str(self.home / "prefect"),
            **self.environment,
            **(more or {}),
        }

    def measured(self) -> tuple["Layoutlift", Path]:
        """The same, and the file that will hold the peak memory of its last run in KiB."""
        peak = self.home / "peak"
        program = (sys.executable, "-S", "-c", MEASURED, peak, *self.program)
        return replace(self, program=program), peak


@pytest.fixture
def layoutlift(tmp_path_factory: pytest.TempPathFactory) -> Layoutlift:
    """The command in an environment of the test's own, outside its `tmp_path`."""
    return Layoutlift(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def prefect_environment(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    """What leads the command to a local Prefect server that was started by `layoutlift server start`."""
    home = tmp_path_factory.mktemp("prefect-home")
    command = Layoutlift(home)
    assert "Prefect server" in command("server", "start").stdout
    yield {"PREFECT_HOME": str(home / "prefect")}
    command("server", "stop")


@pytest.fixture
def lifted(layoutlift: Layoutlift, prefect_environment: dict[str, str]) -> Layoutlift:
    """The command, running its flows on the local server."""
    layoutlift.environment, layoutlift.standalone = prefect_environment, False
    return layoutlift


@pytest.fixture
def with_bucket(layoutlift: Layoutlift, seaweedfs: SeaweedFS) -> Layoutlift:
    """The command, with the store and its credentials in the environment."""
    layoutlift.environment.update(seaweedfs.environment())
    return layoutlift


def interrupt(
    process: subprocess.Popen[str], within: float, by: signal.Signals = signal.SIGINT
) -> tuple[int, str, str, float]:
    """Press Ctrl-C, or send another signal; exit code, output, and the seconds that the process took to end."""
    pressed = time.monotonic()
    process.send_signal(by)
    stdout, stderr = process.communicate(timeout=within)
    return process.returncode, stdout, stderr, time.monotonic() - pressed


def wait_for_words(process: subprocess.Popen[str], words: str) -> None:
    """Read what it says to its end, or until the words come."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    pytest.fail(f"it ended without a word of {words}")


def wait_for_upload(storage: Path) -> None:
    """Wait until a registry of distribution's kind has some bytes of a blob that is being sent to it."""

    def has_begun() -> bool:
        try:
            return any(path.stat().st_size for path in storage.glob("**/_uploads/*/data"))
        except FileNotFoundError:
            return False

    wait_until(has_begun, what="an upload has begun")
