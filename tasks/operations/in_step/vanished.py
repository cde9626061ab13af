"""Removing at the target what vanished at the source: decided over the whole source first, then tag by tag.

Only a tag that an earlier run of this pair brought, that is still under the digest that was brought, and that the
source was seen without twice (before the copy and after it) is deleted. Whatever can't be judged stays.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.digest import Digest
from tasks.oci.errors import DeletionUnsupportedError, LayoutliftError, TooManyVanishedError
from tasks.operations.in_step.kept_parts import KeptParts
from tasks.operations.in_step.stand_ins import Empty, is_stand_in, new_stand_in
from tasks.operations.reports.counts import counted, percentage
from tasks.operations.work.freshness import is_fresh
from tasks.ports import Finding
from tasks.registry_ports import Deletion
from tasks.uptime import uptime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from tasks.ledger.ledger import Ledger
    from tasks.ports import RemoteManifest, Target


@dataclass(frozen=True, slots=True, order=True)
class VanishedTag:
    """A tag of the target that an earlier run brought from the layout at `path`, which has it no more."""

    path: str
    repository: str
    tag: str
    digest: str

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True)
class DeletionLimits:
    """How much one run may delete; a percentage is of all tags that earlier runs brought. None is no limit."""

    max_tags: int | None = 100
    max_percent: float | None = 25.0

    def check(self, vanished: int, brought: int) -> None:
        """See that so many may be deleted.

        Raises:
            TooManyVanishedError: one of the limits is exceeded.
        """
        percent = vanished * 100 / brought if brought else 0.0
        if self.max_tags is not None and vanished > self.max_tags:
            raise TooManyVanishedError(f"{counted(vanished, 'tag')} vanished, --delete-max-tags is {self.max_tags}")
        if self.max_percent is not None and percent > self.max_percent:
            raise TooManyVanishedError(
                f"{vanished} of the {brought} tags that were migrated ({percentage(vanished, brought)}) vanished "
                f"at the source, --delete-max-percent is {self.max_percent:g}"
            )


class VanishedRemoval:
    """Deletes tags one by one; what becomes of each is a finding."""

    def __init__(
        self,
        target: Target,
        ledger: Ledger,
        may_need: Callable[[str, Digest], bool],
        is_believed: Callable[[], bool],
    ) -> None:
        """`may_need` says of a repository and a digest whether the source has a use for it without the tag.

        `is_believed` says whether the source was looked at not too long ago to delete on the strength of that.
        """
        self._target = target
        self._ledger = ledger
        self._is_believed = is_believed
        self._kept = KeptParts(target, ledger, may_need)
        self._deletes: bool | None = None

    def execute(self, vanished: Iterable[VanishedTag], gone: Collection[str]) -> Iterator[Finding]:
        """Delete what is still as it was brought, and forget it, and each layout of `gone` with its last tag.

        It ends where the look at the source is not believed any more; what has no finding by then is left.

        Raises:
            StateError: the ledger can't be written.
        """
        vanished = sorted(vanished)
        self._ask_again({each.repository for each in vanished})
        for path, tags in groupby(vanished, key=lambda each: each.path):
            *_, last = of_path = list(tags)
            for each in of_path:
                finding = self._removed(each)
                if finding is None:
                    return
                if each is last and path in gone and not self._ledger.brought_to(each.repository, path):
                    self._ledger.forget_layout(path)
                yield finding

    def _ask_again(self, repositories: Collection[str]) -> None:
        """Each layout that goes there may have again the very index of which all was at the target, or come back."""
        for path in self._ledger.layouts():
            note = self._ledger.layout(path)
            if note is not None and note.repository in repositories:
                self._ledger.note_layout(path, note.repository, "", "")

    def _removed(self, vanished: VanishedTag) -> Finding | None:
        try:
            finding = self._remove(vanished) if self._is_believed() else None
        except LayoutliftError as error:
            return Finding(vanished.path, error.code, f"{self._place(vanished)} vanished at the source: {error}")
        if finding is not None:
            self._ledger.forget_tag(vanished.repository, vanished.tag)
        return finding

    def _remove(self, vanished: VanishedTag) -> Finding | None:
        place, as_of = self._place(vanished), uptime()
        theirs = present = self._target.resolve_manifest(vanished.repository, vanished.tag)
        if present is not None and not self._is_theirs(vanished, present):
            self._refuse_without_deletion(vanished.repository)
            at_risk = self._at_risk(vanished, present)
            try:
                is_untagged = self._untag(vanished, partial(self._may_go, vanished, as_of))
                theirs = self._left(vanished) if is_untagged else None
            except LayoutliftError as error:
                if at_risk is not None and not error.transient:
                    self._kept.take_back(vanished.repository, vanished.tag, present)
                raise
            if not is_untagged:
                return self._remove(vanished) if self._is_believed() else None
            if at_risk is not None and (finding := self._keep(vanished, at_risk)) is not None:
                return finding
        return _outcome(place, vanished, theirs)

    def _at_risk(self, vanished: VanishedTag, present: Digest) -> RemoteManifest | None:
        """What may go with the tag; a stand-in that an earlier run left there is of no use to anybody.

        Where a tag can't be deleted, a stand-in takes its place, with which a zot lets a manifest go, too.
        """
        if present != vanished.digest:
            return None
        return self._kept.put_at_risk(vanished.repository, present)

    def _keep(self, vanished: VanishedTag, manifest: RemoteManifest) -> Finding | None:
        said = f"{self._place(vanished)} vanished at the source, and was deleted; {vanished.digest}"
        try:
            error = self._kept.keep(vanished.repository, Digest(vanished.digest), manifest)
        except LayoutliftError as failed:
            message = f"{said}, which the source may have as a part of others, may be gone with it: {failed}"
            return Finding(vanished.path, failed.code, message)
        if error is not None:
            message = f"{said} was sent again, as the source does not say whether it is a part of others: {error}"
            return Finding(vanished.path, error.code, message)
        return None

    def _is_theirs(self, vanished: VanishedTag, present: Digest | None) -> bool:
        if present is None or present == vanished.digest:
            return False
        return not is_stand_in(self._target, vanished.repository, present)

    def _may_go(self, vanished: VanishedTag, as_of: float) -> bool:
        """Whether a tag that was looked at then is not of others yet: pauses of the target may lie in between.

        Nor may it go where it may have come back to the source meanwhile.
        """
        if not self._is_believed():
            return False
        if is_fresh(as_of):
            return True
        return not self._is_theirs(vanished, self._target.resolve_manifest(vanished.repository, vanished.tag))

    def _place(self, vanished: VanishedTag) -> str:
        return f"{self._target.host}/{vanished}"

    def _refuse_without_deletion(self, repository: str) -> None:
        """Ask the target to delete what it can't have: one that never deletes says so, and nothing is changed."""
        if self._deletes is None:
            nothing = Digest.of(secrets.token_bytes(32))
            self._deletes = self._target.delete_manifest(repository, nothing) is not Deletion.UNSUPPORTED
        if not self._deletes:
            raise DeletionUnsupportedError("the registry does not delete manifests; it stays at the target")

    def _untag(self, vanished: VanishedTag, may_go: Callable[[], bool]) -> bool:
        """Delete the tag alone; the manifest may have other tags, and may be part of an index.

        False where it stays: others have pushed to it, or the look at the source is not believed any more.

        A registry that deletes by digest only (distribution 2.8) would take all tags of the digest with it. There
        the tag is moved to a manifest made for nothing else, which is then deleted by its digest.
        """
        repository, tag = vanished.repository, vanished.tag
        deletion = self._target.delete_tag(repository, tag, may_go)
        if deletion is Deletion.LEFT:
            return False
        if deletion is Deletion.UNSUPPORTED:
            stand_in = new_stand_in()
            digest = Digest.of(stand_in.raw)
            self._target.push_blob(repository, Empty())
            if not self._target.push_tag(repository, tag, stand_in, may_go):
                return False
            self._note(vanished, digest)  # ours to overwrite, should the source have the tag again before it is gone
            if self._target.delete_manifest(repository, digest) is Deletion.UNSUPPORTED:
                left = "it stays as it was" if self._put_back(vanished) else f"it names a stand-in now ({digest})"
                raise DeletionUnsupportedError(f"the registry deletes neither tags nor manifests; {left}")
        return True

    def _left(self, vanished: VanishedTag) -> Digest | None:
        """What has a tag that was deleted: only what others have pushed since may have it."""
        present = self._target.resolve_manifest(vanished.repository, vanished.tag)
        if present is None or self._is_theirs(vanished, present):
            return present
        raise DeletionUnsupportedError("the registry said that it deleted the tag, and still has it")

    def _put_back(self, vanished: VanishedTag) -> bool:
        """Whether the target gave what had the tag.

        What does not have the digest may be of a place that only we reach, and that the target led us to.
        """
        manifest = self._target.fetch_manifest(vanished.repository, vanished.digest)
        if manifest is None or Digest.of(manifest.raw) != vanished.digest:
            return False
        self._target.push_manifest(vanished.repository, vanished.tag, manifest)
        self._note(vanished, vanished.digest)
        return True

    def _note(self, vanished: VanishedTag, digest: str) -> None:
        self._ledger.note_tag(vanished.repository, vanished.tag, digest, None, 0, layout=vanished.path)


def _outcome(place: str, vanished: VanishedTag, theirs: Digest | None) -> Finding:
    """What became of a tag of which the target has nothing of ours by now, and `theirs` of others."""
    if theirs is not None:
        message = f"{place} vanished at the source; the target has {theirs} by now, of others, and keeps it"
        return Finding(vanished.path, Remark.TAG_KEPT, message)
    message = f"{place} vanished at the source, and was deleted ({vanished.digest})"
    return Finding(vanished.path, Remark.TAG_DELETED, message)
