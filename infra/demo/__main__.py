"""Runs the demo: `python -m infra.demo start|stop --state FOLDER`."""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.demo.left_running import LeftRunning
from infra.demo.sample import writer
from infra.real_parts import (
    DebianRegistry,
    DistributionRegistry,
    Mount,
    Registry,
    S3Fs,
    SeaweedFS,
    Server,
    ZotRegistry,
    find_tool,
)
from tasks.oci.errors import ProgramFailedError, ProgramMissingError

BUCKET = "lightweight-registry"
KINDS_OF_TARGET: tuple[type[Registry], ...] = (DebianRegistry, DistributionRegistry, ZotRegistry)


@dataclass(frozen=True)
class Source:
    """Where the sample is: a folder, and the S3 service that it is a mount of, where it is one."""

    path: Path
    s3: SeaweedFS | None = None

    def write_keys(self, file: Path) -> None:
        """Write what leads programs to the bucket, if there is one, to be read by a shell and by nobody else."""
        if self.s3 is None:
            return
        file.touch(mode=0o600)
        variables = self.s3.environment().items()
        file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables))

    def places(self, keys: Path) -> list[str]:
        """Say where it is, and how to read the bucket without the mount."""
        if self.s3 is None:
            return [f"  layouts     {self.path}"]
        return [
            f"  bucket      s3://{BUCKET} at {self.s3.endpoint}",
            f"  its keys    {keys}",
            f"  its mount   {self.path}",
            f"  (. {shlex.quote(str(keys))}; {shlex.quote(str(find_tool('layoutlift')))} ls s3://{BUCKET})",
        ]


@dataclass(frozen=True)
class Demo:
    """One demo in its state folder, with a Prefect server and settings of its own."""

    state: Path
    left_running: LeftRunning

    def run(self) -> int:
        """Start the parts, do the work, and return the worst exit status of it."""
        self.left_running.begin()
        source = self._start_source()
        oras = _find_or_say("oras")
        say(f"writing sample repositories to {source.path} with {oras or 'the layout builder'}")
        writer(oras, self.state / "scratch")(source.path)
        registry = self._start_target()
        status = self._work(source.path, registry.host)
        self._close(source, registry.host, oras)
        return status

    def _start_source(self) -> Source:
        """Mount a bucket, or say why not and return a plain directory."""
        s3 = SeaweedFS(self.state / "seaweedfs")
        try:
            say("starting SeaweedFS as the S3 service")
            self._keep(s3)
            mount: Mount = S3Fs(self.state / "s3fs", s3=s3, bucket=s3.create_bucket(BUCKET))
            say(f"mounting the bucket {BUCKET} of {s3.endpoint} by s3fs")
            self._keep(mount)
        except (ProgramMissingError, ProgramFailedError) as refusal:
            say(f"no mount on this machine, so the layouts go to a plain directory: {refusal}")
            plain = self.state / "layouts"
            plain.mkdir()
            return Source(plain)
        return Source(mount.mountpoint, s3)

    def _start_target(self) -> Registry:
        """Start the first kind of registry that this machine has."""
        for kind in KINDS_OF_TARGET:
            registry = kind(self.state / kind.name)
            try:
                say(f"starting {kind.name} as the target")
                self._keep(registry)
            except ProgramMissingError as missing:
                say(str(missing))
            else:
                return registry
        raise SystemExit("demo: no registry to migrate to on this machine")

    def _work(self, source: Path, target: str) -> int:
        """Migrate, prove it, and show that a second run finds nothing left to do."""
        report = str(self.state / "report.json")
        again = str(self.state / "report-again.json")
        where = (str(source), target)
        steps = (
            ("migrate", *where, "--plain-http", "--report", report),
            ("verify", *where, "--depth", "content", "--plain-http"),
            ("migrate", *where, "--plain-http", "--report", again),
        )
        return max(self._layoutlift(*step) for step in steps)

    def _close(self, source: Source, host: str, oras: Path | None) -> None:
        """Say what is there to look at, and how it is ended."""
        keys = self.state / "s3.env"
        source.write_keys(keys)
        print("\nLeft running for a look:", *source.places(keys), sep="\n")
        print(f"  registry    {host}\n  reports     {self.state}/report.json", flush=True)
        self._layoutlift("server", "status")
        if oras is not None:
            print(f"  {oras} repo ls --plain-http {host}")
            print(f"  {oras} repo tags --plain-http {host}/team/app")
            print(f"  {oras} discover --plain-http {host}/team/app:v1.0.0")
        print("`make demo-stop` unmounts and ends everything.", flush=True)

    def stop(self) -> None:
        """End what an earlier demo left running; harmless where there was none.

        Raises:
            SystemExit: its Prefect server can't be ended. Its record stays then: nobody would find it without.
        """
        if self.left_running.exists():
            if self._layoutlift("server", "stop") != 0 and (self.state / "prefect" / "server.json").exists():
                raise SystemExit("demo: its Prefect server still runs: `make install`, then `make demo-stop` again")
            self.left_running.clear_away()

    def _keep(self, part: Server) -> None:
        part.start()
        self.left_running.add(part)

    def _layoutlift(self, *arguments: str) -> int:
        """Run the command as a user would, with its state and Prefect's below the demo's folder."""
        program = _find_or_say("layoutlift")
        if program is None:
            return 1
        command = [str(program), *arguments]
        say(shlex.join(["layoutlift", *arguments]))
        return subprocess.run(command, env=self._environment(), check=False).returncode

    def _environment(self) -> dict[str, str]:
        """Leave out a server or login that the caller uses for other things: the demo touches only its own."""
        foreign = ("PREFECT_", "LAYOUTLIFT_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return kept | {"PREFECT_HOME": str(self.state / "prefect"), "XDG_STATE_HOME": str(self.state / "xdg")}


def say(message: str) -> None:
    """Print a step so that it stands out from what the programs print."""
    print(f"==> {message}", flush=True)


def _find_or_say(name: str) -> Path | None:
    try:
        return find_tool(name)
    except ProgramMissingError as missing:
        say(str(missing))
        return None


def main(arguments: Sequence[str]) -> int:
    """Start or stop the demo and return the exit status of its work."""
    parser = argparse.ArgumentParser(prog="python -m infra.demo", description=__doc__)
    parser.add_argument("action", choices=("start", "stop"))
    parser.add_argument("--state", type=Path, required=True, help="folder of the demo's data, outside the clone")
    chosen = parser.parse_args(arguments)
    state = chosen.state.absolute()
    demo = Demo(state, LeftRunning(state))
    try:
        demo.stop()
        return demo.run() if chosen.action == "start" else 0
    except OSError as error:
        raise SystemExit(f"demo: {error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
