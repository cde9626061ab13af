"""How long what is read from a mount may be silent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a read may be silent: after `silence` seconds the mount is asked for a sign of life.

    It has `probe` seconds to give it. A mount that lives may keep a read waiting for `longest` seconds in all.
    """

    silence: float = 20.0
    probe: float = 10.0
    longest: float = 600.0

    @classmethod
    def of(cls, seconds: float) -> Patience:
        """To call a mount hung after so many seconds.

        Raises:
            ValueError: nobody can wait for so many seconds.
        """
        if not 0 < seconds < float("inf"):
            raise ValueError(seconds)
        return cls(seconds * 2 / 3, seconds / 3, max(seconds, 600.0))
