"""Has the target list referrers: by its own API, or by the tag that clients keep where there is none.

distribution-spec v1.1.1, "Referrers Tag Schema". What others put into such a list stays in it.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.oci.bounded_json import json_within
from tasks.oci.digest import Digest
from tasks.oci.errors import MissingReferencedContentError, ReferrerConflictError, ReferrersLostError, RegistryError
from tasks.oci.manifest import MOST_VALUES
from tasks.oci.media_types import IMAGE_INDEX
from tasks.oci.reference import is_referrers_tag, referrers_tag
from tasks.operations.reports.findings import FATAL
from tasks.operations.work.freshness import is_fresh
from tasks.ports import RemoteManifest
from tasks.uptime import uptime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.oci.descriptor import Descriptor
    from tasks.ports import Target

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""Other clients may write the same list between our read and our write; what they removed is added again.

As often a list is sent again that the target would not take."""
_STRIPES = 64


class ReferrerListing(StrEnum):
    """How the target shows referrers of a subject."""

    API = "api"
    FALLBACK = "fallback"
    LOST = "lost"


@dataclass(slots=True)
class _Turn:
    """What is put into a list at once, and whether the target was seen to list all of it."""

    referrers: list[Descriptor]
    is_listed: bool = False


def lost_referrers(subject: Digest, referrers: Sequence[Descriptor]) -> str:
    """What to say where the target does not list all of these referrers of a subject."""
    which = f"{referrers[0].digest} among" if len(referrers) == 1 else f"all {len(referrers)}"
    return f"the target does not list {which} referrers of {subject}"


class ReferrerLists:
    """The lists of referrers of one target; shared by all workers of a run."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._locks = tuple(threading.Lock() for _ in range(_STRIPES))
        self._has_api: bool | None = None
        self._joining = threading.Lock()
        self._turns: dict[tuple[str, Digest], _Turn] = {}
        self._names = _DigestNames(target)

    def ensure(
        self, repository: str, subject: Digest, referrers: Sequence[Descriptor], *, has_own_name: bool = False
    ) -> ReferrerListing:
        """Have the target list all of `referrers`, which it has as manifests already.

        Whoever has to wait for a list has its referrers written together with those of all who wait: each would
        read and write all of the list once more. With `has_own_name`, the source names the subject by the fallback
        tag, which is left to it.

        Raises:
            ReferrerConflictError: the fallback tag holds something that is no list.
            ReferrersLostError: it is a name of the subject itself, at the source or there.
        """
        listed = self._listed_by_api(repository, subject)
        if listed is not None:
            return _by_api(listed, referrers)
        self._note_unlisted(repository, subject)
        if has_own_name:  # another run may choose that tag
            raise _name_is_taken(repository, subject, " at the source, and no list is put there")
        key = (repository, subject)
        with self._joining:
            turn = self._turns.setdefault(key, _Turn([]))
            turn.referrers += referrers
        with self._locks[hash(key) % _STRIPES]:
            return ReferrerListing.FALLBACK if turn.is_listed else self._list_by_tag(key, referrers, turn)

    def _list_by_tag(self, key: tuple[str, Digest], referrers: Sequence[Descriptor], turn: _Turn) -> ReferrerListing:
        """Put a whole turn into the list, `referrers` surely; these alone where another began the turn and failed."""
        with self._joining:
            is_begun = self._turns.get(key) is not turn
            due = referrers if is_begun else self._turns.pop(key).referrers
        for attempt in range(ATTEMPTS):
            as_of, read = uptime(), self._fallback_list(*key, to_write=not attempt)
            missing = _missing(read["manifests"], due)
            turn.is_listed = not is_begun and not missing
            if not missing or (attempt and not _missing(read["manifests"], referrers)):
                return ReferrerListing.FALLBACK
            entries = [*read["manifests"], *(referrer.to_json() for referrer in missing)]
            self._write(*key, {**read, "manifests": entries}, partial(self._is_still, key, read, as_of))
        return ReferrerListing.LOST

    def _is_still(self, key: tuple[str, Digest], read: dict[str, Any], as_of: float) -> bool:
        """Whether a list is as it was read then: pauses of the target may lie between, and others write it, too."""
        return is_fresh(as_of) or self._fallback_list(*key) == read

    def check(self, repository: str, subject: Digest, referrers: Sequence[Descriptor]) -> ReferrerListing:
        """How the target lists `referrers`; changes nothing."""
        listed = self._listed_by_api(repository, subject)
        if listed is not None:  # then clients look nowhere else
            return _by_api(listed, referrers)
        entries = self._fallback_list(repository, subject)["manifests"]
        if entries:
            self._note_unlisted(repository, subject)
        return ReferrerListing.LOST if _missing(entries, referrers) else ReferrerListing.FALLBACK

    def _listed_by_api(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        """What the API lists; None where there is none, or not this repository or subject."""
        if self._has_api is False:
            return None
        listed = self._target.list_referrers(repository, subject)
        if listed is not None:
            self._has_api = True
        return listed

    def _note_unlisted(self, repository: str, subject: Digest) -> None:
        """Take it that there is no API, as a subject that is there was not listed, unless it ever answered."""
        if self._has_api is None and self._target.resolve_manifest(repository, subject) is not None:
            self._has_api = bool(self._has_api)  # others ask, too

    def _fallback_list(self, repository: str, subject: Digest, *, to_write: bool = False) -> dict[str, Any]:
        tag = referrers_tag(subject)
        found = self._target.fetch_manifest(repository, tag)
        if found is None:
            return _list_of([])
        if Digest.of(found.raw, subject.algorithm) == subject:
            if to_write and tag in self._names.of(repository):
                raise _name_is_taken(repository, subject, ", and is no list")
            return _list_of([])  # GitLab reads the tag, which it does not have, as the digest
        listed = _parsed_list(found.raw)
        if listed is None:
            raise ReferrerConflictError(f"{repository}:{tag} holds something that lists no referrers")
        return listed

    def _write(self, repository: str, subject: Digest, body: dict[str, Any], may_write: Callable[[], bool]) -> None:
        """Write a list if it still may be; entries of what was deleted leave it where it is not taken otherwise.

        Distribution 2.8 does not take one either while a member of it is written once more, as by its tag.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                self._push(repository, subject, body, may_write)
            except MissingReferencedContentError:
                there = [entry for entry in body["manifests"] if self._is_there(repository, entry.get("digest"))]
                body = {**body, "manifests": there}
            else:
                return
        self._push(repository, subject, body, may_write)

    def _push(self, repository: str, subject: Digest, body: dict[str, Any], may_write: Callable[[], bool]) -> None:
        raw = json.dumps(body, separators=(",", ":")).encode()
        self._target.push_tag(repository, referrers_tag(subject), RemoteManifest(raw, IMAGE_INDEX), may_write)

    def _is_there(self, repository: str, named: object) -> bool:
        digest = Digest.or_none(named)
        return digest is not None and self._target.resolve_manifest(repository, digest) is not None


