"""One measurement: a fresh registry, one command, what it cost, what arrived."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from infra.real_parts import Registry
from tests.benchmarks.contenders import CONTENDERS, Contender, link_programs, write_configuration
from tests.benchmarks.targets import LINKS, REGISTRIES, Between, requests_of, tags_in
from tests.benchmarks.workloads import WORKLOADS, cache_folder, ready

LAUNCHER = Path(__file__).parent / "launcher.py"
BARE_CLIENT = Path(__file__).parent / "bare_client.py"
TIMEOUT_SECONDS = 1500
TICKS = os.sysconf("SC_CLK_TCK")
KEPT_OUTPUT = 600
INHERITED = ("LANG", "LC_ALL", "TZ", "TMPDIR")
LARGE_FILE = 1_000_000
FREE_BYTES = 20_000_000_000
"""What the disk has to have left for what runs left behind to be kept until the end."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is measured: who copies what to where. `again`: the same command a second time, with nothing to do."""

    workload: str
    registry: str
    contender: str
    link: str = ""
    jobs: int = 8
    again: bool = False

    @property
    def group(self) -> str:
        """The cases that are compared with each other."""
        name = f"again, {self.workload}" if self.again else self.workload
        return f"{self.link}, {name}" if self.link else name

    def __str__(self) -> str:
        return f"{self.group} | {self.registry} | {self.contender}"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one run cost and what it achieved; sizes in bytes, times in seconds."""

    case: Case
    round: int
    wall: float
    user: float
    system: float
    peak: int
    exit_code: int | None
    registry_cpu: float = 0.0
    prefect_cpu: float = 0.0
    requests: int | None = None
    pulls: int | None = None
    tags: int = 0
    arrived: int = 0
    verified: int = 0
    observed: dict[str, float] = field(default_factory=dict)
    output: str = ""

    @property
    def cpu(self) -> float:
        """The client's processor time, its children included."""
        return self.user + self.system

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Measurement":
        """What `to_json` made."""
        return cls(**fields | {"case": Case(**fields["case"])})


