"""A source in memory with writers at work and cleaners that die: the world in which cleanups are tried.

Writers do what `oras push --oci-layout` does, a step at a time: look whether a blob is there, send it if not, and
at last read the index and write it anew, asking nobody. What is right is told without the code under test.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.operations.choosing.tag_order import OrderBy
from tasks.operations.cleanup.applying.apply_tools import ApplyTools, RepositoryOutcome
from tasks.operations.cleanup.applying.repository_applying import apply_repository
from tasks.operations.cleanup.applying.undoing import undo_run
from tasks.operations.cleanup.deciding.blob_decisions import BlobRules
from tasks.operations.cleanup.deciding.choices import DeleteChoice, PolicyChoice
from tasks.operations.cleanup.deciding.policy import RepositoryPolicy, TagRule, select_repositories, select_tags
from tasks.operations.cleanup.planning.plan_tools import PlanTools
from tasks.operations.cleanup.planning.recovering import Recovery, plan_recovery
from tasks.operations.cleanup.planning.repository_planning import plan_repository
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.records.journal import Journal
from tasks.operations.cleanup.values import RepositoryPlan, Timing
from tests.support.memory_files import MemoryFiles, WritableMemory
from tests.support.memory_stores import MemorySource

LAYOUT = "team/app"
INDEX_PATH = f"{LAYOUT}/index.json"
REF_NAME = "org.opencontainers.image.ref.name"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
GRACE, HOLD = 10.0, 20.0
LONGEST_PUSH = 8.0
"""A writer takes less than the grace time from its first look to its index: the one thing asked of writers."""

Json = dict[str, Any]


class KilledError(Exception):
    """The cleaner's process ends here."""


@dataclass(frozen=True)
class Artifact:
    """What a writer pushes: its blobs, children first, and the entry that names it."""

    blobs: tuple[bytes, ...]
    descriptor: str

    @property
    def entry(self) -> Json:
        return json.loads(self.descriptor)


def describe(raw: bytes, media_type: str) -> Json:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(raw).hexdigest()}", "size": len(raw)}


def image(layers: Sequence[int], subject: Json | None = None) -> Artifact:
    blobs = [b"{}", *(f"layer {number}".encode() for number in layers)]
    body = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(blobs[0], CONFIG),
        "layers": [describe(layer, LAYER) for layer in blobs[1:]],
        **({"subject": subject} if subject else {}),
    }
    raw = json.dumps(body).encode()
    return Artifact((*blobs, raw), json.dumps(describe(raw, MANIFEST)))


def image_index(children: Sequence[Artifact]) -> Artifact:
    body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [child.entry for child in children]}
    raw = json.dumps(body).encode()
    blobs = [blob for child in children for blob in child.blobs]
    return Artifact((*blobs, raw), json.dumps(describe(raw, INDEX)))


def blob_path(raw: bytes) -> str:
    return f"{LAYOUT}/blobs/sha256/{hashlib.sha256(raw).hexdigest()}"


class Source(MemoryFiles):
    """Files that note what cleaners do to the index."""

    def __init__(self, world: "World") -> None:
        super().__init__(lambda: world.now, world.on_step)
        self.index_writes: list[tuple[list[Json], list[Json]]] = []

    def write_file(self, path: str, raw: bytes, expected: str | None) -> str:
        before = self.read_file(path)
        mark = super().write_file(path, raw, expected)
        if path == INDEX_PATH:
            self.index_writes.append((entries_of(before.raw if before else b""), entries_of(raw)))
        return mark


def entries_of(raw: bytes) -> list[Json]:
    return json.loads(raw)["manifests"] if raw else []


@dataclass
class Push:
    """One writer, from its first look to its index."""

    artifact: Artifact
    tag: str | None
    begun: float
    sent: int = 0
    seen: bytes | None = None

    @property
    def looked(self) -> bool:
        return self.sent > 0


