"""An S3 server whose keys and contents are computed as they are asked for: buckets larger than a test writes."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import islice, takewhile
from typing import overload
from urllib.parse import unquote

from tests.support.scripted_registry import Answer, Reply, Request, ScriptedRegistry
from tests.support.scripted_s3 import content, page, refusal

BUCKET = "bucket"
PAGE = 1000


class Keys(Sequence[str]):
    """`count` keys, in order, each made of its number."""

    def __init__(self, count: int, key: Callable[[int], str]) -> None:
        self._count = count
        self._key = key

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self._key(number) for number in range(self._count)[place]]
        return self._key(range(self._count)[place])


class GeneratedBucket(ScriptedRegistry):
    """Lists `keys`, which are in order, a thousand a page, and answers each with what `read` gives for it."""

    def __init__(self, keys: Sequence[str], read: Callable[[str], bytes]) -> None:
        super().__init__()
        self._keys = keys
        self._read = read
        self.listings = self.reads = 0

    def answer_to(self, method: str, path: str) -> Answer | None:
        """Remember no request: there are too many."""
        self.requests.clear()
        _, _, key = unquote(path).removeprefix("/").partition("/")
        if method != "GET":
            return super().answer_to(method, path)
        return self._object(key) if key else self._listing

    def _object(self, key: str) -> Reply:
        self.reads += 1
        try:
            return content(self._read(key))
        except KeyError:
            return refusal("NoSuchKey", 404)

    def _listing(self, request: Request) -> Reply:
        self.listings += 1
        (prefix,) = request.query.get("prefix", [""])
        (token,) = request.query.get("continuation-token", [""])
        (after,) = request.query.get("start-after", [""])
        start = int(token) if token else max(bisect_left(self._keys, prefix), bisect_right(self._keys, after))
        following = (self._keys[number] for number in range(start, len(self._keys)))
        keys = list(islice(takewhile(lambda key: key.startswith(prefix), following), PAGE + 1))
        more = str(start + PAGE) if len(keys) > PAGE else None
        return page({key: self._listed(key) for key in keys[:PAGE]}, more)

    def _listed(self, key: str) -> bytes:
        """Of most objects a listing needs only that they are there."""
        return self._read(key) if key.endswith("oci-layout") else b"-"
