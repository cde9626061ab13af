"""A registry seen without any code of ours: plain HTTP requests, and the files of distribution's storage."""

import hashlib
import json
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.real_parts import Registry

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class RepositoryView:
    """One repository of a registry."""

    registry: Registry
    name: str

    @property
    def tags(self) -> set[str]:
        answer = self._request("GET", "tags/list")
        return set(answer.json.get("tags") or []) if answer.status == 200 else set()

    def manifest(self, reference: str) -> bytes | None:
        answer = self._request("GET", f"manifests/{reference}", {"Accept": ", ".join(MANIFEST_TYPES)})
        return answer.body if answer.status == 200 else None

    def digest(self, reference: str) -> str | None:
        raw = self.manifest(reference)
        return None if raw is None else f"sha256:{hashlib.sha256(raw).hexdigest()}"

    def has_blob(self, digest: str) -> bool:
        return self._request("HEAD", f"blobs/{digest}").status == 200

    def blob(self, digest: str) -> bytes | None:
        answer = self._request("GET", f"blobs/{digest}")
        return answer.body if answer.status == 200 else None

    def push_blob(self, content: bytes) -> dict[str, Any]:
        """Send a blob; its digest and size."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        location = self._request("POST", "blobs/uploads/").headers["location"]
        url = location if "://" in location else f"{self.registry.url}{location}"
        url += f"{'&' if '?' in url else '?'}digest={digest}"
        answer = _ask("PUT", url, {"Content-Type": "application/octet-stream"}, content)
        assert answer.status == 201, answer
        return {"digest": digest, "size": len(content)}

    def push_manifest(self, reference: str, manifest: dict[str, Any]) -> str:
        """Send a manifest; its digest."""
        raw = json.dumps(manifest).encode()
        answer = self._request("PUT", f"manifests/{reference}", {"Content-Type": manifest["mediaType"]}, raw)
        assert answer.status == 201, answer
        return f"sha256:{hashlib.sha256(raw).hexdigest()}"

    def push_image(self, tag: str, content: bytes = b"somebody else's") -> str:
        """Push an image that nobody else has; its digest."""
        config = self.push_blob(b"{}") | {"mediaType": "application/vnd.oci.image.config.v1+json"}
        layer = self.push_blob(content) | {"mediaType": "application/octet-stream"}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPES[1], "config": config, "layers": [layer]}
        return self.push_manifest(tag, manifest)

    def _request(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        return _ask(method, f"{self.registry.url}/v2/{self.name}/{path}", headers, body or None)


def repositories(registry: Registry, prefix: str) -> set[str]:
    """The repositories below a prefix that have a tag, without the prefix."""
    listed = _ask("GET", f"{registry.url}/v2/_catalog?n=1000").json["repositories"]
    return {
        name.removeprefix(f"{prefix}/")
        for name in listed
        if name.startswith(f"{prefix}/") and RepositoryView(registry, name).tags
    }


def everything_tagged(registry: Registry, prefix: str) -> dict[str, str]:
    """The digest of each `repository:tag` below a prefix."""
    return {
        f"{name}:{tag}": str(view.digest(tag))
        for name in repositories(registry, prefix)
        for view in [RepositoryView(registry, f"{prefix}/{name}")]
        for tag in view.tags
    }


@dataclass(frozen=True)
class DistributionStorage:
    """The files of one repository of distribution, for tests that break them."""

    registry: Registry
    repository: str

    @property
    def _root(self) -> Path:
        return self.registry.storage / "docker" / "registry" / "v2"

    def blob_file(self, digest: str) -> Path:
        algorithm, _, encoded = digest.partition(":")
        return self._root / "blobs" / algorithm / encoded[:2] / encoded / "data"

    def remove_tag(self, tag: str) -> None:
        shutil.rmtree(self._folder_of_tag(tag))

    def empty_link_of_tag(self, tag: str) -> None:
        """As a disk leaves it that was full when the link was written."""
        (self._folder_of_tag(tag) / "current" / "link").write_bytes(b"")

    def _folder_of_tag(self, tag: str) -> Path:
        return self._root / "repositories" / self.repository / "_manifests" / "tags" / tag

    def unlink_blob(self, digest: str) -> None:
        """Take the blob out of this repository; other repositories keep it."""
        self._link_of_blob(digest).unlink()

    def empty_link_of_blob(self, digest: str) -> None:
        """As a disk leaves it that was full when the link was written."""
        self._link_of_blob(digest).write_bytes(b"")

    def _link_of_blob(self, digest: str) -> Path:
        algorithm, _, encoded = digest.partition(":")
        return self._root / "repositories" / self.repository / "_layers" / algorithm / encoded / "link"

    def unlink_manifest(self, digest: str) -> None:
        algorithm, _, encoded = digest.partition(":")
        revisions = self._root / "repositories" / self.repository / "_manifests" / "revisions"
        (revisions / algorithm / encoded / "link").unlink()


def _ask(method: str, url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with _OPENER.open(request, timeout=30) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, {k.lower(): v for k, v in refusal.headers.items()}, refusal.read())
