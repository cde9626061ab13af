"""A bucket of small objects, in memory."""

from collections.abc import Iterator
from io import BufferedIOBase

from tasks.stores.state import object_parts
from tasks.stores.state.object_parts import ObjectPart
from tasks.stores.state.state_objects import ConditionFailedError, StoredObject


class MemoryObjects:
    """A bucket in memory, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1e6
        self.kept: dict[str, StoredObject] = {}
        self.read: list[str] = []
        self._writes = 0

    def check_conditions(self) -> float:
        return self.now

    def get(self, name: str) -> StoredObject | None:
        self.read.append(name)
        return self.kept.get(name)

    def part(self, name: str, after: ObjectPart | None = None) -> ObjectPart | None:
        found, begin = self.get(name), 0 if after is None else after.end
        if found is None or (after is not None and found.etag != after.etag):
            return None
        read = found.body[begin : begin + object_parts.PART_BYTES]
        return ObjectPart(read, begin + len(read), len(found.body), found.etag)

    def put(
        self, name: str, body: bytes | BufferedIOBase, *, only_if: str | None = None, if_absent: bool = False
    ) -> str:
        if not isinstance(body, bytes):
            body.seek(0)
            body = body.read()
        there = self.kept.get(name)
        if (if_absent and there) or (only_if is not None and (there is None or there.etag != only_if)):
            raise ConditionFailedError(name)
        self._writes += 1
        self.kept[name] = StoredObject(body, str(self._writes), self.now)
        return str(self._writes)

    def names(self, prefix: str) -> Iterator[str]:
        return iter(sorted(name for name in self.kept if name.startswith(prefix)))

    def written(self, prefix: str) -> Iterator[tuple[str, float]]:
        return ((name, self.kept[name].modified) for name in self.names(prefix))

    def delete(self, name: str) -> None:
        self.kept.pop(name, None)
