"""Lists that a registry gives in pages: tags and referrers (distribution-spec v1.1.1, "Content Discovery")."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from tasks.oci.bounded_json import TooManyValuesError, json_within
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidDigestError, UnexpectedAnswerError
from tasks.oci.media_types import IMAGE_INDEX
from tasks.stores.hidden_secrets import redacted
from tasks.stores.registry.registry_answers import asks_for_fewer
from tasks.stores.registry.transport.http_answers import MAX_LIST_SIZE, address_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tasks.stores.registry.transport.http_answers import HttpAnswer

MAX_PAGES = 100_000
MOST_LISTED = 4 * MAX_LIST_SIZE
"""Bytes of all pages of a list: more than ten million tags."""
MOST_VALUES = 4_000_000
"""Values of a page: ordinary tags that fill one are fewer. Short ones take twenty times a page's size as objects."""
_NOT_LISTED = frozenset({301, 302, 303, 307, 308, 400, 404, 405, 406, 501})
"""How registries say that they do not list this. Only 404 is the specification's: GitHub's redirects to a page for
people, Artifactory answers 406, others 400."""
_ABSENT = object()
_LINK = re.compile(r"<([^<>]*)>([^<]*)")  # no address holds "<": many of them took the square of their time
_RELATIONS = re.compile(
    r"""(?:^|;)\s*rel\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;,"']+)\s*(?=[;,]|$))""", re.IGNORECASE
)  # what is quoted is split, not searched: many words in it took the square of their time


@dataclass(frozen=True, slots=True)
class Listed:
    """The entries of all pages; `whole` is false where these have no end, or lead to one that is no list.

    `named` is false where the first has no such field, not even an empty one: gateways answer 200 with an error, too.
    """

    entries: tuple[object, ...]
    whole: bool
    named: bool = True


def read_pages(first: HttpAnswer, field: str, ask: Callable[[str], HttpAnswer]) -> Listed:
    """Read a list to its end, from its first page on; `ask` gets the path of each further one.

    Raises:
        UnexpectedAnswerError: a page is no list, or the next one is said to be nowhere.
    """
    entries, size = _entries(first, field), len(first.body)
    if entries is None:
        return Listed((), whole=True, named=False)
    seen = {_path(first.url)}
    path = next_page(first)
    while path is not None:
        if path in seen or len(seen) >= MAX_PAGES or size > MOST_LISTED or len(entries) > 3 * MOST_VALUES:
            return Listed(tuple(entries), whole=False)
        seen.add(path)
        answer = ask(path)
        if answer.status != HTTPStatus.OK:
            return Listed(tuple(entries), whole=False)
        further = _entries(answer, field)
        if further is None:
            return Listed(tuple(entries), whole=False)
        entries += further
        size += len(answer.body)
        path = next_page(answer)
    return Listed(tuple(entries), whole=True)


def says_no_list(answer: HttpAnswer) -> bool:
    """Whether an answer is how a registry says that it does not list this."""
    return answer.status in _NOT_LISTED and not asks_for_fewer(answer)


def next_page(answer: HttpAnswer) -> str | None:
    """The path of the page that a `Link` header calls the next (RFC 8288), None where there is none.

    A proxy may have written another host into it: only the path counts, asked of the same registry. Some leave out
    the angle brackets, and a list that seemed to end there would lack all tags behind.

    Raises:
        UnexpectedAnswerError: what it names is no address.
    """
    given = answer.headers.get("Link", "")
    for target, relation in _LINK.findall(given) or [given.partition(";")[::2]]:
        if _leads_on(relation):
            try:
                return _path(urljoin(answer.url, address_in(target.strip())))
            except ValueError as error:
                message = f"{redacted(answer.url)}: the next page is said to be at what is no web address"
                raise UnexpectedAnswerError(message, status=answer.status) from error
    return None


def _leads_on(relation: str) -> bool:
    """Whether "next" is among the relations that a link's parameters name, in any letters."""
    return any("next" in "".join(named).lower().split() for named in _RELATIONS.findall(relation))


def is_index(answer: HttpAnswer) -> bool:
    """Whether an answer calls itself an index, as a list of referrers must; pages for people come with 200, too."""
    given: str = answer.headers.get("Content-Type", IMAGE_INDEX)
    return given.partition(";")[0].strip().lower() in {IMAGE_INDEX, "application/json"}


def digests_of(entries: Iterable[object]) -> Iterator[Digest]:
    """The digests of descriptors; one of an algorithm that we don't know is none of ours."""
    for entry in entries:
        with suppress(InvalidDigestError):
            yield Digest(entry.get("digest") if isinstance(entry, dict) else None)


def _path(url: str) -> str:
    parts = urlsplit(url)
    path = f"/{parts.path.lstrip('/')}"  # behind two slashes, a host is named
    return f"{path}?{urlencode(parse_qsl(parts.query, keep_blank_values=True))}"


def _entries(answer: HttpAnswer, field: str) -> list[object] | None:
    """What a page lists; None where it has no such field."""
    try:
        listed = json_within(answer.body, MOST_VALUES).get(field, _ABSENT)
    except TooManyValuesError as error:
        raise UnexpectedAnswerError(f"{redacted(answer.url)}: the list has {error}", status=answer.status) from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise UnexpectedAnswerError(f"{redacted(answer.url)}: the list is not JSON", status=answer.status) from error
    if listed is _ABSENT:
        return None
    return listed if isinstance(listed, list) else []
