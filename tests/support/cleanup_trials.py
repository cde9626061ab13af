"""Cleanups of real sources, applied by processes of their own; what is right is told without the code under test."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.cleanup_plans import CleanupOptions, make_header, open_planner, policy_choices, write_plan
from tasks.operations.choosing.tag_order import OrderBy
from tasks.operations.cleanup.deciding.policy import (
    Policy,
    RepositoryPolicy,
    TagRule,
    select_repositories,
    select_tags,
)
from tasks.operations.cleanup.planning.limits import LimitCheck
from tasks.operations.cleanup.values import PlanKind, PlanLimits, Timing
from tasks.stop import Stop

COMMAND = Path(sys.executable).with_name("layoutlift")
REF_NAME = "org.opencontainers.image.ref.name"
MANIFESTS = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
}
NO_LIMITS = PlanLimits(max_percent=None, min_tags_left=None)


def policy(keep_last: int, timing: Timing) -> Policy:
    """Of `v*` the last ones by name; every other tag stays; what has no tag goes after a second."""
    rules = (TagRule(select_tags(["v*"]), "v*", keep_last=keep_last),)
    every = RepositoryPolicy(
        "trial", select_repositories(["**"]), rules, order_by=OrderBy.NAME, untagged_after=1.0, orphans_after=1.0
    )
    return Policy((every,), timing=timing, limits=NO_LIMITS)


@dataclass
class Cleaning:
    """Cleanups of one source, each planned here and applied by a process of its own."""

    source: str
    folder: Path
    timing: Timing
    keep_last: int = 2
    only_writer: bool = False

    def plan(self) -> Path:
        """Write a plan."""
        options, wanted = CleanupOptions(self.source), policy(self.keep_last, self.timing)
        with open_planner(options, wanted, Stop()) as planner:
            now = planner.tools.rules.now
            header = make_header(options, PlanKind.CLEANUP, wanted, now)
            file = self.folder / "plan.jsonl"
            check = LimitCheck(header.limits, header.timing.mode)
            plans = map(check.see, planner.plans(policy_choices(wanted, now)))
            for _ in write_plan(file, header, plans, check):
                pass
        return file

    def start(self, plan: Path) -> subprocess.Popen[str]:
        """Begin to apply a plan."""
        return self._begin("apply", str(plan))

    def undo(self, run: str) -> None:
        """Undo a run, all of it."""
        process = self._begin("undo", run, "--source", self.source)
        output = process.communicate()[0]
        assert process.returncode == 0, output

    def _begin(self, *arguments: str) -> subprocess.Popen[str]:
        flags = ["--i-am-the-only-writer"] if self.only_writer else []
        return subprocess.Popen(
            [str(COMMAND), "cleanup", *arguments, *flags],
            env={**os.environ, "XDG_STATE_HOME": str(self.folder / "state")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, codes: Collection[int] = (0,)) -> None:
        """Plan and apply, to the end, which has to be one of these exit codes."""
        process = self.start(self.plan())
        output = process.communicate()[0]
        assert process.returncode in codes, output


def entries(files: Mapping[str, bytes], layout: str) -> list[dict[str, Any]]:
    return json.loads(files[f"{layout}/index.json"])["manifests"]


def layouts(files: Mapping[str, bytes]) -> list[str]:
    return sorted(
        p.removesuffix("/index.json") for p in files if p.endswith("/index.json") and ".layoutlift/" not in p
    )


def holes(files: Mapping[str, bytes]) -> Iterator[str]:
    """Everything that an index leads to and that is not there, or not what its name says."""
    for layout in layouts(files):
        pending, seen = list(entries(files, layout)), set()
        while pending:
            descriptor = pending.pop()
            algorithm, encoded = descriptor["digest"].split(":")
            path = f"{layout}/blobs/{algorithm}/{encoded}"
            if path in seen:
                continue
            seen.add(path)
            raw = files.get(path)
            if raw is None or hashlib.new(algorithm, raw).hexdigest() != encoded:
                yield path
            elif descriptor["mediaType"] in MANIFESTS:
                body = json.loads(raw)
                pending += [
                    *body.get("manifests", []),
                    *body.get("layers", []),
                    *([body["config"]] if "config" in body else []),
                ]


def files_in_bucket(client: Any, bucket: str) -> dict[str, bytes]:
    """All that is in a bucket at one moment, read natively: what a killed process had asked for may end meanwhile."""
    while True:
        listed = _etags(client, bucket)
        with suppress(client.exceptions.NoSuchKey):
            found = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in listed}
            if _etags(client, bucket) == listed:
                return found


def _etags(client: Any, bucket: str) -> dict[str, str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    found = {each["Key"]: each["ETag"] for page in pages for each in page.get("Contents", ())}
    return {key: etag for key, etag in found.items() if not key.endswith("/")}


def files_in_directory(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
