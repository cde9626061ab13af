"""What an answer of an S3 store must have to be relied on; not every server that speaks S3 gives all of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import SourceError
from tasks.stores.bucket.s3_errors import GarbledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

OBJECT_MARKERS = {"ContinuationToken": "NextContinuationToken"}
"""What a listing goes on with: the name of a request's parameter, and that of the page before."""
UPLOAD_MARKERS = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
VERSION_MARKERS = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
_OF_LISTINGS = frozenset({"IsTruncated", "Contents", "KeyCount", "MaxKeys"})
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes of what can't be read, unless it was restored for a while, which a listing does not say."""
_OF_FOLDER = {"Size": 0, "LastModified": datetime.fromtimestamp(0, UTC)}


@dataclass(frozen=True, slots=True)
class ListedObject:
    """A key as the listing has it; `modified` in seconds since 1970, `etag` without quotes."""

    key: str
    size: int
    etag: str
    modified: float
    archived: bool = False


def objects_of(page: Mapping[str, Any], where: str) -> Iterable[Mapping[str, Any]]:
    """The objects of a page of a listing.

    Raises:
        GarbledError: it is none. A page to log in at, or an empty answer of something on the way, would pass for a
            listing of nothing. A few stores leave out that a listing ends (`IsTruncated`), but none says nothing.
    """
    if _OF_LISTINGS.isdisjoint(page):
        raise GarbledError(where, "listing")
    listed: Iterable[Mapping[str, Any]] = page.get("Contents", ())
    return listed


def with_all(found: Mapping[str, Any], where: str, *names: str) -> Mapping[str, Any]:
    """What a listing says of an object, where it says all of `names`.

    Raises:
        SourceError: it leaves some of them out.
    """
    if lacking := [name for name in names if name not in found]:
        shown = repr(found["Key"]) if "Key" in found else "an object"
        raise SourceError(
            f"a listing of {where} has {shown} without {' and '.join(lacking)}; is the store an S3 one?"
        )
    return found


def pages_of(
    ask: Callable[..., Any], where: str, markers: Mapping[str, str], first: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """The pages of a listing, as they are asked for; the first one by these parameters besides.

    A listing that goes in a circle is ended, if not the first time round.

    Raises:
        SourceError: there is more, and no way to it; and what `ask` raises.
    """
    place: dict[str, str] | None = dict(first or {})
    noted, asked = place, 0
    while place is not None:
        page = ask(**place)
        yield page
        asked += 1
        if asked.bit_count() == 1:  # powers of two: one falls into the circle, and the next is further than round it
            noted = place
        place = _next_place(page, markers)
        if place is not None:
            _refuse_circle(place, noted, where, markers)


def _next_place(page: Mapping[str, Any], markers: Mapping[str, str]) -> dict[str, str] | None:
    """What a listing goes on with after a page, None at its end."""
    if not page.get("IsTruncated"):
        return None
    return {parameter: page[name] for parameter, name in markers.items() if page.get(name)}


def _refuse_circle(
    place: Mapping[str, str], noted: Mapping[str, str] | None, where: str, markers: Mapping[str, str]
) -> None:
    """Raise an error where a listing names nothing that it goes on with, or a place that was noted before."""
    if place and place != noted:
        return
    is_older = not place and "ContinuationToken" in markers
    hint = "; the store may know only the older listing: mount the bucket" if is_older else ""
    raise SourceError(f"the listing of {where} does not go on where it was cut off{hint}")


def object_of(listed: Mapping[str, Any], where: str) -> ListedObject:
    """What a listing says of an object; some stores say no more than the name of a key that marks a folder.

    Raises:
        SourceError: it leaves out something that is needed.
    """
    is_folder = listed.get("Key", "").endswith("/")
    found = with_all({**_OF_FOLDER, **listed} if is_folder else listed, where, "Key", "Size", "LastModified")
    return ListedObject(
        found["Key"],
        found["Size"],
        found.get("ETag", "").strip('"'),
        found["LastModified"].timestamp(),
        found.get("StorageClass") in _ARCHIVES,
    )


def etag_of(answer: Mapping[str, Any], name: str) -> str:
    """What tells a content from the next one, as it came.

    Raises:
        SourceError: there is none, and so nothing could be changed safely.
    """
    if not answer.get("ETag"):
        raise SourceError(f"the store gives {name} no ETag, so nobody can tell whether somebody else wrote it")
    return str(answer["ETag"])


def modified_of(answer: Mapping[str, Any], name: str) -> float:
    """When an object was written, in seconds since 1970.

    Raises:
        SourceError: the store does not say.
    """
    if not answer.get("LastModified"):
        raise SourceError(f"the store does not say how old {name} is")
    return float(answer["LastModified"].timestamp())
