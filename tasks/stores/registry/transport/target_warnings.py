"""Passes on what a registry warns of in the headers of its answers (distribution-spec v1.1.1, "Warnings").

Nothing is done by them, as the specification wants it: they are told, each once.
"""

from __future__ import annotations

import logging
import re
import threading

from tasks.stores.hidden_secrets import LONGEST_SHOWN, as_words, without_secrets

logger = logging.getLogger(__name__)

MOST_WARNINGS = 20
"""Different ones that are told: some name the seconds that are left of something, and so are never the same."""
MOST_SEEN = 100
"""Headers that are known again without being taken apart, as most come with every answer."""
LONGEST_HEADER = 16 * 1024
"""Characters that are looked at."""
_WARNING = re.compile(r'(?:^|,)\s*(\d{3})\s+\S+\s+"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_FOR_PEOPLE = "299"
"""The others are of caches on the way."""


class TargetWarnings:
    """What a registry has warned of; safe to share by all workers."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def tell(self, header: str) -> None:
        """Log what is new in a `Warning` header, which may hold several."""
        if not self._is_worth_a_look(header[:LONGEST_HEADER]):
            return
        for code, quoted in _WARNING.findall(header[:LONGEST_HEADER]):
            text = _shown(_ESCAPED.sub(r"\1", quoted))
            if code == _FOR_PEOPLE and self._is_new(text):
                logger.warning("the target says: %s", text)

    def _is_worth_a_look(self, header: str) -> bool:
        with self._lock:
            if header in self._seen or len(self._told) >= MOST_WARNINGS:
                return False
            if len(self._seen) < MOST_SEEN:
                self._seen.add(header)
        return True

    def _is_new(self, text: str) -> bool:
        with self._lock:
            is_new = text not in self._told and len(self._told) < MOST_WARNINGS
            if is_new:
                self._told.add(text)
        return is_new


def _shown(text: str) -> str:
    return without_secrets(as_words(text))[:LONGEST_SHOWN]
