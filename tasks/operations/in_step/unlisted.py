"""Whether what a listing of the source lacks is really gone: asked for by its path.

Some stores say that a listing ends before it does, and some mounts read it no further.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from tasks.oci.codes import Problem, Remark
from tasks.oci.errors import InvalidLayoutError, SourceError, SourceUnavailableError
from tasks.operations.work.concurrency import READS_AT_ONCE, map_ahead
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.ports import LayoutReader


def asked_for(source: LayoutReader, unlisted: Iterable[Finding], *, is_other: bool) -> Iterator[Finding]:
    """The finding on each layout that a listing lacks: that it vanished, or a problem where it did not.

    Where it lists none of those that earlier runs knew, it `is_other` than theirs, unless one of the first is there.
    A repository of a source that is split by name has no place of its own, and is gone where no index names it.

    Raises:
        SourceUnavailableError: the source itself is gone.
    """
    left = iter(unlisted)
    ask = partial(map_ahead, partial(_asked_for, source), workers=READS_AT_ONCE, name="unlisted")
    first = list(ask(islice(left, READS_AT_ONCE)))
    yield from first
    yield from left if is_other and all(each.code == Remark.LAYOUT_VANISHED for each in first) else ask(left)


def _asked_for(source: LayoutReader, unlisted: Finding) -> Finding:
    path = unlisted.path
    try:
        source.read_index(path)
    except InvalidLayoutError:
        return unlisted
    except SourceUnavailableError:
        raise
    except SourceError as error:
        return Finding(path, error.code, f"it was migrated earlier, is not listed, and can't be asked for: {error}")
    message = "it was migrated earlier, and is there, but the source does not list it"
    return Finding(path, Problem.LAYOUT_HIDDEN, message)
