"""A list of referrers is the target's own where it has one, and else a tag in which others keep what is theirs."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.real_parts.waiting import wait_until
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    AuthenticationError,
    MissingReferencedContentError,
    RateLimitedError,
    ReferrerConflictError,
    ReferrersLostError,
    RegistryError,
    RegistryUnavailableError,
)
from tasks.oci.media_types import IMAGE_INDEX
from tasks.oci.reference import referrers_tag
from tasks.operations.referrers.referrer_lists import ATTEMPTS, ReferrerListing, ReferrerLists, _Turn
from tasks.operations.work import freshness
from tasks.ports import RemoteManifest
from tests.support.memory_stores import MemoryTarget

EMPTY = b'{"schemaVersion":2,"manifests":[]}'
SUBJECT = Digest.of(EMPTY + b"\n")


class Target(MemoryTarget):
    """A target without the API, that notes what it is asked and may refuse what it should take."""

    def __init__(self) -> None:
        super().__init__(referrers_api=False)
        self.asked = 0
        self.written = 0
        self.misses = 0
        self.before_list = lambda: None

    def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        self.asked += 1
        return super().list_referrers(repository, subject)

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        if reference.startswith("sha256-"):
            self.written += 1
            self.before_list()
        if self.misses:
            self.misses -= 1
            raise MissingReferencedContentError("it is not here", status=404)
        super().push_manifest(repository, reference, manifest)

    def put(self, raw: bytes) -> Descriptor:
        """Store a manifest by its digest."""
        self.push_manifest("app", Digest.of(raw), RemoteManifest(raw, IMAGE_INDEX))
        return Descriptor(IMAGE_INDEX, Digest.of(raw), len(raw))

    def listed(self) -> list[Any]:
        found = self.fetch_manifest("app", referrers_tag(SUBJECT))
        return [] if found is None else [entry.get("digest") for entry in json.loads(found.raw)["manifests"]]


@pytest.fixture
def target() -> Target:
    return Target()


def test_a_list_is_written_once_and_the_api_that_is_not_there_is_asked_for_once(target: Target) -> None:
    assert target.put(EMPTY + b"\n").digest == SUBJECT
    lists, members = ReferrerLists(target), [target.put(EMPTY + space) for space in (b"", b" ")]
    for _ in range(2):
        assert lists.ensure("app", SUBJECT, [*members, members[0]]) is ReferrerListing.FALLBACK
    assert lists.check("app", SUBJECT, members) is ReferrerListing.FALLBACK
    assert (target.listed(), target.written, target.asked) == ([member.digest for member in members], 1, 1)
    lists = ReferrerLists(target)
    assert [lists.check("app", SUBJECT, members) for _ in range(2)] == [ReferrerListing.FALLBACK] * 2
    assert target.asked == 2, "a list under a tag tells as much"


def test_a_list_is_an_image_index_of_its_members(target: Target) -> None:
    member = target.put(EMPTY)
    ReferrerLists(target).ensure("app", SUBJECT, [member])
    written = target.fetch_manifest("app", referrers_tag(SUBJECT))
    assert written is not None
    assert written.media_type == IMAGE_INDEX
    assert json.loads(written.raw) == {
        "schemaVersion": 2,
        "mediaType": IMAGE_INDEX,
        "manifests": [{"mediaType": IMAGE_INDEX, "digest": member.digest, "size": member.size}],
    }


def test_an_api_that_ever_answered_is_asked_for_every_list() -> None:
    """Clients that find it look under no tag, so that a list there would be lost."""

    class AnswersNotOfAll(MemoryTarget):
        def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
            return None if repository == "odd" else super().list_referrers(repository, subject)

    lists = ReferrerLists(AnswersNotOfAll())
    found = [lists.ensure(repository, SUBJECT, ()) for repository in ("app", "odd", "app")]
    assert found == [ReferrerListing.API, ReferrerListing.FALLBACK, ReferrerListing.API]


def test_a_subject_that_is_not_there_tells_nothing_of_the_api() -> None:
    """Quay answers 404 of it, as a registry without the API does of all."""

    class OfWhatIsThere(MemoryTarget):
        def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
            return super().list_referrers(repository, subject) if self.resolve_manifest(repository, subject) else None

    target, there = OfWhatIsThere(), Descriptor(IMAGE_INDEX, Digest.of(EMPTY), len(EMPTY))
    target.push_manifest("app", there.digest, RemoteManifest(EMPTY, IMAGE_INDEX))
    raw = json.dumps({"schemaVersion": 2, "manifests": [], "subject": there.to_json()}).encode()
    target.push_manifest("app", Digest.of(raw), RemoteManifest(raw, IMAGE_INDEX))
    member, missing = Descriptor(IMAGE_INDEX, Digest.of(raw), len(raw)), Digest.of(b"not here")
    for first in (ReferrerLists.ensure, ReferrerLists.check):
        lists = ReferrerLists(target)
        assert first(lists, "app", missing, [member]) is ReferrerListing.FALLBACK
        assert lists.ensure("app", there.digest, [member]) is ReferrerListing.API
    assert target.list_tags("app") == {referrers_tag(missing)}


@pytest.mark.parametrize("misses", [0, ATTEMPTS])
def test_what_others_wait_to_put_into_a_list_is_written_with_the_next(target: Target, misses: int) -> None:
    """Each of many referrers of one subject, as with tags of their own, would write the whole list once more."""
    first, *others = [target.put(EMPTY + b" " * number) for number in range(8)]
    lists = ReferrerLists(target)
    target.written = 0

    def wait_for_others() -> None:
        target.before_list = lambda: None
        wait_until(
            lambda: len(lists._turns.get(("app", SUBJECT), _Turn([])).referrers) == len(others),
            what="all others wait",
        )
        target.misses = misses

    target.before_list = wait_for_others
    with ThreadPoolExecutor(max_workers=8) as workers:
        made = workers.submit(lists.ensure, "app", SUBJECT, [first])
        wait_until(lambda: target.written > 0, what="the first is written")
        rest = [workers.submit(lists.ensure, "app", SUBJECT, [each]) for each in others]
        assert [each.result() for each in rest] == [ReferrerListing.FALLBACK] * len(others)
    assert (made.exception() is None) == (misses == 0)
    assert set(target.listed()) == {each.digest for each in (others if misses else (first, *others))}
    assert target.written == 2 + max(misses - 1, 0)


def test_who_waited_for_another_that_failed_writes_the_list_after_all(target: Target) -> None:
    first, *others = [target.put(EMPTY + b" " * number) for number in range(4)]
    lists = ReferrerLists(target)
    target.written = 0

    def fail() -> None:
        target.before_list = lambda: None
        target.misses = ATTEMPTS

    def wait_for_others() -> None:
        target.before_list = fail
        wait_until(
            lambda: len(lists._turns.get(("app", SUBJECT), _Turn([])).referrers) == len(others),
            what="all others wait",
        )

    target.before_list = wait_for_others
    with ThreadPoolExecutor(max_workers=4) as workers:
        made = workers.submit(lists.ensure, "app", SUBJECT, [first])
        wait_until(lambda: target.written > 0, what="the first is written")
        rest = {each: workers.submit(lists.ensure, "app", SUBJECT, [each]) for each in others}
        assert made.result() is ReferrerListing.FALLBACK
        told = [each.digest for each, ended in rest.items() if ended.exception() is None]
    assert len(told) == len(others) - 1
    assert set(target.listed()) == {first.digest, *told}


def test_a_repository_that_may_not_be_there_tells_nothing_of_the_api(target: Target) -> None:
    lists, member = ReferrerLists(target), target.put(EMPTY)
    assert lists.check("gone", SUBJECT, [member]) is ReferrerListing.LOST
    target._referrers_api = True
    assert lists.check("app", SUBJECT, ()) is ReferrerListing.API


def test_a_list_that_is_refused_though_all_of_it_is_there_is_written_again(target: Target) -> None:
    """Distribution 2.8 refuses one while a member of it is written once more, by its tag."""
    member = target.put(EMPTY)
    target.misses = 2
    assert ReferrerLists(target).ensure("app", SUBJECT, [member]) is ReferrerListing.FALLBACK
    assert (target.listed(), target.written) == ([member.digest], 3)


def test_a_list_that_is_refused_again_and_again_though_all_of_it_is_there_is_an_error(target: Target) -> None:
    member = target.put(EMPTY)
    target.misses = 9
    with pytest.raises(MissingReferencedContentError):
        ReferrerLists(target).ensure("app", SUBJECT, [member])
    assert target.written == 3


@pytest.mark.parametrize("odd", [{"digest": []}, {"digest": "x:y"}, {}, {"digest": Digest.of(b"deleted")}])
def test_entries_of_others_that_name_nothing_leave_a_list_that_is_not_taken_with_them(
    target: Target, odd: dict[str, Any]
) -> None:
    member = target.put(EMPTY)
    theirs = json.dumps({"schemaVersion": 2, "manifests": [odd]}).encode()

    class Lenient(Target):
        """It has let others write what it does not take from us."""

        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            found = super().fetch_manifest(repository, reference)
            return found or RemoteManifest(theirs, IMAGE_INDEX)

    lenient = Lenient()
    lenient._repositories = target._repositories
    lenient.misses = 1
    assert ReferrerLists(lenient).ensure("app", SUBJECT, [member]) is ReferrerListing.FALLBACK
    assert target.listed() == [member.digest]


def test_what_others_put_into_a_list_between_two_attempts_to_write_it_stays(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target may have asked for a pause of minutes, or been away."""
    ours, theirs = (target.put(EMPTY + space) for space in (b"", b" "))
    written = json.dumps({"schemaVersion": 2, "manifests": [theirs.to_json()]}).encode()

    class Paused(Target):
        def push_tag(
            self, repository: str, tag: str, manifest: RemoteManifest, may_write: Callable[[], bool]
        ) -> bool:
            if not self.listed():
                self.push_manifest(repository, tag, RemoteManifest(written, IMAGE_INDEX))
            return super().push_tag(repository, tag, manifest, may_write)

    monkeypatch.setattr(freshness, "FRESH_SECONDS", -1.0)
    paused = Paused()
    paused._repositories = target._repositories
    assert ReferrerLists(paused).ensure("app", SUBJECT, [ours]) is ReferrerListing.FALLBACK
    assert paused.listed() == [theirs.digest, ours.digest]


