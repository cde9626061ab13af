"""What is at hand where a benchmark takes place: the S3 service, the bucket's areas, the registry, the programs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.benchmark_values.paths import Origin, PathSpec, fill
from tasks.oci.errors import ProgramMissingError
from tasks.stores.benchmark.aws_cli import cache_folder, ready_aws_cli
from tasks.stores.benchmark.bucket_area import BucketArea
from tasks.stores.benchmark.folder_area import FolderArea
from tasks.stores.benchmark.leaving import release_with
from tasks.stores.benchmark.program_environment import past_proxies, with_endpoint
from tasks.stores.benchmark.request_counts import ServerCounts
from tasks.stores.bucket.s3_address import BucketAddress
from tasks.stores.local_parts.fuse import check_fuse
from tasks.stores.local_parts.programs import program
from tasks.stores.local_parts.registry import registry_program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import ExitStack

    from mypy_boto3_s3 import S3Client

    from tasks.benchmark_values.paths import Command
    from tasks.stores.benchmark.counting_proxy import CountingProxy
    from tasks.stores.local_parts.seaweedfs import SeaweedFS

_VERSION_SECONDS = 60.0
AWS = "aws"
"""The program that is not looked for, but put into an environment of ours."""


def find_parts(path: PathSpec, *, has_registry: bool) -> dict[str, Path]:
    """Where the programs of a path are that have to be installed here; nothing is started for that.

    Raises:
        ProgramMissingError: one is not, or what else the path needs is not here.
    """
    if path.mount:
        check_fuse()
    if path.origin is Origin.REGISTRY and not has_registry:
        raise ProgramMissingError("there is no registry: name one with --registry")
    return {name: program(name) for name in ("oras", *path.programs) if name != AWS}


@dataclass(frozen=True, kw_only=True)
class Venue:
    """What is at hand for all paths of a run."""

    run_id: str
    address: BucketAddress
    endpoint: str | None
    region: str
    environment: Mapping[str, str]
    """Of every program that is run, without credentials of the user's."""
    credentials: Callable[[], Mapping[str, str]]
    """The variables with the S3 credentials as they are now: those of a role end while a long run goes on."""
    client: S3Client
    metrics_url: str | None = None
    registry: str | None = None
    """The repository in the registry."""
    plain_http: bool = False
    has_others_registry: bool = False
    """Whether the registry is the user's, who wants nothing of ours left in it."""
    local_s3: SeaweedFS | None = None
    counter: CountingProxy | None = None
    """Where it is there, all requests to the S3 service go through it."""
    areas: dict[str, BucketArea] = field(default_factory=dict)
    folders: dict[str, FolderArea] = field(default_factory=dict)
    programs: dict[str, Path] = field(default_factory=dict)

    def claim(self, paths: Sequence[PathSpec], stack: ExitStack) -> None:
        """Make an area ours in each bucket and own mount of these paths, until the stack is closed.

        Raises:
            RefusedError: something else is in one of them, or another run.
        """
        for path in paths:
            if path.mounted_at is not None:
                self._claim_folder(path.mounted_at, stack)
            elif path.reads_bucket:
                self._claim_bucket(path.bucket or self.address.bucket, stack)

    def area(self, path: PathSpec) -> BucketArea:
        """The area in the bucket of a path."""
        return self.areas[path.bucket or self.address.bucket]

    def through(self, proxy: CountingProxy) -> Venue:
        """The same, with a proxy before the S3 service."""
        environment = past_proxies(with_endpoint(self.environment, proxy.url))
        return replace(self, endpoint=proxy.url, environment=environment, counter=proxy)

    def needs_counting(self, path: PathSpec) -> bool:
        """Whether the requests of a path are only counted in pulls of their own, through a proxy."""
        return path.reads_bucket and self.metrics_url is None

    def counts(self, path: PathSpec) -> ServerCounts | CountingProxy | None:
        """Who counts the requests to a path's bucket, where anybody does."""
        if self.counter is not None:
            return self.counter
        if self.metrics_url is None or not path.reads_bucket:
            return None
        return ServerCounts(self.metrics_url, path.bucket or self.address.bucket)

    def command(self, command: Command, values: Mapping[str, str | None]) -> list[str]:
        """A command with its values put in, and its program's path found.

        Raises:
            ProgramMissingError: the program is not installed.
        """
        first, *rest = self.filled(command, values)
        found = self.programs.get(first) or (first if "/" in first else program(first))
        return [str(found), *rest]

    def filled(self, command: Command, values: Mapping[str, str | None]) -> list[str]:
        """A command with its values put in.

        Raises:
            ConfigurationError: it asks for a value that there is not.
        """
        common = {
            "endpoint": self.endpoint,
            "s3_url": self.endpoint or self.client.meta.endpoint_url,
            "region": self.region,
            "registry": self.registry,
            "plain_http": "--plain-http" if self.plain_http else None,
            "python": sys.executable,
        }
        return fill(command, {**common, **values})

    @property
    def whole_environment(self) -> dict[str, str]:
        """The environment with the credentials as they are now."""
        return {**self.environment, **self.credentials()}

    def environment_of(self, path: PathSpec) -> dict[str, str]:
        """The environment of a path's programs: without credentials, where its options name others.

        Raises:
            LayoutliftError: the credentials have ended, and there are no new ones.
        """
        common = self.whole_environment if path.hands_over_credentials else self.environment
        return {**common, **path.environment}

    def why_not(self, path: PathSpec) -> str:
        """Why a path can't be measured here; nothing where it can."""
        try:
            self._check(path)
        except ProgramMissingError as error:
            return str(error)
        return ""

    def _check(self, path: PathSpec) -> None:
        if path.origin is Origin.REGISTRY and self.registry is None and self.local_s3 is not None:
            registry_program()  # says what to install: one would be started here
        self.programs.update(find_parts(path, has_registry=self.registry is not None))
        if AWS in path.programs and AWS not in self.programs:
            self.programs[AWS] = ready_aws_cli(cache_folder(os.environ))

    def version(self, path: PathSpec) -> str:
        """What a path's program says of its version, on one line."""
        if not path.version:
            return ""
        try:
            lines = self.run(path, self.command(path.version, {})).strip().splitlines()
        except (OSError, ProgramMissingError):
            return "(does not say its version)"
        return " ".join(lines[0].split()) if lines else ""

    def program_versions(self) -> str:
        """What the programs that do the work beside a path's own say of their versions."""
        commands = [("oras", "version")]
        if self.local_s3 is not None:
            commands.append(("weed", "version"))
            if self.registry is not None and not self.has_others_registry:
                commands.append((str(registry_program()), "--version"))
        said = {
            Path(command[0]).name: self.version(PathSpec(name="", origin=Origin.DIRECTORY, version=command))
            for command in commands
        }
        return "; ".join(f"{name}: {version}" for name, version in said.items())

    def run(self, path: PathSpec, command: Sequence[str]) -> str:
        """Run something small of a path's, whatever it ends with, and return what it says.

        Raises:
            OSError: it can't be started.
            LayoutliftError: the credentials have ended, and there are no new ones.
        """
        try:
            outcome = subprocess.run(  # noqa: S603 - a path's own command
                list(command),
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                env=self.environment_of(path),
                timeout=_VERSION_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return ""
        return outcome.stdout or outcome.stderr

    def _claim_bucket(self, bucket: str, stack: ExitStack) -> None:
        if bucket not in self.areas:
            area = BucketArea(self.client, BucketAddress(bucket, self.address.prefix), self.run_id)
            release_with(stack, area)
            area.claim()
            self.areas[bucket] = area

    def _claim_folder(self, mount: str, stack: ExitStack) -> None:
        if mount not in self.folders:
            area = FolderArea(Path(mount), self.run_id)
            release_with(stack, area)
            area.claim()
            self.folders[mount] = area
