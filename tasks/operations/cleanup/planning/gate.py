"""The gate before anything goes: does the target hold it, under the same digest, at this moment?

Asked while a plan is made and again before each step of it. A target that can't say is no target that holds it:
its error ends the work on that repository.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from tasks.oci.descriptor import Descriptor
from tasks.oci.errors import ContentNotFoundError, InvalidReferenceError, SizeMismatchError, TargetLacksError
from tasks.oci.reference import map_repository, parse_referrers_tag, tag_of_ref_name
from tasks.operations.cleanup.layout.graph import read_graph
from tasks.operations.cleanup.values import Action
from tasks.ports import ManifestResolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tasks.oci.digest import Digest
    from tasks.oci.reference import TargetAddress
    from tasks.operations.cleanup.layout.graph import Graph, Node
    from tasks.operations.cleanup.values import RepositoryPlan
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import LayoutReader

NamedDigest = tuple[str, "Digest"]
"""A tag with its digest: where a layout holds many images, several may have one tag."""
_ANY = "application/octet-stream"
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class GateTarget(ManifestResolver, Protocol):
    """What is asked of a target."""

    def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        """See `ContentFetcher.list_referrers`."""
        ...


@dataclass(frozen=True, slots=True)
class Gate:
    """Asks a target; `own_name` is what a layout that is itself the source is called there."""

    target: GateTarget
    address: TargetAddress
    own_name: str

    def require_tag(self, path: str, tag: str, digest: Digest) -> None:
        """Pass where the target has this tag with this digest.

        Raises:
            TargetLacksError: it does not have it, or has another digest under it.
            RegistryError: the target can't say.
        """
        found = self.target.resolve_manifest(self._repository(path), tag)
        if found != digest:
            holds = "does not have it" if found is None else f"has {found} under it"
            raise TargetLacksError(f"the target {holds}")

    def require_content(self, path: str, digest: Digest, size: int) -> None:
        """Pass where the target has this content, as a blob or as a manifest.

        Raises:
            TargetLacksError: the target has neither.
            RegistryError: the target can't say.
        """
        repository = self._repository(path)
        try:
            if self.target.has_blob(repository, Descriptor(_ANY, digest, size)):
                return
        except SizeMismatchError as error:
            raise TargetLacksError(str(error)) from error
        if self.target.resolve_manifest(repository, digest) != digest:
            raise TargetLacksError(f"the target does not have {digest}")

    def lacking(
        self, path: str, content: Mapping[Digest, int], map_concurrently: MapConcurrently
    ) -> Mapping[Digest, str]:
        """What of some content, each with its size, the target does not have, and in which words.

        Raises:
            RegistryError: the target can't say.
        """
        return _refusals(partial(self.require_content, path), content, map_concurrently)

    def lacking_tags(
        self, path: str, tags: Iterable[NamedDigest], map_concurrently: MapConcurrently
    ) -> Mapping[NamedDigest, str]:
        """Those tags that the target does not have with their digests, and in which words.

        Raises:
            RegistryError: the target can't say.
        """
        return _refusals(lambda named, _: self.require_tag(path, *named), dict.fromkeys(tags), map_concurrently)

    def lists_itself(
        self, path: str, tags: Iterable[NamedDigest], graph: Graph, map_concurrently: MapConcurrently
    ) -> frozenset[NamedDigest]:
        """Those of some tags that only list referrers, `sha256-<hex>`, all of which the target lists by its own API.

        It never gets such a tag, nor the index behind it, whose members it has to hold all the same.

        Raises:
            RegistryError: the target can't say.
        """

        def is_listed(item: NamedDigest) -> bool:
            tag, digest = item
            named, node = parse_referrers_tag(tag), graph.nodes.get(digest)
            if named is None or named.suffix or node is None or not _only_lists(node):
                return False
            listed = self.target.list_referrers(self._repository(path), named.subject)
            return listed is not None and listed >= set(node.below)

        asked = list(tags)
        answers = zip(asked, map_concurrently(is_listed, asked), strict=True)
        return frozenset(named for named, answer in answers if answer)

    def require_plan(self, source: LayoutReader, plan: RepositoryPlan, map_concurrently: MapConcurrently) -> None:
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
        graph = read_graph(source, path, removed.values(), sizes, map_concurrently)
        for digest, error in graph.unreadable.items():
            if digest in sizes or not isinstance(error, ContentNotFoundError):
                raise error  # what it needs is not known, so nobody can ask for that
        tags = dict.fromkeys(_tags_that_go(plan))
        lists = self.lists_itself(path, tags, graph, map_concurrently)
        for (tag, _), lack in self.lacking_tags(path, tags.keys() - lists, map_concurrently).items():
            raise TargetLacksError(f"{tag}: {lack}")
        needed = graph.reach(dict.fromkeys(removed, ""), sizes).keys() - {digest for _, digest in lists}
        going = {digest: sizes[digest] for digest in needed if digest in sizes}
        going |= {blob.digest: blob.size for blob in plan.blobs if blob.action is Action.QUARANTINE}
        going |= {held.digest: held.size for held in plan.quarantined if held.action is Action.PURGE}
        for lack in self.lacking(path, going, map_concurrently).values():
            raise TargetLacksError(lack)

    def _repository(self, path: str) -> str:
        return self.address.repository(map_repository(self.own_name if path == "." else path))


def _refusals(
    require: Callable[[_Key, _Value], None], wanted: Mapping[_Key, _Value], map_concurrently: MapConcurrently
) -> Mapping[_Key, str]:
    """What of `wanted` the target lacks, each with the words in which `require` says so."""

    def ask(item: tuple[_Key, _Value]) -> str | None:
        try:
            require(*item)
        except TargetLacksError as error:
            return str(error)
        return None

    asked = list(wanted.items())
    answers = zip(asked, map_concurrently(ask, asked), strict=True)
    return {key: answer for (key, _), answer in answers if answer is not None}


def _only_lists(node: Node) -> bool:
    return node.is_index and node.subject is None


def _tags_that_go(plan: RepositoryPlan) -> Iterator[NamedDigest]:
    """Each with its digest; what registries take no such tag for is nowhere under it, and its content decides."""
    for decision in plan.tags:
        if decision.action is Action.DELETE:
            with suppress(InvalidReferenceError):
                yield tag_of_ref_name(decision.tag), decision.digest