class Bench:
    """Measures cases; has a folder of its own on the disk of the cache, and a Prefect server once one is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = link_programs(folder / "programs")
        self.prefect_home = folder / "prefect"

    def __enter__(self) -> Self:
        self.prefect_home.mkdir()
        self._server("start")
        return self

    def __exit__(self, *_: object) -> None:
        self._server("stop")

    def measure(self, case: Case, round_number: int) -> Measurement:
        """Measure one case, once."""
        source = ready(WORKLOADS[case.workload])
        work = self._place()
        with REGISTRIES[case.registry](work / "registry") as registry:
            made = self._measure_against(registry, case, round_number, source, work)
        _remove_large_files(work)
        return made

    def _place(self) -> Path:
        """A folder for one run, which stays until the end.

        ext4 goes out of its way not to use an inode again that was freed within the last minutes, so that to delete
        what one run left doubles the registry's CPU in the next (9 to 21 s for `small` on distribution 3).
        """
        places = self.folder / "runs"
        if places.exists() and shutil.disk_usage(places).free < FREE_BYTES:
            shutil.rmtree(places)
        places.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(dir=places))

    def listing(self, workload: str) -> Measurement:
        """Measure `layoutlift ls`, which needs no registry."""
        case = Case(workload=workload, registry="none", contender="layoutlift ls")
        with _scratch(self.folder) as work:
            (work / "home").mkdir()
            environment = self._environment(work) | {"SOURCE": str(ready(WORKLOADS[workload]))}
            cost = self._launch('exec layoutlift ls "$SOURCE" --json', work, environment)
            observed = {"index_size": _index_size(ready(WORKLOADS[workload]))}
            listed = json.loads((work / "output").read_bytes() or b'{"repositories": []}')
        tags = sum(len(repository["tags"]) for repository in listed["repositories"])
        expected = WORKLOADS[workload].tag_count
        return Measurement(case=case, round=1, tags=expected, arrived=tags, verified=tags, observed=observed, **cost)

    def _measure_against(
        self, registry: Registry, case: Case, round_number: int, source: Path, work: Path
    ) -> Measurement:
        workload, contender = WORKLOADS[case.workload], CONTENDERS[case.contender]
        (work / "home").mkdir()
        with ExitStack() as stack:
            between = stack.enter_context(LINKS[case.link](work / "link", registry.host)) if case.link else None
            target = between.host if isinstance(between, Between) else registry.host
            write_configuration(work, workload, target, case.jobs)
            environment = self._environment(work)
            environment |= {"SOURCE": str(source), "TARGET": target, "JOBS": str(case.jobs), "WORK": str(work)}
            environment |= {"TAGS": str(work / "tags")}
            if case.again:
                self._launch(contender.script, work, environment)
            cost = self._counted(registry, contender, work, environment)
            observed = {"index_size": _index_size(source)} | (between.observed() if between else {})
        return Measurement(
            case=case,
            round=round_number,
            tags=workload.tag_count,
            arrived=tags_in(registry, workload),
            verified=self._verify(registry, source, work),
            observed=observed,
            **cost,
        )

    def _counted(
        self, registry: Registry, contender: Contender, work: Path, environment: dict[str, str]
    ) -> dict[str, Any]:
        before, cpu_before = requests_of(registry), _cpu_of(registry.pid)
        prefect_before = _cpu_of(self.prefect_pid)
        cost = self._launch(contender.script, work, environment)
        cost["registry_cpu"] = _cpu_of(registry.pid) - cpu_before
        cost["prefect_cpu"] = _cpu_of(self.prefect_pid) - prefect_before
        after = requests_of(registry)
        if before is not None and after is not None:
            cost["requests"] = after.total() - before.total()
            cost["pulls"] = after["manifest get"] - before["manifest get"]
        return cost

    def _launch(self, script: str, work: Path, environment: dict[str, str]) -> dict[str, Any]:
        os.sync()  # what was written for the run before shall not be written out during this one
        result = work / "cost.json"
        measured = [sys.executable, "-I", "-S", LAUNCHER, result, str(TIMEOUT_SECONDS), "bash", "-c", script]
        with (work / "output").open("wb") as output, (work / "errors").open("wb") as errors:
            launched = subprocess.Popen(measured, env=environment, cwd=work, stdout=output, stderr=errors)
            try:
                launched.wait()
            finally:
                launched.terminate()
                launched.wait()
        cost = json.loads(result.read_text())
        cost["peak"] = cost.pop("peak_kib") * 1024
        cost["output"] = "" if cost["exit_code"] == 0 else _end_of(work / "errors")
        return cost

    def _verify(self, registry: Registry, source: Path, work: Path) -> int:
        """How many tags are there with all their blobs, outside the time and past what is between."""
        report = work / "verified.json"
        options = ["--standalone", "--plain-http", "--depth", "blobs", "--jobs", "8", "--report", str(report)]
        command = [self.programs / "layoutlift", "verify", str(source), registry.host, *options]
        subprocess.run(
            command, env=self._environment(work), check=False, capture_output=True, timeout=TIMEOUT_SECONDS
        )
        found = json.loads(report.read_text())["tags"] if report.exists() else []
        return sum(1 for tag in found if tag["verified"] == "blobs")

    def _environment(self, work: Path) -> dict[str, str]:
        """What every program sees: no configuration, credentials or state of the user's."""
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return kept | {
            "PATH": f"{self.programs}:{os.defpath}",
            "HOME": str(work / "home"),
            "XDG_STATE_HOME": str(work / "home" / "state"),
            "PREFECT_HOME": str(self.prefect_home),
            "BARE_CLIENT": str(BARE_CLIENT),
            "DO_NOT_TRACK": "1",
        }

    @property
    def prefect_pid(self) -> int:
        """The server's process."""
        return int(json.loads((self.prefect_home / "server.json").read_text())["pid"])

    def _server(self, what: str) -> None:
        command = [self.programs / "layoutlift", "server", what]
        subprocess.run(command, env=self._environment(self.prefect_home), check=True, stdout=subprocess.DEVNULL)


@contextmanager
def bench() -> Iterator[Bench]:
    """A bench whose folder is removed at the end."""
    with _scratch(cache_folder()) as folder, Bench(folder) as ready_bench:
        yield ready_bench


def _remove_large_files(folder: Path) -> None:
    """Free the space and hardly an inode."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > LARGE_FILE:
            path.unlink()


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix="run-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cpu_of(pid: int) -> float:
    """The processor time that a process has had, its ended children included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def _index_size(source: Path) -> float:
    """The size of the largest `index.json`."""
    return float(max(path.stat().st_size for path in source.glob("*/index.json")))


def _end_of(path: Path) -> str:
    return path.read_text(errors="replace")[-KEPT_OUTPUT:]


def tools_versions() -> dict[str, str]:
    """What was measured, for the record."""
    with _scratch(cache_folder()) as folder:
        programs = link_programs(folder)
        return {contender.program: _version(programs, contender) for contender in CONTENDERS.values()}


def _version(programs: Path, contender: Contender) -> str:
    command = [programs / contender.program, *contender.version]
    outcome = subprocess.run(command, check=False, capture_output=True, text=True)
    return outcome.stdout.strip()
