"""The gate before anything goes: does the target hold it, under the same digest, at this moment?

Asked while a plan is made, and again before anything of a repository goes. A target that can't say is no target that
holds it: its error ends the work on that repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.descriptor import Descriptor
from tasks.oci.errors import ContentNotFoundError, DamagedAtTargetError, TargetLacksError
from tasks.oci.reference import map_repository, referrers_tag_of
from tasks.operations.cleanup.layout.graph import read_graph
from tasks.operations.cleanup.values import CleanupAction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tasks.oci.digest import Digest
    from tasks.oci.reference import TargetAddress
    from tasks.operations.cleanup.layout.graph import Graph, Node
    from tasks.operations.cleanup.values import RepositoryPlan
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import LayoutReader, ManifestResolver

NamedDigest = tuple[str, "Digest"]
"""A tag with its digest: where a layout holds many images, several may have one tag."""
_ANY = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Gate:
    """Asks a target; `own_name` is what a layout that is itself the source is called there."""

    target: ManifestResolver
    address: TargetAddress
    own_name: str
    map_concurrently: MapConcurrently

    def lacking(self, path: str, content: Mapping[Digest, int]) -> Mapping[Digest, str]:
        """What of some content, each with its size, the target does not have, and in which words.

        Raises:
            RegistryError: the target can't say.
        """
        answers = self.map_concurrently(partial(self._lack_of_content, path), list(content.items()))
        return {digest: lack for digest, lack in zip(content, answers, strict=True) if lack is not None}

    def ask_for_tags(
        self,
        path: str,
        tags: Collection[NamedDigest],
        roots: Iterable[Digest],
        graph: Graph,
        sizes: Mapping[Digest, int],
    ) -> tuple[Mapping[NamedDigest, str], dict[Digest, int]]:
        """Those of some tags that the target does not have with their digests, and in which words.

        With them comes what of `sizes` it has to hold, too, before the roots go: they, and what they need.

        Raises:
            RegistryError: the target can't say.
        """
        lists = self._lists_itself(path, tags, graph)
        only_listed = {digest for _, digest in lists}
        needed = graph.reach(dict.fromkeys(roots, ""), sizes)
        content = {each: sizes[each] for each in needed if each in sizes and each not in only_listed}
        return self._lacking_tags(path, [named for named in tags if named not in lists]), content

    def require_plan(self, source: LayoutReader, plan: RepositoryPlan) -> None:
        """Pass where the target has everything that a plan takes from a repository, read anew from the source.

        That is each tag with its digest, each manifest with all content below it, and each blob that leaves the
        layout or the quarantine.

        Raises:
            TargetLacksError: something is not there.
            RegistryError: the target can't say.
            ContentError, SourceError: a manifest that goes and was there can't be read any more.
        """
        path = plan.path
        sizes = {blob.digest: blob.size for blob in plan.blobs}
        removed = {entry.descriptor.digest: entry.descriptor for entry in plan.removals}
        graph = read_graph(source, path, removed.values(), sizes, self.map_concurrently)
        for digest, error in graph.unreadable.items():
            if digest in sizes or not isinstance(error, ContentNotFoundError):
                raise error  # what it needs is not known, so nobody can ask for that
        lacking_tags, going = self.ask_for_tags(path, dict.fromkeys(_tags_that_go(plan)), removed, graph, sizes)
        for (tag, _), lack in lacking_tags.items():
            raise TargetLacksError(f"{tag}: {lack}")
        going |= {blob.digest: blob.size for blob in plan.blobs if blob.action is CleanupAction.QUARANTINE}
        going |= {held.digest: held.size for held in plan.quarantined if held.action is CleanupAction.PURGE}
        for lack in self.lacking(path, going).values():
            raise TargetLacksError(lack)

    def _lists_itself(self, path: str, tags: Collection[NamedDigest], graph: Graph) -> frozenset[NamedDigest]:
        """Those of some tags that only list referrers, `sha256-<hex>`, all of which the target lists by its own API.

        It never gets such a tag, nor the index behind it, whose members it has to hold all the same.
        """

        def is_listed(item: NamedDigest) -> bool:
            tag, digest = item
            named, node = referrers_tag_of(tag, digest), graph.nodes.get(digest)
            if named is None or named.suffix or node is None or not _only_lists(node):
                return False
            listed = self.target.list_referrers(self._repository(path), named.subject)
            return listed is not None and listed >= set(node.below)

        answers = zip(tags, self.map_concurrently(is_listed, list(tags)), strict=True)
        return frozenset(named for named, answer in answers if answer)

    def _lacking_tags(self, path: str, tags: Sequence[NamedDigest]) -> Mapping[NamedDigest, str]:
        answers = self.map_concurrently(partial(self._lack_of_tag, path), tags)
        return {named: lack for named, lack in zip(tags, answers, strict=True) if lack is not None}

    def _lack_of_tag(self, path: str, named: NamedDigest) -> str | None:
        """None where the target has this tag with this digest."""
        tag, digest = named
        found = self.target.resolve_manifest(self._repository(path), tag)
        if found == digest:
            return None
        return f"the target {'does not have it' if found is None else f'has {found} under it'}"

    def _lack_of_content(self, path: str, sized: tuple[Digest, int]) -> str | None:
        """None where the target has this content, as a blob or as a manifest."""
        (digest, size), repository = sized, self._repository(path)
        try:
            if self.target.has_blob(repository, Descriptor(_ANY, digest, size)):
                return None
        except DamagedAtTargetError as error:
            return str(error)
        if self.target.resolve_manifest(repository, digest) == digest:
            return None
        return f"the target does not have {digest}"

    def _repository(self, path: str) -> str:
        return self.address.repository(map_repository(self.own_name if path == "." else path))


def _only_lists(node: Node) -> bool:
    return node.is_index and node.subject is None


def _tags_that_go(plan: RepositoryPlan) -> Iterator[NamedDigest]:
    """Each with its digest; what registries take no such tag for is nowhere under it, and its content decides."""
    for decision in plan.tags:
        if decision.action is CleanupAction.DELETE and decision.meant is not None:
            yield decision.meant, decision.digest
