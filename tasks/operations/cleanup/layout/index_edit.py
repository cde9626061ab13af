"""Takes entries out of an `index.json`, or puts some in, and leaves every other byte but zeros at its end. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidLayoutError, InvalidReferenceError
from tasks.oci.image_layout import INDEX, decode_index, parse_index
from tasks.oci.json_stream import iter_list, iter_places
from tasks.oci.reference import IMAGE_NAME, REF_NAME, is_tag, tag_of_annotations
from tasks.operations.cleanup.values import IndexEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasks.oci.json_stream import Element

_MANIFESTS = "manifests"


@dataclass(frozen=True, slots=True)
class IndexEdit:
    """The new bytes; the entries that left, those that came, and those that can't come any more.

    An entry is `taken` when its tag has another digest by now. Those that are `anew` have tag and digest of one
    that was to leave, and stay as they have other annotations: somebody has written them since.
    """

    raw: bytes
    removed: tuple[dict[str, Any], ...] = ()
    added: tuple[dict[str, Any], ...] = ()
    taken: tuple[IndexEntry, ...] = ()
    anew: tuple[IndexEntry, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.removed or self.added)


def entry_json(entry: IndexEntry) -> dict[str, Any]:
    """An entry as an index has it."""
    body = entry.descriptor.to_json()
    if entry.tag is not None:
        body["annotations"] = {**body.get("annotations", {}), REF_NAME: entry.tag}
    return body


def read_entry(body: dict[str, Any]) -> IndexEntry:
    """What an entry says: its tag, and what it describes.

    Raises:
        SpecError: the entry is no descriptor.
    """
    descriptor = Descriptor.from_json(body)
    return IndexEntry(descriptor.annotations.get(REF_NAME), descriptor)


def read_as_written(body: dict[str, Any]) -> IndexEntry:
    """As `read_entry`, of an entry that is to leave only as it stands there.

    Raises:
        SpecError: the entry is no descriptor.
    """
    entry = read_entry(body)
    return replace(entry, written=written_as(entry.descriptor))


def written_as(descriptor: Descriptor) -> Digest:
    """The digest of all that an entry says, as `IndexEntry.written` has it."""
    return Digest.of(json.dumps(descriptor.to_json(), sort_keys=True).encode())


class Removals:
    """Entries that are to leave an index; one with other annotations than it had when that was planned is none."""

    def __init__(self, entries: Iterable[IndexEntry]) -> None:
        self._entries = {(entry, entry.written) for entry in entries}
        self._known = {entry for entry, _ in self._entries}

    def has(self, entry: IndexEntry) -> bool:
        """Whether this entry, as an index has it, is to leave."""
        if entry not in self._known:
            return False
        return (entry, None) in self._entries or (entry, written_as(entry.descriptor)) in self._entries

    def are_about(self, entry: IndexEntry) -> bool:
        """Whether an entry of this tag and digest is to leave, with whatever annotations."""
        return entry in self._known


def not_removed(removals: Iterable[IndexEntry], removed: Iterable[IndexEntry]) -> list[IndexEntry]:
    """Those removals of which nothing left the index; `removed` are entries as it had them."""
    gone = {(entry, written_as(entry.descriptor)) for entry in removed}
    any_of = {entry for entry, _ in gone}
    return [e for e in removals if (e not in any_of if e.written is None else (e, e.written) not in gone)]


def edit_index(
    raw: bytes,
    removals: Iterable[IndexEntry],
    additions: Sequence[dict[str, Any]],
    *,
    stood_together: bool = False,
) -> IndexEdit:
    """Take out every entry that is one of `removals`, and put in `additions` that are not there; see `Removals`.

    Of additions that `stood_together` in an index, several may have one tag.

    Raises:
        InvalidLayoutError: the index can't be read whole, or could not be after that.
    """
    index = parse_index(raw)
    if index.broken:
        raise InvalidLayoutError(index.broken[0].message)
    text = decode_index(raw)
    wanted = Removals(removals)
    places = list(iter_places(text, _MANIFESTS, {}))
    stays: list[Element] = []
    goes: list[Element] = []
    for place in places:
        (goes if wanted.has(read_entry(place[2])) else stays).append(place)
    anew = tuple(entry for place in stays if wanted.are_about(entry := read_entry(place[2])))
    added, taken = _possible([place[2] for place in stays], additions, stood_together=stood_together)
    if not goes and not added:
        return IndexEdit(raw, taken=taken, anew=anew)
    parts = [text[begin:end] for begin, end, _ in stays] + [_compact(entry) for entry in added]
    new = _joined(text, places, parts) if places else _filled(text, added)
    encoded = new.encode(json.detect_encoding(raw))
    removed = tuple(element for _, _, element in goes)
    _check(encoded, [*(element for _, _, element in stays), *added])
    return IndexEdit(encoded, removed, added, taken, anew)


def _possible(
    present: Sequence[dict[str, Any]], additions: Sequence[dict[str, Any]], *, stood_together: bool
) -> tuple[tuple[dict[str, Any], ...], tuple[IndexEntry, ...]]:
    """Those additions that are not there yet, and those whose tag has another digest.

    Entries of one tag and digest may differ by their annotations, and all of them come. One that a writer has
    written anew since stands for one of them.
    """
    known, wanted = {_key(body) for body in present}, {_key(body): body for body in additions}
    anew = Counter(read_entry(body) for body in present if _key(body) not in wanted)
    named = _NamedTags(map(read_entry, present))
    added: list[dict[str, Any]] = []
    taken: list[IndexEntry] = []
    for key, body in wanted.items():
        entry = read_entry(body)
        if key in known:
            continue
        if anew[entry]:
            anew[entry] -= 1
            continue
        if named.give_to_another(entry):
            taken.append(entry)
            continue
        added.append(body)
        if not stood_together:
            named.add(entry)
    return tuple(added), tuple(taken)


class _NamedTags:
    """What tags are given to; some writers keep many images in one layout, each with a tag of its own `latest`."""

    def __init__(self, entries: Iterable[IndexEntry]) -> None:
        self._digests: dict[str, dict[str | None, Digest]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: IndexEntry) -> None:
        if entry.tag is not None:
            self._digests.setdefault(_meant(entry), {})[_image_name(entry)] = entry.descriptor.digest

    def give_to_another(self, entry: IndexEntry) -> bool:
        """Whether the tag of an entry has another digest; as that of an image of another name it does not count."""
        name, digests = _image_name(entry), self._digests.get(_meant(entry), {})
        return any(
            digest != entry.descriptor.digest
            for other, digest in digests.items()
            if name is None or other is None or name == other
        )


def _meant(entry: IndexEntry) -> str:
    """The tag of an entry, without a digest behind it, but with a name before it, by which several images have it."""
    written = entry.tag or ""
    if not is_tag(written.partition("@")[0]):
        return written
    try:
        return tag_of_annotations(entry.descriptor.annotations)
    except InvalidReferenceError:
        return written


def _image_name(entry: IndexEntry) -> str | None:
    """The name beside the tag, without a digest behind it."""
    name = entry.descriptor.annotations.get(IMAGE_NAME)
    return None if name is None else name.partition("@")[0]


def _key(body: dict[str, Any]) -> str:
    return json.dumps(body, sort_keys=True)


def _joined(text: str, places: Sequence[Element], parts: Sequence[str]) -> str:
    """The list with these parts; between them stands what stood between the first two, or a comma."""
    between = text[places[0][1] : places[1][0]] if len(places) > 1 else ","
    return text[: places[0][0]] + between.join(parts) + text[places[-1][1] :]


def _filled(text: str, added: Sequence[dict[str, Any]]) -> str:
    """A list that was empty has no form to be kept; the other members stay, in their order."""
    body: dict[str, Any] = json.loads(text.strip(" \t\r\n\0"))
    body[_MANIFESTS] = list(added)
    return _compact(body)


def _compact(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"))  # in ASCII, as half a pair of surrogates has no encoding


def _check(encoded: bytes, expected: Sequence[dict[str, Any]]) -> None:
    """Read what would be written: an index that can't be read back must never be."""
    try:
        written = list(iter_list(decode_index(encoded), _MANIFESTS, {}))
    except (ValueError, RecursionError) as error:
        raise InvalidLayoutError(f"{INDEX} could not be read after this: {str(error)[:200]}") from error
    if written != list(expected):
        raise InvalidLayoutError(f"{INDEX} can't be edited without changing more than was asked")
