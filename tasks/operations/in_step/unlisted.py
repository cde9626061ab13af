"""Whether what a listing of the source lacks is really gone: asked for by its path.

Some stores say that a listing ends before it does, and some mounts read it no further.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.codes import Problem, Remark
from tasks.oci.errors import InterruptedRunError, LayoutMissingError, SourceError, SourceUnavailableError, SpecError
from tasks.oci.image_layout import is_being_fetched
from tasks.operations.work.concurrency import map_ahead
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.ports import LayoutReader
    from tasks.stop import Stop

logger = logging.getLogger(__name__)

_FIRST = 8
"""As many tell whether it is another source."""
ASKED_AT_ONCE = 16
"""What is absent is waited for, on a mount, more than it is read; a bucket has as many connections."""
_MANY = 50
"""Of more it is said that they are asked for: that takes seconds."""


def asked_for(source: LayoutReader, unlisted: Iterable[Finding], stop: Stop, *, is_other: bool) -> Iterator[Finding]:
    """The finding on each layout that a listing lacks: that it vanished, or a problem where it did not.

    Where it lists none of those that earlier runs knew, it `is_other` than theirs, unless one of the first is there.
    A repository of a source that is split by name has no place of its own, and is gone where no index names it.
    Of what is there and no search looks into, nothing is said: an earlier version may have listed it.

    Raises:
        SourceUnavailableError: the source itself is gone.
        InterruptedRunError: the run is to end.
    """
    all_of_them = list(unlisted)
    left = all_of_them[_FIRST:]
    ask = partial(map_ahead, partial(_asked_for, source, stop), workers=ASKED_AT_ONCE, name="unlisted")
    first = list(ask(all_of_them[:_FIRST]))
    yield from filter(None, first)
    if is_other and all(each is not None and each.code == Remark.LAYOUT_VANISHED for each in first):
        yield from left
        return
    if len(left) > _MANY:
        logger.info("asking for %d more layouts of earlier runs, which the source does not list", len(left))
    yield from filter(None, ask(left))


def _asked_for(source: LayoutReader, stop: Stop, unlisted: Finding) -> Finding | None:
    if stop.requested:
        raise InterruptedRunError("the run was interrupted while it looked for what earlier runs found")
    found = _looked_at(source, unlisted)
    return None if found is not unlisted and is_being_fetched(unlisted.path) else found


def _looked_at(source: LayoutReader, unlisted: Finding) -> Finding:
    path = unlisted.path
    try:
        source.read_index(path)
    except SourceUnavailableError:
        raise
    except LayoutMissingError:  # one that has its marker and is broken is there, and only not listed
        return unlisted
    except (SourceError, SpecError) as error:
        return Finding(path, error.code, f"it was migrated earlier, is not listed, and can't be read: {error}")
    message = "it was migrated earlier, and is there, but the source does not list it"
    return Finding(path, Problem.LAYOUT_HIDDEN, message)
