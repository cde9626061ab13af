"""What must become of each tag in a run, told from the documentation and without the code under test.

The model knows the source and the registry as they are, and what runs did to tags, as the registry saw it. Where a
run that died leaves open what it noted, or damage leaves open whether something was needed, more than one word is
allowed; all that is promised in any case is then still asked for.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.oci.digest import Digest
from tasks.ports import RemoteManifest
from tests.support.migration_choice import Choice, order_of
from tests.support.migration_registry import STAND_IN, Registry, digest_of, missing_below, parts_of
from tests.support.migration_world import Layout, World, entry_of, harm

Place = tuple[str, str]
"""A repository of the target, and a tag."""
BROKEN = {"content_not_found", "digest_mismatch", "size_mismatch"}
DAMAGED = {"damaged_at_target"}
CONFLICTS = {"conflict", "conflict_skipped", "backup_refused"}


class Known(NamedTuple):
    """What runs left under a tag: from which layout, whether they brought it (None: nobody can tell), and whether it
    is certain that they noted it.
    """

    digest: str
    layout: str
    brought: bool | None
    is_certain: bool = True


@dataclass
class Model:
    """See the module."""

    world: World
    content: dict[str, bytes] = field(default_factory=dict)
    """Everything that was ever pushed anywhere, unaltered."""
    known: dict[Place, Known] = field(default_factory=dict)
    doubtful: dict[Place, set[str]] = field(default_factory=dict)
    """Digests that count as ours or not, by what a run could note before it died or failed."""
    coming: dict[Place, set[tuple[str, str]]] = field(default_factory=dict)
    """What runs wrote that died, and from which layouts: they noted before that they would."""
    migrated: dict[str, bool] = field(default_factory=dict)
    """Layouts that runs came to the end of, and whether that is certain."""
    spared: dict[str, list[tuple[bytes, tuple[object, ...]]]] = field(default_factory=dict)
    """By layout, the index and settings with which all of it was at the target, as any run may have noted."""
    moved_by_others: set[Place] = field(default_factory=set)
    """Tags of the target that others touched last."""
    holes: set[str] = field(default_factory=set)
    """Repositories in which others took something from below a tag."""

    @property
    def registry(self) -> Registry:
        return self.world.registry

    def forget(self) -> None:
        """The ledger is lost."""
        for each in (self.known, self.doubtful, self.coming, self.migrated, self.spared):
            each.clear()

    # others at the target

    def others_put(self, repository: str, tag: str, digest: str) -> None:
        """Have all of it there."""
        stored = self.registry.stored(repository)
        for each in sorted(self.below(digest), key=lambda one: len(self.below(one))):
            raw = self.content[each]
            stored.blobs |= {Digest(blob): self.content[blob] for blob in parts_of(raw)[1]}
            self.registry.take(repository, each, RemoteManifest(raw, entry_of(raw)["mediaType"]))
        stored.tags[tag] = Digest(digest)
        self.moved_by_others.add((repository, tag))

    def others_harm(self, repository: str, digest: str, how: str) -> None:
        stored = self.registry.stored(repository)
        self.holes.add(repository)
        if digest not in stored.manifests:
            harm(stored.blobs, Digest(digest), how)
            return
        self.moved_by_others |= {(repository, tag) for tag, each in stored.tags.items() if each == digest}
        self.registry.delete_for_others(repository, digest)

    # the source

    def repository(self, path: str) -> str | None:
        """Where a layout goes; None where another one would have the same name."""
        name = path.lower()
        return name if [each.lower() for each in self.world.layouts].count(name) == 1 else None

    def below(self, *digests: str) -> set[str]:
        """The manifests that these lead to, they among them."""
        found: set[str] = set()
        pending = list(digests)
        while pending:
            if (digest := pending.pop()) not in found:
                found.add(digest)
                pending += parts_of(self.content[digest])[0]
        return found

    def everything(self, digests: Iterable[str]) -> set[str]:
        """Manifests and blobs."""
        manifests = self.below(*digests)
        return manifests | {blob for each in manifests for blob in parts_of(self.content[each])[1]}

    def subject(self, digest: str) -> str | None:
        return parts_of(self.content[digest])[2]

    def referrers(self, layout: Layout, root: str) -> set[str]:
        """What refers to something below a manifest, and to that, and so on, as entries without a tag say."""
        found: set[str] = set()
        reached = self.below(root)
        while new := {each for each in layout.untagged if self.subject(each) in reached} - found:
            found |= new
            reached |= self.below(*new)
        return found

    def take_away(self, path: str, tag: str) -> None:
        """As oras does: with the manifest and what is below, as far as nothing names that any more."""
        layout = self.world.layouts[path]
        digest = layout.tags[tag]
        layout.delete(tag)
        for each in self.below(digest) - self.named(layout):
            layout.blobs.pop(each, None)

    def named(self, layout: Layout) -> set[str]:
        """The manifests that an index names, or has below."""
        return self.below(*(each["digest"] for each in layout.entries))

    def broken(self, layout: Layout) -> set[str]:
        """What the layout has not, or not as it was."""
        named = self.everything(each["digest"] for each in layout.entries)
        return {each for each in named if digest_of(layout.blobs.get(each, b"?")) != each}

    def is_hurt(self, choice: Choice) -> bool:
        """Whether something is not as it was pushed, on either side."""
        return bool(self.holes) or any(self.broken(self.world.layouts[path]) for path in self.layouts(choice))

    def chosen(self, path: str, choice: Choice) -> dict[str, str]:
        """The tags of a layout that are to be at the target, by name or, without one, by digest."""
        layout = self.world.layouts[path]
        tags = {tag: digest for tag, digest in layout.tags.items() if choice.takes(path, tag)}
        if choice.newest is not None:
            newest = list(dict.fromkeys(tags[tag] for tag in sorted(tags, key=order_of, reverse=True)))
            tags = {tag: digest for tag, digest in tags.items() if digest in newest[: choice.newest]}
        return tags

    def untagged(self, path: str, choice: Choice) -> set[str]:
        layout = self.world.layouts[path]
        if choice.untagged == "none" or self.repository(path) is None:
            return set()
        if choice.untagged == "all":
            return set(layout.untagged)
        parts = self.below(*layout.tags.values()) | {
            child for each in layout.untagged for child in parts_of(self.content[each])[0]
        }
        return {each for each in layout.untagged if self.subject(each) is None and each not in parts}

    def sent(self, path: str, choice: Choice) -> set[str]:
        """The manifests that may be sent of a layout: all below what is chosen, and what refers to that."""
        roots = {*self.chosen(path, choice).values(), *self.untagged(path, choice)}
        layout = self.world.layouts[path]
        referrers = [each for root in roots for each in self.referrers(layout, root)] if choice.referrers else []
        return self.below(*roots, *referrers)

    def layouts(self, choice: Choice) -> list[str]:
        """Those that a run with these options looks at."""
        return [] if self.world.is_hidden else [path for path in self.world.layouts if choice.takes_layout(path)]

    # what a run is to say

    def expected(self, choice: Choice) -> dict[Place, set[str]]:
        """By path and tag or digest, the words that a migration may say; of a plan, `copied` is `to_copy`."""
        rows: dict[Place, set[str]] = {}
        for path in self.layouts(choice):
            for tag, digest in self.chosen(path, choice).items():
                rows[path, tag] = self.of_tag(path, tag, digest, choice)
            for digest in self.untagged(path, choice):
                rows[path, digest] = {"copied", "up_to_date", *self._harm(path, digest)}
                rows[path, digest] |= self._hole(path.lower(), choice)
        if choice.fail_fast and any(word not in GOOD for words in rows.values() for word in words):
            rows = {place: {*words, "interrupted"} for place, words in rows.items()}
        return rows

    def of_tag(self, path: str, tag: str, digest: str, choice: Choice) -> set[str]:
        repository = self.repository(path)
        if repository is None:
            return {"name_collision"}
        present = self.registry.tags.get((repository, tag))
        harm = self._harm(path, digest) | self._hole(repository, choice)
        if present == digest:
            return {"up_to_date", *harm}
        words = {"copied", *harm}
        if present is not None:
            ours = self.is_ours((repository, tag), present, path)
            words = set() if ours is False else words
            words |= set() if ours else self._conflict(path, tag, present, choice) | harm
        if choice.since_last and (repository, tag) in self.moved_by_others and self.may_be_spared(path, choice):
            words.add("up_to_date")
        return words

    def _conflict(self, path: str, tag: str, present: str, choice: Choice) -> set[str]:
        if choice.on_conflict != "overwrite":
            return {"conflict_skipped" if choice.on_conflict == "skip" else "conflict"}
        name, repository = f"old-{tag}", path.lower()
        kept = self.registry.tags.get((repository, name))
        if choice.backup and (name in self.world.layouts[path].tags or kept not in {None, present}):
            return {"backup_refused"}
        return {"copied"}

    def _harm(self, path: str, digest: str) -> set[str]:
        """What may be said where something of a tag is damaged."""
        layout = self.world.layouts[path]
        needed = self.everything([digest, *self.referrers(layout, digest)])
        return {*BROKEN, "copied", "up_to_date"} if needed & self.broken(layout) else set()

    def _hole(self, repository: str, choice: Choice) -> set[str]:
        """What may be said where others took something from below tags, or altered it."""
        if repository not in self.holes:
            return set()
        unkept = {"missing_referenced_content"} if choice.backup else set()  # a strict registry does not take those
        return {"copied", "up_to_date", *unkept, *(() if choice.depth == "manifest" else DAMAGED)}

    def is_ours(self, place: Place, present: str, path: str) -> bool | None:
        """Whether a run wrote what the target has; None where nobody can tell."""
        known = self.known.get(place)
        is_known = known is not None and known.digest == present
        if (is_known and known.is_certain) or (present, path) in self.coming.get(place, ()):
            return True
        doubtful = is_known or present in self.doubtful.get(place, ()) or self.is_stand_in(place[0], present)
        return None if doubtful else False

    def is_stand_in(self, repository: str, digest: str) -> bool:
        found = self.registry.stored(repository).manifests.get(Digest(digest))
        return found is not None and STAND_IN in found.raw

    def may_be_spared(self, path: str, choice: Choice) -> bool:
        return (self.world.layouts[path].index, choice.settings) in self.spared.get(path, [])

    def vanished(self, choice: Choice) -> dict[Place, Known]:
        """What was taken away at the source of what runs brought, for certain or not."""
        return {
            place: known._replace(is_certain=lost is False)
            for place, known in self.missing(choice).items()
            if (lost := self.is_lost(known)) is not True
        }

    def lost(self, choice: Choice) -> dict[Place, bool]:
        """What writers lost there who overwrote each other, and whether that is certain."""
        return {
            place: bool(lost and known.brought)
            for place, known in self.missing(choice).items()
            if (lost := self.is_lost(known)) is not False and known.brought is not False
        }

    def is_lost(self, known: Known) -> bool | None:
        """Whether what is missing lies in its layout still, where nothing names it; None where nobody can tell."""
        layout = self.world.layouts.get(known.layout)
        if not known.is_certain:
            return None
        if layout is None or known.digest not in layout.blobs:
            return False
        if known.digest in self.named(layout):
            return None if self.broken(layout) else False
        return True

    def missing(self, choice: Choice) -> dict[Place, Known]:
        """What the source does not name any more of what runs brought."""
        opened = {path for path in self.layouts(choice) if self.repository(path) is not None}
        gone = set(self.gone_layouts(choice))
        found = {}
        for (repository, tag), known in self.known.items():
            feeding = [each for path, each in self.world.layouts.items() if path.lower() == repository]
            looked_at = known.layout in opened or known.layout in gone
            if looked_at and choice.takes(known.layout, tag) and not any(tag in each.tags for each in feeding):
                found[repository, tag] = known
        return {} if self.world.is_hidden or not self.world.layouts else found

    def gone_layouts(self, choice: Choice) -> Iterator[str]:
        """Layouts of earlier runs that are gone, nothing of which is left."""
        left = {path.partition("/blobs/")[0] for path in self.world.remains}
        if not self.world.is_hidden and self.world.layouts:
            yield from (
                path
                for path in self.migrated
                if path not in self.world.layouts and path not in left
                if choice.takes_layout(path)
            )

    @property
    def is_certain(self) -> bool:
        """Whether nothing of what runs noted is open."""
        noted = all(each.is_certain and each.brought is not None for each in self.known.values())
        return noted and not self.doubtful and all(self.migrated.values())

    # what a run did

    def is_whole(self, repository: str, digest: str, *, rotten: bool = False) -> bool:
        """Whether the target has a manifest and all below it."""
        stored = self.registry.stored(repository)
        found = stored.manifests.get(Digest(digest))
        return found is not None and not missing_below(stored, digest, found.raw, rotten=rotten)

    def look_for_holes(self) -> None:
        """Forget those that are filled."""
        for repository in list(self.holes):
            manifests = self.registry.stored(repository).manifests
            if all(self.is_whole(repository, each, rotten=True) for each in manifests):
                self.holes.discard(repository)

    def lists(self, repository: str, referrer: str) -> bool:
        """Whether the target lists a referrer: by its API, which does so by itself, or by the tag."""
        if self.registry._referrers_api:
            return True
        subject = self.subject(referrer)
        stored = self.registry.stored(repository)
        listed = stored.tags.get(f"{subject}".replace(":", "-"))
        return listed is not None and referrer.encode() in stored.manifests[listed].raw


GOOD = {"copied", "up_to_date", "conflict_skipped"}
