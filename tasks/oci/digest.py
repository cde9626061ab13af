"""Digests: the names of content.

Grammar and registered algorithms: image-spec v1.1.1, descriptor.md, "Digests". A `Digest` can only be made
from text that was checked, so that joining its parts to a path is safe.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Self

from tasks.oci.errors import InvalidDigestError

if TYPE_CHECKING:
    from collections.abc import Callable

_ENCODED = {
    "sha256": re.compile(r"[a-f0-9]{64}"),
    "sha512": re.compile(r"[a-f0-9]{128}"),
}
_HASHERS: dict[str, Callable[[], hashlib._Hash]] = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_SHOWN = 80


class Digest(str):
    """A checked digest, `algorithm:encoded`; equal to, and usable as, its text."""

    __slots__ = ()

    def __new__(cls, text: object) -> Self:
        """Check `text`.

        Raises:
            InvalidDigestError: it is not text, not of the grammar, or of an algorithm other than sha256
                and sha512 (the two that the specification registers).
        """
        if not isinstance(text, str):
            raise InvalidDigestError(f"a digest must be text, not {type(text).__name__}")
        algorithm, _, encoded = text.partition(":")
        grammar = _ENCODED.get(algorithm)
        if grammar is None or grammar.fullmatch(encoded) is None:
            raise InvalidDigestError(f"not a sha256 or sha512 digest: {text[:_SHOWN]!r}")
        return super().__new__(cls, text)

    @classmethod
    def or_none(cls, text: object) -> Self | None:
        """The digest that `text` is, None where it is none."""
        try:
            return cls(text)
        except InvalidDigestError:
            return None

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """The digest of `content`."""
        hasher = _HASHERS[algorithm]()
        hasher.update(content)
        return cls(f"{algorithm}:{hasher.hexdigest()}")

    @property
    def algorithm(self) -> str:
        """The part before the colon, `sha256` or `sha512`."""
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        """The part after the colon, lower-case hexadecimal."""
        return self.partition(":")[2]

    def hasher(self) -> hashlib._Hash:
        """A fresh hash object of this digest's algorithm."""
        return _HASHERS[self.algorithm]()
