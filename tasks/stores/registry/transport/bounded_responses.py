"""Answers of a peer that may not be honest: the standard library's, with an end to what makes it read for ever."""

from __future__ import annotations

from http.client import HTTPException, HTTPResponse, LineTooLong

LONGEST_LINE = 64 * 1024
MOST_HEADERS = 100
MOST_HEADS = 20
"""Status lines of one answer: those that only announce it (1xx), and its own."""


class BoundedResponse(HTTPResponse):
    """What announces an answer, and what follows its body, has an end; and no part of a body is all that comes."""

    _heads = 0

    def _read_status(self) -> tuple[str, int, str]:
        self._heads += 1
        if self._heads > MOST_HEADS:
            raise HTTPException("an answer is announced again and again, and does not come")
        version, status, reason = super()._read_status()  # type: ignore[misc] # typeshed leaves it out, and those below
        return version, status, reason

    def _read_next_chunk_size(self) -> int:
        """The size of a chunk; the library takes a negative one, and reads all that is sent at once then.

        Raises:
            ValueError: what was sent is no size; the library makes an IncompleteRead of it.
        """
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise ValueError("no chunk is smaller than nothing")
        return size

    def _read_and_discard_trailer(self) -> None:
        for _ in range(MOST_HEADERS + 1):
            line = self.fp.readline(LONGEST_LINE + 1)
            if len(line) > LONGEST_LINE:
                raise LineTooLong("trailer line")
            if line in {b"\r\n", b"\n", b""}:
                return
        raise HTTPException(f"an answer has more than {MOST_HEADERS} trailers")
