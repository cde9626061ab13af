"""What is asked of runs after each, given what the model said before, and what the model learns from them."""

import json
from dataclasses import dataclass, field

from tasks.operations.in_step.vanished import DeletionLimits
from tests.support.migration_choice import Choice
from tests.support.migration_model import GOOD, Model, Place
from tests.support.migration_registry import HOST, Write
from tests.support.migration_world import Told

UNANSWERED = {"registry_unavailable"}
STAYS = {"deletion_unsupported", "lost_at_source"}
"""Of a tag that vanished, and that ends a run with 1, though nothing else is wrong."""


@dataclass
class Check:
    """Made before a run, asked after it."""

    model: Model
    choice: Choice
    stumbles: bool = False
    """Whether a request has no answer."""
    before: dict[Place, str] = field(init=False)

    def __post_init__(self) -> None:
        model, choice = self.model, self.choice
        self.before = model.registry.tags
        self.expected = model.expected(choice)
        if self.stumbles:  # without an answer, what was written is found there
            self.expected = {
                place: words | ({"up_to_date"} if "copied" in words else set())
                for place, words in self.expected.items()
            }
        self.opened = [path for path in model.layouts(choice) if model.repository(path) is not None]
        self.vanished = model.vanished(choice)
        self.lost = model.lost(choice) if choice.limits is not None else {}
        self.gone = set(model.gone_layouts(choice))
        self.hurt = {path for path in model.layouts(choice) if model.broken(model.world.layouts[path])}
        self.forbids = self._forbids()
        self.wanted = {
            ((path or "").lower(), tag): (path, digest)
            for path in self.opened
            for tag, digest in model.chosen(path, choice).items()
        }
        self.sent = {path.lower(): model.sent(path, choice) for path in self.opened}
        self.meanwhile: dict[Place, str] = {}

    def note_meanwhile(self, place: Place) -> None:
        """Others push to a tag while the run is at work."""
        path, digest = self.wanted[place]
        self.meanwhile[place] = self.model.registry.tags[place]
        self.expected[path, place[1]] |= self.model.of_tag(path, place[1], digest, self.choice)
        if self.choice.fail_fast:
            self.expected = {each: words | {"interrupted"} for each, words in self.expected.items()}

    def _is_ours(self, place: Place, digest: str) -> bool | None:
        return self.model.is_ours(place, digest, self._path(place))

    def _path(self, place: Place) -> str:
        return self.wanted.get(place, ("", ""))[0]

    def _forbids(self) -> bool | None:
        """Whether limits forbid the run; None where nobody can tell."""
        model, limits = self.model, self.choice.limits
        going = [each for each in self.vanished.values() if each.brought is not False]
        if limits is None or not going:
            return False
        repositories = {path.lower() for path in (*self.opened, *model.migrated)}
        total = sum(repository in repositories for repository, _ in model.known)
        is_other = not model.migrated.keys() & model.world.layouts.keys() and not any(
            known.layout in self.opened for known in model.known.values()
        )
        answer = is_other or _is_beyond(limits, len(going), total)
        return answer if model.is_certain and all(each.is_certain for each in going) else None

    # after any run

    def writes(self, told: Told) -> None:
        """Nothing was written or deleted but what the options say."""
        for write in told.writes:
            self._write(write)

    def _write(self, write: Write) -> None:
        place = (write.repository, write.reference)
        if write.reference.startswith("sha256:"):
            assert write.digest is not None or write.is_whole, f"deleted by digest: {write}"
            is_chosen = write.reference in self.sent.get(write.repository, ())
            is_stand_in = write.digest not in self.model.content
            assert is_chosen or is_stand_in or self.hurt, f"nothing chosen needs it: {write}"
        elif write.reference.startswith("sha256-"):
            self._list(write)
        elif write.digest is None or write.digest not in self.model.content:  # the second is a stand-in
            known = self.vanished.get(place)
            assert self.choice.limits is not None, f"deleted: {write}"
            assert known is not None, f"deleted, and not vanished: {write}"
            assert known.brought is not False, f"deleted, and only found: {write}"
            assert self.before[place] == known.digest or self.before[place] not in self.model.content, write
        elif not self._is_backup(write):
            assert place in self.wanted, f"not chosen: {write}"
            assert self.wanted[place][1] == write.digest, f"not what the source has: {write}"
            assert write.is_whole, f"a tag before what is below it: {write}"
            if write.before not in {None, write.digest} and self._is_ours(place, write.before) is False:
                assert self.choice.on_conflict == "overwrite", f"others' tag: {write}"
                if self.choice.backup:
                    assert self.model.registry.tags.get(_backup(place)) == write.before, f"no backup: {write}"

    def _is_backup(self, write: Write) -> bool:
        kept = (write.repository, write.reference.removeprefix("old-"))
        is_one = self.choice.backup and write.reference.startswith("old-") and kept in self.wanted
        was_there = write.digest in {self.before.get(kept), self.meanwhile.get(kept)}
        return is_one and write.before in {None, write.digest} and was_there

    def _list(self, write: Write) -> None:
        """A list of referrers only grows."""
        manifests = self.model.registry.stored(write.repository).manifests
        now, earlier = (
            {each["digest"] for each in json.loads(manifests[digest].raw)["manifests"]} if digest else set()
            for digest in (write.digest, write.before)
        )
        assert earlier <= now, f"a list of referrers lost some: {write}"

    # after one that lived

    def ask(self, told: Told) -> None:
        """Ask all of a run that can be asked."""
        if told.code is None:
            self.writes(told)
        else:
            self.migrated(told)

    def migrated(self, told: Told) -> None:
        self.writes(told)
        if told.code == 3:
            self._refused(told)
            return
        assert self.forbids is not True, "limits were passed over"
        self._leave_out({path for path, _ in told.of("interrupted")})
        self._rows(told)
        for place, word in told.rows.items():
            if word in {"copied", "up_to_date"}:
                self._is_there(place, word)
        self._complete(told)
        self._findings(told)
        self._overwritten(told)
        self._deleted(told)

    def _leave_out(self, paths: set[str]) -> None:
        """What a run did not come to, as something was wrong before."""
        assert self.choice.fail_fast or not paths
        self.opened = [path for path in self.opened if path not in paths]
        self.expected = {place: words for place, words in self.expected.items() if place[0] not in paths}
        self.wanted = {place: each for place, each in self.wanted.items() if each[0] not in paths}

    def _refused(self, told: Told) -> None:
        assert told.writes == []
        conflicts = any(words & {"conflict"} for words in self.expected.values())
        assert self.forbids is not False or (self.choice.on_conflict == "fail" and conflicts), "refused for nothing"

    def _rows(self, told: Told) -> None:
        assert "internal_error" not in told.rows.values(), "the engine itself is broken"
        unsure = {place for place in self.expected.keys() ^ told.rows.keys() if place[0] in self.hurt}
        unsure = {place for place in unsure if place[1].startswith("sha256:")}
        assert told.rows.keys() - unsure == self.expected.keys() - unsure
        wrong = {
            place: (word, self.expected[place])
            for place, word in told.rows.items()
            if place not in unsure and word not in self.expected[place]
        }
        assert wrong == {}, "another word than was to be said"

    def _is_spared(self, repository: str) -> bool:
        return self.choice.since_last and repository not in self.model.registry.asked_about

    def _is_there(self, place: Place, word: str) -> None:
        """The target has what the source names, all below it and what refers to it, and lists that."""
        path, tag = place
        model, repository = self.model, path.lower()
        layout = model.world.layouts[path]
        digest = layout.tags.get(tag, tag)
        looked_ahead = self.choice.since_last and self.choice.on_conflict == "fail"  # by a plan, which spares nothing
        if self._is_spared(repository):
            assert model.may_be_spared(path, self.choice), f"{place} was spared, and last done otherwise"
        if self._is_spared(repository) or looked_ahead or (repository, tag) in self.meanwhile:
            return
        if tag != digest:
            assert model.registry.tags.get((repository, tag)) == digest, f"{place} is not there"
        if word == "up_to_date" and repository in model.holes:
            return
        assert model.is_whole(repository, digest), f"something below {place} is not there"
        if self.choice.referrers and path not in self.hurt:
            for each in model.referrers(layout, digest):
                assert model.is_whole(repository, each), f"{each} refers to {place}, and is not there"
                assert model.lists(repository, each), f"{each} refers to {place}, and is not listed"

    def _complete(self, told: Told) -> None:
        """The exit code says whether all is well, and so does the moment of equality."""
        model, bad = self.model, [word for word in told.rows.values() if word not in GOOD]
        refused = [path for path in model.layouts(self.choice) if path not in self.opened]  # or left out
        if bad or refused or model.world.is_hidden or not model.world.layouts:
            assert told.code == 1, "a run with problems was complete"
        elif told.rows and not self.hurt and not model.holes and not told.of(*STAYS, *UNANSWERED):
            assert told.code == 0, f"a run without problems was not complete: {told.findings}"
        well = told.code == 0 or (not bad and told.of("deletion_unsupported", *UNANSWERED))
        equal = well and "conflict_skipped" not in told.rows.values()
        spared = any(self._is_spared(path.lower()) for path, _ in told.rows)
        if told.equal_at is not None:
            assert equal or told.of("lost_at_source")
            assert not spared
            assert told.rows
        elif equal and told.rows and not self.choice.since_last:
            assert model.world.remains, "no moment of equality was named"

    def _findings(self, told: Told) -> None:
        moved, vanished, unsure = set(), set(), set()
        for (repository, tag), known in self.model.known.items():
            if known.layout not in self.opened:
                continue
            tags = self.model.world.layouts[known.layout].tags
            name = (known.layout, tag)
            if not known.is_certain or (repository, tag) in self.model.doubtful:
                unsure.add(name)
            elif tag not in tags:
                vanished.add(name)
            elif tags[tag] != known.digest and tag in self.model.chosen(known.layout, self.choice):
                moved.add(name)
        said = {(path, message.split()[0]) for path, message in told.of("tag_moved")}
        assert said - unsure == moved - unsure, "tag_moved"
        said = {(path, message.split()[0].rpartition(":")[2]) for path, message in told.of("tag_vanished")}
        assert said - unsure == vanished - unsure, "tag_vanished"
        certain = {path for path in self.gone if self.model.migrated[path]}
        assert certain <= {path for path, _ in told.of("layout_vanished")} <= self.gone, "layout_vanished"

    def _overwritten(self, told: Told) -> None:
        said = {
            (path, message.split()[0].rpartition(":")[2], message.split()[2])
            for path, message in told.of("tag_overwritten")
        }
        lost, unsure = set(), set()
        for write in told.writes:
            place = (write.repository, write.reference)
            if place in self.wanted and write.before not in {None, write.digest} and not self._is_backup(write):
                each = (self.wanted[place][0], place[1], write.before)
                {False: lost, None: unsure, True: set()}[self._is_ours(place, write.before)].add(each)
        assert said - unsure == lost - unsure, "tag_overwritten"

    def _deleted(self, told: Told) -> None:
        """What vanished is gone, or said why it is not."""
        if self.choice.limits is None:
            assert not told.of("tag_deleted", "tag_kept", "not_deleted", "deletion_unsupported")
            return
        sure = {place for place, known in self.vanished.items() if known.brought and known.is_certain}
        if told.code == 1 and sure and not told.of(*STAYS, *UNANSWERED):
            assert told.of("not_deleted"), "nothing is said of what was not deleted"
        said = {
            tuple(message.split()[0].removeprefix(f"{HOST}/").rpartition(":")[::2])
            for _, message in told.of("tag_deleted", "tag_kept")
        }
        assert said <= self.vanished.keys() | self.lost.keys()
        if told.code == 0:
            assert sure <= said, "tag_deleted"
            assert not any(is_lost for place, is_lost in self.lost.items() if place not in said), "lost_at_source"
        lost = {message.split()[0].removeprefix(f"{HOST}/") for _, message in told.of("lost_at_source")}
        assert lost <= {":".join(place) for place in self.lost}
        after = self.model.registry.tags
        for place in said - self.vanished.keys():
            assert self.is_others(place), f"{place} was lost, and is there"
        for place in sure & said:
            is_theirs = self.before.get(place) not in {None, self.vanished[place].digest}
            left = self.before[place] if is_theirs else None
            assert after.get(place) == left, f"deleted, or left, and not what {place} was"

    def is_others(self, place: Place) -> bool:
        """Whether the target may have a known tag no more by now, or from others."""
        return place in self.meanwhile or self.before.get(place) != self.model.known[place].digest


def _backup(place: Place) -> Place:
    return place[0], f"old-{place[1]}"


def _is_beyond(limits: DeletionLimits, going: int, total: int) -> bool:
    beyond = limits.max_tags is not None and going > limits.max_tags
    return beyond or (limits.max_percent is not None and going * 100 > limits.max_percent * total)
