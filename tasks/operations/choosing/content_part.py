"""Which content a run reads back where it reads a part of it: runs of all parts together read all, once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from tasks.oci.digest import Digest

LEAST_PARTS, MOST_PARTS = 2, 10_000
_FORM = re.compile(r"([0-9]{1,5})/([0-9]{1,5})")
_HEX_DIGITS = 8


@dataclass(frozen=True, slots=True)
class ContentPart:
    """One of `parts` parts, the first being 1; a digest tells to which its content belongs."""

    number: int
    parts: int

    @classmethod
    def parse(cls, text: str) -> ContentPart:
        """Read `NUMBER/PARTS`.

        Raises:
            ConfigurationError: it is no such part, or the whole.
        """
        match = _FORM.fullmatch(text)
        number, parts = map(int, match.groups()) if match else (0, 0)
        if not (1 <= number <= parts and LEAST_PARTS <= parts <= MOST_PARTS):
            raise ConfigurationError(f"not a part of all content, as 3/7 is the third of seven: {text!r}")
        return cls(number, parts)

    def has(self, digest: Digest) -> bool:
        """Whether the content of this digest is in it."""
        return int(digest.encoded[:_HEX_DIGITS], 16) % self.parts == self.number - 1
