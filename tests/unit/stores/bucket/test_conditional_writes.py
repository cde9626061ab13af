"""A store is trusted with conditions only after it refused all that it must, and nothing of the trial stays."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import pytest

from tasks.oci.errors import SourceChangedError, SourceWriteError
from tasks.stores.bucket.conditional_writes import NEW, ROUNDS, WRITERS, honours_conditions, honours_deletions
from tasks.stores.bucket.s3_errors import UnwrittenError
from tasks.stores.bucket.s3_writing import WritableS3Bucket

FOLDER = "bucket/.layoutlift/"


class Store:
    """A bucket that honours conditions; `at_once` has everybody ask before anybody is answered."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}
        self.keys: set[str] = set()
        self.written: list[bytes] = []
        self._etags = 0

    def put(self, key: str, raw: bytes, condition: Mapping[str, str] | None = None) -> str:
        assert key.startswith(FOLDER)
        self.keys.add(key)
        if condition is not None and not self.allows(condition, self.seen(key)):
            raise SourceChangedError("it is another one by now")
        self._etags += 1
        self.objects[key] = f"{self._etags:032x}"
        self.written.append(raw)
        return self.objects[key]

    def seen(self, key: str) -> str | None:
        return self.objects.get(key)

    def allows(self, condition: Mapping[str, str], etag: str | None) -> bool:
        return etag is None if condition == NEW else condition == {"IfMatch": f'"{etag}"'}

    def at_once(self, act: Callable[[bytes], str | None], items: Iterable[bytes]) -> list[str | None]:
        return [act(item) for item in items]

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)

    def delete_unchanged(self, etags: Mapping[str, str]) -> frozenset[str]:
        """Those that are others by now."""
        others = frozenset(key for key, etag in etags.items() if self.objects.get(key) != etag)
        self.delete(etags.keys() - others)
        return others


class IgnoresAll(Store):
    def allows(self, condition: Mapping[str, str], etag: str | None) -> bool:
        return True

    def delete_unchanged(self, etags: Mapping[str, str]) -> frozenset[str]:
        self.delete(etags)
        return frozenset()


class IgnoresThatItIsThere(Store):
    def allows(self, condition: Mapping[str, str], etag: str | None) -> bool:
        return condition == NEW or super().allows(condition, etag)


class IgnoresWhatItIs(Store):
    def allows(self, condition: Mapping[str, str], etag: str | None) -> bool:
        return condition != NEW or super().allows(condition, etag)


class KnowsNoConditions(Store):
    def put(self, key: str, raw: bytes, condition: Mapping[str, str] | None = None) -> str:
        if condition is not None:
            raise SourceWriteError("not implemented")
        return super().put(key, raw)

    def delete_unchanged(self, etags: Mapping[str, str]) -> frozenset[str]:
        raise SourceWriteError("not implemented")


class Racy(Store):
    """Looks first and writes later, as a gateway does that keeps no lock: of several at once, all get through."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self._sound_rounds = rounds
        self._frozen: dict[str, str] | None = None

    def seen(self, key: str) -> str | None:
        return (self.objects if self._frozen is None else self._frozen).get(key)

    def at_once(self, act: Callable[[bytes], str | None], items: Iterable[bytes]) -> list[str | None]:
        self._sound_rounds -= 1
        self._frozen = dict(self.objects) if self._sound_rounds < 0 else None
        try:
            return super().at_once(act, items)
        finally:
            self._frozen = None


class RefusesAllAtOnce(Store):
    def at_once(self, act: Callable[[bytes], str | None], items: Iterable[bytes]) -> list[str | None]:
        self.put(next(iter(self.keys)), b"somebody is always quicker")
        return super().at_once(act, items)


def asked(question: Callable[[WritableS3Bucket, str], bool], store: Any) -> bool:
    answer = question(cast("WritableS3Bucket", store), FOLDER)
    assert store.objects == {}, "the probe was left behind"
    return answer


def test_a_store_that_refuses_what_it_must_is_trusted() -> None:
    store = Store()
    assert asked(honours_conditions, store)
    assert len(set(store.written)) == 1 + 2 * ROUNDS, "content that looks alike has one ETag, and proves nothing"
    assert asked(honours_deletions, Store())


@pytest.mark.parametrize(
    "store",
    [
        IgnoresAll(),
        IgnoresThatItIsThere(),
        IgnoresWhatItIs(),
        KnowsNoConditions(),
        *(Racy(rounds) for rounds in range(ROUNDS)),
        RefusesAllAtOnce(),
    ],
    ids=lambda store: type(store).__name__,
)
def test_a_store_that_lets_a_writer_through_whom_it_must_refuse_is_not(store: Store) -> None:
    assert not asked(honours_conditions, store)


@pytest.mark.parametrize("store", [IgnoresAll(), KnowsNoConditions()], ids=lambda store: type(store).__name__)
def test_a_store_that_deletes_what_is_another_one_by_now_is_not_trusted_with_deletions(store: Store) -> None:
    assert not asked(honours_deletions, store)


def test_several_writers_are_tried_at_once() -> None:
    counts: list[int] = []

    class Counting(Store):
        def at_once(self, act: Callable[[bytes], str | None], items: Iterable[bytes]) -> list[str | None]:
            asked_for = list(items)
            counts.append(len(set(asked_for)))
            return super().at_once(act, asked_for)

    assert asked(honours_conditions, Counting())
    assert counts == [WRITERS] * ROUNDS


class LosesAnAnswer(Store):
    """One of the first round: its request is sent again, and refused, as what it wrote is there."""

    is_lost = False

    def at_once(self, act: Callable[[bytes], Any], items: Iterable[bytes]) -> list[Any]:
        attempts = list(items)
        if not self.is_lost:
            self.is_lost = True
            self.put(next(iter(self.keys)), attempts[0])
        return super().at_once(act, attempts)


def test_an_answer_that_is_lost_speaks_against_no_store() -> None:
    assert asked(honours_conditions, LosesAnAnswer())


class FailsLater(Store):
    """Fails for the moment, once it has answered so many requests with conditions."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.left = answers

    def put(self, key: str, raw: bytes, condition: Mapping[str, str] | None = None) -> str:
        self.left -= condition is not None
        if self.left < 0:
            raise UnwrittenError("500")
        return super().put(key, raw, condition)

    def delete_unchanged(self, etags: Mapping[str, str]) -> frozenset[str]:
        raise UnwrittenError("500")


@pytest.mark.parametrize(
    ("question", "answers"), [*((honours_conditions, n) for n in range(3)), (honours_deletions, 0)]
)
def test_a_store_that_fails_meanwhile_is_not_taken_for_one_that_knows_no_conditions(
    question: Callable[[WritableS3Bucket, str], bool], answers: int
) -> None:
    with pytest.raises(UnwrittenError):
        asked(question, FailsLater(answers))


@pytest.mark.parametrize("question", [honours_conditions, honours_deletions])
def test_where_nothing_can_be_written_nobody_guesses(question: Callable[[WritableS3Bucket, str], bool]) -> None:
    class ReadOnly(Store):
        def put(self, key: str, raw: bytes, condition: Mapping[str, str] | None = None) -> str:
            raise SourceWriteError("access denied")

    with pytest.raises(SourceWriteError):
        asked(question, ReadOnly())
