"""One layout in memory, and the plan of a cleanup over it."""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tasks.oci.reference import IMAGE_NAME
from tasks.operations.choosing.tag_order import OrderBy
from tasks.operations.cleanup.deciding.blob_decisions import BlobRules
from tasks.operations.cleanup.deciding.choices import Choice, PolicyChoice
from tasks.operations.cleanup.deciding.policy import RepositoryPolicy, TagRule, select_repositories, select_tags
from tasks.operations.cleanup.planning.plan_tools import PlanTools
from tasks.operations.cleanup.planning.repository_planning import plan_repository
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.values import RepositoryPlan, Timing
from tests.support.memory_files import MemoryFiles
from tests.support.memory_stores import MemorySource

if TYPE_CHECKING:
    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.planning.gate import Gate

APP = "team/app"
REF_NAME = "org.opencontainers.image.ref.name"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DAY = 86_400.0
NOW = 1.8e9
Json = dict[str, Any]


class PlannedLayout:
    """Files are stored at `time`; `plan` looks at them at `NOW`."""

    def __init__(self) -> None:
        self.time = NOW - 100 * DAY
        self.files = MemoryFiles(lambda: self.time)
        self.entries: list[Json] = []
        self.protected: frozenset[Digest] = frozenset()
        self.gate: Gate | None = None
        self.files.put(f"{APP}/oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self.write_index()

    def blob(self, raw: bytes, media_type: str = LAYER) -> Json:
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self.files.put(self.place(digest), raw)
        return {"mediaType": media_type, "digest": digest, "size": len(raw)}

    def image(self, tag: str | None, layer: str = "", **fields: Any) -> Json:
        """Store an image of one layer, and name it."""
        layers = [self.blob(f"layer {layer or tag}".encode())]
        config = self.blob(b"{}", "application/vnd.oci.image.config.v1+json")
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers, **fields}
        image = self.blob(json.dumps(body).encode(), MANIFEST)
        self.entries.append(image if tag is None else {**image, "annotations": {REF_NAME: tag}})
        self.write_index()
        return image

    def pinned(self, tag: str) -> Json:
        """Store an image, and name it as containerd does where its reference has a digest besides."""
        image = self.image(None, f"pinned {tag}")
        pinned = f"{tag}@{image['digest']}"
        notes = {REF_NAME: pinned, IMAGE_NAME: f"docker.io/team/app:{pinned}"}
        self.entries[-1] = {**image, "annotations": notes}
        self.write_index()
        return image

    def write_index(self) -> None:
        self.put_index(json.dumps({"schemaVersion": 2, "manifests": self.entries}).encode())

    def put_index(self, raw: bytes) -> None:
        self.files.put(f"{APP}/index.json", raw)

    @staticmethod
    def place(digest: str) -> str:
        return f"{APP}/blobs/{digest.replace(':', '/')}"

    def plan(
        self, choice: Choice | None = None, timing: Timing | None = None, *, sweeps: bool = True
    ) -> RepositoryPlan:
        rules = BlobRules(NOW, timing or Timing(DAY, DAY), DAY, DAY, sweeps)
        source = MemorySource(self.files.contents())
        tools = PlanTools(source, self.files, Holdings(self.files), rules, map, self.protected, self.gate)
        return plan_repository(tools, APP, choice or keep_last(1))


def keep_last(count: int, **fields: Any) -> PolicyChoice:
    """The newest tags by their names, and what has no tag for a day."""
    policy = RepositoryPolicy(
        "trial",
        select_repositories(["**"]),
        **{
            "rules": (TagRule(select_tags(["*"]), "*", keep_last=count),),
            "order_by": OrderBy.NAME,
            "untagged_after": DAY,
            "orphans_after": DAY,
            **fields,
        },
    )
    return PolicyChoice(policy, frozenset(), NOW)
