"""A source, a registry and a ledger in memory, on which whole runs are driven as the command drives them.

Runs may die between any two steps: then nothing reaches the registry or the ledger any more. What others do is done
at once, past the code under test.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from flows.course.driving import drive, work_here
from flows.course.watching import NoWatcher
from tasks import runs
from tasks.ledger.ledger import Ledger
from tasks.ledger.ledger_memory import LedgerPart
from tasks.oci.digest import Digest
from tasks.oci.errors import IncompleteError, RefusedError
from tasks.operations.reports.results import TagResult
from tasks.operations.work import freshness
from tasks.operations.work.concurrency import CallersPool
from tasks.ports import Finding
from tasks.run_options import RunKind, RunOptions
from tasks.runs import Run
from tests.support.cleanup_world import INDEX, MANIFEST, REF_NAME, Artifact, Json, describe
from tests.support.memory_stores import MemorySource, _Repository
from tests.support.migration_lives import Death, KilledError, Life, Lines, Meanwhile, Stumble
from tests.support.migration_registry import Registry, Write, digest_of
from tests.support.stops import Unhurried

RUNS = "runs"


class Source(MemorySource):
    """Files that only a run that lives can read."""

    def __init__(self, files: Mapping[str, bytes], life: Life, meanwhile: Meanwhile | None) -> None:
        super().__init__(files)
        self._life = life
        self._meanwhile = meanwhile

    def _read(self, read: Callable[..., Any], *given: object) -> Any:
        self._life.step()
        return read(*given)

    def list_layouts(self) -> Iterator[str | Finding]:
        return self._read(super().list_layouts)

    def read_index(self, path: str) -> Any:
        return self._read(super().read_index, path)

    def blob(self, path: str, descriptor: Any) -> Any:
        if self._meanwhile is not None:
            self._meanwhile.note_read()
        return self._read(super().blob, path, descriptor)

    def stat_blob(self, path: str, digest: Digest) -> Any:
        return self._read(super().stat_blob, path, digest)


@dataclass
class Layout:
    """One layout of the source: the entries of its index, and its blobs as they are."""

    entries: list[Json] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def push(self, artifact: Artifact, tag: str | None) -> None:
        """As `oras push` does: a tag that moves leaves its entry behind."""
        self.blobs |= {digest_of(raw): raw for raw in artifact.blobs}
        entry = artifact.entry
        if tag is not None:
            self.untag(tag)
            entry["annotations"] = {REF_NAME: tag}
        spare = (None, entry.get("annotations"))
        self.entries = [
            each for each in self.entries if each["digest"] != entry["digest"] or each.get("annotations") not in spare
        ] + [entry]

    def untag(self, tag: str) -> None:
        for each in self.entries:
            if tag_of(each) == tag:
                del each["annotations"]

    def delete(self, tag: str) -> None:
        self.entries = [each for each in self.entries if tag_of(each) != tag]

    @property
    def tags(self) -> dict[str, str]:
        return {tag: each["digest"] for each in self.entries if (tag := tag_of(each)) is not None}

    @property
    def untagged(self) -> list[str]:
        tagged = set(self.tags.values())
        return [each["digest"] for each in self.entries if not tag_of(each) and each["digest"] not in tagged]

    @property
    def index(self) -> bytes:
        return json.dumps({"schemaVersion": 2, "manifests": self.entries}).encode()


@dataclass
class Told:
    """What a run said: its exit code (None: it died), its rows by path and tag or digest, and its findings.

    Besides, what it did to the registry, whose `tags` were these afterwards, and how many `steps` it took.
    """

    code: int | None
    writes: list[Write]
    blobs_sent: int
    tags: dict[tuple[str, str], str]
    steps: int
    rows: dict[tuple[str, str], str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    equal_at: str | None = None

    def of(self, *codes: str) -> set[tuple[str, str]]:
        """Path and message of each finding with such a code."""
        return {(each.path, each.message) for each in self.findings if each.code in codes}


def label(result: TagResult) -> tuple[tuple[str, str], str]:
    """A row, and what it says: a code where it has one."""
    return (result.repository, result.tag or result.digest or ""), result.code or str(result.outcome)


@dataclass
class World:
    """See the module; runs have their results below `folder`."""

    folder: Path
    registry: Registry
    layouts: dict[str, Layout] = field(default_factory=dict)
    remains: dict[str, bytes] = field(default_factory=dict)
    """Blobs of layouts that have no index any more, by path."""
    lines: list[Json] = field(default_factory=list)
    is_hidden: bool = False
    """Whether the source shows nothing, as a mount that is gone."""

    @property
    def files(self) -> dict[str, bytes]:
        if self.is_hidden:
            return {}
        files = dict(self.remains)
        for path, layout in self.layouts.items():
            files[f"{path}/oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
            files[f"{path}/index.json"] = layout.index
            files |= {blob_path(path, digest): raw for digest, raw in layout.blobs.items()}
        return files

    def push(self, path: str, artifact: Artifact, tag: str | None) -> None:
        self.layouts.setdefault(path, Layout()).push(artifact, tag)
        self.remains = {at: raw for at, raw in self.remains.items() if not at.startswith(f"{path}/")}

    def delete_layout(self, path: str, *, leave: bool) -> None:
        """Delete all of it, or leave its blobs."""
        layout = self.layouts.pop(path)
        self.remains |= {blob_path(path, digest): raw for digest, raw in layout.blobs.items() if leave}

    def snapshot(self) -> tuple[Any, ...]:
        repositories = {
            name: _Repository(dict(each.blobs), dict(each.manifests), dict(each.tags))
            for name, each in self.registry._repositories.items()
            if each.blobs or each.manifests
        }
        return repositories, list(self.lines)

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        self.registry._repositories, self.lines = snapshot

    def run(
        self,
        kind: RunKind,
        options: RunOptions,
        death: Death | None = None,
        meanwhile: Meanwhile | None = None,
        stumble: Stumble | None = None,
    ) -> Told:
        """Drive a run."""
        death = death or Death()
        life, registry = Life(death, stumble=stumble), self.registry
        lines, stop = Lines(self.lines, life), Unhurried()
        registry.life, registry.writes, registry.blobs_sent, registry.asked_about = life, [], 0, set()
        watcher, seen = NoWatcher(), list[Run]()
        watcher.stop = stop
        watcher.watch = lambda run: nullcontext(seen.append(run))  # type: ignore[method-assign]
        parts = {
            "source_of": lambda *_: Source(self.files, life, meanwhile),
            "state_of": lambda *_: State(self.folder, lines),
            "target_of": lambda *_: nullcontext(registry.opened()),
        }
        code: int | None = 0
        fresh = mock.patch.object(freshness, "FRESH_SECONDS", -1.0 if meanwhile else 1e6)
        with mock.patch.multiple(runs, **parts), mock.patch.object(CallersPool, "submit", done_here), fresh:
            try:
                drive(kind, options, watcher, work_here)
            except IncompleteError:
                code = 1
            except RefusedError:
                code = 3
            except KilledError:
                code = None
        registry.life = Life()
        self.lines += lines.waiting[: round(death.kept * len(lines.waiting))]
        told = self._told(code, seen, life)
        shutil.rmtree(self.folder / RUNS, ignore_errors=True)
        return told

    def _told(self, code: int | None, seen: Sequence[Run], life: Life) -> Told:
        registry = self.registry
        told = Told(code, registry.writes, registry.blobs_sent, registry.tags, life.taken)
        if code is not None and seen:
            (run,) = seen
            results = list(run.results())
            told.rows = dict(map(label, results))
            assert len(told.rows) == len(results), "a tag has two rows"
            told.findings = list(run.log.findings)
            told.equal_at = run.header().get("equal_at")
        return told


@dataclass(frozen=True)
class State:
    """See `RunState`; nobody else is at work."""

    folder: Path
    lines: Lines

    def lock(self, *_: object) -> Any:
        return nullcontext()

    def ledger(self, _: str, only: LedgerPart | None = None) -> Ledger:
        return Ledger(self.lines, "", only)

    def run_folder(self, run_id: str) -> Path:
        return self.folder / RUNS / run_id

    def keep_report(self, _: str, report: Path) -> str:
        return str(report)


def done_here(_: object, act: Callable[..., Any], /, *given: object, **named: object) -> Future[Any]:
    """What a pool would have one of its threads do: in the same order each time, and without a switch of threads."""
    done = Future[Any]()
    try:
        done.set_result(act(*given, **named))
    except BaseException as error:  # noqa: BLE001 - raised to who asks, as from a pool
        done.set_exception(error)
    return done


def blob_path(path: str, digest: str) -> str:
    return f"{path}/blobs/{digest.replace(':', '/')}"


def entry_of(raw: bytes) -> Json:
    return describe(raw, INDEX if b'"manifests"' in raw else MANIFEST)


def harm(blobs: dict[str, bytes], digest: str, how: str) -> None:
    """Have a blob be gone, altered or cut."""
    raw = blobs.pop(digest)
    if how != "gone":
        blobs[digest] = raw[:-1] if how == "cut" else raw[::-1]


def tag_of(entry: Json) -> str | None:
    return entry.get("annotations", {}).get(REF_NAME)
