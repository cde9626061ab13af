"""Where a listing ends: some stores say so too early, and no SDK notices."""

from __future__ import annotations

import logging
import time
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

from tasks.oci.errors import SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tasks.stores.bucket.s3_address import BucketAddress
    from tasks.stores.bucket.s3_answers import ListedObject

logger = logging.getLogger(__name__)


ROUNDS = 10
"""As many in a row may bring only what was written since the listing began: somebody writes as fast as it is read."""
_MANY = 100
"""Objects of one round: nobody writes as many while they are asked for, so that a store left them out."""
_SLACK = 60.0
"""Seconds by which the store's clock may differ."""


def read_to_its_end(
    list_after: Callable[[str], Iterable[ListedObject]], place: BucketAddress
) -> Iterator[ListedObject]:
    """All objects of a listing, and what the store has after the last of them, as long as that leads any further.

    A store that lists in another order than that of keys may give some twice.

    Raises:
        SourceError: they can't be listed.
    """
    begun, last, furthest = time.time() - _SLACK, "", ""
    for found in list_after(""):
        last, furthest = found.key, max(furthest, found.key)
        yield found
    before, is_told, left = "", False, ROUNDS
    while furthest > before and left:
        end, before, left, brought = last, furthest, left - 1, 0
        for found in takewhile(partial(_is_from, end), _asked(list_after, end)):
            if found.key == end:
                continue
            is_told = is_told or (found.key > before and _tell(place, end))
            last, furthest = found.key, max(furthest, found.key)
            brought += 1
            left = left if found.modified > begun and brought < _MANY else ROUNDS
            yield found
    if furthest > before:
        logger.warning("the listing of %s is read no further than %s: others write to it all the time", place, last)


def _is_from(end: str, found: ListedObject) -> bool:
    """A store that does not know where to begin gives the first ones again."""
    return found.key >= end


def _asked(list_after: Callable[[str], Iterable[ListedObject]], end: str) -> Iterator[ListedObject]:
    try:
        yield from list_after(end)
    except SourceUnavailableError:
        raise
    except SourceError as error:
        if error.transient:
            raise
        # it does not take such a question, and nothing but its own word on where the listing ends is left
        logger.debug("whether the listing ended at %s can't be told: %s", end, error)


def _tell(place: BucketAddress, end: str) -> bool:
    why = "others write to it just now, or the store ends listings too early"
    logger.warning("the listing of %s ended at %s, and had more: %s", place, end, why)
    return True
