"""Few questions to a repository that seems new, enough that an interrupted run's blobs are not sent again."""

from contextlib import nullcontext
from typing import TYPE_CHECKING, cast

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import RegistryUnavailableError
from tasks.operations.copying.presence import ALWAYS_ASKED_FOR, ASKED_AT_FIRST, WORTH_ASKING, Presence

if TYPE_CHECKING:
    from tasks.ports import Target


class AskedTarget:
    """A target that has some blobs, and notes what it was asked for."""

    def __init__(self, *there: Descriptor) -> None:
        self.there = there
        self.asked: list[Descriptor] = []

    def has_blob(self, _: str, blob: Descriptor) -> bool:
        self.asked.append(blob)
        return blob in self.there


def blobs(number: int, size: int = WORTH_ASKING) -> list[Descriptor]:
    return [Descriptor("m", Digest.of(f"{size} {each}".encode()), size) for each in range(number)]


def presence(target: AskedTarget, *, new: bool) -> Presence:
    return Presence(cast("Target", target), "app", new=new, opened=False)


def test_a_repository_without_tags_is_asked_for_a_few_blobs_only() -> None:
    target = AskedTarget()
    new = presence(target, new=True)
    assert not any(new.has(blob) for blob in blobs(100))
    assert len(target.asked) == ASKED_AT_FIRST


@pytest.mark.parametrize("already_there", range(1, ASKED_AT_FIRST))
def test_what_an_interrupted_run_left_is_found_whole(already_there: int) -> None:
    wanted = blobs(100)
    target = AskedTarget(*wanted[already_there:])
    new = presence(target, new=True)
    assert [new.has(blob) for blob in wanted].count(True) == 100 - already_there


def test_a_very_large_blob_is_always_asked_for() -> None:
    target = AskedTarget()
    new = presence(target, new=True)
    for blob in blobs(ASKED_AT_FIRST + 10, ALWAYS_ASKED_FOR):
        new.has(blob)
    assert len(target.asked) == ASKED_AT_FIRST + 10


def test_small_blobs_are_asked_for_where_there_are_tags_or_somebody_wants_to_know() -> None:
    small = blobs(1, WORTH_ASKING - 1)[0]
    target = AskedTarget(small)
    assert not presence(target, new=True).has(small)
    assert target.asked == []
    assert presence(target, new=True).has(small, ask=True)
    assert presence(target, new=False).has(small)


@pytest.mark.parametrize("status", [500, 503])
def test_a_blob_of_which_the_target_can_not_tell_for_good_is_sent(status: int) -> None:
    """Distribution answers 500 to an entry that a full disk left empty, and mends it when the blob is sent."""

    class Broken(AskedTarget):
        def has_blob(self, _: str, blob: Descriptor) -> bool:
            raise RegistryUnavailableError(f"HEAD {blob.digest}", status=status)

    with nullcontext() if status == 500 else pytest.raises(RegistryUnavailableError):
        assert not presence(Broken(), new=False).has(blobs(1)[0])