def test_a_list_that_others_write_over_again_and_again_is_lost(target: Target) -> None:
    class Overwritten(Target):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            return RemoteManifest(EMPTY, IMAGE_INDEX)

    assert ReferrerLists(Overwritten()).check("app", SUBJECT, []) is ReferrerListing.FALLBACK
    overwritten = Overwritten()
    member = overwritten.put(EMPTY + b" ")
    assert ReferrerLists(overwritten).ensure("app", SUBJECT, [member]) is ReferrerListing.LOST
    assert overwritten.written == 3


def test_a_list_of_more_values_than_any_manifest_has_is_none() -> None:
    class Endless(Target):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest:
            return RemoteManifest(b'{"manifests":[' + b"{}," * 300_000 + b"{}]}", IMAGE_INDEX)

    with pytest.raises(ReferrerConflictError):
        ReferrerLists(Endless()).check("app", SUBJECT, [])


def test_a_list_that_is_nested_without_end_is_none() -> None:
    class Nested(Target):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest:
            return RemoteManifest(b'{"manifests":' + b"[" * 100_000, IMAGE_INDEX)

    with pytest.raises(ReferrerConflictError):
        ReferrerLists(Nested()).check("app", SUBJECT, ())


@pytest.mark.parametrize("error", [RateLimitedError, RegistryUnavailableError, AuthenticationError])
def test_no_tag_is_overwritten_because_the_target_does_not_list_its_tags_for_the_moment(
    target: Target, error: type[RegistryError], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = target.put(EMPTY + b"\n")
    target.push_manifest("app", referrers_tag(SUBJECT), RemoteManifest(EMPTY + b"\n", IMAGE_INDEX))
    referrer, lists = target.put(EMPTY), ReferrerLists(target)
    target.written = 0

    def refuse(_repository: str) -> frozenset[str]:
        raise error("not now")

    with monkeypatch.context() as patched:
        patched.setattr(target, "list_tags", refuse)
        with pytest.raises(error):
            lists.ensure("app", SUBJECT, [referrer])
    with pytest.raises(ReferrersLostError, match="names"):
        lists.ensure("app", SUBJECT, [referrer])
    assert (target.written, target.resolve_manifest("app", referrers_tag(SUBJECT))) == (0, subject.digest)