@dataclass
class World:
    """The source, its writers, and cleaners."""

    now: float = 1.7e9
    deadline: int | None = None
    """How many steps of its own the cleaner still lives."""
    timing: Timing = field(default_factory=lambda: Timing(GRACE, HOLD))
    apply: Callable[[ApplyTools, RepositoryPlan], RepositoryOutcome] = apply_repository
    meanwhile: Callable[[], None] = lambda: None
    """What writers do before each step of a cleaner."""
    runs: list[str] = field(default_factory=list)
    outcomes: list[RepositoryOutcome] = field(default_factory=list)
    """What came of each repository in all runs, but for what they died in."""
    change_plan: Callable[["World", RepositoryPlan], RepositoryPlan] = lambda _, plan: plan

    def __post_init__(self) -> None:
        self.files = Source(self)
        self.files.put(f"{LAYOUT}/oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self.files.put(INDEX_PATH, b'{"schemaVersion":2,"manifests":[]}')

    def on_step(self, _: str) -> None:
        self.meanwhile()
        if self.deadline is not None:
            self.deadline -= 1
            if self.deadline < 0:
                raise KilledError

    # writers

    def advance(self, push: Push) -> bool:
        """One step of a writer; False when it has ended."""
        if push.sent < len(push.artifact.blobs):
            raw = push.artifact.blobs[push.sent]
            if self.files.read_file(blob_path(raw)) is None:
                self.files.put(blob_path(raw), raw)
            push.sent += 1
        elif push.seen is None:
            push.seen = self.index
        else:
            self.files.put(INDEX_PATH, named(push.seen, push.artifact, push.tag))
            return False
        return True

    def look(self, push: Push) -> Push:
        """Have a writer send its blobs and see the index as it is; it has not written that yet."""
        while push.seen is None:
            self.advance(push)
        return push

    def finish(self, push: Push) -> None:
        while self.advance(push):
            pass

    @property
    def index(self) -> bytes:
        found = self.files.read_file(INDEX_PATH)
        assert found is not None
        return found.raw

    @property
    def entries(self) -> list[Json]:
        return entries_of(self.index)

    @property
    def tags(self) -> set[str | None]:
        """Those of the entries; None where one has none."""
        return set(map(tag_of, self.entries))

    # cleaners

    def plan(self, policy: RepositoryPolicy) -> RepositoryPlan:
        plan = plan_repository(self._plan_tools(), LAYOUT, PolicyChoice(policy, frozenset(), self.now))
        return self.change_plan(self, plan)

    def deletion(self, choice: DeleteChoice) -> RepositoryPlan:
        return plan_repository(self._plan_tools(sweeps=False), LAYOUT, choice)

    def recovery(self, *, marked: bool = False) -> Recovery:
        return plan_recovery(self._plan_tools(sweeps=False), LAYOUT, marked=marked)

    def _plan_tools(self, *, sweeps: bool = True) -> PlanTools:
        rules = BlobRules(self.now, self.timing, 0.0, 0.0, sweeps=sweeps)
        holdings = Holdings(self.files)
        return PlanTools(MemorySource(self.files.contents()), self.files, holdings, rules, map)

    def tools(self) -> ApplyTools:
        self.runs.append(f"run-{len(self.runs)}")
        return ApplyTools(
            WritableMemory(self.files),
            Holdings(self.files),
            Journal(self.files, self.runs[-1]),
            self.timing,
            map,
            guard=lambda: None,
        )

    def execute(self, act: Callable[[ApplyTools], object], lives: int | None) -> bool:
        """Have a cleaner act, which dies after so many steps; whether it lived to the end."""
        self.deadline = lives
        try:
            act(self.tools())
        except KilledError:
            return False
        finally:
            self.deadline = None
        return True

    def apply_plan(self, plan: RepositoryPlan, lives: int | None = None) -> bool:
        """Apply a plan; see `_went_well`."""
        return self._went_well(lambda tools: self.outcomes.append(self.apply(tools, plan)), lives)

    def undo(self, run: str, lives: int | None = None) -> bool:
        """Undo a run; see `_went_well`."""
        return self._went_well(lambda tools: self.outcomes.extend(undo_run(tools, run)), lives)

    def _went_well(self, act: Callable[[ApplyTools], object], lives: int | None) -> bool:
        """Whether a cleaner lived to the end; without `lives`, whether it had no problem either."""
        before = len(self.outcomes)
        lived = self.execute(act, lives)
        return lived and (lives is not None or not any(outcome.problems for outcome in self.outcomes[before:]))

    # what is right

    def reachable(self) -> Iterator[tuple[str, bool, bool]]:
        """Every blob that the index leads to: its path, whether it is there, whether it can still come back."""
        pending, seen = list(self.entries), set()
        while pending:
            descriptor = pending.pop()
            path = f"{LAYOUT}/blobs/{descriptor['digest'].replace(':', '/')}"
            if path in seen:
                continue
            seen.add(path)
            copies = [path, *(f"{trash}/{path}" for trash in self._trash())]
            found = [raw for copy in copies if (raw := self.files.contents().get(copy)) is not None]
            yield path, path in self.files.contents(), bool(found)
            if found and descriptor["mediaType"] in {MANIFEST, INDEX}:
                body = json.loads(found[0])
                pending += body.get("manifests", []) + body.get("layers", [])
                pending += [body["config"]] if "config" in body else []

    def absent(self) -> set[str]:
        return {path for path, present, _ in self.reachable() if not present}

    def gone(self) -> set[str]:
        return {path for path, _, can_come_back in self.reachable() if not can_come_back}

    def _trash(self) -> list[str]:
        return [f".layoutlift/trash/{run}" for run in self.runs]


def in_quarantine(world: World) -> set[str]:
    """The paths of the blobs that the quarantine has."""
    return {path for path in world.files.contents() if "/trash/" in path and "/blobs/" in path}


def tag_of(entry: Json) -> str | None:
    return entry.get("annotations", {}).get(REF_NAME)


def named(index: bytes, artifact: Artifact, tag: str | None) -> bytes:
    """The index as a writer leaves it: a tag is moved, and what it named before stays without one."""
    body = json.loads(index)
    entry = artifact.entry
    if tag is not None:
        entry["annotations"] = {REF_NAME: tag}
        for other in body["manifests"]:
            if other.get("annotations", {}).get(REF_NAME) == tag and other["digest"] != entry["digest"]:
                del other["annotations"]
    body["manifests"] = [other for other in body["manifests"] if not _superseded(other, entry)] + [entry]
    return json.dumps(body).encode()


def _superseded(other: Json, entry: Json) -> bool:
    """Whether an entry says no more than the new one."""
    return other["digest"] == entry["digest"] and other.get("annotations") in (None, entry.get("annotations"))


def keep_policy(keep_last: int) -> RepositoryPolicy:
    """`keep-*` stays whatever happens; of `v*` the last ones by name; what has no tag goes after a while."""
    rules = (
        TagRule(select_tags(["keep-*"]), "keep-*", keep_all=True),
        TagRule(select_tags(["v*"]), "v*", keep_last=keep_last),
    )
    return RepositoryPolicy(
        "trial",
        select_repositories(["**"]),
        rules,
        order_by=OrderBy.NAME,
        untagged_after=2.0,
        orphans_after=2.0,
    )


def world_that_waited() -> World:
    """`v1` of `world_of_two` left the index, and its blobs have been marked for as long as the grace time."""
    world = world_of_two()
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.now += GRACE
    return world


def world_of_two() -> World:
    """`v1` and `v2` were pushed, each with a layer of its own."""
    world = World()
    for tag in ("v1", "v2"):
        world.finish(Push(image([int(tag[1])]), tag, world.now))
    return world