class _DigestNames:
    """The tags of a target that are made of digests alone; each repository is asked for them once a run."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._locks = tuple(threading.Lock() for _ in range(_STRIPES))
        self._found: dict[str, frozenset[str]] = {}

    def of(self, repository: str) -> frozenset[str]:
        """Those of one repository; none where it never says, as else it could keep no list at all.

        Raises:
            LayoutliftError: it does not say for the moment, or to nobody of this run.
        """
        with self._locks[hash(repository) % _STRIPES]:
            found = self._found.get(repository)
            if found is None:
                found = self._found[repository] = self._listed(repository)
            return found

    def _listed(self, repository: str) -> frozenset[str]:
        try:
            listed, why = self._target.list_tags(repository), "the target does not tell all"
        except RegistryError as error:
            if error.transient or isinstance(error, FATAL):
                raise
            listed, why = None, str(error)
        if listed is None:
            logger.warning(
                "a list of referrers may replace a tag of %s, as these are not listed: %s", repository, why
            )
        return frozenset(tag for tag in listed or () if "." not in tag and is_referrers_tag(tag))


def _name_is_taken(repository: str, subject: Digest, why: str) -> ReferrersLostError:
    """The error where the tag of the list is a name of the subject itself, and is to stay so."""
    taken = f"{repository}:{referrers_tag(subject)} names {subject} itself{why}"
    return ReferrersLostError(f"{taken}: take a target with the referrers API, or --exclude-referrers")


def _list_of(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": entries}


def _parsed_list(raw: bytes) -> dict[str, Any] | None:
    """A list as it is written again, with all that it says besides; None for what is no list."""
    try:
        body = json_within(raw, MOST_VALUES)
        listed = body["manifests"] or []
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(listed, list):
        return None
    return {**body, **_list_of([entry for entry in listed if isinstance(entry, dict)])}


def _by_api(listed: frozenset[Digest], referrers: Sequence[Descriptor]) -> ReferrerListing:
    found = all(referrer.digest in listed for referrer in referrers)
    return ReferrerListing.API if found else ReferrerListing.LOST


def _missing(entries: list[dict[str, Any]], referrers: Sequence[Descriptor]) -> list[Descriptor]:
    present = {digest for entry in entries if isinstance(digest := entry.get("digest"), str)}
    return list({referrer.digest: referrer for referrer in referrers if referrer.digest not in present}.values())
