"""Tags are grouped into units in which nothing is lost, and whatever goes wrong with one is in its results."""

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ManifestRefusedError, RegistryUnavailableError
from tasks.oci.media_types import IMAGE_INDEX, IMAGE_MANIFEST
from tasks.oci.reference import referrers_tag
from tasks.operations.reports.results import (
    RefusedEntry,
    RepositoryInventory,
    TagEntry,
    TagResult,
    UntaggedKind,
)
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.operations.work.repository_work import MOST_TAGS, RepositoryWork, Unit, units_of
from tasks.ports import Finding

SUBJECT = Digest.of(b"subject")
LIST, SIGNATURE = referrers_tag(SUBJECT), f"{referrers_tag(SUBJECT)}.sig"


def described(text: str, media_type: str = IMAGE_MANIFEST) -> Descriptor:
    return Descriptor(media_type, Digest.of(text.encode()), len(text))


IMAGE, REFERRERS = described("image"), described("referrers", IMAGE_INDEX)


def tagged(*entries: tuple[str, Descriptor]) -> RepositoryInventory:
    return RepositoryInventory("app", "etag", tuple(TagEntry(tag, descriptor) for tag, descriptor in entries))


def units(inventory: RepositoryInventory, policy: CopyPolicy | None = None) -> tuple[Unit, ...]:
    return units_of(inventory, inventory.tags, policy or CopyPolicy())


def test_tags_of_one_digest_are_one_unit_and_lists_of_referrers_come_last() -> None:
    inventory = tagged((LIST, REFERRERS), ("v1", IMAGE), ("v2", described("other")), ("latest", IMAGE))
    assert units(inventory) == (
        Unit(IMAGE, ("v1", "latest")),
        Unit(described("other"), ("v2",)),
        Unit(REFERRERS, (LIST,), SUBJECT),
    )


@pytest.mark.parametrize("tag", [LIST, SIGNATURE])
def test_what_is_named_as_a_list_and_is_none_is_copied_as_it_is(tag: str) -> None:
    assert units(tagged((tag, IMAGE))) == (Unit(IMAGE, (tag,)),)
    assert units(tagged((SIGNATURE, REFERRERS))) == (Unit(REFERRERS, (SIGNATURE,)),)


def test_without_referrers_those_that_a_tag_names_stay_behind_and_nothing_else() -> None:
    inventory = tagged((SIGNATURE, described("signature")), ("v1", IMAGE), (LIST, REFERRERS), ("v2", IMAGE))
    assert units(inventory, CopyPolicy(referrers=False)) == (Unit(IMAGE, ("v1", "v2")),)


@pytest.mark.parametrize("content", [IMAGE, REFERRERS])
def test_what_has_its_own_digest_for_a_tag_is_neither_a_list_of_itself_nor_a_referrer(content: Descriptor) -> None:
    inventory = tagged((referrers_tag(content.digest), content))
    for policy in (CopyPolicy(), CopyPolicy(referrers=False)):
        assert units(inventory, policy) == (Unit(content, (referrers_tag(content.digest),)),)


def test_many_tags_of_one_digest_are_several_units_that_hold_each_once() -> None:
    tags = [f"v{number}" for number in range(2 * MOST_TAGS + 1)]
    made = units(tagged(*((tag, IMAGE) for tag in tags)))
    assert [len(unit.tags) for unit in made] == [MOST_TAGS, MOST_TAGS, 1]
    assert [tag for unit in made for tag in unit.tags] == tags


def test_what_has_no_tag_is_a_unit_of_its_own_where_it_is_asked_for() -> None:
    inventory = RepositoryInventory("app", "etag", untagged=(TagEntry(None, IMAGE, UntaggedKind.MOVED),))
    assert units(inventory) == ()
    assert units(inventory, CopyPolicy(untagged=Untagged.MOVED)) == (Unit(IMAGE, ()),)


class Failing(RepositoryWork):
    """Work on which everything ends with `error`."""

    def __init__(self, error: Exception, inventory: RepositoryInventory | None = None) -> None:
        super().__init__(inventory or RepositoryInventory("app", "etag"), "registry.example/app")
        self._error = error

    def _execute(self, unit: Unit) -> list[TagResult]:
        raise self._error


@pytest.mark.parametrize(
    ("error", "outcome", "code", "message"),
    [
        (RegistryUnavailableError("away", status=503), "failed", "registry_unavailable", "away"),
        (ManifestRefusedError("reserved", status=400), "refused", "manifest_refused", "reserved"),
        (KeyError("a defect"), "failed", "internal_error", "KeyError: 'a defect'"),
    ],
)
def test_each_tag_of_a_unit_has_a_result_whatever_goes_wrong(
    caplog: pytest.LogCaptureFixture, error: Exception, outcome: str, code: str, message: str
) -> None:
    results = Failing(error).execute(Unit(IMAGE, ("v1", "v2")))
    assert [(str(r.outcome), r.code, r.message) for r in results] == [(outcome, code, message)] * 2
    assert [result.target for result in results] == ["registry.example/app:v1", "registry.example/app:v2"]
    (untagged,) = Failing(error).execute(Unit(IMAGE, ()))
    assert untagged.target == f"registry.example/app@{IMAGE.digest}"
    assert bool(caplog.records) is isinstance(error, KeyError), "a defect of ours is logged with where it was"


def test_a_list_of_referrers_that_could_not_be_read_is_not_worked_on() -> None:
    broken = {REFERRERS.digest: Finding("app", "invalid_manifest", "it is no JSON")}
    inventory = RepositoryInventory("app", "etag", broken_lists=broken)
    (result,) = Failing(AssertionError("never tried"), inventory).execute(Unit(REFERRERS, (LIST,), SUBJECT))
    assert (str(result.outcome), result.code, result.message) == ("failed", "invalid_manifest", "it is no JSON")


def test_work_that_says_nothing_else_finds_nothing_and_tells_why_it_skips_or_refuses() -> None:
    work = Failing(AssertionError("never tried"))
    assert (work.finish(), work.asks_target) == ([], True)
    (skipped,) = work.skip(Unit(IMAGE, ("v1",)), RegistryUnavailableError("away", status=503))
    assert (str(skipped.outcome), skipped.code, skipped.message) == ("failed", "registry_unavailable", "away")
    refused = work.refuse(RefusedEntry("a b", IMAGE.digest, IMAGE.media_type, "invalid_reference", "no tag"))
    assert (refused.tag, str(refused.outcome), refused.target) == ("a b", "refused", None)
    assert (refused.code, refused.message, refused.digest) == ("invalid_reference", "no tag", IMAGE.digest)
